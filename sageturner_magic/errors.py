"""The errors that a user sees: `what failed (where): why. Do: the remedy.`

Errors are raised where the cause is known and rendered once, at the edge: IPython calls
`_render_traceback_`, the command line prints `str(error)` and exits with 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sageturner_magic.text import clip, excerpt, visible

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found, in the words of the user's own world.

    Attributes:
        what: What is wrong or was noticed, without a full stop.
        why: The cause, without a full stop; may be empty where `what` says it all.
        do: The remedy as an imperative, without a full stop.
        where: `file:line:column`, `In[n], line m`, or an AWS resource; may be empty.
        severity: An `error` stops the deployment; a `warning` and a `note` do not.
        details: Lines that help (a log tail, the user's frames), shown below the message.
        key: The configuration's key that is at fault, dotted; empty if no key is.
    """

    what: str
    why: str = ""
    do: str = ""
    where: str = ""
    severity: Severity = "error"
    details: str = ""
    key: str = ""

    def __str__(self) -> str:
        # A user's own exception may have a message of any length.
        text = clip(self.what)
        if self.where:
            text += f" ({clip(self.where)})"
        if self.why:
            text += f": {clip(self.why)}"
        if not text.endswith((".", "?", "!")):
            text += "."
        if self.do:
            text += f" Do: {clip(self.do)}"
            if not text.endswith((".", "?", "!", "`")):
                text += "."
        return text


class SageturnerError(Exception):
    """The base of every error that this package raises on purpose.

    Carries one or more `Finding`s, so that all problems of a kind are shown at once.
    """

    exit_code = 2
    shown = False
    """The cell's output says all of it already, so that only its name is to follow."""

    def __init__(
        self, what: str, *, why: str = "", do: str = "", where: str = "", details: str = ""
    ) -> None:
        super().__init__(what)
        self.findings: tuple[Finding, ...] = (
            Finding(what, why=why, do=do, where=where, details=details),
        )

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> SageturnerError:
        """An error of this class that carries all of `findings` (at least one)."""
        found = tuple(findings)
        error = cls(found[0].what)
        error.findings = found
        return error

    def located(self, where: str) -> SageturnerError:
        """The same error, with `where` filled in on the findings that have none."""
        return type(self).of(
            finding if finding.where else replace(finding, where=where) for finding in self.findings
        )

    def brief(self) -> SageturnerError:
        """The same error without details, for where these have been shown already."""
        return type(self).of(replace(finding, details="") for finding in self.findings)

    def __str__(self) -> str:
        if len(self.findings) == 1:
            return str(self.findings[0])
        return "\n".join(
            [f"{len(self.findings)} problems:", *(f"- {finding}" for finding in self.findings)]
        )

    def report(self) -> str:
        """The message and, below it, the details of each finding."""
        details = [excerpt(finding.details) for finding in self.findings if finding.details]
        return "\n\n".join([str(self), *details])

    def _render_traceback_(self) -> Sequence[str]:
        # IPython shows these lines in place of a traceback, and still reports the cell as
        # failed, with ename and evalue.
        said = "; ".join(clip(each.what) for each in self.findings) if self.shown else self.report()
        return [visible(f"{type(self).__name__}: {said}")]


class UsageError(SageturnerError):
    """A verb, a flag or a value of the command that does not exist or does not fit."""


class ConfigError(SageturnerError):
    """The YAML configuration: syntax, keys, values."""


class CaptureError(SageturnerError):
    """Cells or a code directory that cannot become a module that serves."""


class ArtefactError(SageturnerError):
    """A model artefact that is missing, unsafe, or cannot be written or read."""


class ImageError(SageturnerError):
    """Requirements, the build of an image, or a registry."""


class AwsError(SageturnerError):
    """A call to AWS that failed, translated."""


class EndpointError(SageturnerError):
    """An endpoint that does not exist, did not start or does not answer."""


class InvocationError(SageturnerError):
    """A request that the endpoint or its model answered with an error.

    Attributes:
        status: The HTTP status that the model server gave, or None if there was no answer.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        do: str = "",
        where: str = "",
        details: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(what, why=why, do=do, where=where, details=details)
        self.status = status


class Cancelled(SageturnerError):
    """The user stopped it."""

    exit_code = 130


class DeploymentCancelled(Cancelled):
    """The user stopped the deployment; what it says is what was left and how to finish."""


class InvocationCancelled(Cancelled):
    """The user stopped a request, or a series of them, before the end."""
