"""Make an image's layers from wheels and files without running any of them.

From the bottom: the virtual environment's frame, one layer for each large wheel, the small
ones in groups, the model server's packages, the server, the program. What changes most often
comes last; what has not changed comes from the cache.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

from zlib_ng import zlib_ng

from sageturner_magic.errors import ImageError
from sageturner_magic.image.context import program_entries, server_entries
from sageturner_magic.image.layers.bytecode import Compiler, Compilers
from sageturner_magic.image.layers.cache import LayerCache
from sageturner_magic.image.layers.wheel_layout import Layout, installed
from sageturner_magic.image.layers.writer import COPIED_FROM, LEVEL, LayerWriter, Written
from sageturner_magic.image.spec import BuildSpec
from sageturner_magic.packages import FileStore, Package, Requirements
from sageturner_magic.tarball import Entry
from sageturner_magic.values import Reporter

LARGE = 1 << 20
"""Bytes of a wheel from which it is a layer of its own."""

MOST_LARGE = 60
"""Layers for single wheels; with the groups, the frame, the server, the program and a base
image of up to 20 layers an image stays below 100. An engine's limit is 127."""

GROUPS = 16
"""Layers for small wheels. A wheel's group depends on its name alone, so that one more
dependency changes one group."""

_WORKERS = 4

FORMAT = "3"
"""Raised when the same recipe gives other bytes than before."""


@dataclass(frozen=True)
class Layer:
    """One layer of an image.

    Attributes:
        title: What is in it, for people.
        written: Its digests and sizes.
    """

    title: str
    written: Written


LayerPlace = Literal["registry", "cache", "base", "nowhere"]


@dataclass(frozen=True)
class PlannedLayer:
    """A layer that an image will have.

    Attributes:
        title: What is in it, for people.
        size: Compressed bytes; of a layer that is not made yet an estimate, from the wheels' sizes
            or the files', and 0 where these are not known.
        digest: `sha256:…`; empty for one that is not made yet.
        place: Where it is: in the registry that it has to be in; in this machine's cache; in the
            base image's registry; nowhere yet.
    """

    title: str
    size: int
    digest: str = ""
    place: LayerPlace = "nowhere"


