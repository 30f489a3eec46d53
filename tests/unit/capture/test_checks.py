"""At the cell: everything that would fail later is said before the cell runs."""

import pytest

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.checks import check_name
from sageturner_magic.capture.notebook import Notebook
from sageturner_magic.errors import CaptureError

GOOD = [
    ("load", "def load(): return 1"),
    ("load", "def load(model_dir): return 1"),
    ("load", "def load(model_dir, device='cpu'): return 1"),
    ("load", "def load(*args): return 1"),
    ("load", "import json\ndef load(): return json.loads('1')"),
    (
        "load",
        "try:\n    def load(): return a\nexcept ImportError:\n    def load(): ...",
    ),
    ("predict", "def predict(model, request): return 1"),
    ("predict", "def predict(model, request, context): return 1"),
    ("predict", "def predict(model, request, context=None): return 1"),
    ("predict", "async def predict(model, request): return await model(request)"),
    ("predict", "def predict(model, request):\n    yield 1"),
    (
        "predict",
        "def predict(m, r): 1\ndef predict_batch(m, rs): 1\ndef example_request(): 1",
    ),
    ("predict", "from a import display\ndef predict(m, r): return display(r)"),
    ("predict", "class A:\n    def input(self): ...\ndef predict(m, r): return m.input()"),
    ("predict", "def predict(m, r):\n    input = r['x']\n    return input"),
    ("predict", "def predict(m, r):\n    x = (r\n% 3)\n    return x"),
]


@pytest.mark.parametrize(("role", "source"), GOOD)
def test_a_sound_cell_passes(role, source):
    Notebook({}).check(role, Cell(3, source, first_line=2))


BAD = [
    ("load", "", "The cell below %%sageturner_load is empty (In[3])"),
    ("load", "\n  \n", "is empty (In[3])"),
    ("load", "# nothing\n", "No function load is defined (In[3], line 2)"),
    ("load", "def load(:\n    pass", "Python cannot read the code: invalid syntax (In[3], line 2)"),
    ("load", "x = 1\nreturn 3", "'return' outside function (In[3], line 3)"),
    ("load", "def load():\nreturn 1", "expected an indented block"),
    ("load", "def laod():\n    pass", "`laod` is (In[3], line 2)"),
    ("load", "def laod():\n    pass", "did you mean `def load()`?"),
    ("load", "def Load():\n    pass", "`Load` is (In[3], line 2)"),
    ("predict", "def pred(m, r):\n    pass", "did you mean `def predict(model, request)`?"),
    ("predict", "def predcit(m, r):\n    pass", "`predcit` is (In[3], line 2)"),
    ("load", "load = open", "load is assigned, not defined (In[3], line 2)"),
    ("load", "class A:\n    def load(self): ...", "load is a method of class A"),
    (
        "load",
        "def load(): return 1\n\ndef load(model_dir): return 2",
        "load is defined twice (In[3], line 2 and In[3], line 4)",
    ),
    ("load", "def load(a, b): ...", "nobody passes `b`, which has no default"),
    ("load", "def load(*, device): ...", "nobody passes `device`"),
    ("load", "async def load(): ...", "load is async"),
    ("load", "def load():\n    yield 1", "load is a generator"),
    ("load", "def load(): ...\ndef predict(m, r): ...", "This cell defines predict too"),
    ("predict", "def load(): ...\ndef predict(m, r): ...", "move load to a cell that begins with"),
    ("predict", "def predict(request): ...", "it is called with 2 arguments and takes 1"),
    ("predict", "def predict(): ...", "it is called with 2 arguments and takes 0"),
    ("predict", "def predict(a, b, c, d): ...", "nobody passes `d`"),
    ("predict", "def predict(m, r): ...\ndef predict_batch(m): ...", "predict_batch(m)` cannot"),
    ("predict", "def predict(m, r): ...\ndef example_request(n): ...", "nobody passes `n`"),
    (
        "load",
        "!pip install joblib\ndef load(): ...",
        "`!pip install joblib` is for the notebook's shell (In[3], line 2)",
    ),
    ("load", "def load():\n    %time x = 1\n    return x", "(In[3], line 3)"),
    ("load", "files = !ls\ndef load(): ...", "`files = !ls` is for the notebook's shell"),
    ("load", "def load(): ...\nload?", "`load?` is for the notebook's shell (In[3], line 3)"),
    ("load", "%%time\ndef load(): ...", "begins with another cell magic, %%time"),
    ("load", "x = await y()\ndef load(): ...", "`await` stands outside a function"),
    ("load", "def load():\n    return get_ipython()", "`get_ipython` is used (In[3], line 3)"),
    ("predict", "def predict(m, r):\n    display(r)", "`display` is used (In[3], line 3)"),
    ("predict", "def predict(m, r):\n    return input()", "`input` is used (In[3], line 3)"),
    (
        "predict",
        "import json\ndef json(x): return x\ndef predict(m, r): return json.dumps(r)",
        "`json` hides the import in In[3], line 2, which the code uses (In[3], line 3)",
    ),
    ("load", "x = '\0'\ndef load(): ...", "null bytes"),
]


@pytest.mark.parametrize(("role", "source", "expected"), BAD)
def test_a_cell_that_cannot_work_is_refused_with_its_line(role, source, expected):
    with pytest.raises(CaptureError) as raised:
        Notebook({}).check(role, Cell(3, source, first_line=2))
    assert expected in str(raised.value)
    assert all(finding.where for finding in raised.value.findings)
    assert all(finding.do for finding in raised.value.findings)


def test_all_findings_of_a_cell_come_at_once():
    source = "!ls\ndef load(a, b): return input()\nawait x"
    with pytest.raises(CaptureError) as raised:
        Notebook({}).check("load", Cell(3, source, first_line=2))
    assert len(raised.value.findings) == 4


def test_a_syntax_error_points_at_the_place_with_a_caret():
    with pytest.raises(CaptureError) as raised:
        Notebook({}).check("load", Cell(7, "def load():\n    return 1 +* 2\n", first_line=2))
    lines = raised.value.findings[0].details.split("\n")
    assert raised.value.findings[0].where == "In[7], line 3"
    assert lines[0].strip() == "return 1 +* 2"
    assert lines[0][lines[1].index("^")] == "*"


def test_a_definition_that_hides_an_import_of_another_cell_is_refused():
    notebook = Notebook({})
    notebook.record(Cell(1, "from lib import predict"))
    source = "def predict(model, request):\n    return predict(request, 1)"
    with pytest.raises(CaptureError, match=r"`predict` hides the import in In\[1\]"):
        notebook.check("predict", Cell(2, source))


@pytest.mark.parametrize("name", ["a", "digits", "digits-2", "0", "a" * 40])
def test_names_of_endpoints_are_taken(name):
    check_name(name)


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("Digits", "digits"),
        ("my model", "my-model"),
        ("-a-", "a"),
        ("a" * 41, "a" * 40),
        ("a_b", "a-b"),
        ("é", "e"),
        ("日", "digits"),
    ],
)
def test_other_names_are_refused_with_a_proposal(name, proposal):
    with pytest.raises(CaptureError, match=f"`{proposal}`"):
        check_name(name)
