"""Create or update an endpoint on SageMaker: the steps, and what they pass on."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

from sageturner_magic import aws
from sageturner_magic.aws import AwsSession, Names, storage
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.endpoints import SERVERLESS_IMAGE_BYTES, EndpointSpec, EndpointState
from sageturner_magic.config import Config, Server, Serverless, given_to_server
from sageturner_magic.deployment.events import Deployment
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.local_secrets import values_of
from sageturner_magic.deployment.plan import Done, Step
from sageturner_magic.deployment.plans.image_trials import ImageTrial
from sageturner_magic.deployment.plans.images import WantedImage
from sageturner_magic.deployment.plans.leasing import Leasing
from sageturner_magic.deployment.plans.pausing import pausing
from sageturner_magic.deployment.tried import trial_step
from sageturner_magic.endpoints import (
    Price,
    note_on_sagemaker,
    remember,
)
from sageturner_magic.endpoints.container import ContainerSpec, smoke_test
from sageturner_magic.errors import AwsError, DeploymentCancelled, ImageError
from sageturner_magic.image import BuiltImage, ChosenBuilder, Destination
from sageturner_magic.image.layers import PlannedLayer
from sageturner_magic.text import duration, size
from sageturner_magic.values import Credentials, ImageRef, Reporter

_LATE_S = 10.0
"""Before a change is ordered again that failed because of the execution role."""


@dataclass
class Work:
    """What the plan's checks found, and what each step adds for the next.

    Attributes:
        stored: The image, if the registry has it already.
        present: The endpoint, if it exists.
        image_trial: The image's start on this machine before the push; None without one.
        price: What the endpoint will cost.
        leasing: What becomes of its end.
        image: The pushed image.
        deed: What `rollout.apply` did.
        example: What example_request() returned, as JSON.
    """

    ingredients: Ingredients
    session: AwsSession
    names: Names
    role_arn: str
    compute: Serverless | Server
    wanted: WantedImage
    chosen: ChosenBuilder
    stored: ImageRef | None
    present: EndpointState | None
    image_trial: ImageTrial | None
    price: Price
    leasing: Leasing
    begin: float = field(default_factory=time.monotonic)
    built: BuiltImage | None = None
    image: ImageRef | None = None
    artefact_uri: str | None = None
    deed: str = ""
    example: str = ""
    endpoint: EndpointSpec | None = None

    def try_code(self, reporter: Reporter) -> Done:
        done, self.example = trial_step(self.ingredients, reporter)
        return done

    def build(self, reporter: Reporter) -> Done:
        self.built = self.chosen.builder.build(self.wanted.spec, reporter)
        refuse_too_large(self.built, self.compute)
        return Done(size(self.built.size), reused=self.built.reused)

    def try_out(self, reporter: Reporter) -> Done:
        assert self.built is not None
        unpacked = self.chosen.builder.unpack(self.built, reporter)
        serverless = self.compute.memory if isinstance(self.compute, Serverless) else None
        artefact = self.ingredients.artefact
        report = smoke_test(
            ContainerSpec(
                self.built.tag if unpacked else self.built.reference,
                self.ingredients.config.name,
                model=str(artefact.folder) if artefact else None,
                environment=self._environment(),
                secrets=given_to_server(values_of(self.ingredients.config)),
                serverless_mb=serverless,
                unpacked=unpacked,
            ),
            reporter,
            module=self.ingredients.module if self.wanted.generated else None,
        )
        for finding in report.findings:
            reporter.log(str(finding))
        if self.image_trial and not report.findings:
            with suppress(OSError):
                self.image_trial.passed()
        answered = f", answered in {duration(report.answer_s)}" if report.answer else ""
        return Done(f"ready in {duration(report.ready_s)}{answered}")

    def push(self, reporter: Reporter) -> Done:
        repository, notes = aws.ensure_repository(self.session, self.names)
        for note in notes:
            reporter.log(note)
        assert self.built is not None
        self.image = self.chosen.builder.push(self.built, self._destination(repository), reporter)
        return Done(f"{size(self.image.size)} compressed")

    def layers(self, reporter: Reporter) -> tuple[PlannedLayer, ...]:
        """The layers of an image that is to be built, and where each is already."""
        if self.stored is not None or self.chosen.builder.needs_engine:
            # Only a build shows the layers of an engine: the registry need not be asked.
            return ()
        repository = aws.find_repository(self.session, self.names)
        destination = self._destination(repository) if repository else None
        return self.chosen.builder.planned(self.wanted.spec, destination, reporter)

    def _destination(self, repository: aws.Repository) -> Destination:
        tokens = aws.EcrCredentials(self.session)
        given: Credentials | None = None

        def credentials() -> Credentials:
            nonlocal given
            # The registry asks again when it has refused what it was given.
            given = tokens.renew(given) if given else tokens.get()
            return given

        return Destination(repository.uri, credentials)

    def upload(self, reporter: Reporter) -> Done:
        artefact = self.ingredients.artefact
        assert artefact is not None
        server = isinstance(self.compute, Server)
        send = storage.upload_prefix if server else storage.upload_archive
        self.artefact_uri = send(self.session, self.names, artefact, reporter)
        return Done(size(artefact.size))

    def apply(self, reporter: Reporter) -> Done:
        self.endpoint = self.endpoint_spec()
        self.leasing.schedule(reporter, self.endpoint.resource)
        self.deed = aws_endpoints.apply_spec(
            self.session, self.endpoint, pause=pausing(reporter), say=reporter.log
        )
        note_on_sagemaker(self.endpoint.name)
        if (tags := aws_endpoints.endpoint_tags(self.endpoint)) and self.deed != "created":
            present = aws_endpoints.our_endpoint(self.session, self.endpoint.name)
            aws_endpoints.tag_endpoint(self.session, present, tags)
        self.leasing.is_ordered()
        return Done(f"{self.deed}, version {self.endpoint.version}", self.deed == "unchanged")

    def wait(self, reporter: Reporter) -> Done:
        assert self.endpoint is not None
        name, wanted = self.endpoint.name, self.endpoint.resource
        seen = watched(self.session, name, reporter)
        if aws_endpoints.came_too_early(seen, wanted):
            reporter.log(f"{seen.failure_reason} Retrying in {_LATE_S:.0f} s: it may be too new")
            pausing(reporter)(_LATE_S)
            self.apply(reporter)
        return wait_until_settled(self.session, name, wanted, self.begin, reporter)

    @property
    def start_text(self) -> str:
        """Why the image is not started on this machine; empty where it is, or is not built."""
        since = self.image_trial.since if self.image_trial and self.stored is None else ""
        if since == self.wanted.tag:
            return "not tried again: it started on this machine before"
        return f"not tried again: only code changed since {since}" if since else ""

    def scale(self, reporter: Reporter) -> Done:
        assert isinstance(self.compute, Server)
        name, wanted = self.ingredients.config.name, self.compute.autoscaling
        done = [aws_endpoints.ensure_autoscaling(self.session, name, wanted)]
        if wanted is None:
            count = self.compute.initial_instance_count
            if changed := aws_endpoints.set_instances(self.session, name, count):
                done.append(changed)
                watched(self.session, name, reporter)
        self.leasing.scaled(reporter)
        return Done("; ".join(filter(None, done)))

    def endpoint_spec(self) -> EndpointSpec:
        """The specification of the endpoint with the pushed image."""
        image = self.image or self.stored
        assert image is not None
        config, artefact = self.ingredients.config, self.ingredients.artefact
        return make_endpoint_spec(
            config,
            image.pinned,
            self.role_arn,
            self.compute,
            self.artefact_uri or config.s3_artefact,
            artefact.digest if artefact else "",
            self._environment(),
            self.leasing.tag,
        )

    def known_version(self) -> str:
        """The version that the endpoint will have; empty while an image or upload decides it."""
        undecided = self.stored is None or self.ingredients.artefact is not None
        return "" if undecided else self.endpoint_spec().version

    def _environment(self) -> dict[str, str]:
        return self.ingredients.variables(self.names.region)

    def result(self) -> Deployment:
        assert self.endpoint is not None
        request, module = self.ingredients.request, self.ingredients.module
        name = self.endpoint.name
        request.code.deployed(name, module.objects)
        remember(name, self.endpoint.version, module)
        return Deployment(
            name=name,
            endpoint_type=request.endpoint_type,
            version=self.endpoint.version,
            url="",
            token="",
            origin=module.origin,
            seconds=time.monotonic() - self.begin,
            unchanged=self.deed == "unchanged",
            example=self.example,
            outline=self.ingredients.outline,
            price=self.price,
            region=self.session.region,
            profile=self.session.profile or "",
        )

    def steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        tried: tuple[str, ...] = ()
        if self.wanted.generated and self.ingredients.request.smoke_test:
            found.append(Step("trial", "Try the code", self.try_code))
            tried = ("trial",)
        if self.stored is None:
            # Nothing that is made beside the trial of the code can be seen by others: no registry
            # shows an image before the push, and nothing refers to an artefact before the endpoint.
            found.append(Step("build", "Build the image", self.build))
            ready = ("build", *tried)
            if self.image_trial and not self.image_trial.since:
                found.append(Step("try", "Try the image", self.try_out, ready))
                ready = ("try",)
            found.append(Step("push", "Push the image", self.push, ready))
        if self.ingredients.artefact is not None:
            found.append(Step("upload", "Upload the model", self.upload))
        before = tuple(step.key for step in found)
        done = self.present.status if self.present else ""
        verb = "Update" if done == "InService" else "Create"
        found.append(Step("endpoint", f"{verb} the endpoint", self.apply, before))
        found.append(Step("wait", "Wait until it is InService", self.wait, ("endpoint",)))
        if isinstance(self.compute, Server) and (self.compute.autoscaling or done == "InService"):
            title = "Set up autoscaling" if self.compute.autoscaling else "Set the instances"
            found.append(Step("scale", title, self.scale, ("wait",)))
        return tuple(found)


def refuse_too_large(image: BuiltImage, compute: Serverless | Server) -> None:
    """Raises ImageError for an image that a serverless endpoint would not take."""
    if isinstance(compute, Serverless) and image.size > SERVERLESS_IMAGE_BYTES:
        raise ImageError(
            f"The image has {size(image.size)}, a serverless endpoint takes"
            f" {size(SERVERLESS_IMAGE_BYTES)}",
            where=f"image {image.reference}",
            do="leave out packages that the model does not need, keep its weights in `artefact`"
            " and not in the image, or deploy with `-e server`",
            code="ST82",
        )


def wait_until_settled(
    session: AwsSession, name: str, wanted: str, begin: float, reporter: Reporter
) -> Done:
    """Watch an endpoint until it has settled on the endpoint config `wanted`."""
    endpoint = watched(session, name, reporter)
    seconds = time.monotonic() - begin
    for note in aws_endpoints.settle(session, endpoint, wanted, seconds):
        reporter.log(str(note))
    return Done(endpoint.status)


def watched(session: AwsSession, name: str, reporter: Reporter) -> EndpointState:
    """The endpoint, once nothing is under way."""
    status = ""
    try:
        for update in aws_endpoints.watch(session, name, pause=pausing(reporter)):
            seen = update.endpoint
            now = f"{seen.status} {seen.variant_status}".strip()
            if now != status:
                reporter.log(f"{duration(update.elapsed)}: {now}")
                status = now
            ready, desired = seen.instances
            if desired:
                reporter.progress(ready, desired, "instances")
    except DeploymentCancelled:
        raise DeploymentCancelled(
            f"`{name}` is no longer shown here; SageMaker continues (it is {status})",
            why="an endpoint that is being created or updated cannot be stopped",
            do=f"`sageturner status {name}` shows how far it is; once it has settled,"
            f" `sageturner delete {name}` removes it",
        ) from None
    except AwsError as error:
        if not status:
            raise
        raise AwsError(
            f"`{name}` is no longer shown here; SageMaker continues (it is {status})",
            where=f"endpoint {name}",
            why=error.findings[0].why,
            do=f"{error.findings[0].do}; `sageturner status {name}` then shows how far it is, and"
            " the same command finishes what is left",
        ) from error
    return update.endpoint


def make_endpoint_spec(
    config: Config,
    image: str,
    role_arn: str,
    compute: Serverless | Server,
    artefact_uri: str | None,
    artefact_digest: str,
    environment: dict[str, str],
    lease: str = "",
) -> EndpointSpec:
    return EndpointSpec(
        name=config.name,
        image=image,
        role_arn=role_arn,
        compute=compute,
        artefact_uri=artefact_uri,
        artefact_digest=artefact_digest,
        environment=environment,
        network=config.network,
        kms_key=config.kms_key,
        tags=config.tags,
        lease=lease,
        protected=config.protected,
    )
