"""Build specifications for tests that build nothing."""

from __future__ import annotations

from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages.requirements import Package, Requirements, Target
from sageturner_magic.values import CapturedModule, SourceFile

INDEX = "https://index.example/simple"
MODULE = CapturedModule(
    "In[1], In[2]",
    (
        SourceFile("sageturner.py", b"def load(): ...\ndef predict(model, request): ...\n"),
        SourceFile("labels.json", b"{}\n"),
    ),
)


def package(name: str, version: str, file: str = "", index: str = INDEX) -> Package:
    file = file or f"{name}-{version}-py3-none-any.whl"
    return Package(name, version, f"https://files.example.org/{file}", f"{1:064x}", index, True)


def spec(
    *packages: Package,
    target: Target | None = None,
    extra_indexes: tuple[str, ...] = (),
    **fields: object,
) -> BuildSpec:
    target = target or Target("3.12")
    server = Requirements(target, (package("uvicorn", "0.54.0"),))
    requirements = Requirements(target, packages, extra_indexes=extra_indexes)
    return BuildSpec("digits", MODULE, requirements, server, **fields)  # type: ignore[arg-type]
