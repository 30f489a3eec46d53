"""The errors that a user sees: `what failed (where): why. Do: the remedy.`

Errors are raised where the cause is known and rendered once, at the edge: IPython calls
`_render_traceback_`, the command line prints `report()` and exits with 2. Each kind of problem has
a stable code, which `error_codes` explains; what a person reads ends with it.
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
        code: The kind of problem, a code of `error_codes.KINDS` (`ST12`). A finding that an error
            carries has the code of the error's class if it has none of its own.
    """

    what: str
    why: str = ""
    do: str = ""
    where: str = ""
    severity: Severity = "error"
    details: str = ""
    key: str = ""
    code: str = ""

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

    def coded(self) -> str:
        """Return the message with its code at the end."""
        return f"{self} [{self.code}]" if self.code else str(self)


class SageturnerError(Exception):
    """The base of every error that this package raises on purpose.

    Carries one or more `Finding`s, so that all problems of a kind are shown at once.
    """

    exit_code = 2
    code = ""
    """The kind of problem where no narrower code is given; see `Finding.code`."""
    shown = False
    """The cell's output says all of it already, so that only its name is to follow."""

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        do: str = "",
        where: str = "",
        details: str = "",
        code: str = "",
    ) -> None:
        super().__init__(what)
        self.findings: tuple[Finding, ...] = (
            Finding(what, why=why, do=do, where=where, details=details, code=code or self.code),
        )

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> SageturnerError:
        """An error of this class that carries all of `findings` (at least one)."""
        found = tuple(each if each.code else replace(each, code=cls.code) for each in findings)
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
        return _listed(list(map(str, self.findings)))

    def report(self) -> str:
        """The message with its codes and, below it, the details of each finding."""
        details = [excerpt(finding.details) for finding in self.findings if finding.details]
        return "\n\n".join([_listed([each.coded() for each in self.findings]), *details])

    def _render_traceback_(self) -> Sequence[str]:
        # IPython shows these lines in place of a traceback, and still reports the cell as
        # failed, with ename and evalue.
        said = "; ".join(clip(each.what) for each in self.findings) if self.shown else self.report()
        return [visible(f"{type(self).__name__}: {said}")]


def _listed(texts: list[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return "\n".join([f"{len(texts)} problems:", *(f"- {text}" for text in texts)])


class UsageError(SageturnerError):
    """A verb, a flag or a value of the command that does not exist or does not fit."""

    code = "ST10"


class ConfigError(SageturnerError):
    """The YAML configuration: syntax, keys, values."""

    code = "ST20"


class CaptureError(SageturnerError):
    """Cells or a code directory that cannot become a module that serves."""


class ArtefactError(SageturnerError):
    """A model artefact that is missing, unsafe, or cannot be written or read."""

    code = "ST50"


class ImageError(SageturnerError):
    """Requirements, the build of an image, or a registry."""

    code = "ST60"


class AwsError(SageturnerError):
    """A call to AWS that failed, translated."""

    code = "ST70"


class EndpointError(SageturnerError):
    """An endpoint that does not exist, did not start or does not answer."""

    code = "ST80"


class InvocationError(SageturnerError):
    """A request that the endpoint or its model answered with an error.

    Attributes:
        status: The HTTP status that the model server gave, or None if there was no answer.
    """

    code = "ST90"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        do: str = "",
        where: str = "",
        details: str = "",
        code: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(what, why=why, do=do, where=where, details=details, code=code)
        self.status = status


class Cancelled(SageturnerError):
    """The user stopped it."""

    exit_code = 130
    code = "ST98"


class DeploymentCancelled(Cancelled):
    """The user stopped the deployment; what it says is what was left and how to finish."""


class InvocationCancelled(Cancelled):
    """The user stopped a request, or a series of them, before the end."""
