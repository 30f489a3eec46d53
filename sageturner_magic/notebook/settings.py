"""The settings of `%config SageturnerMagics`; a flag on a line takes precedence."""

from __future__ import annotations

from traitlets import Bool, Enum, Unicode
from traitlets.config import Configurable

from sageturner_magic.constants import ENDPOINT_TYPES


class Settings(Configurable):
    """Defaults of one notebook, or of all through `c.SageturnerMagics` in ipython_config.py."""

    endpoint_type = Enum(
        ENDPOINT_TYPES, "local", help="Where the model runs when no --endpoint-type is given."
    ).tag(config=True)
    region = Unicode(
        "", help="AWS region when no --region is given. Empty: what the environment says."
    ).tag(config=True)
    profile = Unicode(
        "", help="AWS profile when no --profile is given. Empty: what the environment says."
    ).tag(config=True)
    wait = Bool(
        True, help="Whether deploy returns only when the endpoint answers; as --wait and --no-wait."
    ).tag(config=True)
    progress_style = Enum(
        ("auto", "text"),
        "auto",
        help="How a deployment is shown: `auto` draws it in place, `text` prints lines, which suits"
        " notebooks that run unattended.",
    ).tag(config=True)

    def defaults(self) -> dict[str, object]:
        """The arguments of verbs that these settings stand in for.

        Profile and region are left out: naming them on a line means SageMaker and nothing local.
        """
        return {"endpoint_type": self.endpoint_type, "no_wait": not self.wait}
