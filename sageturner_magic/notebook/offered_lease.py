"""Offer a lease to whoever deploys an endpoint by hand that costs until it is deleted."""

from __future__ import annotations

from functools import partial
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from sageturner_magic.notebook.asking import ask


def with_lease(shell: InteractiveShell, deploy: partial[Any]) -> partial[Any]:
    """`deploy` with a lease where the user agrees to one; nothing is asked where nobody answers.

    Raises:
        AwsError: The role for leases is missing, and the user may not create it.
    """
    from sageturner_magic.verbs import LEASE_OFFERED, lease_offer

    given = deploy.keywords
    if given.get("endpoint_type", "local") == "local" or given.get("lease"):
        return deploy
    offer = lease_offer(
        given.get("config"), given.get("name"), given["endpoint_type"], given["aws"]
    )
    if not (offer and ask(shell, offer.question)):
        return deploy
    print(
        *offer.accept(), f"The lease is {LEASE_OFFERED}. `extend` and `keep` change it.", sep="\n"
    )
    return partial(deploy, lease=LEASE_OFFERED)
