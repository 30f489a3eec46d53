"""Check the source of load() and predict() before anything runs.

The same checks serve a captured cell and the sageturner.py of a folder; they differ in how a
line of the source is called (`In[3], line 2` or `sageturner.py:2`).
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.syntax import FUNCTIONS, Function, names_of
from sageturner_magic.constants import ENDPOINT_NAME, nearest_endpoint_name
from sageturner_magic.errors import CaptureError, Finding

Role = Literal["load", "predict"]
Place = Callable[[int], str]

SIGNATURES: Mapping[str, str] = {
    "load": "load() or load(model_dir)",
    "predict": "predict(model, request) or predict(model, request, context)",
    "predict_batch": "predict_batch(model, requests)",
    "example_request": "example_request()",
}
"""The functions of a module that serves, and how the model server calls them."""

_POSITIONAL: Mapping[str, tuple[int, int]] = {
    "load": (0, 1),
    "predict": (2, 3),
    "predict_batch": (2, 2),
    "example_request": (0, 0),
}

NOTEBOOK_ONLY: Mapping[str, str] = {
    "get_ipython": "there is no IPython where the model runs",
    "display": "there is no notebook to show it in where the model runs",
    "input": "nobody is there to answer where the model runs",
}
"""Names that only a notebook has: why they are of no use in a server."""


def check_name(name: str) -> None:
    """Raises CaptureError when `name` cannot be the name of an endpoint."""
    if re.fullmatch(ENDPOINT_NAME, name):
        return
    proposal = nearest_endpoint_name(name)
    raise CaptureError(
        f"`{name}` cannot be the name of an endpoint",
        why="a name has 1 to 40 of a-z, 0-9 and -, and begins and ends with a letter or digit",
        do=f"call it `{proposal}`" if proposal else "call it for example `digits`",
        code="ST20",
    )


def check_cell(role: Role, cell: Cell, imported_before: Mapping[str, Cell]) -> list[Finding]:
    """Everything that is wrong with a cell that is to be captured as `role`.

    Args:
        imported_before: Name -> the cell whose import is its latest binding in the notebook.
    """
    if not cell.source.strip():
        return [
            Finding(
                f"The cell below %%sageturner_{role} is empty",
                where=f"In[{cell.number}]",
                do=f"define {SIGNATURES[role]} in it",
                code="ST35",
            )
        ]
    place: Place = lambda line: str(cell.line(line))  # noqa: E731 - a name for the type checker
    if cell.magic:
        return [
            Finding(
                f"The captured cell begins with another cell magic, %%{cell.magic}",
                where=place(1),
                why="what is captured must be plain Python",
                do=f"take %%{cell.magic} out of the cell",
                code="ST35",
            )
        ]
    findings = [
        Finding(
            f"`{cell.source.splitlines()[line - 1].strip()}` is for the notebook's shell",
            where=place(line),
            why="the model's server runs plain Python, which has no `!`, `%` and `?` lines",
            do="move the line to another cell"
            " (packages belong in `python_packages`, system packages in `system_packages`)",
            code="ST35",
        )
        for line in cell.shell_lines
    ]
    broken = syntax_finding(cell.python, place)
    if broken is not None:
        return [*findings, broken]
    findings += check_functions(cell.tree, place, required=(role,), forbidden=_other(role))
    findings += _top_level_awaits(cell.tree, place)
    findings += _notebook_only(cell.tree, place)
    findings += _shadowed_imports(cell.tree, place, imported_before)
    return findings


def _other(role: Role) -> tuple[str, ...]:
    return ("predict",) if role == "load" else ("load",)


def syntax_finding(source: str, place: Place) -> Finding | None:
    """The syntax error in `source`, with its line and a caret, or None."""
    try:
        compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        details = ""
        line = error.lineno or 1
        if error.text:
            text = error.text.rstrip("\n")
            details = text
            if error.offset:
                until = error.end_offset if error.end_lineno == error.lineno else None
                width = max(1, (until or 0) - error.offset)
                details += "\n" + " " * (error.offset - 1) + "^" * width
        return Finding(
            f"Python cannot read the code: {error.msg}",
            where=place(line),
            do="fix the line",
            details=details,
            code="ST33",
        )
    except ValueError as error:
        return Finding(
            f"Python cannot read the code: {error}", where=place(1), do="fix the cell", code="ST33"
        )
    return None


def check_functions(
    tree: ast.Module, place: Place, *, required: tuple[str, ...], forbidden: tuple[str, ...] = ()
) -> list[Finding]:
    """Findings about the functions of the contract: missing, doubled, misplaced, mis-signed."""
    defined: dict[str, list[Function]] = {}
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and _is_top_level(node, tree):
            defined.setdefault(node.name, []).append(node)
    findings = [_missing(name, tree, defined, place) for name in required if name not in defined]
    for name in SIGNATURES:
        functions = defined.get(name, [])
        if not functions:
            continue
        if name in forbidden:
            findings.append(
                Finding(
                    f"This cell defines {name} too",
                    where=place(functions[0].lineno),
                    why=f"{name} is captured by a cell of its own",
                    do=f"move {name} to a cell that begins with %%sageturner_{name}",
                    code="ST34",
                )
            )
            continue
        if len(functions) > 1 and not _alternatives(tree, name):
            lines = " and ".join(place(function.lineno) for function in functions)
            findings.append(
                Finding(
                    f"{name} is defined {_times(len(functions))}",
                    where=lines,
                    why="the last definition would silently win",
                    do=f"keep one {name}",
                    code="ST34",
                )
            )
        findings += [found for each in functions if (found := _signature(each, place))]
    return findings


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _is_top_level(node: ast.AST, tree: ast.Module) -> bool:
    """Whether `node` stands in the module's body, or in an `if` or `try` of it."""
    return any(each is node for each in _top_level(tree.body))


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from _top_level(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from _top_level(handler.body)


def _alternatives(tree: ast.Module, name: str) -> bool:
    """Whether the definitions of `name` are branches of one `if` or `try`."""
    return not any(isinstance(each, FUNCTIONS) and each.name == name for each in tree.body)


def _missing(
    name: str, tree: ast.Module, defined: Mapping[str, list[Function]], place: Place
) -> Finding:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(
            isinstance(each, FUNCTIONS) and each.name == name for each in node.body
        ):
            return Finding(
                f"{name} is a method of class {node.name}, not a function",
                where=place(node.lineno),
                do=f"define {SIGNATURES[name]} at the top level; it may call the class",
                code="ST34",
            )
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return Finding(
                f"{name} is assigned, not defined",
                where=place(node.lineno),
                why="its signature cannot be seen",
                do=f"write `def {SIGNATURES[name].partition(' or ')[0]}: …`",
                code="ST34",
            )
    others = [each for each in defined if each not in SIGNATURES]
    near = difflib.get_close_matches(
        name, [*others, *(each.lower() for each in others)], n=1, cutoff=0.6
    )
    near += [each for each in others if sorted(each) == sorted(name) and each not in near]
    if near:
        found = next(each for each in others if each.lower() == near[0].lower())
        return Finding(
            f"No function {name} is defined, but `{found}` is",
            where=place(defined[found][0].lineno),
            do=f"rename it: did you mean `def {SIGNATURES[name].partition(' or ')[0]}`?",
            code="ST31",
        )
    return Finding(
        f"No function {name} is defined",
        where=place(1),
        do=f"define {SIGNATURES[name]}",
        code="ST31",
    )


def _signature(function: Function, place: Place) -> Finding | None:
    name = function.name
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    accepted = len(positional) if arguments.vararg is None else 99
    least, most = _POSITIONAL[name]
    shown = f"`{name}({ast.unparse(arguments)})`"
    asks = [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    if required > most or accepted < least or asks:
        if asks:
            why = f"nobody passes `{asks[0]}`, which has no default"
        elif required > most:
            why = f"nobody passes `{positional[most].arg}`, which has no default"
        else:
            why = f"it is called with {least} arguments and takes {accepted}"
        return Finding(
            f"{shown} cannot be called by the model server",
            where=place(function.lineno),
            why=why,
            do=f"write {SIGNATURES[name]}",
            code="ST34",
        )
    if name in ("load", "example_request"):
        kind = "async" if isinstance(function, ast.AsyncFunctionDef) else ""
        kind = kind or ("a generator" if _yields(function) else "")
        if kind:
            return Finding(
                f"{name} is {kind}",
                where=place(function.lineno),
                why=f"it is called once, and what it returns is the {_RETURNS[name]}",
                do=f"make {name} a plain function",
                code="ST34",
            )
    return None


_RETURNS = {"load": "model", "example_request": "request"}


def _yields(function: Function) -> bool:
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in _own_nodes(function.body))


def _own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(node))


