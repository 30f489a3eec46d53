"""How endpoints come up, are updated with a way back, and go away; each in its own thread."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
from moto.cloudwatch.models import cloudwatch_backends

from tests.stand.actions import network_needs
from tests.stand.ecr import Ecr
from tests.stand.faults import Faults
from tests.stand.iam import Iam, Principal
from tests.stand.logs import LogStream
from tests.stand.registry import Registries
from tests.stand.sagemaker import artefacts, images, unpacking
from tests.stand.sagemaker.containers import Containers
from tests.stand.sagemaker.store import Endpoint, Record, Store, Variant
from tests.stand.wire import ACCOUNT, AwsFault

SERVERLESS_START_S = 180
DEFAULT_START_S = 480
PING_EVERY_S = 0.3


@dataclass
class Timing:
    """How long things take here. AWS's own waits are minutes, which tests do without.

    Attributes:
        provisioning_s: From the request to the start of the container.
        deletion_s: From DeleteEndpoint until the endpoint is gone.
        wait_scale: Factor on the waits of a blue/green update.
        startup_scale: Factor on the time that a container has until its first good /ping.
        stop_grace_s: Between SIGTERM and SIGKILL.
    """

    provisioning_s: float = 0.5
    deletion_s: float = 0.2
    wait_scale: float = 0.01
    startup_scale: float = 1.0
    stop_grace_s: int = 30


class Failed(Exception):
    """A deployment did not work; the message is the FailureReason."""


class Transitions:
    """Everything that goes on in the background; `close` ends it."""

    def __init__(
        self,
        folder: Path,
        containers: Containers,
        registries: Registries,
        ecr: Ecr,
        iam: Iam,
        faults: Faults,
        timing: Timing,
        limits: images.Limits,
    ) -> None:
        self._folder = folder
        self._containers = containers
        self.container_url: Callable[[], str] = lambda: ""  # The stand sets it.
        self._registries = registries
        self._unpackable: set[str] = set()
        self._ecr = ecr
        self._iam = iam
        self._faults = faults
        self._timing = timing
        self._limits = limits
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def create(self, store: Store, endpoint: Endpoint) -> None:
        self._spawn(self._create, store, endpoint)

    def update(self, store: Store, endpoint: Endpoint, deployment: Mapping[str, Any]) -> None:
        self._spawn(self._update, store, endpoint, deployment)

    def scale(self, store: Store, endpoint: Endpoint, counts: Mapping[str, int]) -> None:
        self._spawn(self._scale, store, endpoint, counts)

    def delete(self, store: Store, endpoint: Endpoint) -> None:
        self._spawn(self._delete, store, endpoint)

    def close(self) -> None:
        """Let what is under way come to its end; raises RuntimeError where it does not."""
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=60)
        if alive := [thread.name for thread in self._threads if thread.is_alive()]:
            raise RuntimeError(f"still running: {', '.join(alive)}")

    def _spawn(
        self, work: Callable[..., None], store: Store, endpoint: Endpoint, *more: Any
    ) -> None:
        def run() -> None:
            try:
                work(store, endpoint, *more)
            except Exception:
                endpoint.become("Failed", "Request to service failed. Please try again.")
                raise

        name = f"{work.__name__.strip('_')} {endpoint.name}"
        thread = threading.Thread(target=run, name=name)
        self._threads.append(thread)
        thread.start()

    def _create(self, store: Store, endpoint: Endpoint) -> None:
        try:
            variants = self._bring_up(store, endpoint, store.configs[endpoint.config])
        except Failed as failure:
            with store.lock:
                endpoint.become("Failed", str(failure))
            return
        with store.lock:
            endpoint.variants = variants
            endpoint.become("InService", "")

    def _update(self, store: Store, endpoint: Endpoint, deployment: Mapping[str, Any]) -> None:
        fresh: list[Variant] = []
        try:
            fresh = self._bring_up(store, endpoint, store.configs[endpoint.pending])
            self._shift(endpoint, deployment)
        except Failed as failure:
            with store.lock:
                endpoint.become("RollingBack", str(failure))
            self._stop(fresh)
            # The FailureReason may be empty after a rollback (terraform-provider-aws 49020).
            reason = "" if self._faults.take("silent_rollbacks") else str(failure)
            failed = self._faults.take("failed_rollbacks")
            with store.lock:
                endpoint.pending = endpoint.pending_status = ""
                endpoint.become("UpdateRollbackFailed" if failed else "InService", reason)
            return
        with store.lock:
            old, endpoint.variants = endpoint.variants, fresh
            endpoint.config = endpoint.pending
            endpoint.weights.clear()
            endpoint.counts.clear()
            endpoint.pending_status = "Deleting"
        self._stop(old)
        with store.lock:
            endpoint.pending = endpoint.pending_status = ""
            endpoint.become("InService", "")

    def _scale(self, store: Store, endpoint: Endpoint, counts: Mapping[str, int]) -> None:
        self._wait(self._timing.provisioning_s + self._faults.transition_s)
        with store.lock:
            endpoint.counts.update(counts)
            endpoint.become("InService")

    def _delete(self, store: Store, endpoint: Endpoint) -> None:
        self._wait(self._timing.deletion_s + self._faults.transition_s)
        self._stop(endpoint.variants)
        with store.lock:
            store.endpoints.pop(endpoint.name, None)
            store.tags.pop(endpoint.arn, None)

    def _bring_up(self, store: Store, endpoint: Endpoint, config: Record) -> list[Variant]:
        """The configuration's variants, all of them in service. Raises Failed."""
        self._wait(self._timing.provisioning_s + self._faults.transition_s)
        up: list[Variant] = []
        try:
            for settings in config.request["ProductionVariants"]:
                up.append(self._start(store, endpoint, settings))
        except BaseException:
            self._stop(up)
            raise
        return up

    def _start(self, store: Store, endpoint: Endpoint, settings: dict[str, Any]) -> Variant:
        if reason := self._faults.take("endpoint_failure"):
            raise Failed(reason)
        kind = settings.get("InstanceType")
        if kind and kind in self._faults.no_capacity.split(","):
            raise Failed(
                "Unable to provision requested ML compute capacity due to "
                "InsufficientInstanceCapacity error. Please retry using a different ML instance "
                "type or after some time."
            )
        model = store.models.get(settings["ModelName"])
        if model is None:
            raise Failed(f'Could not find model "{store.arn("model", settings["ModelName"])}".')
        definition = images.primary_container(model.request)
        try:
            arn = model.request["ExecutionRoleArn"]
            role = self._iam.assume_for_sagemaker(arn, store.region)
            pinned = images.resolve(definition["Image"], store.region, role, self._ecr, self._iam)
        except AwsFault as fault:
            raise Failed(fault.message) from None
        self._check_network(model, store.region, role)
        started = time.monotonic()
        serverless = settings.get("ServerlessConfig")
        self._pull(pinned, store.region, role, serverless is not None)
        folder = self._folder / f"model-{secrets.token_hex(6)}"
        folder.mkdir(parents=True)
        try:
            return self._run(store, endpoint, settings, definition, pinned, role, folder, started)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _check_network(self, model: Record, region: str, role: Principal) -> None:
        """SageMaker enters a VPC in the role's name; how AWS words a refusal is unproven."""
        vpc = model.request.get("VpcConfig")
        for need in network_needs(vpc, region) if vpc else []:
            if not self._iam.allows(role, need):
                raise Failed(
                    f"The execution role {role.arn} does not have the permission {need.action}, "
                    "which the model's VPC needs."
                )

    def _pull(self, image: str, region: str, role: Principal, serverless: bool) -> None:
        repository, _, digest = image.partition("@")
        password = self._ecr.issue_for_service(role, region)
        try:
            pulled = self._containers.pull(repository, digest, password)
        except (docker.errors.APIError, docker.errors.ImageNotFound) as error:
            raise Failed(f"Failed to pull image {image}: {error.explanation or error}") from None
        if serverless:
            self._unpack(repository.partition("/")[2], digest, region)
        size = int(pulled.attrs["Size"])
        if serverless and size > self._limits.serverless_image_bytes:
            raise Failed(
                f"Image size {size} is greater than supported size "
                f"{self._limits.serverless_image_bytes}"
            )

    def _unpack(self, repository: str, digest: str, region: str) -> None:
        """Serverless endpoints unpack images with Lambda's unpacker. Raises Failed."""
        image = self._ecr.image(region, repository, digest)
        assert image is not None
        for layer in json.loads(image.image_manifest)["layers"]:
            if layer["digest"] in self._unpackable:
                continue
            content = self._registries.front(region).blob(repository, layer["digest"])
            if why := unpacking.problem(content):
                # How a serverless endpoint words it is unproven.
                raise Failed(f"Failed to unpack layer {layer['digest']} of the image: {why}")
            self._unpackable.add(layer["digest"])

    def _run(
        self,
        store: Store,
        endpoint: Endpoint,
        settings: dict[str, Any],
        definition: Mapping[str, Any],
        image: str,
        role: Principal,
        folder: Path,
        started: float,
    ) -> Variant:
        if data := artefacts.source(definition):
            try:
                artefacts.check(*data, role, self._iam, store.region)
                artefacts.fetch(*data, folder)
            except artefacts.NoArtefact as error:
                raise Failed(str(error)) from None
        name, serverless = settings["VariantName"], settings.get("ServerlessConfig")
        host = secrets.token_hex(16) if serverless else f"i-{secrets.token_hex(8)}"
        log = LogStream(store.region, endpoint.name, f"{name}/{host}", role, self._iam)
        try:
            container = self._containers.start(
                image,
                environment={
                    "AWS_ENDPOINT_URL": self.container_url(),
                    **self._iam.variables_of(role, store.region),
                    **definition.get("Environment", {}),
                },
                model_dir=folder,
                log=log.write,
                memory_mb=serverless["MemorySizeInMB"] if serverless else None,
                endpoint=endpoint.name,
            )
        except docker.errors.APIError as error:
            log.write(str(error.explanation))
            raise Failed(
                f"CannotStartContainerError. Please ensure the model container for variant {name} "
                "starts correctly when invoked with 'docker run <image> serve'."
            ) from None
        if serverless:
            allowed = SERVERLESS_START_S
        else:
            allowed = settings.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_START_S)
        deadline = time.monotonic() + allowed * self._timing.startup_scale
        if serverless:
            # The three minutes of a serverless endpoint begin before the download.
            deadline -= time.monotonic() - started
        while True:
            answers = container.ping() == 200
            ended = not container.running()
            # The port of a container that has ended may already be somebody else's.
            if answers and not ended:
                break
            # AWS would start a container that ended again and again until the time is over, with
            # the same result.
            if ended or time.monotonic() > deadline or self._closing.is_set():
                container.stop(grace_s=0)
                raise Failed(_no_ping(name, too_slow=serverless is not None and not ended))
            time.sleep(PING_EVERY_S)
        container.watch()
        return Variant(settings, definition["Image"], image, container, folder)

    def _shift(self, endpoint: Endpoint, deployment: Mapping[str, Any]) -> None:
        """Move the traffic over, with the policy's waits. Raises Failed where an alarm is on."""
        policy = deployment.get("BlueGreenUpdatePolicy", {})
        routing = policy.get("TrafficRoutingConfiguration", {})
        waits = {"ALL_AT_ONCE": 0, "CANARY": 1}.get(routing.get("Type", "ALL_AT_ONCE"))
        if waits is None:
            waits = -(-100 // max(1, routing.get("LinearStepSize", {}).get("Value", 10)))
        endpoint.pending_status = "ActivatingTraffic"
        self._wait(waits * routing.get("WaitIntervalInSeconds", 0) * self._timing.wait_scale)
        endpoint.pending_status = "Baking"
        self._wait(policy.get("TerminationWaitInSeconds", 0) * self._timing.wait_scale)
        alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        there = cloudwatch_backends[ACCOUNT][endpoint.region].alarms
        for name in (alarm["AlarmName"] for alarm in alarms):
            if name in there and there[name].state_value == "ALARM":
                raise Failed(
                    f"One or more alarms entered ALARM state during the deployment: [{name}]."
                )

    def _stop(self, variants: list[Variant]) -> None:
        for variant in variants:
            variant.container.stop(self._timing.stop_grace_s)
            shutil.rmtree(variant.folder, ignore_errors=True)

    def _wait(self, seconds: float) -> None:
        self._closing.wait(seconds)


def _no_ping(variant: str, *, too_slow: bool) -> str:
    if too_slow:
        return (
            "Unable to successfully stand up your model within the allotted 180 second timeout. "
            "Please ensure that downloading your model artifacts, starting your model container "
            "and passing the ping health checks can be completed within 180 seconds."
        )
    return (
        f"The primary container for production variant {variant} did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
