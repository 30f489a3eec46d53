"""Put generated code among the cells that ran, as if a person had captured it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.checks import SIGNATURES, Role
from sageturner_magic.capture.generated.code import Setting
from sageturner_magic.capture.generated.construction import constructed
from sageturner_magic.capture.generated.kinds import generate
from sageturner_magic.capture.syntax import Statement, statements_of
from sageturner_magic.errors import Finding
from sageturner_magic.values import CellLine, LiveModel, LiveObject, Shipped

_PICKLES = (".joblib", ".pkl", ".pt")
"""Files that name classes and functions of the notebook."""


class GeneratedLine(CellLine):
    """A line of generated code: it stands in no cell."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"In[{self.cell}]" if self.cell else "`--model`"


@dataclass(frozen=True)
class GeneratedCell(Cell):
    """A cell that nobody typed."""

    def line(self, line: int) -> CellLine:
        """The cell that names the model."""
        return GeneratedLine(self.number, line)


@dataclass(frozen=True)
class GeneratedPair:
    """The generated cells of one model, and what the slice of them has to know.

    Attributes:
        cells: Role -> cell, for the halves that are not captured.
        namespace: The notebook's variables, and those that the cells make.
        shipped: How objects are shipped, the model among them.
        objects: The model's file.
        names: The model, for people.
        served: What load() gives to predict(), as the notebook has it.
    """

    cells: Mapping[Role, Cell]
    namespace: Mapping[str, object] = field(repr=False)
    shipped: Shipped
    objects: tuple[LiveObject, ...]
    names: tuple[str, ...]
    served: object = field(repr=False)

    def clashes(self, statements: tuple[Statement, ...]) -> Iterator[Finding]:
        """Names of the server's functions that code of the notebook uses for its own."""
        taken = {name for cell in self.cells.values() for name in _bound(cell)} & {*SIGNATURES}
        for statement in statements:
            if isinstance(statement.cell, GeneratedCell):
                continue
            for name, line in statement.names.needed().items():
                if name in taken:
                    yield Finding(
                        f"`{name}` is also the name of a function that the model server calls",
                        where=str(statement.cell.line(line)),
                        why="the generated module has its own",
                        do="rename yours and run its cells",
                        code="ST34",
                    )


def generated_pair(
    model: LiveModel,
    captured: Mapping[Role, Cell],
    namespace: Mapping[str, object],
    shipped: Shipped,
    ran: Sequence[Cell],
) -> GeneratedPair:
    """Generate what is not captured.

    Args:
        captured: Role -> captured cell, for what is not to be generated.
        ran: The cells that ran, in order.

    Raises:
        CaptureError: Such an object cannot be served without cells of its own.
    """
    construction = constructed(model.name, ran, namespace)
    setting = Setting(model, namespace, construction, shipped.is_beside_code)
    made = generate(setting)
    sources: dict[Role, str] = {"load": made.load, "predict": made.predict}
    cells: dict[Role, Cell] = {
        role: GeneratedCell(model.cell, source)
        for role, source in sources.items()
        if role not in captured
    }
    names = _run(cells, namespace)
    objects: tuple[LiveObject, ...] = ()
    files = dict(shipped.files)
    if made.file:
        objects = (LiveObject(made.file, model.name, made.value),)
        if made.file.endswith(_PICKLES):
            # No code can name the second: it is there for what its pickle refers to.
            is_named = namespace.get(model.name) is made.value
            variable = model.name if is_named else "--model"
            names[variable] = made.value
            files.setdefault(variable, made.file)
    shipped = Shipped(files, shipped.path, shipped.is_beside_code)
    served = made.value if made.file and made.of_model == "{}" else model.value
    called = (f"`{model.name}`",)
    return GeneratedPair(cells, {**namespace, **names}, shipped, objects, called, served)


def editable(
    name: str,
    model: LiveModel,
    captured: Mapping[Role, Cell],
    namespace: Mapping[str, object],
    ran: Sequence[Cell],
) -> tuple[str, ...]:
    """The generated code as cells to run and to edit, and the cell that deploys them as `name`.

    Raises:
        CaptureError: Such an object cannot be served without cells of its own.
    """
    made = generate(Setting(model, namespace, constructed(model.name, ran, namespace)))
    load, artefact = made.load, ""
    if made.file:
        expression = made.of_model.format(model.expression or model.name)
        variable = expression if expression.isidentifier() else f"{model.name}_saved"
        if variable != expression:
            load += f"\n\n# Saved by the cell that deploys.\n{variable} = {expression}\n"
        artefact = f"\nartefact: {{{made.file}: {variable}}}"
    halves = [f"%%sageturner_load {name}\n{load}"]
    if "predict" not in captured:
        halves.append(f"%%sageturner_predict {name}\n{made.predict}")
    return (*map(str.rstrip, halves), f"%%sageturner deploy\nname: {name}{artefact}")


def _run(cells: Mapping[Role, Cell], namespace: Mapping[str, object]) -> dict[str, object]:
    """What the cells define; the notebook itself does not get it."""
    scratch = dict(namespace)
    for cell in cells.values():
        exec(compile(cell.source, "<generated>", "exec", dont_inherit=True), scratch)
    return {name: scratch[name] for cell in cells.values() for name in _bound(cell)}


def _bound(cell: Cell) -> set[str]:
    return {name for statement in statements_of(cell) for name in statement.names.binds}
