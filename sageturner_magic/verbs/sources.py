"""Show the module that would be deployed, and how it differs from what is."""

from __future__ import annotations

import difflib
from pathlib import Path

from sageturner_magic.config import Config
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, current_notebook
from sageturner_magic.deployment import DeployRequest
from sageturner_magic.endpoints import Endpoint
from sageturner_magic.endpoints.local import LocalState
from sageturner_magic.verbs.requested import named_config, request_for


class Source(str):
    """The text of a module, or of a diff of one."""

    __slots__ = ()


def code(config: Config | str | Path | None = None, *, name: str | None = None) -> Source:
    """Return the text of the sageturner.py that would be deployed.

    Args:
        name: The captured name, in place of a configuration; may be left out as well where the
            notebook has captured only one. Where nothing is captured for it, a local endpoint of
            that name shows what it runs.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
    """
    named = name if config is None else None
    if named and not _is_captured(named) and LocalState().read(named):
        return Source(Endpoint(named).source())
    return Source(_code_request(config, name).code.module()[0].source)


def code_left_out(config: Config | str | Path | None = None, *, name: str | None = None) -> Source:
    """Return what acts on the captured code and is not in the module, one statement a line.

    Code that gives something else in each process is listed too.

    Args:
        config, name: As for `code`.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
    """
    _, notes = _code_request(config, name).code.module()
    return Source("".join(f"{note}\n" for note in notes) or "Nothing is left out.\n")


def _is_captured(name: str) -> bool:
    """Whether cells of this notebook may be meant by `name`."""
    notebook = current_notebook()
    names = [captured.name for captured in notebook.notebook.names()] if notebook else []
    return name in names or "" in names


def code_diff(
    config: Config | str | Path | None = None,
    *,
    name: str | None = None,
    aws: AwsOptions = DEFAULT_AWS,
) -> Source:
    """Return what would change in sageturner.py, as a unified diff; empty when nothing would.

    Raises:
        CaptureError: There is no code, or it cannot be captured.
        EndpointError: The endpoint is not there.
    """
    asked = _code_request(config, name)
    endpoint = asked.config.name
    deployed = Endpoint.at(endpoint, aws)
    lines = difflib.unified_diff(
        deployed.source().splitlines(keepends=True),
        asked.code.module()[0].source.splitlines(keepends=True),
        f"{endpoint} (deployed)",
        f"{endpoint} (captured)",
    )
    return Source("".join(lines))


def _code_request(config: Config | str | Path | None, name: str | None) -> DeployRequest:
    notebook = current_notebook()
    if config is None and name is None and notebook is not None:
        names = [captured.name for captured in notebook.notebook.names() if captured.name]
        if len(names) == 1:
            name = names[0]
    if config is None and name is not None:
        config = named_config(name)
    return request_for(config, "local", "generate")
