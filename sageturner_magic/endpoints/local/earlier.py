"""Read what an earlier version of a local endpoint was served from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sageturner_magic.endpoints import container
from sageturner_magic.endpoints.local.container_deployer import ServedByContainer
from sageturner_magic.endpoints.local.process_deployer import ServedByProcess
from sageturner_magic.endpoints.local.record import LocalRecord
from sageturner_magic.endpoints.local.state import SERVED
from sageturner_magic.errors import EndpointError
from sageturner_magic.values import Artefact, CapturedModule, CellLine, SourceFile, UnpackedImage


@dataclass(frozen=True)
class EarlierProcess:
    """A version whose server was a process.

    Attributes:
        served: With the names of its secrets, whose values are not kept.
    """

    served: ServedByProcess


@dataclass(frozen=True)
class EarlierContainer:
    """A version whose server was in a container.

    Attributes:
        image: What its builder knows the image by.
        unpacked: The image as a folder, if it ran without a Docker engine.
    """

    served: ServedByContainer
    image: str
    unpacked: UnpackedImage | None

    def require_image(self) -> None:
        """Raise EndpointError if the image is gone, or no Docker engine answers."""
        if self.unpacked:
            there = Path(self.unpacked.root).is_dir()
        else:
            there = container.has_image(self.image)
        if not there:
            raise EndpointError(
                f"The image of the earlier version of {self.served.name} is gone",
                where=self.image,
                why="images that nothing has used for a week are removed"
                if self.unpacked
                else "it was removed from the Docker engine",
                do="deploy the code that the endpoint is to run",
                code="ST85",
            )


def read_earlier(folder: Path, record: LocalRecord) -> EarlierProcess | EarlierContainer:
    """What a server of the endpoint of `record` was started on in `folder`.

    The endpoint stays detached, or ends with the process that starts it again.

    Raises:
        EndpointError: A file is missing or damaged.
    """
    try:
        said = json.loads((folder / SERVED).read_text(encoding="utf-8"))
        found = _read(folder, record, said)
        found.served.version()  # Reads the code.
        return found
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EndpointError(
            f"The earlier version of {record.name} cannot be read",
            where=str(folder),
            why=str(error),
            do="deploy the code that the endpoint is to run",
            code="ST85",
        ) from None


def _read(
    folder: Path, record: LocalRecord, said: dict[str, Any]
) -> EarlierProcess | EarlierContainer:
    files = tuple(SourceFile(path, folder / "program" / path) for path in said["files"])
    lines = {int(line): CellLine(*cell) for line, cell in said["lines"].items()}
    artefact = said["artefact"]
    shared: dict[str, Any] = {
        "name": record.name,
        "module": CapturedModule(said["origin"], files, lines=lines),
        "artefact": Artefact(folder / "model", **artefact) if artefact else None,
        "serving": said["serving"],
        "environment": said["environment"],
        "tied": not record.detached,
        "startup_timeout_s": said["startup_timeout_s"],
        "secrets": dict.fromkeys(said.get("secrets", ()), ""),
    }
    if "image" not in said:
        return EarlierProcess(ServedByProcess(**shared, python=said["python"]))
    served = ServedByContainer(
        **shared, image_tag=said["image_tag"], serverless_mb=said["serverless_mb"]
    )
    return EarlierContainer(served, said["image"], UnpackedImage.of_json(said["unpacked"]))
