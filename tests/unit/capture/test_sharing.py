# ruff: noqa: E501 - a notebook in a line is easier to compare
"""Values that share a part in the notebook share it where the model runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sageturner_magic.capture.objects import Probe
from sageturner_magic.capture.sharing import clusters, groups
from sageturner_magic.errors import ArtefactError, CaptureError

from .helpers import Session
from .test_kept_values import Serve, serve, session, written

__all__ = ["serve", "session"]

MADE = "import json\ndef made(text): return json.loads(text)\n"
"""Nobody knows what a function of the notebook does: what it returns is kept as it is."""
BAG = "class Bag:\n    def __init__(self, given): self.given = given\n"

SHARING = [
    ("a view", "import numpy as np\na = np.random.rand(4)\nb = a[:2]", "(b.fill(5), a.tolist())"),
    ("a view with steps backwards", "import numpy as np\na = np.random.rand(4, 6)\nb = a.T[::-2, 1]", "(b.fill(5), a.tolist())"),
    ("views of an array that stays behind", "import numpy as np\nX = np.random.rand(9, 4)\na = X[2:6]\nb = a[1]", "(b.fill(5), a.tolist())"),
    ("a view of other numbers", "import numpy as np\na = np.random.rand(4)\nb = a.view('uint8')", "(b.fill(1), a.tolist())"),
    ("a view of objects", MADE + "import numpy as np\na = np.array(made('[[1], null, \"x\"]'), dtype=object)\nb = np.random.permutation(a)[::-1]\na = b[1:]", "(a.fill(5), b.tolist())"),
    ("a view inside an object", "import numpy as np\n" + BAG + "def make():\n    w = np.random.rand(2, 2)\n    return Bag([w, w[:, 0]])\nbag = make()", "(bag.given[1].fill(5), bag.given[0].tolist())"),
    ("an array twice inside an object", "import numpy as np\n" + BAG + "def make():\n    w = np.random.rand(2)\n    return Bag([w, w])\nbag = make()", "(bag.given[1].fill(5), bag.given[0].tolist())"),
    ("a dict and a list in it", "def build(): return {'a': [1]}\nD = build()\nfirst = D.setdefault('a')", "(first.append(3), D)"),
    ("a large dict and a list in it", MADE + "D = made(json.dumps({str(i): [i] for i in range(3000)}))\nfirst = D['7']", "(first.append(3), D['7'])"),
    ("one that source makes", BAG + "CONFIG = {'k': 1}\nbag = list(map(Bag, [CONFIG]))[0]", "(CONFIG.update(k=9), bag.given)"),
    ("one of three", MADE + BAG + "words = made('[1]')\none, two = list(map(Bag, [words, words]))", "(words.append(2), one.given, two.given)"),
    ("in a chain", MADE + BAG + "a, b = made('[[1], [2]]')\none, two = list(map(Bag, [(a, b), b]))\nthree = list(map(Bag, [a]))[0]", "(two.given.append(3), three.given.append(4), one.given)"),
    ("a bound method", MADE + BAG + "bag = Bag(made('[1]'))\nadd = getattr(bag, '__init__')", "(add(5), bag.given)"),
    ("a classifier of a pipeline", "from sklearn.pipeline import make_pipeline\nfrom sklearn.linear_model import LogisticRegression\nfrom sklearn.preprocessing import StandardScaler\npipe = make_pipeline(StandardScaler(), LogisticRegression()).fit([[1.0], [2.0], [3.0]], [0, 0, 1])\nclf = pipe[-1]", "(clf.intercept_.fill(100), int(pipe.predict([[0.0]])[0]))"),
    ("its coefficients", "from sklearn.linear_model import LinearRegression\nline = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])\ncoef = line.coef_", "(coef.fill(7), float(line.predict([[1.0]])[0]) > 6)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "expression"),
    [(cell, expression) for _, cell, expression in SHARING],
    ids=[name for name, _, _ in SHARING],
)
def test_a_change_of_one_changes_the_other(serve: Serve, cell: str, expression: str):
    pytest.importorskip("sklearn")
    here, there = serve(cell, predict=expression)
    assert there == here


APART = [
    ("frames", "import pandas as pd, numpy as np\ndf = pd.DataFrame({'a': np.random.rand(6)})\ntop, end = df[:4].copy(), df[2:].copy()", "(top.iloc.__setitem__((2, 0), 5.0), top['a'].tolist(), end['a'].tolist())"),
    ("frames that are copied when they change", "import pandas as pd, numpy as np\nif int(pd.__version__[0]) < 3: pd.options.mode.copy_on_write = True\ndf = pd.DataFrame({'a': np.random.rand(6)})\nbox = [df, df['a']]\ns = df['a']", "(s.iloc.__setitem__(2, 5.0), df['a'].tolist(), box[1].tolist())"),
    ("columns of an array", "import numpy as np\nX = np.random.rand(4, 2)\na, b = X[:, 0], X[:, 1]", "(a.fill(5), b.tolist())"),
    ("numbers and texts", MADE + "A = made('[1, \"x\"]')\nB = [A[0], A[1], made('2')]", "(A.append(2), B)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "expression"),
    [(cell, expression) for _, cell, expression in APART],
    ids=[name for name, _, _ in APART],
)
def test_what_shares_nothing_stays_apart(serve: Serve, cell: str, expression: str):
    pytest.importorskip("pandas")
    here, there = serve(cell, predict=expression)
    assert there == here


def test_objects_that_share_are_read_from_one_file(session: Session, tmp_path: Path):
    session.run("import numpy as np\na = np.random.rand(4)\nb = a[:2]\nc = np.random.rand(2)")
    session.pair(predict="def predict(model, request):\n    return a, b, c\n")
    module = session.notebook.module("digits")
    assert [each.named for each in module.objects] == ["`c`", "`a` and `b`"]
    files = sorted(path.name for path in written(session, tmp_path).folder.iterdir())
    assert files == ["a_and_b.pickle", "c.npy"]
    read = '_a_and_b = pickle.load(open(f"{_objects}/a_and_b.pickle", "rb"))\n'
    assert read in module.source and '\nb = _a_and_b["b"]\n' in module.source
    assert written(session, tmp_path).digest == written(session, tmp_path).digest


def test_no_more_of_an_array_is_shipped_than_the_code_uses(session: Session, tmp_path: Path):
    session.run("import numpy as np\nX = np.random.rand(1000, 8)\na = X[2:6]\nb = a[1]")
    session.pair(predict="def predict(model, request):\n    return a, b\n")
    assert written(session, tmp_path).size < 2_000


def test_views_of_which_a_file_would_hold_more_are_named(session: Session):
    session.run("import numpy as np\nX = np.random.rand(9, 9)\na = X[:, :2]\nb = X[:, 1:3]")
    session.pair(predict="def predict(model, request):\n    return a, b\n")
    with pytest.raises(CaptureError, match="`a` and `b` share the memory of an array") as raised:
        session.notebook.module("digits")
    remedy = re.search("run `(.*)` in a cell", str(raised.value))
    assert remedy
    session.run(remedy[1])
    module = session.notebook.module("digits")
    assert [each.file for each in module.objects] == ["a.npy", "b.npy"]


def test_a_secret_in_one_of_them_is_named(session: Session):
    session.run(
        MADE + "D = made('{\"a\": [\"AK' + 'IA' + 16 * 'A' + '\"]}')\nL = D.setdefault('a')"
    )
    session.pair(predict="def predict(model, request):\n    return D, L\n")
    with pytest.raises(CaptureError, match=r"`D` holds .*…`"):
        session.notebook.module("digits")


def test_a_file_of_that_name_is_a_collision(session: Session, tmp_path: Path):
    session.run("import numpy as np\na = np.random.rand(4)\nb = a[:2]")
    session.pair(predict="def predict(model, request):\n    return a, b\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a_and_b.pickle").write_bytes(b"mine")
    with pytest.raises(ArtefactError, match=re.escape("uses `a` and `b` of the notebook")):
        written(session, tmp_path, "mine")


def parts(value: object):
    probe = Probe()
    probe.dump(value)
    return probe.parts


def test_only_what_can_change_is_shared():
    rng, text, dtype = np.random.default_rng(0), "a" * 50, np.dtype("int8")
    fixed = [len, text, dtype, (1, 2), np.sin]
    known = {"one": parts([*fixed, rng]), "two": parts(fixed), "three": parts([rng])}
    assert groups(known) == [{"one", "three"}]


class Compiled:
    # As the class of functions that Cython compiled has it, in some of its versions.
    __module__ = property(lambda self: __name__)  # type: ignore[assignment]

    def __get__(self, instance: object, owner: type) -> object:
        return self

    def __reduce__(self) -> str:
        return "COMPILED"


COMPILED = Compiled()


def test_functions_of_compiled_modules_are_fixed():
    assert groups({"one": parts([COMPILED]), "two": parts([COMPILED])}) == []


def test_arrays_that_overlap_are_found_among_many():
    drawn = np.random.default_rng(3)
    for _ in range(50):
        memory = np.zeros(60)
        arrays = [np.zeros(3), np.zeros(0), memory[:0]]
        for _ in range(8):
            first, last = sorted(drawn.integers(0, 61, 2))
            arrays.append(memory[first : last : drawn.integers(1, 5)])
        found = {frozenset(map(id, cluster)) for cluster in clusters(arrays)}
        joined = [{index} for index in range(len(arrays))]
        for one in range(len(arrays)):
            for other in range(one):
                if np.shares_memory(arrays[one], arrays[other]):
                    both = joined[one] | joined[other]
                    for each in both:
                        joined[each] = both
        expected = {frozenset(id(arrays[i]) for i in each) for each in joined if len(each) > 1}
        assert found == expected
