"""Choose the instance type of an endpoint whose configuration names none."""

from __future__ import annotations

from sageturner_magic.aws import AwsSession
from sageturner_magic.aws import account as aws_account
from sageturner_magic.config import Server
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.tried import cannot_run_here, memory_to_serve
from sageturner_magic.errors import ConfigError, Finding
from sageturner_magic.text import size
from sageturner_magic.values import Reporter

MEMORY_GIB = {
    "ml.t2.medium": 4,
    "ml.m5.large": 8,
    "ml.m5.xlarge": 16,
    "ml.m5.2xlarge": 32,
    "ml.m5.4xlarge": 64,
    "ml.m5.12xlarge": 192,
    "ml.m5.24xlarge": 384,
}
"""The types to choose from, the smallest first, and the memory that EC2's pages give for them."""

USABLE = 0.75
"""The share of an instance's memory that a model may take; its system and traffic have the rest."""


def smallest_server(
    ingredients: Ingredients, session: AwsSession | None, reporter: Reporter
) -> tuple[Server, Finding]:
    """The smallest instance that holds what a trial measures, and a note that names its price.

    A type that the region's price list does not have is passed over where the list can be read.

    Raises:
        ConfigError: Nothing can be measured here, or the model is too large for all of them.
        CaptureError: The trial fails.
    """
    if reason := _not_measured(ingredients):
        raise _no_type(f"the model's memory cannot be measured on this machine: {reason}")
    needed = memory_to_serve(ingredients, reporter)
    fitting = [
        Server(instance_type=name)
        for name, memory in MEMORY_GIB.items()
        if memory * USABLE * 2**30 >= needed
    ]
    if not fitting:
        raise _no_type(f"the model takes {size(needed)}, more than the types to choose from have")
    hours = {
        each.instance_type: session and aws_account.hourly(session, each) for each in fitting[:3]
    }
    chosen = next((each for each in fitting[:3] if hours[each.instance_type]), fitting[0])
    hour = hours[chosen.instance_type]
    price = f"${hour:.3f} per hour until you delete it" if hour else "its price is not known"
    return chosen, Finding(
        f"{chosen.instance_type} is chosen, {price}",
        why=f"it is the smallest instance that holds the model, which takes {size(needed)} of"
        f" its {MEMORY_GIB[chosen.instance_type]} GiB",
        do="name another one with `--instance-type` or `compute.server.instance_type`",
        severity="note",
    )


def _not_measured(ingredients: Ingredients) -> str:
    if ingredients.request.container_mode == "provide":
        return "the image is your own"
    if ingredients.config.container.generate_container.install_cuda:
        return "it computes on a GPU"
    return cannot_run_here(ingredients)


def _no_type(why: str) -> ConfigError:
    return ConfigError(
        "No instance type is named, and none can be chosen",
        why=why,
        do="add `--instance-type ml.m5.xlarge` (ml.g5.xlarge for a GPU), or"
        " `compute: {server: {instance_type: ml.m5.xlarge}}`",
        where="compute.server",
        code="ST24",
    )
