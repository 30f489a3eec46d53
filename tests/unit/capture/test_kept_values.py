# ruff: noqa: E501 - a notebook in a line is easier to compare
"""Values and objects that only the notebook has are there where the model runs."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sageturner_magic.capture.artefact import prepare_artefact
from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.slicing.literals import Literal, NotPlainError
from sageturner_magic.errors import ArtefactError, CaptureError
from sageturner_magic.values import Artefact, Shipped

from .helpers import Session


class Quiet:
    def log(self, line: str) -> None: ...

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None: ...

    def checkpoint(self) -> None: ...


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A notebook whose variables are those of `__main__`, as in a kernel."""
    made = Session()
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    made.namespace = vars(main)
    made.notebook.__init__(made.namespace)  # type: ignore[misc]
    return made


Serve = Callable[..., tuple[str, str]]


@pytest.fixture
def serve(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Run cells; what predict gives in the notebook, and in the module."""

    def run(*cells: str, predict: str) -> tuple[str, str]:
        for cell in cells:
            session.run(cell)
        session.load("def load():\n    return None\n")
        session.predict(f"def predict(model, request):\n    return {predict}\n")
        artefact = written(session, tmp_path)
        monkeypatch.setenv("SM_MODEL_DIR", str(artefact.folder if artefact else tmp_path))
        fresh = types.ModuleType("sageturner")
        monkeypatch.setitem(sys.modules, "sageturner", fresh)
        source = session.notebook.module("digits").source
        exec(compile(source, "sageturner.py", "exec", dont_inherit=True), vars(fresh))
        here = repr(session.namespace["predict"](None, 7))  # type: ignore[operator]
        return here, repr(fresh.predict(fresh.load(), 7))

    return run


def written(session: Session, folder: Path, spec: dict[str, str] | str | None = None):
    files = {variable: file for file, variable in spec.items()} if isinstance(spec, dict) else {}
    module = session.notebook.module("digits", Shipped(files))
    return prepare_artefact(
        spec,
        folder,
        session.namespace,
        Path(tempfile.mkdtemp(dir=folder)),
        Quiet(),
        module.objects,
        module.definitions,
    )


VALUES = [
    ("import numpy as np\nn = np.ones((3, 4)).shape[1]", "n"),
    ("import numpy as np\nT = np.quantile([0.1, 0.4, 0.8], 0.5)", "T"),
    ("import numpy as np\nT = np.random.rand(2).astype('float32')[0]", "T"),
    ("import datetime\nDAY = datetime.date.today()", "DAY"),
    ("def build(): return {'b': (1, {2}), 'a': [None, True, 1.5, b'x', float('nan')]}\nD = build()", "D"),
    ("import os\nV = set(os.fspath('grüße')) | {'z'}", "sorted(V)"),
    ("import os\nNAMES = sorted(os.listdir('/'))[:1]\nFIRST = NAMES[0]", "(NAMES, FIRST)"),
    ("import itertools\nfor EPOCH in itertools.count():\n    if EPOCH > len(repr(object())): break", "EPOCH"),
    ("def pair(): return [1], 'x'\na, b = pair()", "(a, b)"),
    ("def make_adder(k):\n    def add(x): return x + k\n    return add\nadd5 = make_adder(5)", "add5(1)"),
    ("def outer(a):\n    def mid(b):\n        def inner(x): return x + a + b\n        return inner\n    return mid\nf = outer(1)(2)", "f(1)"),
    ("def compose(f, g):\n    return lambda x: f(g(x))\ninc = lambda x: x + 1\nh = compose(inc, compose(inc, inc))", "h(3)"),
    ("def scale(k):\n    def deco(f):\n        def w(x): return k * f(x)\n        return w\n    return deco\ndef base(x): return x + 1\nfast = scale(3)(base)", "fast(2)"),
    ("class M:\n    def go(self, x): return x + 1\ndef deco(f):\n    def w(self, x): return 2 * f(self, x)\n    return w\nM.go = deco(M.go)", "M().go(1)"),
    ("import functools\ndef go(x): return x + 1\ndef deco(f):\n    @functools.wraps(f)\n    def w(x): return 2 * f(x)\n    return w\ngo = deco(go)", "(go(1), go.__name__)"),
    ("def show(x, verbose=False):\n    if verbose:\n        display(x)\n    return x", "show(1)"),
    ("if __name__ == '__main__':\n    N = 5\n    TEXT = '''a\n        b'''\n    def f(x):\n        return x + N, TEXT", "f(1)"),
    ("exec('K = [1]')\nFOUND = K + [2]", "FOUND"),
    ("import json\nBIG = json.loads(json.dumps({str(i): [i] for i in range(3000)}))", "BIG['2999']"),
    ("import json\nBIG = {i: (i,) for i in json.loads(json.dumps(list(range(3000))))}", "BIG[2999]"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "expression"), VALUES, ids=[each for _, each in VALUES])
def test_a_plain_value_is_the_notebooks(serve: Serve, cell: str, expression: str):
    here, there = serve(cell, predict=expression)
    assert there == here


def test_the_training_data_stays_behind_a_number_of_it(session: Session):
    session.run("import numpy as np\nX = np.random.rand(3, 4)\nn = X.shape[1]")
    session.pair(predict="def predict(model, request):\n    return n\n")
    module = session.notebook.module("digits")
    assert "# From the notebook: n = X.shape[1]\nn = 4\n" in module.source
    assert "X =" not in module.source and module.objects == ()


def test_files_that_run_executed_are_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("helper.py").write_text("RATE = 3\ndef scale(x):\n    return x * RATE\n")
    session = Session()
    exec(Path("helper.py").read_text(), session.namespace)
    session.notebook.record(Cell(1, "%run -i helper.py"))
    session.pair(predict="def predict(model, request):\n    return scale(request)\n")
    source = session.notebook.module("digits").source
    assert "RATE = 3\n\n\ndef scale(x):\n    return x * RATE\n" in source


@pytest.mark.parametrize(
    "cells",
    [
        "def make():\n    n = 0\n    def f(x):\n        nonlocal n\n        n += x\n        return n\n    return f\ncount = make()\ncount(1)",
        "def make():\n    seen = []\n    def f(x):\n        seen.append(x)\n        return len(seen)\n    return f\ncount = make()",
        "calls = []\ndef outer(a):\n    def mid(b):\n        calls.append(b)\n        return lambda x: x + a + b\n    return mid\ncount = outer(1)(2)",
    ],
)
def test_a_function_with_a_state_of_its_own_is_not_made_again(session: Session, cells: str):
    session.run(cells)
    session.pair(predict="def predict(model, request):\n    return count(request)\n")
    with pytest.raises(CaptureError, match="`count` is a function made by"):
        session.notebook.module("digits")


def test_a_factory_that_counts_is_not_called_again(session: Session):
    session.run(
        "made = []\ndef make(k):\n    made.append(k)\n    return lambda x: x + k\nf = make(1)"
    )
    session.pair(predict="def predict(model, request):\n    return f(request)\n")
    with pytest.raises(CaptureError, match="`f` is a function made by"):
        session.notebook.module("digits")


def test_values_from_before_the_extension_are_kept(session: Session):
    session.before_the_extension("import numpy as np\nE = np.random.rand(5)\nn = E.shape[0]")
    session.pair(predict="def predict(model, request):\n    return n, E\n")
    module = session.notebook.module("digits")
    assert "\nn = 5\n" in module.source
    assert [each.file for each in module.objects] == ["E.npy"]


OBJECTS = [
    ("an array", "import numpy as np\nE = np.random.rand(5, 3)", "E.tolist()"),
    ("a scaler", "from sklearn.preprocessing import StandardScaler\ns = StandardScaler().fit([[1.0], [4.0]])", "s.transform([[3.0]]).tolist()"),
    ("a data frame", "import pandas as pd\nF = pd.DataFrame({'c': ['A', 'B'], 1: [1, 2]}).set_index('c')", "F.to_dict()"),
    ("a list of arrays", "import numpy as np\nL = [np.random.rand(2) for _ in range(2)]", "[each.tolist() for each in L]"),
    ("a counter", "import collections\nC = collections.Counter()\nfor w in open('/etc/hostname').read(): C[w] += 1", "C"),
    ("an own tokenizer", "from sklearn.feature_extraction.text import CountVectorizer\ndef tok(text): return text.lower().split()\nv = CountVectorizer(tokenizer=tok, token_pattern=None).fit(['a b'])", "v.transform(['B b']).toarray().tolist()"),
    ("a lambda in a pipeline", "import numpy as np\nfrom sklearn.preprocessing import FunctionTransformer\nf = FunctionTransformer(lambda a: np.log1p(a)).fit([[1.0]])", "f.transform([[1.0]]).tolist()"),
    ("an object of a class", "RATE = 3\nclass Net:\n    def __init__(self, k): self.k = k\n    def __call__(self, x): return self.k * x * RATE\nnet = Net(2)", "net(request)"),
    ("a dict whose keys are attributes", "class Keys(dict):\n    __getattr__ = dict.__getitem__\n    __setattr__ = dict.__setitem__\nk = Keys(a=1)\nk.b = 2", "[k.a, k.b]"),
    ("a dataclass with a computed field", "from dataclasses import dataclass\n@dataclass\nclass Config:\n    names: list\ndef build(): return Config(['a'])\nconfig = build()", "config.names"),
    ("an object before the class that it is made of, in order", "class A:\n    def f(self): return helper()\nitems = list(map(lambda k: A(), [1]))\ndef helper(): return 5", "items[0].f()"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "expression"),
    [(cell, expression) for _, cell, expression in OBJECTS],
    ids=[name for name, _, _ in OBJECTS],
)
def test_an_object_is_the_notebooks(serve: Serve, cell: str, expression: str):
    pytest.importorskip("sklearn")
    here, there = serve(cell, predict=expression)
    assert there == here


PIPELINE = """
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
BASE = 10
class Shift(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self
    def transform(self, X): return [[each + BASE for each in row] for row in X]
pipe = make_pipeline(Shift()).fit([[1]])
"""
LOADS = """
def load(model_dir):
    import joblib
    return joblib.load(f"{model_dir}/pipe.joblib")
"""


@pytest.mark.parametrize("spec", [{"pipe.joblib": "pipe"}, "pipe.joblib"], ids=["object", "file"])
def test_what_an_artefact_is_pickled_of_is_in_the_module(
    session: Session, tmp_path: Path, spec: dict[str, str] | str
):
    joblib = pytest.importorskip("joblib")
    pytest.importorskip("sklearn")
    session.run(PIPELINE)
    joblib.dump(session.namespace["pipe"], tmp_path / "pipe.joblib")
    predict = "def predict(model, request):\n    return model.transform([[request]])\n"
    session.pair(load=LOADS, predict=predict)
    shipped = (
        Shipped({"pipe": "pipe.joblib"})
        if isinstance(spec, dict)
        else Shipped(path=tmp_path / spec)
    )
    module = session.notebook.module("digits", shipped)
    artefact = prepare_artefact(
        spec, tmp_path, session.namespace, tmp_path / "new", Quiet(), (), module.definitions
    )
    assert artefact is not None
    module.write(tmp_path / "program")
    ask = (
        "import sys, sageturner as s; sys.modules['__main__'] = s;"
        f"print(s.predict(s.load({str(artefact.folder)!r}), 1))"
    )
    there = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path / "program", capture_output=True, text=True
    )
    assert there.stdout == "[[11]]\n", there.stderr


def test_the_same_object_gives_the_same_bytes(session: Session, tmp_path: Path):
    session.run("import numpy as np\nE = [np.arange(3.0)]\nE.append(np.random.rand(2))")
    session.pair(predict="def predict(model, request):\n    return E\n")
    first: Artefact = written(session, tmp_path)
    assert first.digest == written(session, tmp_path).digest


def test_an_explicit_artefact_is_joined(session: Session, tmp_path: Path):
    session.run("import numpy as np\nE = np.random.rand(5)\nclf = {'a': 1}")
    session.pair(predict="def predict(model, request):\n    return E\n")
    both = written(session, tmp_path, {"clf.json": "clf"})
    assert sorted(path.name for path in both.folder.iterdir()) == ["E.npy", "clf.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "E.npy").write_bytes(b"mine")
    with pytest.raises(ArtefactError, match=r"Two files of the artefact are called E\.npy"):
        written(session, tmp_path, "mine")


def test_a_large_array_is_shipped_where_artefact_names_it(session: Session, tmp_path: Path):
    session.run("import numpy as np\nX = np.random.rand(1_000_000)")
    session.pair(predict="def predict(model, request):\n    return X[0]\n")
    with pytest.raises(CaptureError, match="more than 5 MB") as raised:
        session.notebook.module("digits")
    assert "`artefact: {X.npy: X}`" in str(raised.value)
    assert written(session, tmp_path, {"X.npy": "X"}).files == 1


@pytest.mark.parametrize(
    "cell",
    [
        "x = Client(dict(api_key='a1b2c3d4' + 'e5f6'))",
        "x = Client('ghp_' + 36 * 'a')",
        "x = Client({'deep': [('AK' + 'IA' + 16 * 'A').encode()]})",
        "x = pd.DataFrame({'key': ['AK' + 'IA' + 16 * 'A'], 'n': [1]})",
        "x = np.random.permutation(np.array([['AK' + 'IA' + 16 * 'A', 'b']]))",
        "x = Client(None)\nx.password = 'hunter2' + 'hunter2'",
    ],
)
def test_an_object_with_a_secret_ships_only_if_artefact_names_it(
    session: Session, tmp_path: Path, cell: str
):
    session.run("import numpy as np, pandas as pd")
    session.run("class Client:\n    def __init__(self, given): self.given = given")
    session.run(cell)
    session.pair(predict="def predict(model, request):\n    return x\n")
    with pytest.raises(CaptureError, match=r"`x` holds .*…`") as raised:
        session.notebook.module("digits")
    file = re.search(r"`artefact: \{(.*): x\}`", str(raised.value))[1]  # type: ignore[index]
    assert written(session, tmp_path, {file: "x"}).files == 1


def test_a_secret_that_an_object_does_not_hold_is_in_no_comment(session: Session):
    session.run("class Client:\n    n = 3\n    def __init__(self, **given): pass")
    session.run("def make(**given): return Client(**given)")
    session.run("x = make(password='hunter2' 'hunter2')")
    session.pair(predict="def predict(model, request):\n    return x.n\n")
    assert "hunter2" not in session.notebook.module("digits").source


@pytest.mark.parametrize(
    "cell",
    [
        "x = Client({'token': 'input_ids', 'secret_key': '<your key>'})",
        "x = pd.DataFrame({'id': ['q8Zr3mXv7LpT2nKd5WsY9bHc4JfG6aQe1'], 'password': ['none']})",
        "x = np.random.permutation(np.array(['password', 'password123'], dtype=object))",
    ],
)
def test_text_that_is_no_secret_ships(session: Session, tmp_path: Path, cell: str):
    session.run("import numpy as np, pandas as pd")
    session.run("class Client:\n    def __init__(self, given): self.given = given")
    session.run(cell)
    session.pair(predict="def predict(model, request):\n    return x\n")
    assert written(session, tmp_path).files == 1


def test_what_lives_in_the_process_is_refused(session: Session):
    session.run("import threading\nlocks = {1: threading.Lock()}\nlocks[2] = [threading.Lock()][0]")
    session.run("import sys\nstream = sys.stdin.__class__")
    session.run("def ids(): yield 1\nnumbers = ids()")
    session.pair(predict="def predict(model, request):\n    return numbers\n")
    with pytest.raises(CaptureError, match="`numbers` is a generator"):
        session.notebook.module("digits")


def test_a_value_that_decorators_fill_is_not_filled_twice(session: Session):
    session.run("NAMES = []\ndef named(f):\n    NAMES.append(f.__name__)\n    return f\n")
    session.run("@named\ndef lower(t):\n    return t.lower()\n")
    session.pair(predict="def predict(model, request):\n    return NAMES, lower('A')\n")
    with pytest.raises(CaptureError, match=r"`NAMES`"):
        session.notebook.module("digits")


PLAIN = [
    *(None, True, -3, 0.1, -0.0, float("inf"), 2 - 1j, "grüße \udc80", b"\0", ...),
    *((), (1,), [], [[1], (2, [3])], {}, {"a": {1: "x"}}, set(), {3, 1, 2}, frozenset({"b"})),
    *(datetime.timedelta(1, 2), datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)),
    *(np.float32(0.1), np.int8(3), np.bool_(True), np.str_("a"), [np.float64(1) / 3] * 40),
    {"long": ["word" * 3] * 60, "deep": [{"a": list(range(60))}]},
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_a_literal_gives_the_value_again(value: object):
    literal = Literal(value, {})
    again = eval(literal.text, {name: __import__(name) for name in literal.modules})
    assert repr(again) == repr(value) and type(again) is type(value)
    assert all(len(line) < 100 for line in literal.text.splitlines())


def test_what_is_no_literal():
    shared: list[int] = [1]
    circle: list[object] = []
    circle.append(circle)
    for value in (object(), [shared, shared], circle, range(3), "x" * 5000, np.arange(3)):
        with pytest.raises((NotPlainError, RecursionError)):
            Literal(value, {})
    with pytest.raises(NotPlainError):
        Literal(datetime.date(2026, 1, 1), {"datetime": datetime.datetime})
