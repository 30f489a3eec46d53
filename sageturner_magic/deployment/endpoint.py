"""An endpoint by name, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sageturner_magic.errors import EndpointError
from sageturner_magic.targets.endpoint import EndpointDescription
from sageturner_magic.targets.local import LocalTarget
from sageturner_magic.targets.payload import encode
from sageturner_magic.targets.prediction import Prediction

REQUEST_SECONDS = 70.0
"""How long a caller waits: a little more than the 60 s that SageMaker gives a model."""


class Endpoint:
    """An endpoint that was deployed, by its name.

    Example:
        >>> digits = Endpoint("digits")
        >>> digits.invoke({"pixels": [0.0] * 64})["digit"]
        4
    """

    def __init__(self, name: str) -> None:
        """
        Raises:
            EndpointError: There is no endpoint of that name.
        """
        self.name = name
        self._target = LocalTarget()
        self._target.record(name)

    def describe(self) -> EndpointDescription:
        """Its status, version, address and cost."""
        return self._target.describe(self.name)

    @property
    def url(self) -> str:
        """Base address for HTTP clients."""
        return self._target.record(self.name).url

    def invoke(
        self,
        payload: object,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        timeout_s: float = REQUEST_SECONDS,
    ) -> Prediction:
        """Send one request and return the decoded answer.

        Args:
            payload: Anything JSON can hold (numpy, pandas and dates too); bytes go as they are.
            content_type: Media type of the request; JSON unless the payload is bytes.
            accept: Media type wanted for the answer.
            timeout_s: Seconds to wait for the answer.

        Raises:
            InvocationError: The payload, the endpoint or the model is at fault; it says which,
                with the model's own message and frames.
            EndpointError: The endpoint is no longer there.
        """
        body, content_type = encode(payload, content_type)
        return self._target.invoke(
            self.name, body, content_type=content_type, accept=accept, timeout_s=timeout_s
        )

    def logs(self) -> Iterator[str]:
        """The lines that its server wrote so far, oldest first."""
        return self._target.logs(self.name)

    def follow(self) -> Iterator[str]:
        """The same, then new lines as they come, until its server ends."""
        return self._target.follow(self.name)

    def source(self) -> str:
        """The sageturner.py that it runs."""
        path = Path(self._target.record(self.name).folder) / "program" / "sageturner.py"
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise EndpointError(
                f"The code of endpoint `{self.name}` cannot be read",
                where=str(path),
                why=error.strerror or "",
                do="deploy it again",
            ) from None

    def delete(self) -> None:
        """End it and remove everything that was made for it. Raises EndpointError."""
        self._target.delete(self.name)

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"


def endpoints() -> list[EndpointDescription]:
    """All endpoints, sorted by name."""
    return LocalTarget().list()
