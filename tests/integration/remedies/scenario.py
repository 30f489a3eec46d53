"""For each error code: how a person meets the error, and what they paste to end it.

A step is a line of a shell (`sageturner …`, `tar …`, `chmod …`, `export NAME=VALUE`), a file
(`FILE <- text`), or else a notebook cell. Each scenario has its own folder with `sageturner.yaml`
and `code/sageturner.py` of a model that doubles, and a local endpoint `digits` of the same model.
"""

from __future__ import annotations

from typing import NamedTuple

YAML = "name: doubler\ncontainer: {generate_container: {code_dir: ./code}}\n"
CODE = """\
import os
import time


def load(model_dir):
    return 2


def predict(model, request):
    if request.get("stop"):
        os._exit(1)
    time.sleep(request.get("sleep", 0))
    return {"doubled": request["x"] * model}


def example_request():
    return {"x": 21}
"""
CONFIGURED = f"sageturner.yaml <- {YAML}"
LOAD = "%%sageturner_load\ndef load():\n    return 2"
PREDICT = "%%sageturner_predict\ndef predict(model, request):\n    return request['x'] * model"
VARIABLE = """\
from sklearn.linear_model import LogisticRegression
classifier = LogisticRegression().fit([[0], [1]], [0, 1])"""
TRY = "%sageturner try doubled {'x': 21}"


class Scenario(NamedTuple):
    """How an error comes about and ends.

    Attributes:
        fails: The step that shows the error; `before` are those that lead to it.
        pasted: What the remedy has to paste; empty where it describes an edit.
        works: The step that ends well, after those of `fix`.
    """

    fails: str
    pasted: str
    works: str
    fix: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def config(fails: str, pasted: str, works: str, do: str = "sageturner plan -e local") -> Scenario:
    """An error in sageturner.yaml, which an edit ends."""
    return Scenario(
        do, pasted, do, (f"sageturner.yaml <- {works}",), (f"sageturner.yaml <- {fails}",)
    )


def code(fails: str, pasted: str, works: str, do: str = "sageturner try '{\"x\": 1}'") -> Scenario:
    """An error in sageturner.py, which an edit ends."""
    before, after = f"code/sageturner.py <- {fails}", f"code/sageturner.py <- {works}"
    return Scenario(do, pasted, do, (after,), (before,))


def cells(*before: str, pasted: str, fix: tuple[str, ...], fails: str = TRY) -> Scenario:
    """An error in captured cells, which running other cells ends."""
    return Scenario(fails, pasted, fails, fix, before)


def artefact(fails: str, pasted: str, works: str) -> Scenario:
    """A notebook's variable under `artefact` that cannot be shipped like this."""
    cell = "%%sageturner plan -e local\nname: doubled\nartefact: "
    return Scenario(cell + fails, pasted, cell + works, before=(LOAD, PREDICT, VARIABLE))


def plain(generated: str = "", others: str = "") -> str:
    """Write sageturner.yaml of code without packages.

    Args:
        generated: More keys of `container.generate_container`, in braces' form.
        others: More lines.
    """
    keys = [each for each in ("code_dir: ./code", generated) if each]
    if "python_packages" not in generated:
        keys.append("python_packages: []")
    return (
        "sageturner.yaml <- name: doubler\n"
        f"container: {{generate_container: {{{', '.join(keys)}}}}}\n{others}\n"
    )
