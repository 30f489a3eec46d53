"""Word each refusal: the name, the cell that made it, why, and what to do."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from sageturner_magic.capture.checks import NOTEBOOK_ONLY
from sageturner_magic.capture.runs import RunOrigin, RunStatement
from sageturner_magic.capture.secrets import ALLOWED, keep_out
from sageturner_magic.capture.slicing.kept import HANDLES, Saved, comes_from
from sageturner_magic.capture.slicing.liveness import kind, short
from sageturner_magic.capture.syntax import KeptImport
from sageturner_magic.errors import Finding
from sageturner_magic.values import CellLine, attribute_of, package_of


def _again(step: RunStatement) -> str:
    """What to do where the cell of `step` gives the value that is meant."""
    cell = step.statement.cell.number
    return f"fix In[{cell}] and run it again" if step.cell_failed else f"run In[{cell}] again"


def missing(
    name: str,
    where: CellLine,
    is_live: bool,
    deleter: RunStatement | None,
    failed: RunStatement | None,
) -> Finding:
    """A name that no cell gives; `failed` would have, had its cell ended well."""
    if deleter is not None:
        return Finding(
            f"`{name}` was deleted in {deleter.statement.place}",
            where=str(where),
            do=f"run the cell that makes `{name}` again, or take it out of the code",
            code="ST36",
        )
    if failed is not None:
        cell = failed.statement.cell.number
        reached = failed.origin is not RunOrigin.UNREACHED
        return Finding(
            f"`{name}` is made by In[{cell}], which failed" + ("" if reached else " before it"),
            where=str(failed.statement.place),
            why="the notebook does not show which of its statements ran" if reached else "",
            do=f"fix In[{cell}] and run it again, or make `{name}` in a cell of its own",
            code="ST40",
        )
    if is_live:
        return Finding(
            f"`{name}` comes from no cell that is known",
            where=str(where),
            why="it exists in the notebook, but no cell that ran since the extension was loaded"
            " makes it",
            do=f"run the cell that has `{name} = …` again, or write that line in a cell and run it",
            code="ST36",
        )
    return Finding(
        f"`{name}` is not defined in any executed cell",
        where=str(where),
        do=f"define `{name}`, or run the cell that does",
        code="ST36",
    )


def notebook_only(name: str, where: CellLine) -> Finding:
    """`display` and its like."""
    return Finding(
        f"`{name}` is used",
        where=str(where),
        why=NOTEBOOK_ONLY[name],
        do="take it out of the code that is captured"
        " (print() and logging reach the endpoint's logs)",
        code="ST36",
    )


def two_imports(name: str, one: KeptImport, other: KeptImport) -> Finding:
    """Two imports under one name, both in use."""
    return Finding(
        f"`{name}` is imported twice, as two different things",
        where=f"{one.place} and {other.place}",
        why=f"`{one.imported}` and `{other.imported}` cannot both have this name in one module",
        do="rename one of them (`import … as …`)",
        code="ST37",
    )


def relative_import(kept: KeptImport) -> Finding:
    """`from . import x`."""
    return Finding(
        f"`{kept.imported}` is relative",
        where=str(kept.place),
        why="sageturner.py is no part of a package",
        do=f"import it by its full name, without the leading dots of `{kept.imported.module}`",
        code="ST41",
    )


def shell_line(name: str, step: RunStatement) -> Finding:
    """Code with `!` or `%` in it."""
    lines = step.statement.cell.source.splitlines()
    at = next(n for n in step.statement.cell.shell_lines if n >= step.statement.start)
    return Finding(
        f"`{name}` holds `{lines[at - 1].strip()}`, which only a notebook can run",
        where=str(step.statement.cell.line(at)),
        why="the model's server runs plain Python",
        do="write it in Python (subprocess.run), or take it out",
        code="ST35",
    )


def not_source(name: str, step: RunStatement, namespace: Mapping[str, Any]) -> Finding:
    """A value that was computed: it lives in the notebook and nowhere in its source."""
    code = comes_from(step)
    where = str(step.statement.place)
    if name not in namespace:
        return Finding(
            f"`{name}` is made by `{code}`, which cannot be repeated in a module",
            where=where,
            do=f"make `{name}` inside load()",
            code="ST38",
        )
    live = namespace[name]
    package = package_of(type(live))
    if package in HANDLES or attribute_of(live, "fileno") is not None:
        return Finding(
            f"`{name}` is {HANDLES.get(package, 'an open file')}, made by `{code}`",
            where=where,
            why="it exists only in this notebook's process",
            do=f"open it inside load(), and return it with the model or set `global {name}`",
            code="ST38",
        )
    return Finding(
        f"`{name}` is {kind(live)} made by `{code}`",
        where=where,
        why="it exists only in this notebook's process, and no file can hold it",
        do=f"make `{name}` inside load(), and return it with the model or set `global {name}`",
        code="ST38",
    )


def changed(
    name: str, step: RunStatement, made: Any, live: Any, changes: Sequence[RunStatement]
) -> Finding:
    """A constant that is no longer what its source makes."""
    by = [str(each.statement.place) for each in changes]
    return Finding(
        f"`{name}` was changed after {step.statement.place}" + (f", in {by[-1]}" if by else ""),
        where=str(step.statement.place),
        why=f"its source gives {short(made)}, in the notebook it is now {short(live)}",
        do=f"{_again(step)}, or write the value that you mean there",
        code="ST39",
    )


def unrepeatable(name: str, step: RunStatement, error: Exception) -> Finding:
    """A statement that went well in the notebook, with values that the source does not give."""
    return Finding(
        f"`{name}` cannot be made again from its source",
        where=str(step.statement.place),
        why=f"repeated from the source this raises {type(error).__name__}: {error}; in the"
        " notebook it worked with a value that no cell's source gives",
        do="assign that value in a cell, as a plain `name = …`, and run the cells again",
        code="ST38",
    )


def part_changed(name: str, step: RunStatement, part: str, made: Any, live: Any) -> Finding:
    """A default value or class attribute that is no longer what its source makes."""
    return Finding(
        f"`{name}` is not what {step.statement.place} defines",
        where=str(step.statement.place),
        why=f"its source gives {short(made)} for {part}, in the notebook it is now {short(live)}",
        do=f"{_again(step)}, or write the value that you mean there",
        code="ST39",
    )


def lost_change(name: str, step: RunStatement, change: RunStatement) -> Finding:
    """A change in place that no module can repeat, of something that cannot be compared."""
    return Finding(
        f"`{name}` was changed in {change.statement.place}, in a way that a module cannot repeat",
        where=str(step.statement.place),
        why=f"`{' '.join(ast.unparse(change.node).split())[:60]}` depends on this notebook",
        do=f"write the value that you mean in In[{step.statement.cell.number}]",
        code="ST39",
    )


def left_out(root: str, step: RunStatement) -> Finding:
    """A statement that acts on what the module uses, and that no module can repeat."""
    code = " ".join(ast.unparse(step.node).split())
    return Finding(
        f"`{code if len(code) <= 60 else code[:59] + '…'}` is not part of the deployed code",
        where=str(step.statement.place),
        why=f"it changes `{root}`, which the code uses, and depends on this notebook",
        do="call it in load(), with values written out, if predictions depend on it",
        severity="warning",
        code="ST28",
    )


def differs(node: ast.expr, where: CellLine, *, is_hash: bool) -> Finding:
    """`hash()` of text, or the order of a set, in a function."""
    code = ast.unparse(node)
    what = f"`{code}` is read in another order in each process if it contains text"
    why = "Python hashes text with a random seed"
    do = f"write `sorted({code})`"
    if is_hash:
        called = node.func if isinstance(node, ast.Call) else node
        given = [*getattr(node, "args", ()), getattr(called, "value", called)]
        what = f"`{code}` gives another number in each process if its argument contains text"
        do = f"write `zlib.crc32(repr({ast.unparse(given[0])}).encode())`, which is always the same"
    else:
        why += ", and a set has the order of its hashes"
    return Finding(what, why, do, str(where), severity="warning", code="ST29")


def elsewhere(name: str, step: RunStatement) -> Finding:
    """A value or definition that other processes make otherwise from the same source."""
    cell = step.statement.cell.number
    return Finding(
        f"`{name}` is something else in each process",
        where=str(step.statement.place),
        why="it has the order of a set, which changes with Python's hash seed, or depends on a"
        " setting that the notebook made out of the code's sight",
        do=f"write `sorted(…)` around the set in In[{cell}], or the value itself, and run it again",
        code="ST39",
    )


def doubtful(name: str, step: RunStatement, failed: RunStatement) -> Finding:
    """A value that a failed cell may have changed, or what no source shows."""
    cell = failed.statement.cell.number
    if failed.origin is RunOrigin.UNSEEN:
        what = f"`{name}` was changed by In[{cell}], in a way that cannot be followed"
        do = f"write `{name} = …` there, and run that cell and the later ones again"
        return Finding(what, where=str(failed.statement.place), do=do, code="ST39")
    return Finding(
        f"`{name}` may have been changed by In[{cell}], which failed",
        where=str(step.statement.place),
        why="the notebook does not show which of its statements ran",
        do=_again(step),
        code="ST40",
    )


def redefined(name: str, step: RunStatement, live: Any) -> Finding:
    """A function or class that is no longer what its source makes."""
    return Finding(
        f"`{name}` is not what {step.statement.place} defines",
        where=str(step.statement.place),
        why=f"in the notebook it is now {short(live)}, made in another way",
        do=f"{_again(step)}, or define `{name}` with def or class",
        code="ST39",
    )


def replaced(name: str, step: RunStatement, live: Any) -> Finding:
    """An imported name that something else has taken."""
    return Finding(
        f"`{name}` is not what {step.statement.place} imports",
        where=str(step.statement.place),
        why=f"in the notebook it is now {short(live)}",
        do=f"{_again(step)}, or use another name",
        code="ST39",
    )


def gone(name: str, step: RunStatement) -> Finding:
    """A name that was bound, and is no longer in the notebook."""
    return Finding(
        f"`{name}` is no longer in the notebook",
        where=str(step.statement.place),
        why="it was deleted after the cell ran",
        do=_again(step),
        code="ST36",
    )


def used_up(name: str, step: RunStatement, live: Any) -> Finding:
    """An iterator."""
    return Finding(
        f"`{name}` is {kind(live)}, which is used up as it is read",
        where=str(step.statement.place),
        why="the notebook does not show how much of it is left",
        do=f"make it inside the function that reads it, or make it a list: `{name} = list(…)`",
        code="ST38",
    )


def not_seen(name: str, step: RunStatement) -> Finding:
    """Something from before the extension was loaded that cannot be verified."""
    return Finding(
        f"`{name}` was made before the extension was loaded",
        where=str(step.statement.place),
        why="the cell may have failed half-way, and its value cannot be compared with its source",
        do=_again(step),
        code="ST36",
    )


def large(name: str, step: RunStatement, live: Any, file: str) -> Finding:
    """A large frame or array, which is not shipped unasked."""
    return Finding(
        f"`{name}` is {kind(live)} of more than 5 MB, made by `{comes_from(step)}`",
        where=str(step.statement.place),
        why="it may be training data, which is not shipped unasked",
        do=f"ship it with `artefact: {{{file}: {name}}}`, or use a smaller value",
        code="ST38",
    )


def holds_secret(saved: Saved, place: CellLine) -> Finding:
    """An object that would carry a secret into the model files."""
    name = saved.live.variable
    return Finding(
        f"`{name}` holds {saved.secret}",
        where=str(place),
        why="whoever can read the model files can read it",
        do=f"take it out of `{name}`, then {keep_out()}, or write"
        f" `artefact: {{{saved.live.file}: {name}}}` if it is no secret",
        code="ST42",
    )


def secret_literal(name: str, secret: str, place: CellLine) -> Finding:
    """A plain value that would be written into the module."""
    return Finding(
        f"`{name}` holds {secret}",
        where=str(place),
        why="the module would hold its value, and whoever can read the image can read it",
        do=f"{keep_out(name)} (`global {name}` makes it known to predict), or write"
        f" `# {ALLOWED}` at the end of {place} and run the cell again if it is no secret",
        code="ST42",
    )


def filled(name: str, step: RunStatement, other: RunStatement) -> Finding:
    """A value that the module's own statements change when it is imported."""
    return Finding(
        f"`{name}` is filled by the code in {other.statement.place}",
        where=str(step.statement.place),
        why="the deployed code would fill it again, with another result",
        do=f"{_again(step)}, and then the cells that fill `{name}`",
        code="ST39",
    )


