"""Plan a local endpoint whose server is in a container."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sageturner_magic.deployment.ingredients import Ingredients, gather
from sageturner_magic.deployment.local_secrets import missing_here, values_of
from sageturner_magic.deployment.plan import Done, Fact, Plan, Step
from sageturner_magic.deployment.plans.builders import builder_to_run
from sageturner_magic.deployment.plans.image_checks import image_findings, with_system_packages
from sageturner_magic.deployment.plans.images import WantedImage, local_image, packages_text
from sageturner_magic.deployment.plans.local import LocalWork
from sageturner_magic.deployment.request import Collector, DeployRequest
from sageturner_magic.deployment.tried import trial_step
from sageturner_magic.endpoints import container
from sageturner_magic.endpoints.local import ContainerDeployer, LocalState, ServedByContainer
from sageturner_magic.errors import Finding
from sageturner_magic.image import Builder, BuiltImage, ChosenBuilder, ProvidedSpec
from sageturner_magic.image.layers import PlannedLayer
from sageturner_magic.text import size
from sageturner_magic.values import Reporter, UnpackedImage


def plan_container(request: DeployRequest, reporter: Reporter, workspace: Path) -> Plan:
    """Check everything that a local container needs, and plan its deployment.

    Raises:
        SageturnerError: Every problem, at once.
    """
    found = Collector(request.config)
    found.add(request.config.check(request.endpoint_type, request.container_mode))
    chosen = found.attempt(lambda: builder_to_run(request))
    found.add(missing_here(request.config))
    ingredients = gather(request, workspace, reporter, found)
    reporter.checkpoint()
    image = None
    if ingredients:
        found.add(_remarks(request))
        found.attempt(lambda: ingredients.check_imports(reporter))
        image = found.attempt(lambda: _image(ingredients, chosen, reporter))
        if image and chosen:
            image = with_system_packages(image, chosen)
            found.add(image.findings)
            found.add(image_findings(image.spec, chosen, reporter))
    findings = found.finish()
    assert chosen and ingredients and image
    config, serverless = request.config, request.config.compute.serverless
    served = ServedByContainer(
        name=config.name,
        module=ingredients.module,
        image_tag=image.tag,
        artefact=ingredients.artefact,
        serving=ingredients.serving if image.generated else None,
        environment=config.environment,
        secrets=values_of(config),
        serverless_mb=serverless.memory if serverless else None,
        tied=not request.detach,
        startup_timeout_s=config.compute.local.startup_timeout_s,
    )
    work = _ContainerWork(
        ContainerDeployer(served, LocalState()), ingredients, chosen.builder, image
    )
    needs_engine = chosen.builder.needs_engine
    without = Fact("Runs", f"without Docker, because {chosen.reason}")
    replaced = work.deployer.before() is not None and not work.running
    plan = work.plan(
        findings,
        first=[
            Fact("Endpoint", f"{config.name} (local, a container of this machine)"),
            *([] if needs_engine else [without]),
        ],
        then=[
            *_image_facts(image),
            Fact("Limits", _limits(served.serverless_mb, needs_engine)),
            Fact("Access", _access(image.generated, replaced)),
        ],
        steps=work.image_steps(),
    )
    return replace(
        plan,
        look_up_layers=tuple if work.running else lambda: work.layers(reporter),
        requirements=image.requirements,
    )


def _image(
    ingredients: Ingredients, chosen: ChosenBuilder | None, reporter: Reporter
) -> WantedImage:
    """The image, once `chosen` has checked that it can build it. Raises ImageError."""
    # Without a builder there is no plan, but the packages may have problems to show as well.
    architecture = chosen.architecture if chosen else container.sandbox_architecture()
    image = local_image(ingredients, architecture, reporter)
    if chosen:
        chosen.builder.prepare(image.spec, reporter)
    return image


@dataclass
class _ContainerWork(LocalWork[ContainerDeployer]):
    builder: Builder
    image: WantedImage
    built: BuiltImage | None = None
    unpacked: UnpackedImage | None = None

    def image_steps(self) -> list[Step]:
        found: list[Step] = []
        tried: tuple[str, ...] = ()
        if self.image.generated and self.ingredients.request.smoke_test:
            found.append(Step("trial", "Try the code", self.try_code))
            tried = ("trial",)
        found.append(Step("build", "Build the image", self.build, tried))
        if not self.builder.needs_engine:
            found.append(Step("unpack", "Unpack the image", self.unpack, ("build",)))
        image = found[-1].key
        return [
            *found,
            Step("write", "Write the model", self.write),
            Step("start", "Start the container", self.start, (image, "write")),
            Step("load", "Load the model", self.load, ("start",)),
            Step("switch", self.switching, self.switch, ("load",)),
        ]

    def try_code(self, reporter: Reporter) -> Done:
        return trial_step(self.ingredients, reporter)[0]

    def build(self, reporter: Reporter) -> Done:
        self.built = self.builder.build(self.image.spec, reporter)
        return Done(f"{self.image.tag}, {size(self.built.size)}", reused=self.built.reused)

    def unpack(self, reporter: Reporter) -> Done:
        assert self.built is not None
        self.unpacked = self.builder.unpack(self.built, reporter)
        return Done()

    def start(self, reporter: Reporter) -> Done:
        assert self.built is not None
        reference = self.image.tag if self.unpacked else self.built.reference
        return Done(self.deployer.start(reference, reporter, self.unpacked))

    def switch(self, reporter: Reporter) -> Done:
        super().switch(reporter)
        assert self.record is not None
        return Done(self.record.url)

    def layers(self, reporter: Reporter) -> tuple[PlannedLayer, ...]:
        return self.builder.planned(self.image.spec, None, reporter)


def _image_facts(image: WantedImage) -> tuple[Fact, ...]:
    spec = image.spec
    if isinstance(spec, ProvidedSpec):
        return (Fact("Image", f"{image.tag}, from {spec.folder / 'Dockerfile'}"),)
    return (
        Fact("Image", f"{image.tag}, on {spec.base}"),
        Fact("Python", spec.target.python_version),
        Fact("Packages", packages_text(spec)),
    )


def _limits(serverless_mb: int | None, needs_engine: bool) -> str:
    if serverless_mb is None and not needs_engine:
        return f"{', '.join(container.WRITABLE)} and the program's folder can be written, no more"
    if serverless_mb is None:
        return "none, as on an instance"
    limits = f"{serverless_mb} MB, read-only files, no root, as a serverless endpoint"
    if not needs_engine:
        limits += (
            f" (memory is looked at every {container.MEMORY_SECONDS:g} s; /tmp is not limited)"
        )
    return limits


def _access(generated: bool, replaced: bool) -> str:
    text = "127.0.0.1 only, with a token" if generated else "127.0.0.1 only, without a token"
    # Docker cannot hand a published port from one container to the next.
    return f"{text}; the port changes" if replaced else text


def _remarks(request: DeployRequest) -> list[Finding]:
    generate = request.config.container.generate_container
    if request.container_mode == "provide" or not generate.install_cuda:
        return []
    return [
        Finding(
            "The local container has no GPU",
            why="`install_cuda` is for GPU instances; the model runs on the CPU here",
            where=request.config.where("container.generate_container.install_cuda"),
            severity="note",
        )
    ]
