"""Word each refusal: the name, the cell that made it, why, and what to do."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sageturner_magic.capture.checks import NOTEBOOK_ONLY
from sageturner_magic.capture.history import RunOrigin, RunStatement
from sageturner_magic.capture.slicing.liveness import kind, short
from sageturner_magic.capture.syntax import KeptImport
from sageturner_magic.errors import Finding
from sageturner_magic.values import CellLine


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
        )
    if failed is not None:
        cell = failed.statement.cell.number
        reached = failed.origin is not RunOrigin.UNREACHED
        return Finding(
            f"`{name}` is made by In[{cell}], which failed" + ("" if reached else " before it"),
            where=str(failed.statement.place),
            why="how far it came is not known" if reached else "",
            do=f"fix In[{cell}] and run it again, or make `{name}` in a cell of its own",
        )
    if is_live:
        return Finding(
            f"`{name}` comes from no cell that is known",
            where=str(where),
            why="it exists in the notebook, but no cell that ran since the extension was loaded"
            " makes it",
            do=f"run the cell that makes `{name}` again",
        )
    return Finding(
        f"`{name}` is not defined in any executed cell",
        where=str(where),
        do=f"define `{name}`, or run the cell that does",
    )


def notebook_only(name: str, where: CellLine) -> Finding:
    """`display` and its like."""
    return Finding(
        f"`{name}` is used",
        where=str(where),
        why=NOTEBOOK_ONLY[name],
        do="take it out of the code that is captured"
        " (print() and logging reach the endpoint's logs)",
    )


def star_that_has(name: str, live: Any, stars: Sequence[RunStatement]) -> RunStatement | None:
    """The star import that `name` came from, if one did."""
    for step in reversed(stars):
        assert isinstance(step.node, ast.ImportFrom)
        module = sys.modules.get(step.node.module or "")
        if module is not None and live is not None and getattr(module, name, None) is live:
            return step
    return None


def star(name: str, step: RunStatement) -> Finding:
    """A name that came through `from module import *`."""
    assert isinstance(step.node, ast.ImportFrom)
    return Finding(
        f"`{name}` comes from `{ast.unparse(step.node)}`",
        where=str(step.statement.place),
        why="a star import brings whatever the module holds on the day",
        do=f"write `from {step.node.module} import {name}`",
    )


def two_imports(name: str, one: KeptImport, other: KeptImport) -> Finding:
    """Two imports under one name, both in use."""
    return Finding(
        f"`{name}` is imported twice, as two different things",
        where=f"{one.place} and {other.place}",
        why=f"`{one.imported}` and `{other.imported}` cannot stand in one module",
        do="rename one of them (`import … as …`)",
    )


def relative_import(kept: KeptImport) -> Finding:
    """`from . import x`."""
    return Finding(
        f"`{kept.imported}` is relative",
        where=str(kept.place),
        why="sageturner.py is no part of a package",
        do=f"import it by its full name, without the leading dots of `{kept.imported.module}`",
    )


def shell_line(name: str, step: RunStatement) -> Finding:
    """Code with `!` or `%` in it."""
    lines = step.statement.cell.source.splitlines()
    at = next(n for n in step.statement.cell.shell_lines if n >= step.statement.start)
    return Finding(
        f"`{name}` holds `{lines[at - 1].strip()}`, which is for the notebook's shell",
        where=str(step.statement.cell.line(at)),
        why="the model's server runs plain Python",
        do="write it in Python (subprocess.run), or take it out",
    )


_FORMATS: tuple[tuple[str, str, str], ...] = (
    # Type, by its qualified name or one of its bases'; extension; how load() reads it.
    ("pandas.core.frame.DataFrame", "parquet", 'pandas.read_parquet(f"{model_dir}/%s")'),
    ("pandas.DataFrame", "parquet", 'pandas.read_parquet(f"{model_dir}/%s")'),
    ("numpy.ndarray", "npy", 'numpy.load(f"{model_dir}/%s")'),
    (
        "torch.nn.modules.module.Module",
        "pt",
        'torch.load(f"{model_dir}/%s", map_location="cpu", weights_only=False)',
    ),
    ("torch.Tensor", "pt", 'torch.load(f"{model_dir}/%s", map_location="cpu")'),
    ("builtins.dict", "json", 'json.load(open(f"{model_dir}/%s"))'),
    ("builtins.list", "json", 'json.load(open(f"{model_dir}/%s"))'),
)

_HANDLES = {
    "io": "an open file",
    "_io": "an open file",
    "socket": "a connection",
    "sqlite3": "a database connection",
    "psycopg2": "a database connection",
    "sqlalchemy": "a database connection",
    "boto3": "a client of AWS",
    "botocore": "a client of AWS",
    "requests": "a connection",
    "httpx": "a connection",
}


def not_source(name: str, step: RunStatement, namespace: Mapping[str, Any]) -> Finding:
    """A value that was computed: it lives in the notebook and nowhere in its source."""
    code = " ".join(ast.unparse(step.node).split())
    code = code if len(code) <= 60 else code[:59] + "…"
    where = str(step.statement.place)
    if name not in namespace:
        return Finding(
            f"`{name}` is made by `{code}`, which cannot be repeated in a module",
            where=where,
            do=f"make `{name}` inside load()",
        )
    live = namespace[name]
    package = type(live).__module__.partition(".")[0]
    if package in _HANDLES or hasattr(live, "fileno"):
        return Finding(
            f"`{name}` is {_HANDLES.get(package, 'an open file')}, made by `{code}`",
            where=where,
            why="it lives in this notebook's process only",
            do=f"open it inside load(), and return it with the model or set `global {name}`",
        )
    extension, reader = _format(live)
    file = f"{name}.{extension}"
    return Finding(
        f"`{name}` is {kind(live)} made by `{code}`",
        where=where,
        why="it is a value of this notebook, not source that a module can repeat",
        do=f"make it inside load(), or ship it with `artefact: {{{file}: {name}}}` and write"
        f" `{name} = {reader % file}` in load(model_dir)",
    )


def _format(live: Any) -> tuple[str, str]:
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(live).__mro__}
    for qualified, extension, reader in _FORMATS:
        if qualified in names:
            return extension, reader
    return "joblib", 'joblib.load(f"{model_dir}/%s")'


def changed(
    name: str, step: RunStatement, made: Any, live: Any, changes: Sequence[RunStatement]
) -> Finding:
    """A constant that is no longer what its source makes."""
    by = [str(each.statement.place) for each in changes]
    return Finding(
        f"`{name}` was changed after {step.statement.place}" + (f", in {by[-1]}" if by else ""),
        where=str(step.statement.place),
        why=f"its source gives {short(made)}, in the notebook it is now {short(live)}",
        do=f"run In[{step.statement.cell.number}] again, or write the value that you mean there",
    )


def unrepeatable(name: str, step: RunStatement, error: Exception) -> Finding:
    """A statement that went well in the notebook, with values that the source does not give."""
    return Finding(
        f"`{name}` cannot be made again from its source",
        where=str(step.statement.place),
        why=f"repeated from the source this raises {type(error).__name__}: {error}; in the"
        " notebook it worked with a value that no cell's source gives",
        do="assign that value in a cell, as a plain `name = …`, and run the cells again",
    )


def part_changed(name: str, step: RunStatement, part: str, made: Any, live: Any) -> Finding:
    """A default value or class attribute that is no longer what its source makes."""
    return Finding(
        f"`{name}` is not what {step.statement.place} defines",
        where=str(step.statement.place),
        why=f"its source gives {short(made)} for {part}, in the notebook it is now {short(live)}",
        do=f"run In[{step.statement.cell.number}] again, or write the value that you mean there",
    )


def lost_change(name: str, step: RunStatement, change: RunStatement) -> Finding:
    """A change in place that no module can repeat, of something that cannot be compared."""
    return Finding(
        f"`{name}` was changed in {change.statement.place}, in a way that a module cannot repeat",
        where=str(step.statement.place),
        why=f"`{' '.join(ast.unparse(change.node).split())[:60]}` depends on this notebook",
        do=f"write the value that you mean in In[{step.statement.cell.number}]",
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
    )


def differs(node: ast.expr, where: CellLine, *, is_hash: bool) -> Finding:
    """`hash()` of text, or the order of a set, in a function."""
    code = ast.unparse(node)
    if is_hash:
        argument = ast.unparse(node.args[0]) if isinstance(node, ast.Call) and node.args else "x"
        return Finding(
            f"`{code}` gives another number in each process if its argument contains text",
            where=str(where),
            why="Python hashes text with a random seed",
            do=f"write `zlib.crc32(repr({argument}).encode())`, which is always the same",
            severity="warning",
        )
    return Finding(
        f"`{code}` is read in another order in each process if it contains text",
        where=str(where),
        why="Python hashes text with a random seed, and a set has the order of its hashes",
        do=f"write `sorted({code})`",
        severity="warning",
    )


def doubtful(name: str, step: RunStatement, failed: RunStatement) -> Finding:
    """A value that a failed cell may have changed."""
    return Finding(
        f"`{name}` may have been changed by In[{failed.statement.cell.number}], which failed",
        where=str(step.statement.place),
        why="how far it came is not known",
        do=f"run In[{step.statement.cell.number}] again",
    )


def redefined(name: str, step: RunStatement, live: Any) -> Finding:
    """A function or class that is no longer what its source makes."""
    return Finding(
        f"`{name}` is not what {step.statement.place} defines",
        where=str(step.statement.place),
        why=f"in the notebook it is now {short(live)}, made in another way",
        do=f"run In[{step.statement.cell.number}] again, or define `{name}` with def or class",
    )


def replaced(name: str, step: RunStatement, live: Any) -> Finding:
    """An imported name that something else has taken."""
    return Finding(
        f"`{name}` is not what {step.statement.place} imports",
        where=str(step.statement.place),
        why=f"in the notebook it is now {short(live)}",
        do=f"run In[{step.statement.cell.number}] again, or use another name",
    )


def gone(name: str, step: RunStatement) -> Finding:
    """A name that was bound, and is no longer in the notebook."""
    return Finding(
        f"`{name}` is no longer in the notebook",
        where=str(step.statement.place),
        why="it was deleted after the cell ran",
        do=f"run In[{step.statement.cell.number}] again",
    )


def used_up(name: str, step: RunStatement, live: Any) -> Finding:
    """An iterator."""
    return Finding(
        f"`{name}` is {kind(live)}, which is used up as it is read",
        where=str(step.statement.place),
        why="how much of it is left cannot be seen",
        do=f"make it inside the function that reads it, or make it a list: `{name} = list(…)`",
    )


def not_seen(name: str, step: RunStatement) -> Finding:
    """Something from before the extension was loaded that cannot be verified."""
    return Finding(
        f"`{name}` was made before the extension was loaded",
        where=str(step.statement.place),
        why="the cell may have failed half-way, and its value cannot be compared with its source",
        do=f"run In[{step.statement.cell.number}] again",
    )