@dataclass(frozen=True)
class LayerMaker:
    """Makes layers for one Python version.

    Attributes:
        cache: Where they are kept.
        files: Where wheels are kept.
        compilers: Compile bytecode, if there is an interpreter for it on this machine.
        home: The folder of the base image's Python.
    """

    cache: LayerCache
    files: FileStore
    compilers: Compilers | None
    home: str = "/usr/local/bin"

    def layers(self, spec: BuildSpec, reporter: Reporter) -> list[Layer]:
        """All layers above the base image, from the bottom. Raises ImageError and OSError."""
        version = spec.target.python_version
        environment = Layout.environment("opt/venv", version)
        server = Layout.modules_only("opt/sageturner/packages", version)
        with ThreadPoolExecutor(max_workers=_WORKERS) as workers:
            sizes = workers.map(
                lambda package: self.files.size(package, spec.requirements.credentials, reporter),
                spec.requirements.packages,
            )
            single, groups = _grouped(dict(zip(spec.requirements.packages, sizes, strict=True)))
            alone = [
                workers.submit(self._wheel, package, spec.requirements, environment, reporter)
                for package in single
            ]
            grouped = [
                workers.submit(self._group, packages, spec.requirements, environment, reporter)
                for packages in groups
            ]
            of_server = workers.submit(
                self._group,
                spec.server_requirements.packages,
                spec.server_requirements,
                server,
                reporter,
            )
            try:
                return [
                    self._entries("the virtual environment", self._frame(version)),
                    *(future.result() for future in alone),
                    *(layer for future in (*grouped, of_server) for layer in future.result()),
                    self._entries("the model server", server_entries("opt/sageturner/server")),
                    self._entries("the program", program_entries(spec, "opt/program")),
                ]
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise

    def planned(self, spec: BuildSpec) -> list[PlannedLayer]:
        """The layers that `layers` would give, without making or fetching anything.

        Raises OSError.
        """
        version = spec.target.python_version
        environment = Layout.environment("opt/venv", version)
        server = Layout.modules_only("opt/sageturner/packages", version)
        sizes = {each: self.files.known_size(each) for each in spec.requirements.packages}
        single, groups = _grouped(sizes)
        of_files = (
            ("the virtual environment", tuple(self._frame(version))),
            ("the model server", server_entries("opt/sageturner/server")),
            ("the program", program_entries(spec, "opt/program")),
        )
        frame, serving, program = (
            self._planned(title, self._of_entries(entries), sum(entry.size for entry in entries))
            for title, entries in of_files
        )
        return [
            frame,
            *(
                self._planned(
                    f"{package.name} {package.version}",
                    self._of_wheel(package, environment),
                    sizes[package],
                )
                for package in single
            ),
            *(layer for packages in groups for layer in self._planned_group(packages, environment)),
            *self._planned_group(spec.server_requirements.packages, server),
            serving,
            program,
        ]

    def _planned(self, title: str, recipe: str, estimate: int) -> PlannedLayer:
        if found := self.cache.find(recipe):
            return PlannedLayer(title, found.size, f"sha256:{found.digest}", "cache")
        return PlannedLayer(title, estimate)

    def _planned_group(self, packages: Sequence[Package], layout: Layout) -> list[PlannedLayer]:
        pieces = [(each, self.cache.find(self._of_piece(each, layout))) for each in packages]
        known = [(package, piece) for package, piece in pieces if piece]
        # Which wheels of a group collide is known once their pieces are made.
        together = _disjoint(known) if len(known) == len(pieces) else [pieces]
        return [
            self._planned(
                _names(members),
                self._of_group(members, layout),
                sum(self.files.known_size(each) for each in members),
            )
            for members in ([package for package, _ in each] for each in together)
        ]

    def _frame(self, version: str) -> Iterator[Entry]:
        """What `python -m venv --without-pip` makes, less what only a shell needs."""
        settings = f"home = {self.home}\ninclude-system-site-packages = true\nversion = {version}\n"
        yield Entry("opt/venv/pyvenv.cfg", settings.encode())
        yield Entry("opt/venv/bin/python", link=f"{self.home}/python")
        yield Entry("opt/venv/bin/python3", link="python")
        yield Entry(f"opt/venv/bin/python{version}", link="python")
        yield Entry("opt/venv/lib64", link="lib")

    def _recipe(self, *parts: object) -> str:
        compiled = self.compilers.interpreter.version if self.compilers else ""
        common = (FORMAT, LEVEL, COPIED_FROM, zlib_ng.ZLIBNG_VERSION, compiled)
        return json.dumps([*common, *map(str, parts)])

    def _entries(self, title: str, entries: Iterable[Entry]) -> Layer:
        """A layer of `entries`, their modules compiled."""
        listed = tuple(entries)

        def write(writer: LayerWriter) -> Written:
            with self._compiler() as compiler:
                for entry in listed:
                    writer.add(entry)
                    if compiler and entry.path.endswith(".py"):
                        source = b"".join(entry.chunks())
                        _add_bytecode(writer, compiler, entry.path, source)
            return writer.end_layer()

        return Layer(title, self.cache.get_or_write(self._of_entries(listed), write))

    def _of_entries(self, entries: Sequence[Entry]) -> str:
        content = [
            (entry.path, entry.executable, entry.link, _digest_of(entry)) for entry in entries
        ]
        return self._recipe("entries", content)

    def _of_wheel(self, package: Package, layout: Layout) -> str:
        return self._recipe("wheel", package.sha256, layout)

    def _of_piece(self, package: Package, layout: Layout) -> str:
        return self._recipe("piece", package.sha256, layout)

    def _of_group(self, packages: Iterable[Package], layout: Layout) -> str:
        return self._recipe("group", [package.sha256 for package in packages], layout)

    def _compiler(self) -> AbstractContextManager[Compiler | None]:
        return self.compilers.borrow() if self.compilers else nullcontext()

    def _wheel(
        self, package: Package, requirements: Requirements, layout: Layout, reporter: Reporter
    ) -> Layer:
        """A layer of one wheel."""

        def write(writer: LayerWriter) -> Written:
            self._write_wheel(writer, package, requirements, layout, reporter)
            return writer.end_layer()

        title = f"{package.name} {package.version}"
        return Layer(title, self.cache.get_or_write(self._of_wheel(package, layout), write))

    def _group(
        self,
        packages: Sequence[Package],
        requirements: Requirements,
        layout: Layout,
        reporter: Reporter,
    ) -> list[Layer]:
        """A layer of several wheels, put together from a piece for each.

        A wheel that holds a file which another one of the group holds too comes in a further
        layer, because a layer has each path once.
        """
        pieces = [
            (package, self._piece(package, requirements, layout, reporter)) for package in packages
        ]
        return [
            self._of_pieces(together, requirements, layout, reporter)
            for together in _disjoint(pieces)
        ]

    def _of_pieces(
        self,
        pieces: Sequence[tuple[Package, Written]],
        requirements: Requirements,
        layout: Layout,
        reporter: Reporter,
    ) -> Layer:
        def write(writer: LayerWriter) -> Written:
            writer.add_folders(folder for _, piece in pieces for folder in piece.folders)
            for package, piece in pieces:
                if not self.cache.is_sound(piece):
                    piece = self._piece(package, requirements, layout, reporter)
                with self.cache.blob(piece.digest).open("rb") as file:
                    writer.add_piece(file)
            return writer.end_layer()

        packages = [package for package, _ in pieces]
        recipe = self._of_group(packages, layout)
        return Layer(_names(packages), self.cache.get_or_write(recipe, write))

    def _piece(
        self, package: Package, requirements: Requirements, layout: Layout, reporter: Reporter
    ) -> Written:
        def write(writer: LayerWriter) -> Written:
            writer.begin_piece()
            self._write_wheel(writer, package, requirements, layout, reporter)
            return writer.end_piece()

        recipe = self._of_piece(package, layout)
        return self.cache.get_or_write(recipe, write)

    def _write_wheel(
        self,
        writer: LayerWriter,
        package: Package,
        requirements: Requirements,
        layout: Layout,
        reporter: Reporter,
    ) -> None:
        reporter.checkpoint()
        wheel = self.files.fetch(package, requirements.credentials, reporter)
        reporter.log(f"laying out {wheel.name}")
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                wheel.open("rb") as file,
                self._compiler() as compiler,
            ):
                for each in installed(wheel, archive, layout):
                    reporter.checkpoint()
                    if each.member is None:
                        writer.add(Entry(each.path, each.content, each.executable))
                    else:
                        writer.add_member(each.path, each.executable, file, archive, each.member)
                    if compiler and _is_module(each.path, layout):
                        source = archive.read(each.member) if each.member else each.content
                        _add_bytecode(writer, compiler, each.path, source)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeError, csv.Error) as error:
            raise ImageError(
                f"{wheel.name} cannot be read",
                why=str(error),
                do="choose another version of it",
                code="ST65",
            ) from None