def _top_level_awaits(tree: ast.Module, place: Place) -> list[Finding]:
    waiting = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return [
        Finding(
            "`await` stands outside a function",
            where=place(node.lineno),
            why="only a notebook allows that, a module does not",
            do="move it into an async predict, or use asyncio.run() inside load()",
            code="ST35",
        )
        for node in _own_nodes(tree.body)
        if isinstance(node, waiting)
    ]


def _notebook_only(tree: ast.Module, place: Place) -> list[Finding]:
    bound: set[str] = set()
    used: dict[str, int] = {}
    for statement in tree.body:
        names = names_of(statement)
        bound |= names.binds.keys()
        for name, line in names.needed().items():
            if name in NOTEBOOK_ONLY:
                used.setdefault(name, line)
    return [
        Finding(
            f"`{name}` is used",
            where=place(line),
            why=NOTEBOOK_ONLY[name],
            do="take it out of the captured cell (print() and logging reach the endpoint's logs)",
            code="ST36",
        )
        for name, line in sorted(used.items(), key=lambda item: item[1])
        if name not in bound
    ]


def _shadowed_imports(
    tree: ast.Module, place: Place, imported_before: Mapping[str, Cell]
) -> list[Finding]:
    """Definitions that hide an import which the code of the same cell means to use."""
    imports: dict[str, str] = {
        name: f"the import in In[{cell.number}]" for name, cell in imported_before.items()
    }
    reads: dict[str, int] = {}
    defined: dict[str, tuple[int, str]] = {}
    for statement in tree.body:
        names = names_of(statement)
        for name, line in names.needed().items():
            reads.setdefault(name, line)
        for name, line in names.binds.items():
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                imports[name] = f"the import in {place(line)}"
            elif name in imports and isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                defined[name] = (line, imports[name])
    return [
        Finding(
            f"`{name}` hides {imported}, which the code uses",
            where=place(line),
            why=f"inside a module, `{name}` in {place(reads[name])} would mean the definition",
            do="rename one of them, or import under another name (`import … as …`)",
            code="ST37",
        )
        for name, (line, imported) in defined.items()
        if name in reads
    ]


def raise_for(findings: list[Finding]) -> None:
    """Raises CaptureError with all of `findings` that are errors."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise CaptureError.of(errors)
