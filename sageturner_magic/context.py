"""The notebook and the AWS options of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sageturner_magic.constants import EndpointType

if TYPE_CHECKING:
    from sageturner_magic.aws import AwsSession
    from sageturner_magic.capture import Notebook
    from sageturner_magic.config import Config


class NotebookContext(Protocol):
    """A notebook's recorded cells, its live variables, and its AWS profile and region if set."""

    @property
    def notebook(self) -> Notebook: ...

    @property
    def namespace(self) -> Mapping[str, object]: ...

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that the kernel was started with."""

    @property
    def profile(self) -> str | None: ...

    @property
    def region(self) -> str | None: ...

    def configuration(self, name: str | None) -> Config | None:
        """The last configuration of that name in this session; for None the only one there is.

        Raises ConfigError where it was a file's, which is read again.
        """

    def earlier_configuration(self, name: str | None) -> Config | None:
        """The last configuration of an earlier session, if the user agrees to use it."""

    def remember(self, config: Config) -> None:
        """Make it the last configuration of its name."""

    def ended(self, endpoint: str) -> None:
        """Forget an endpoint that was deleted."""

    def offer_cells(self, sources: Sequence[str]) -> None:
        """Put cells below the one that runs, for the user to run one after the other."""

    @property
    def show_form(self) -> Callable[..., None]:
        """Displays what `form` asks for, with its arguments by name."""


_here: list[NotebookContext] = []


def enter_notebook(notebook: NotebookContext) -> None:
    """Let the verbs use this notebook from now on."""
    _here[:] = [notebook]


def leave_notebook() -> None:
    """Undo `enter_notebook`."""
    _here.clear()


def current_notebook() -> NotebookContext | None:
    """The notebook of this process."""
    return _here[0] if _here else None


_KERNEL_ONLY = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND", "PYTHONHASHSEED")
"""Variables of a kernel that mean nothing, or harm, in a process of its own."""


def model_environment() -> dict[str, str]:
    """The environment for a process that runs a model.

    In a notebook that of the kernel's start, so that what cells set since does not reach a local
    process: it would not reach a container either.
    """
    notebook = current_notebook()
    inherited = notebook.environment if notebook else os.environ
    return {name: value for name, value in inherited.items() if name not in _KERNEL_ONLY}


@dataclass(frozen=True)
class AwsOptions:
    """Where to look for endpoints.

    Attributes:
        profile, region: Of AWS; None takes the notebook's, else the environment's.
        endpoint_type: Only local endpoints, or only those on SageMaker (any other type).
    """

    profile: str | None = None
    region: str | None = None
    endpoint_type: EndpointType | None = None

    if not TYPE_CHECKING:

        def __new__(cls, *_args, **kwargs):
            """Raise UsageError where an argument is misspelt."""
            if kwargs.keys() - cls.__dataclass_fields__.keys():
                # Commands start without what this imports.
                from sageturner_magic.calls import unknown_argument

                raise unknown_argument(cls, kwargs)
            return super().__new__(cls)

    @property
    def includes_local(self) -> bool:
        """Whether a name may mean a local endpoint: nothing was given that names SageMaker's."""
        if self.endpoint_type is None:
            return self.profile is None and self.region is None
        return self.endpoint_type == "local"

    @property
    def includes_sagemaker(self) -> bool:
        """Whether a name may mean an endpoint on SageMaker."""
        return self.endpoint_type != "local"

    def open(self) -> AwsSession:
        """A session with them. Raises AwsError when there are no credentials or no region."""
        # Loading the extension must not import boto3.
        from sageturner_magic.aws import kept_session, open_session

        notebook = current_notebook()
        if notebook is None:
            return open_session(self.profile, self.region)
        return kept_session(self.profile or notebook.profile, self.region or notebook.region)


DEFAULT_AWS = AwsOptions()
"""Local endpoints, then those of the notebook's or the environment's account and region."""
