"""Remember which names this user has seen on SageMaker.

A request to a local endpoint does not wait for AWS only to learn that its name is unique: AWS is
asked where the name was seen there before.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sageturner_magic.endpoints.local import LocalState


def note_on_sagemaker(name: str) -> None:
    """An endpoint `name` is on SageMaker, in some account and region."""
    # Without a home to write to, delete, status and rollback ask AWS all the same.
    with suppress(OSError):
        _file(name).parent.mkdir(parents=True, exist_ok=True)
        _file(name).touch()


def forget_on_sagemaker(name: str) -> None:
    """It was deleted."""
    with suppress(OSError):
        _file(name).unlink(missing_ok=True)


def was_on_sagemaker(name: str) -> bool:
    """Whether it was seen there, and not deleted on this machine since."""
    return _file(name).exists()


def _file(name: str) -> Path:
    return LocalState().root / "sagemaker" / name
