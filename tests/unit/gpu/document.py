"""docs/gpu.md, made from the fit itself: `python -m tests.unit.gpu.document` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sageturner_magic.gpu import ComputeTarget, Fit, ResolvedPackage, facts, fit
from tests.unit.gpu.wheels import versions, wheel

PATH = Path(__file__).parents[3] / "docs" / "gpu.md"

_PYTHON = "3.11"
_HEAD = f"""\
# GPU endpoints: what runs where

Every CUDA version needs a driver that is new enough, and every GPU needs a build with code for
it. SageMaker's driver comes with the instance's AMI and is often older than a plain
`pip install torch` needs; the endpoint then fails its first ping with an empty log. So wheel,
AMI and base image are chosen together before anything is built. The tables below are what is
chosen; they are made by the same code (`python -m tests.unit.gpu.document`) from the wheels'
own metadata and from facts of {facts.AS_OF}, whose sources stand in
`sageturner_magic/gpu/facts.py`. Whether these are still true is what
`python -m sageturner_magic.gpu.staleness` checks.

"""
_LEGEND = """\

## torch on each family

The second column is what is chosen when `compute.server.inference_ami_version` is left out: the
CUDA of the build, and the AMI where the default one does not do. A bare number is the build as it
is resolved from the package index; `cu126` is another build of the same version, taken from
PyTorch's index of that name. The other columns are what each AMI leads to when it is configured.

- **no: GPU** - no known build of this version has code for this GPU
- **no: driver** - the AMI's driver is too old for every build of this version that suits the GPU,
  or does not support the GPU
- `?` - not known; the endpoint is deployed with a warning, and the server checks the driver
- `*` - the AMI is not known to start on this family; deployed with a warning
"""


def document() -> str:
    """The whole text of docs/gpu.md."""
    return "".join([_HEAD, *_families(), *_drivers(), _LEGEND, *_torch(), *_others(), *_cpu()])


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _ami(name: str) -> str:
    return name.rpartition("inference-")[2]


def _families() -> Iterator[str]:
    yield "## Instances with an NVIDIA GPU\n\n"
    yield _table(
        ("family", "GPU", "memory", "compute capability", "default driver", "AMIs known good"),
        (
            (
                f"ml.{name}" + (" (arm64)" if family.architecture == "arm64" else ""),
                family.gpu,
                f"{family.memory_gb} GB",
                _dotted(family.capability or (0, 0)),
                str(family.default_driver or "not documented"),
                ", ".join(map(_ami, family.known_good)) or "none",
            )
            for name, family in facts.FAMILIES.items()
        ),
    )
    others = ", ".join(f"ml.{name} ({what})" for name, what in facts.OTHER_ACCELERATORS.items())
    yield f"\nRefused, because CUDA wheels cannot use them: {others}.\n\n"


def _drivers() -> Iterator[str]:
    yield "## Drivers\n\n"
    yield _table(
        ("InferenceAmiVersion", "short", "driver", "CUDA"),
        (
            (f"`{name}`", _ami(name), str(ami.driver), _dotted(ami.cuda))
            for name, ami in facts.AMIS.items()
        ),
    )
    floors = ", ".join(f"CUDA {cuda} from {driver}" for cuda, driver in facts.FLOORS.items())
    yield f"\nOldest driver that runs it: {floors}.\n"


def _torch() -> Iterator[str]:
    amis = ("", *facts.AMIS)
    for family in facts.FAMILIES:
        yield f"\n### ml.{family} ({facts.FAMILIES[family].gpu})\n\n"
        yield _table(
            ("torch", "chosen", *map(_ami, facts.AMIS)),
            (
                (version, *(_on(family, wheel("torch", version), ami) for ami in amis))
                for version in versions("torch")
            ),
        )


def _on(family: str, package: ResolvedPackage, ami: str) -> str:
    target = ComputeTarget("server", f"ml.{family}.48xlarge", ami, install_cuda=True)
    return _cell(fit([package], target, _PYTHON), ami)


def _cell(answer: Fit, ami: str) -> str:
    decision = answer.decision
    if decision is None:
        why = answer.findings[0].why
        return "**no: GPU**" if "no code for" in why else "**no: driver**"
    (need,) = decision.needs
    if need.cuda is None:
        return "CPU build only"
    text = need.variant if decision.replacements else _dotted(need.cuda)
    warnings = " ".join(finding.what for finding in answer.findings)
    if decision.ami and not ami:
        text += f", {_ami(decision.ami)}"
    return (
        text
        + ("?" if "not known whether" in warnings else "")
        + ("*" if "not known to start" in warnings else "")
    )


def _others() -> Iterator[str]:
    yield "\n## Other frameworks, on ml.g5.xlarge\n\n"
    names = ("tensorflow", "jax", "onnxruntime-gpu", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
    rows = []
    for name in names:
        for version in versions(name):
            target = ComputeTarget("server", "ml.g5.xlarge", install_cuda=True)
            decision = fit([wheel(name, version)], target, _PYTHON).decision
            assert decision is not None
            (need,) = decision.needs
            assert need.cuda is not None
            installed = [replacement.requirement for replacement in decision.replacements]
            rows.append(
                (
                    f"{name} {version}",
                    _dotted(need.cuda),
                    need.evidence,
                    f"`{installed[0]}`" if installed else "as resolved",
                    _ami(decision.ami) or "default",
                    f"`{decision.base.reference}`" if decision.base.reference else "slim",
                )
            )
    yield _table(("framework", "CUDA", "read from", "installed", "AMI", "base image"), rows)


def _cpu() -> Iterator[str]:
    yield (
        "\n## Without a GPU\n\n"
        "Serverless and local endpoints, CPU instances and `install_cuda: false` get CPU builds\n"
        "without being asked. Sizes are those of the compressed wheels that are left out.\n\n"
    )
    rows = []
    for name in ("torch", "tensorflow", "onnxruntime-gpu"):
        for version in versions(name):
            cells = []
            for instance in ("ml.m5.xlarge", "ml.c7g.xlarge"):
                decision = fit(
                    [wheel(name, version)], ComputeTarget("server", instance), _PYTHON
                ).decision
                assert decision is not None
                saved = f" ({decision.saved_bytes / 1e9:.1f} GB)" if decision.saved_bytes else ""
                cells.append(
                    ", ".join(
                        f"`{replacement.requirement}`"
                        + (f" from {replacement.index}" if replacement.index else "")
                        for replacement in decision.replacements
                    )
                    + saved
                    or "as resolved"
                )
            rows.append((f"{name} {version}", *cells))
    yield _table(("resolved", "x86 instances and serverless", "Graviton"), rows)


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(document(), encoding="utf-8")
