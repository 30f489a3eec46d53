"""Build and push images with a Docker engine."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import docker
from docker.errors import APIError, NotFound

from sageturner_magic.constants import Architecture
from sageturner_magic.errors import ImageError
from sageturner_magic.image import context
from sageturner_magic.image.docker import engine, errors, saved_images
from sageturner_magic.image.layers import PlannedLayer
from sageturner_magic.image.registry import (
    BaseCredentials,
    RegistryClient,
    split_reference,
    stored_credentials,
)
from sageturner_magic.image.spec import (
    LOCAL_REPOSITORY,
    BuildSpec,
    BuiltImage,
    Destination,
    Spec,
)
from sageturner_magic.packages import FileStore, default_folder
from sageturner_magic.values import ImageRef, Reporter

_STEP = re.compile(r"Step (\d+)/(\d+) : ")
_FROM = re.compile(r"(?im)^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)")
_TRIES = 4
"""Of a push by the engine, before the image is sent without it."""


@dataclass(frozen=True)
class DockerBuilder:
    """Builds with the Docker engine of this machine, without BuildKit.

    Attributes:
        files: Where files that are handed to the build are kept.
        credentials: Host -> what to present to a base image's registry.
    """

    name: ClassVar[str] = "docker"
    needs_engine: ClassVar[bool] = True

    files: FileStore = field(default_factory=lambda: FileStore(default_folder()))
    credentials: BaseCredentials = stored_credentials

    def prepare(self, spec: Spec, reporter: Reporter) -> None:
        """See that a Docker engine responds. Raises ImageError."""
        engine.connect().close()

    def build(self, spec: Spec, reporter: Reporter) -> BuiltImage:
        """Build `spec`, unless the engine has an image of the same inputs.

        Raises ImageError, with the line that failed and the remedy.
        """
        client = engine.connect()
        tag = context.image_tag(spec)
        architecture = spec.architecture
        reference = f"{LOCAL_REPOSITORY}:{tag}"
        if found := engine.inspect(client, reference):
            reporter.log(f"{reference} is there already, built from the same inputs")
            return BuiltImage(tag, reference, architecture, found["Size"], reused=True)
        if isinstance(spec, BuildSpec):
            given = context.generated(spec, self.files, reporter)
        else:
            given = context.provided(spec)
        self._sign_in(client, spec)
        _build(client, given, reference, f"linux/{architecture}", reporter)
        return _built(client, tag, reference, architecture)

    def _sign_in(self, client: docker.APIClient, spec: Spec) -> None:
        """Give the engine what the registries of base images ask for. Raises ImageError."""
        for host in {split_reference(name)[0].partition("/")[0] for name in _base_names(spec)}:
            account = self.credentials(host)
            # docker-py itself sends what `docker login` has stored.
            if account and account != stored_credentials(host):
                try:
                    client.login(account.user, account.password, registry=host, reauth=True)
                except APIError as error:
                    raise errors.explain(
                        "the build", str(error.explanation or error), [f"signing in to {host}"]
                    ) from None

    def planned(
        self, spec: Spec, destination: Destination | None, reporter: Reporter
    ) -> tuple[PlannedLayer, ...]:
        """Nothing: the engine alone knows its layers, once it has made them."""
        return ()

    def unpack(self, image: BuiltImage, reporter: Reporter) -> None:
        """Nothing: the engine runs `image` itself."""

    def push(self, image: BuiltImage, destination: Destination, reporter: Reporter) -> ImageRef:
        """Push `image`, unless the registry has its tag, and check what arrived.

        Credentials are asked for again when they expire on the way. Raises ImageError.
        """
        registry = RegistryClient(destination)
        if found := registry.find(image.tag):
            reporter.log(f"{destination.repository}:{image.tag} is there already")
            return found
        client = engine.connect()
        try:
            client.tag(image.reference, destination.repository, image.tag, force=True)
        except NotFound:
            raise ImageError(
                f"The image {image.reference} cannot be pushed",
                why="something removed it from the Docker engine after it was built",
                do="deploy again, which builds it",
                code="ST69",
            ) from None
        for failures in range(_TRIES):
            complaint = _push(client, image.tag, destination, reporter)
            if not complaint:
                break
            expired = errors.is_expired(complaint) and destination.credentials is not None
            if not (expired or errors.is_passing(complaint)):
                raise errors.explain("the push", complaint)
            reporter.log(f"{complaint.strip()}; retrying")
            _pause(0.5 * 2**failures, reporter)
        else:
            reporter.log("the Docker engine gives up; its image is sent without it")
            _send(client, image, registry, reporter)
        return registry.accepted(image.tag, image.architecture)


def _base_names(spec: Spec) -> list[str]:
    """The images that a Dockerfile begins with, apart from those that its arguments name."""
    if isinstance(spec, BuildSpec):
        return [spec.base]
    text = (spec.folder / "Dockerfile").read_text(encoding="utf-8", errors="replace")
    return [name for name in _FROM.findall(text) if "$" not in name]


def _build(
    client: docker.APIClient,
    given: context.BuildContext,
    reference: str,
    platform: str,
    reporter: Reporter,
) -> None:
    for tries_left in (1, 0):
        complaint, step = _run(client, given, reference, platform, reporter)
        if not complaint:
            return
        if not (tries_left and errors.is_lost_parent(complaint)):
            raise errors.explain("the build", complaint, step)
        reporter.log(f"{complaint.strip()}: removed by somebody else meanwhile; building again")


def _run(
    client: docker.APIClient,
    given: context.BuildContext,
    reference: str,
    platform: str,
    reporter: Reporter,
) -> tuple[str, list[str]]:
    """Build once; what the engine complains of, or nothing, and the log of the last step."""

    def sent() -> Iterator[bytes]:
        total, done = given.size, 0
        for chunk in given.stream():
            reporter.checkpoint()
            done += len(chunk)
            reporter.progress(done, max(total, done), "B", "context")
            yield chunk

    step: list[str] = []
    lines = engine.OutputLines()
    try:
        for message in engine.messages(
            client,
            lambda: client.build(
                fileobj=sent(),  # type: ignore[arg-type]
                custom_context=True,
                dockerfile=given.dockerfile,
                tag=reference,
                platform=platform,
                rm=True,
                forcerm=True,
                decode=True,
            ),
            reporter,
        ):
            failed = message.get("error")
            for line in lines.end() if failed else lines.feed(_text(message)):
                if match := _STEP.match(line):
                    step.clear()
                    reporter.progress(int(match[1]) - 1, int(match[2]), "steps")
                step.append(line)
                reporter.log(line)
            if failed:
                return failed, step
            if "progressDetail" in message:
                _report(message, reporter)
    except APIError as error:
        return str(error.explanation or error), step
    return "", step


def _text(message: engine.Message) -> str:
    if "status" in message:
        # The pull of a base image; layers that only progress are measured, not logged.
        return "" if message.get("progressDetail") else f"{message['status']}\n"
    return str(message.get("stream", ""))


def _report(message: engine.Message, reporter: Reporter) -> None:
    """The progress of one layer that is pulled or pushed."""
    detail = message["progressDetail"] or {}
    if "current" in detail and message.get("id"):
        current = detail["current"]
        total = detail.get("total")
        reporter.progress(current, max(total, current) if total else None, "B", message["id"])


def _built(
    client: docker.APIClient, tag: str, reference: str, architecture: Architecture
) -> BuiltImage:
    found = engine.inspect(client, reference)
    if not found:
        raise ImageError(
            "the build created no image", do="see the build's log, then run it again", code="ST67"
        )
    if found["Architecture"] != architecture:
        client.remove_image(reference, force=True)
        raise ImageError(
            f"the image is for {found['Architecture']} and has to be for {architecture}",
            why="the base image that this Docker engine has is for another architecture",
            do=f"pull it for this one (`docker pull --platform linux/{architecture} IMAGE`), or"
            " choose an instance type of the other architecture",
        )
    return BuiltImage(tag, reference, architecture, found["Size"], reused=False)


def _push(client: docker.APIClient, tag: str, destination: Destination, reporter: Reporter) -> str:
    """Push once; what the registry or the engine complains of, or nothing."""
    account = destination.credentials() if destination.credentials else None
    # Without an account docker-py looks into the user's Docker configuration.
    authentication = {"username": account.user, "password": account.password} if account else None
    try:
        for message in engine.messages(
            client,
            lambda: client.push(
                destination.repository,
                tag=tag,
                stream=True,
                decode=True,
                auth_config=authentication,
            ),
            reporter,
        ):
            if "error" in message:
                return str(message["error"])
            if "progressDetail" in message:
                _report(message, reporter)
            status = message.get("status", "Waiting")
            if status not in ("Pushing", "Preparing", "Waiting"):
                reporter.log(f"{message['id']}: {status}" if "id" in message else status)
    except APIError as error:
        return str(error.explanation or error)
    return ""


def _send(
    client: docker.APIClient, image: BuiltImage, registry: RegistryClient, reporter: Reporter
) -> None:
    try:
        saved_images.send(client, image.reference, image.tag, registry, reporter)
    except APIError as error:
        raise errors.explain("the push", str(error.explanation or error)) from None


def _pause(seconds: float, reporter: Reporter) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        reporter.checkpoint()
        time.sleep(0.1)