def _disjoint(
    pieces: Sequence[tuple[Package, Written]],
) -> list[list[tuple[Package, Written]]]:
    """`pieces` in as few lists as keep those apart that hold the same file.

    A file in the place of another's folder is kept apart too: the later layer replaces it.
    """
    left, found = list(pieces), []
    while left:
        files: set[str] = set()
        folders: set[str] = set()
        together: list[tuple[Package, Written]] = []
        apart: list[tuple[Package, Written]] = []
        for package, piece in left:
            leading = {folder.rstrip("/") for folder in piece.folders}
            fits = all(each.isdisjoint(piece.files) for each in (files, folders))
            fits = fits and files.isdisjoint(leading)
            (together if fits else apart).append((package, piece))
            if fits:
                files.update(piece.files)
                folders.update(leading)
        found.append(together)
        left = apart
    return found


def _names(packages: Iterable[Package]) -> str:
    return ", ".join(package.name for package in packages)


def _grouped(
    sizes: Mapping[Package, int],
) -> tuple[list[Package], list[list[Package]]]:
    """The packages that get a layer of their own, and the groups of the others."""
    by_size = sorted(sizes, key=lambda package: (-sizes[package], package.name))
    single = [package for package in by_size if sizes[package] >= LARGE][:MOST_LARGE]
    groups: dict[int, list[Package]] = {}
    for package in sizes:
        if package not in single:
            number = int(hashlib.sha256(package.name.encode()).hexdigest(), 16) % GROUPS
            groups.setdefault(number, []).append(package)
    return (
        sorted(single, key=lambda package: package.name),
        [members for _, members in sorted(groups.items())],
    )


def _is_module(path: str, layout: Layout) -> bool:
    return path.endswith(".py") and path.startswith(f"{layout.site}/")


def _add_bytecode(writer: LayerWriter, compiler: Compiler, path: str, source: bytes) -> None:
    if bytecode := compiler.compile(path, source):
        writer.add(Entry(compiler.path(path), bytecode))


def _digest_of(entry: Entry) -> str:
    digest = hashlib.sha256()
    for chunk in entry.chunks():
        digest.update(chunk)
    return digest.hexdigest()
