"""Start an image behind a local endpoint; undo it if it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sageturner_magic.config import given_to_server
from sageturner_magic.endpoints import children, container
from sageturner_magic.endpoints.container import ContainerSpec
from sageturner_magic.endpoints.local import server_process
from sageturner_magic.endpoints.local.deployer import LocalDeployer, Served
from sageturner_magic.endpoints.local.state import SERVED, write_private
from sageturner_magic.endpoints.server_log import pass_on, with_tail
from sageturner_magic.errors import EndpointError
from sageturner_magic.values import Reporter, UnpackedImage


@dataclass(frozen=True, kw_only=True)
class ServedByContainer(Served):
    """What a container serves.

    Attributes:
        image_tag: Names the image's content; part of the version.
        serving: The `serving` section as the model server reads it; None for an image with a
            server of its own, which gets no token either.
        serverless_mb: See `ContainerSpec`.
    """

    image_tag: str
    serving: Mapping[str, object] | None
    serverless_mb: int | None

    def parts(self) -> Sequence[object]:
        return (
            self.image_tag,
            self.artefact.digest if self.artefact else None,
            dict(self.serving) if self.serving is not None else None,
            dict(self.environment),
            self.serverless_mb,
        )

    def own(self) -> Mapping[str, object]:
        return {
            "image_tag": self.image_tag,
            "serving": dict(self.serving) if self.serving is not None else None,
            "serverless_mb": self.serverless_mb,
        }


class ContainerDeployer(LocalDeployer[ServedByContainer]):
    """One deployment of a local endpoint whose server is in a container."""

    _kept: container.Kept | None = None

    def _written(self) -> str:
        artefact = self.served.artefact
        if artefact is None:
            return "no model files"
        return "1 file" if artefact.files == 1 else f"{artefact.files} files"

    def start(self, image: str, reporter: Reporter, unpacked: UnpackedImage | None = None) -> str:
        """Start the container of `image`, or run it `unpacked`, and return its limits, in words."""
        assert self._folder is not None
        reporter.checkpoint()
        served = self.served
        before = self.before()
        token, variables = "", dict(served.environment)
        if served.serving is not None:
            token = (before.token if before else "") or server_process.new_token()
            variables |= {
                "SAGETURNER_SERVING": json.dumps(served.serving),
                "SAGETURNER_TOKEN": token,
                "SAGETURNER_LOCAL": "1",
                "SAGETURNER_LOG": "text",
            }
        spec = ContainerSpec(
            image=image,
            home=self._home,
            model=str(self._folder / "model"),
            environment=variables,
            serverless_mb=served.serverless_mb,
            unpacked=unpacked,
            secrets=given_to_server(served.secrets),
        )
        self._kept = container.keep(spec, self._log, tied=served.tied)
        self._undo.callback(self._cut, self._kept)
        with self._state.writable():
            said = served.text(image=image, unpacked=unpacked and asdict(unpacked))
            write_private(self._folder / SERVED, said)
        self._record = self._record_of(
            self._kept, port=0, token=token, image=image, unpacked=unpacked is not None
        )
        if served.serverless_mb is None:
            return "unlimited, as on an instance"
        return f"{served.serverless_mb} MB, as a serverless endpoint"

    def load(self, reporter: Reporter) -> str:
        """Wait for the first good /ping and return how long it took, in words.

        Raises:
            EndpointError: The container did not start, ended, or took too long.
        """
        assert self._kept is not None and self._record is not None
        begin = time.monotonic()
        log, shown = self._kept.log, 0

        def watch() -> None:
            nonlocal shown
            shown = pass_on(log, shown, reporter)

        try:
            said = container.wait_ready(
                self._kept,
                reporter,
                timeout_s=self.served.startup_timeout_s,
                timeout_remedy="make load() faster, or raise compute.local.startup_timeout_s",
                watch=watch,
            )
        except EndpointError as error:
            raise with_tail(error, log, self.served.module.lines) from None
        self._container = said.id
        self._record = replace(self._record, port=said.port)
        return f"ready after {time.monotonic() - begin:.1f} s, at 127.0.0.1:{said.port}"

    def _cut(self, kept: container.Kept) -> None:
        if keeper := children.find_process(kept.pid, kept.started):
            # It has no requests yet, so there is nothing to drain.
            container.cut(keeper)
        else:
            children.forget(kept.pid)
        container.forget(kept.control)
