"""Make the build context of an image as a stream of files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sageturner_magic import tarball
from sageturner_magic.errors import ImageError
from sageturner_magic.image import dockerfile
from sageturner_magic.image.spec import BuildSpec, ProvidedSpec, Spec, tag_of
from sageturner_magic.packages import FileStore, Requirements
from sageturner_magic.tarball import Entry
from sageturner_magic.values import Reporter


@dataclass(frozen=True)
class BuildContext:
    """A tar archive for `docker build`.

    Attributes:
        tag: `<name>-<12 hex>` over everything in it.
        entries: What is in it, in order. Files are opened as they are sent.
        dockerfile: The Dockerfile's path in it.
    """

    tag: str
    entries: tuple[Entry, ...]
    dockerfile: str = "Dockerfile"

    @property
    def size(self) -> int:
        """Bytes of all files. Raises OSError."""
        return sum(entry.size for entry in self.entries)

    def stream(self) -> Iterator[bytes]:
        """The archive. Raises OSError, and ImageError if a file changes meanwhile."""
        return tarball.stream(self.entries)


def server_entries(below: str) -> tuple[Entry, ...]:
    """The model server's files, to lie in the folder `below`."""
    folder = Path(__file__).parents[1] / "server"
    return tuple(
        Entry(f"{below}/{path.relative_to(folder).as_posix()}", path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    )


def program_entries(spec: BuildSpec, below: str) -> tuple[Entry, ...]:
    """The user's files, to lie in the folder `below`, sorted by path."""
    return tuple(
        Entry(
            f"{below}/{file.path}",
            file.content,
            executable=isinstance(file.content, Path) and bool(file.content.stat().st_mode & 0o100),
        )
        for file in sorted(spec.module.files, key=lambda file: file.path)
    )


def image_tag(spec: Spec) -> str:
    """`<name>-<12 hex>` over all inputs of the image, the same for every builder.

    Raises:
        ImageError: The user's own Dockerfile cannot be read.
    """
    if isinstance(spec, ProvidedSpec):
        return provided(spec).tag
    return tag_of(
        spec.name,
        dockerfile.render_dockerfile(spec),
        spec.requirements.text(),
        spec.server_requirements.text(),
        tarball.digest(server_entries("server")),
        tarball.digest(program_entries(spec, "program")),
    )


def generated(spec: BuildSpec, files: FileStore, reporter: Reporter) -> BuildContext:
    """The context of a generated image; files that are handed over are fetched into `files`.

    Raises ImageError.
    """
    wheels: dict[str, Entry] = {}
    for requirements in (spec.server_requirements, spec.requirements):
        wheels |= {entry.path: entry for entry in _wheels(requirements, files, reporter)}
    return BuildContext(
        image_tag(spec),
        (
            Entry("Dockerfile", dockerfile.render_dockerfile(spec).encode()),
            Entry("requirements.txt", spec.requirements.text().encode()),
            Entry("server-requirements.txt", spec.server_requirements.text().encode()),
            *(wheels[path] for path in sorted(wheels)),
            *server_entries("server"),
            *program_entries(spec, "program"),
        ),
    )


def _wheels(requirements: Requirements, files: FileStore, reporter: Reporter) -> Iterator[Entry]:
    for package in requirements.handed_over:
        path = files.fetch(package, requirements.credentials, reporter)
        yield Entry(f"wheels/{package.file}", path)


def provided(spec: ProvidedSpec) -> BuildContext:
    """The user's own folder, less what its .dockerignore names. Raises ImageError."""
    # Takes half a second, and most contexts are made without it.
    from docker.utils.build import exclude_paths

    if not (spec.folder / "Dockerfile").is_file():
        raise ImageError(
            f"{spec.folder} has no Dockerfile",
            do="name the folder that has it as container.provide_container.docker_dir",
            code="ST67",
        )
    ignore = spec.folder / ".dockerignore"
    lines = ignore.read_text().splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    names = sorted(exclude_paths(str(spec.folder), patterns, dockerfile="Dockerfile"))
    paths = ((spec.folder / name, Path(name).as_posix()) for name in names)
    entries = tuple(
        tarball.from_disk(path, name) for path, name in paths if path.is_symlink() or path.is_file()
    )
    return BuildContext(tag_of(spec.name, spec.architecture, tarball.digest(entries)), entries)