def counted(name: str, step: RunStatement, other: RunStatement, live: Any) -> Finding:
    """A number or text that the module's own statements change when it is imported."""
    return Finding(
        f"`{name}` is changed by the code in {other.statement.place}",
        where=str(step.statement.place),
        why="that code runs once more when the model's server starts",
        do=f"set it in load(): `global {name}; {name} = {live!r}`",
        code="ST39",
    )


def circular(name: str, step: RunStatement, other: RunStatement) -> Finding:
    """An object that holds a function, which needs the object to be defined."""
    function = next(iter(other.statement.names.binds))
    return Finding(
        f"`{name}` and `{function}` need each other",
        where=str(step.statement.place),
        why=f"`{name}` holds `{function}`, and the decorator of `{function}` needs `{name}`",
        do=f"remove the decorator from `{function}`, run its cell and the one that makes `{name}`,"
        f" and add `{function}` to `{name}` in load()",
        code="ST39",
    )


def notebook_module(place: CellLine) -> Finding:
    """`import __main__`."""
    return Finding(
        "`__main__` is imported",
        where=str(place),
        why="it is this notebook, which the deployed code does not have",
        do="remove the import, and write `NAME` instead of `__main__.NAME`",
        code="ST41",
    )


def parted(names: Sequence[str], step: RunStatement) -> Finding:
    """Arrays on one memory, which no file can hold as such."""
    name = names[-1]
    has = " and ".join(f"`{each}`" for each in names)
    return Finding(
        f"{has} {'share' if len(names) > 1 else 'shares'} the memory of an array"
        + ("" if len(names) > 1 else " among its parts"),
        where=str(step.statement.place),
        why="a file would hold copies, and a change of one would no longer change the other",
        do=f"copy it: run `import copy; {name} = copy.deepcopy({name})` in a cell",
        code="ST39",
    )
