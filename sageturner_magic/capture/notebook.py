"""Record a notebook's cells, and capture the code of models from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sageturner_magic.capture.captures import CapturedCell, Captures
from sageturner_magic.capture.cells import Bindings, Bound, Cell
from sageturner_magic.capture.shipped import Watched
from sageturner_magic.errors import CaptureError, Finding
from sageturner_magic.values import (
    AS_MODEL_FILES,
    CapturedModule,
    LiveModel,
    Shipped,
    SourceFile,
)

# Everything else is imported where it is needed: loading the extension makes a Notebook.
if TYPE_CHECKING:
    from sageturner_magic.capture.checks import Role
    from sageturner_magic.capture.generated import GeneratedPair
    from sageturner_magic.capture.in_kernel import InKernel
    from sageturner_magic.capture.runs import Run, RunOrigin


class Notebook:
    """The cells of one session, in the order in which they ran.

    Attributes:
        captures: The cells that are captured, and the endpoints that they serve.
        answers: Endpoint -> for which code predict() ran in the notebook, and its response.
        watched: The objects that this notebook's endpoints serve.
    """

    def __init__(self, namespace: Mapping[str, object]) -> None:
        self._namespace = namespace
        self._ran: list[Cell] = []
        self._bound: list[Bound] = []
        self._bindings = Bindings(namespace)
        self._failed: dict[int, int | None] = {}
        self._recovered: list[Cell] = []
        self.captures = Captures()
        self._models: dict[str, tuple[LiveModel, bool]] = {}
        self.answers: dict[str, tuple[object, Any]] = {}
        self.watched = Watched()

    def record(self, cell: Cell) -> None:
        """Remember a cell that ran without error. It is looked into only when a module is made."""
        if not cell.magic.startswith("sageturner"):
            self._remember(cell)

    def _remember(self, cell: Cell) -> None:
        self._ran.append(cell)
        self._bound.append(self._bindings.since_the_last_cell())

    def record_failed(self, cell: Cell, line: int | None = None) -> None:
        """Remember a cell that ended in an error.

        What stands before `line` of its source, on which it failed, has run, and what stands
        behind has not. Where the line is not known, all that the cell names is in doubt.
        """
        if not cell.magic.startswith("sageturner"):
            self._failed[len(self._ran)] = line
            self._remember(cell)

    def recover(self, cells: Iterable[Cell]) -> None:
        """Remember cells of the history that ran before the extension was loaded.

        Nobody knows which of them failed: what they made is used only where the notebook's
        variables show that it is what their source says.
        """
        self._recovered = [cell for cell in cells if not cell.magic.startswith("sageturner")]
        self._bindings.since_the_last_cell()

    def check(self, role: Role, cell: Cell) -> None:
        """What can be said of a cell before it runs. Raises CaptureError with every finding."""
        from sageturner_magic.capture.checks import check_cell, raise_for
        from sageturner_magic.capture.runs import RunOrigin
        from sageturner_magic.capture.slicing import last_imports

        runs = self._since_loaded(lambda cell: RunOrigin.OTHER)
        raise_for(check_cell(role, cell, last_imports(runs)))

    def capture(self, role: Role, name: str, cell: Cell) -> CapturedCell:
        """Remember a cell that ran as one half of `name` (empty: the unnamed pair).

        What was captured before as the same half of the same name is replaced.
        Raises CaptureError when `name` cannot be the name of an endpoint.
        """
        if name:
            from sageturner_magic.capture.checks import check_name

            check_name(name)
        self._remember(cell)
        return self.captures.put(role, name, cell)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell that ran, in order; those that failed among them."""
        return (*self._recovered, *self._ran)

    def model_for(self, name: str, given: LiveModel | None = None) -> LiveModel | None:
        """The object that endpoint `name` is generated from: `given`, else the last one of it.

        A variable is read again: it may hold a newer model. Captured cells come before the last.
        """
        if given is not None:
            self._models[name] = given, self._namespace.get(given.name) is given.value
        if given is not None or name not in self._models:
            return given
        if "load" in self.captures.halves_or_unnamed(name):
            return None
        last, is_variable = self._models[name]
        value = self._namespace.get(last.name, last.value) if is_variable else last.value
        return replace(last, value=value)

    def forget_model(self, name: str) -> None:
        """Let captured cells alone be the code of endpoint `name`."""
        self._models.pop(name, None)

    def models(self) -> list[str]:
        """The variables that can be deployed without cells, the likeliest and newest first."""
        from sageturner_magic.capture.generated import servable

        return servable(self.cells, self._namespace)

    def module(self, name: str, shipped: Shipped = AS_MODEL_FILES) -> CapturedModule:
        """The module for an endpoint called `name`. Raises as `module_and_notes`."""
        return self.module_and_notes(name, shipped)[0]

    def module_and_notes(
        self, name: str, shipped: Shipped = AS_MODEL_FILES, model: LiveModel | None = None
    ) -> tuple[CapturedModule, list[Finding]]:
        """The module for an endpoint called `name`, and warnings on what is not in it.

        Args:
            shipped: How objects of the notebook are shipped.
            model: The object for which load() is generated, and predict() where no cell is
                captured that defines it.

        Raises CaptureError when it is not plain which cells are meant, or when they need
        something that a module cannot hold, with every such finding.
        """
        if model is None:
            capture_name = self.captures.name_for(name)
            return self._module(self.captures[capture_name], _header(capture_name), shipped)
        from sageturner_magic.capture.generated import generated_pair

        captured = self._beside_model(name, model)
        made = generated_pair(model, captured, self._namespace, shipped, self.cells)
        header = (
            f"Written by sageturner_magic for `{model.name}` ({type(model.value).__name__}).",
            f"`%sageturner code {name} --cells` puts this code into cells of the notebook.",
        )
        return self._module({**captured, **made.cells}, header, shipped, made)

    def generated_cells(self, name: str, model: LiveModel) -> tuple[str, ...]:
        """The cells that do the same as `model` does for `name`, for a person to edit.

        Raises CaptureError as `module_and_notes`.
        """
        from sageturner_magic.capture.generated import editable

        captured = self._beside_model(name, model)
        return editable(name, model, captured, self._namespace, self.cells)

    def _module(
        self,
        halves: Mapping[Role, Cell],
        header: tuple[str, ...],
        shipped: Shipped,
        made: GeneratedPair | None = None,
    ) -> tuple[CapturedModule, list[Finding]]:
        from sageturner_magic.capture.checks import raise_for
        from sageturner_magic.capture.generated import GeneratedLine
        from sageturner_magic.capture.secrets import ALLOWED, secret_findings
        from sageturner_magic.capture.sibling_modules import local_modules
        from sageturner_magic.capture.slicing import slice_of
        from sageturner_magic.capture.syntax import render_module

        namespace = made.namespace if made else self._namespace
        runs = self._runs(halves, made.cells.values() if made else ())
        chosen = slice_of(halves, runs, namespace, made.shipped if made else shipped)
        beside = local_modules(chosen.packages())
        rendered = render_module(header, chosen.imports, chosen.statements, beside.names)
        secrets = secret_findings(rendered.source, lambda line: str(rendered.lines[line]))
        allowed = {str(line) for cell in self.cells for line in cell.lines_with(ALLOWED)}
        clashes = made.clashes(chosen.statements) if made else ()
        unsaid = (each for each in secrets if each.where not in allowed)
        raise_for([*beside.findings, *unsaid, *clashes])
        siblings = sorted(beside.files.values(), key=lambda file: file.path)
        lines = {
            line: place
            for line, place in rendered.lines.items()
            if not isinstance(place, GeneratedLine)
        }
        numbers = sorted({place.cell for place in lines.values()})
        saved = [each.live for each in chosen.saved]
        module = CapturedModule(
            origin=", ".join([*(made.names if made else ()), *(f"In[{each}]" for each in numbers)]),
            files=(SourceFile("sageturner.py", rendered.source.encode()), *siblings),
            cells=tuple(numbers),
            imports=tuple(sorted(beside.packages)),
            lines=lines,
            objects=(*(made.objects if made else ()), *saved),
            definitions=chosen.definitions,
        )
        return module, [*chosen.warnings, *beside.findings]

    def _beside_model(self, name: str, model: LiveModel) -> dict[Role, Cell]:
        """The captured halves of `name` that a generated load() goes with.

        Raises:
            CaptureError: A load() is captured.
        """
        halves = self.captures.halves_or_unnamed(name)
        if "load" not in halves:
            return dict(halves)
        raise CaptureError(
            f"There are two models for `{name}`: `--model {model.name}` and a captured load()",
            where=", ".join(filter(None, (model.where, f"In[{halves['load'].number}]"))),
            why="`--model` generates load()",
            do=f"leave `--model` out to use the cells, or choose another name than `{name}`",
            code="ST32",
        )

    def in_kernel(self, name: str, model: LiveModel | None, shipped: Shipped) -> InKernel | str:
        """The functions of endpoint `name` as the notebook has them, or why it has none.

        Args:
            model, shipped: As for `module_and_notes`.
        """
        from sageturner_magic.capture.history import History
        from sageturner_magic.capture.in_kernel import Model, in_kernel

        if model is None:
            halves = self.captures[self.captures.name_for(name)]
            return in_kernel(History(self._runs(halves)), self._namespace)
        from sageturner_magic.capture.generated import generated_pair

        halves = self._beside_model(name, model)
        made = generated_pair(model, halves, self._namespace, shipped, self.cells)
        runs = self._runs({**halves, **made.cells}, made.cells.values())
        return in_kernel(History(runs), made.namespace, Model(model.name, made.served))

    def _runs(self, own: Mapping[Role, Cell], generated: Iterable[Cell] = ()) -> list[Run]:
        from sageturner_magic.capture.runs import Run, RunOrigin

        ours = {id(cell) for cell in own.values()}
        captured = self.captures.cells()

        def origin(cell: Cell) -> RunOrigin:
            if id(cell) in ours:
                return RunOrigin.OWN
            return RunOrigin.FOREIGN if id(cell) in captured else RunOrigin.OTHER

        recovered = [Run(cell, RunOrigin.RECOVERED) for cell in self._recovered]
        last = [Run(cell, RunOrigin.OWN) for cell in generated]
        return [*recovered, *self._since_loaded(origin), *last]

    def _since_loaded(self, origin: Callable[[Cell], RunOrigin]) -> list[Run]:
        from sageturner_magic.capture.runs import Run, RunOrigin, files_run

        runs: list[Run] = []
        for index, cell in enumerate(self._ran):
            line = self._failed.get(index)
            is_in_doubt = index in self._failed and line is None
            trusted = RunOrigin.FAILED if is_in_doubt else origin(cell)
            runs.append(Run(cell, trusted, line, self._bound[index]))
            runs += [Run(each, RunOrigin.RECOVERED) for each in files_run(cell)]
        return runs


def _header(name: str) -> tuple[str, ...]:
    suffix = f" {name}" if name else ""
    return (
        f"Written by sageturner_magic from the notebook cells %%sageturner_load{suffix} and",
        f"%%sageturner_predict{suffix}. Edit the cells, not this file.",
    )
