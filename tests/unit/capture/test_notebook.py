"""What is captured under which name, and the module that becomes of it."""

import subprocess
import sys
from textwrap import dedent

import pytest

from sageturner_magic.capture.cells import Cell
from sageturner_magic.capture.notebook import Notebook
from sageturner_magic.errors import CaptureError

from .helpers import Session


def test_the_module_holds_the_cells_and_the_imports_that_they_use_from_other_cells():
    session = Session()
    session.run("import json, math\nfrom pathlib import Path as P\nimport numpy as np")
    session.load("""\
        # Reads the model.
        def load(model_dir):
            return json.loads(P(model_dir, "m.json").read_text())
        """)
    session.predict("""\
        import re

        SPACES = re.compile(r" +")  # one or more
        def predict(model, request):
            return len(SPACES.split(request["text"]))
        """)
    module = session.notebook.module("digits")
    assert module.source == dedent("""\
        # Written by sageturner_magic from the notebook cells %%sageturner_load and
        # %%sageturner_predict. Edit the cells, not this file.

        import json
        import re
        from pathlib import Path as P

        SPACES = re.compile(r" +")  # one or more


        # Reads the model.
        def load(model_dir):
            return json.loads(P(model_dir, "m.json").read_text())


        def predict(model, request):
            return len(SPACES.split(request["text"]))
        """)
    assert module.imports == ("json", "pathlib", "re")
    assert module.cells == (1, 2, 3)
    assert module.origin == "In[1], In[2], In[3]"


def test_each_line_knows_the_line_of_the_cell_that_a_person_sees():
    session = Session()
    session.run("x = 1\nimport json")
    session.load("def load():\n    return json.loads('1')")
    session.predict()
    module = session.notebook.module("digits")
    lines = module.source.splitlines()
    where = {lines[number - 1]: str(place) for number, place in module.lines.items()}
    assert where["import json"] == "In[1], line 2"
    assert where["def load():"] == "In[2], line 2"
    assert where["    return json.loads('1')"] == "In[2], line 3"


def test_running_the_same_cells_again_gives_the_same_bytes():
    session = Session()
    for _ in range(2):
        session.run("import json")
        session.pair(load="def load():\n    return json")
        if "first" not in locals():
            first = session.notebook.module("digits")
    again = session.notebook.module("digits")
    assert again.digest() == first.digest()
    assert again.cells == (4, 5, 6)


def test_future_imports_come_first_and_the_standard_library_before_the_rest():
    session = Session()
    session.run("import numpy as np\nimport os.path")
    session.load("from __future__ import annotations\ndef load():\n    return np, os.path")
    session.predict("import re\n" + "def predict(model, request):\n    return re.I")
    code = session.notebook.module("digits").source.split("\n\n")
    assert code[1:4] == [
        "from __future__ import annotations",
        "import os.path\nimport re",
        "import numpy as np",
    ]


def test_capturing_again_under_the_same_name_replaces():
    session = Session()
    session.pair("digits")
    session.load("def load():\n    return 'new'", "digits")
    assert "'new'" in session.notebook.module("digits").source
    assert session.notebook.module("digits").cells == (2, 3)


def test_cells_captured_under_the_name_win_over_the_unnamed_pair():
    session = Session()
    session.pair(load="def load():\n    return 'unnamed'")
    session.pair("digits", load="def load():\n    return 'named'")
    assert "'named'" in session.notebook.module("digits").source
    assert "'unnamed'" in session.notebook.module("other").source


def test_a_half_that_is_missing_is_named_with_the_candidates():
    session = Session()
    session.load(name="digits")
    session.predict()
    with pytest.raises(CaptureError) as raised:
        session.notebook.module("digits")
    assert "No predict is captured for `digits` (In[1])" in str(raised.value)
    assert "the unnamed cells (predict in In[2])" in str(raised.value)
    assert "`%%sageturner_predict digits`" in str(raised.value)


def test_a_name_that_is_nearly_captured_is_proposed():
    session = Session()
    session.pair("digits")
    with pytest.raises(CaptureError, match="did you mean `digits`"):
        session.notebook.module("digit")


def test_nothing_captured_says_how_to_capture():
    with pytest.raises(
        CaptureError, match="begin the cells with `%%sageturner_load digits`"
    ) as raised:
        Notebook({}).module("digits")
    assert "name a model of this notebook (`--model VARIABLE`)" in str(raised.value)


def test_an_unnamed_pair_serves_one_endpoint():
    session = Session()
    session.pair()
    session.notebook.captures.deployed("", "cats")
    assert session.notebook.module("cats")
    with pytest.raises(CaptureError, match="of the unnamed cells serve `cats`"):
        session.notebook.module("dogs")
    session.predict("def predict(model, request):\n    return 'dog'")
    with pytest.raises(CaptureError, match="load of the unnamed cells serve `cats`"):
        session.notebook.module("dogs")


def test_the_first_of_two_unnamed_models_is_not_deployed_again_with_the_second_ones_code():
    session = Session()
    session.load(cell_id="a")
    session.predict(cell_id="b")
    session.notebook.captures.deployed("", "cats")
    session.load(cell_id="c")
    session.predict(cell_id="d")
    assert session.notebook.module("dogs")
    with pytest.raises(CaptureError, match="`cats` was deployed from other cells"):
        session.notebook.module("cats")


def test_an_edited_unnamed_cell_updates_its_endpoint():
    session = Session()
    session.load(cell_id="a")
    session.predict(cell_id="b")
    session.notebook.captures.deployed("", "cats")
    session.predict("def predict(model, request):\n    return 'new'", cell_id="b")
    assert "'new'" in session.notebook.module("cats").source


def test_names_tell_what_is_captured():
    session = Session()
    session.pair("digits")
    session.load()
    assert [(each.name, dict(each.cells)) for each in session.notebook.captures.names()] == [
        ("digits", {"load": 1, "predict": 2}),
        ("", {"load": 3}),
    ]


def test_cells_with_lines_for_the_shell_still_give_their_imports():
    session = Session()
    source = "%matplotlib inline\nimport json\nfiles = !ls \\\n  -l\n!pip install x"
    session.notebook.record(Cell(1, source))
    session.notebook.record(Cell(2, "%%bash\nimport math"))
    session.notebook.record(Cell(3, "%%time\nimport re"))
    session.notebook.record(Cell(4, "this is not python"))
    session.load("def load():\n    return json, re")
    session.predict()
    assert session.notebook.module("digits").imports == ("json", "re")


def test_cells_from_before_the_extension_are_used_where_the_notebook_bears_them_out():
    session = Session()
    session.before_the_extension(
        "import json\nLIMIT = 3\ndef helper(x):\n    return json.dumps(x + LIMIT)\n1 / 0",
    )
    session.pair(load="def load():\n    return helper(1)")
    module = session.notebook.module("digits")
    assert "LIMIT = 3\n\n\ndef helper(x):" in module.source
    assert module.cells == (1, 2, 3)


@pytest.mark.parametrize(
    ("history", "value"),
    [(["LIMIT = 3", "globals()['LIMIT'] = 4"], 4), (["LIMIT = 1\n1 / 0\nLIMIT = 3"], 1)],
)
def test_values_from_before_the_extension_are_those_of_the_notebook(history, value):
    session = Session()
    session.before_the_extension(*history)
    session.pair(load="def load():\n    return LIMIT")
    assert f"\nLIMIT = {value}\n" in session.notebook.module("digits").source


def test_what_is_gone_since_before_the_extension_is_refused():
    session = Session()
    session.before_the_extension("LIMIT = 3", "globals().pop('LIMIT')")
    session.pair(load="def load():\n    return LIMIT")
    with pytest.raises(CaptureError, match="`LIMIT` is no longer in the notebook"):
        session.notebook.module("digits")


def test_what_cannot_be_compared_from_before_the_extension_is_refused():
    session = Session()
    session.before_the_extension("import threading\nLIMIT = threading.Lock()")
    session.pair(load="def load():\n    return LIMIT")
    with pytest.raises(CaptureError, match=r"`LIMIT` was .*run In\[1\] again"):
        session.notebook.module("digits")


def test_what_a_cell_may_have_changed_that_failed_nobody_knows_where_is_compared_or_refused():
    session = Session()
    session.run("import threading\nLIMIT = 3\nLOCK = threading.Lock()")
    session.pair(load="def load():\n    return LIMIT, LOCK")
    session.fail_somewhere("1 / 0\nLIMIT = 4\nLOCK = None")
    with pytest.raises(CaptureError, match=r"`LOCK` may have been changed by In\[4\]") as raised:
        session.notebook.module("digits")
    assert len(raised.value.findings) == 1


def test_a_cell_that_failed_nobody_knows_where_gives_nothing_to_the_module():
    session = Session()
    session.fail_somewhere("import json\ndef helper():\n    return 1\n1 / 0")
    session.pair(load="def load():\n    return helper(), json")
    with pytest.raises(CaptureError, match=r"`helper` is made by In\[1\], which failed"):
        session.notebook.module("digits")


def test_what_a_cell_did_not_come_to_leaves_all_as_it_was():
    session = Session()
    session.run("import threading\nLIMIT = 3\nLOCK = threading.Lock()")
    session.fail("1 / 0\nLIMIT = 4\nLOCK = None\ndel LIMIT\nLIMIT.clear()")
    session.pair(load="def load():\n    return LIMIT, LOCK")
    source = session.notebook.module("digits").source
    assert "LIMIT = 3\nLOCK = threading.Lock()\n" in source
    assert "LIMIT = 4" not in source


def test_the_statement_in_which_a_cell_failed_is_in_doubt():
    session = Session()
    session.run("import threading\nLOCK = threading.Lock()")
    session.fail("A = 1\nLOCK = LOCK / 0\nB = 2")
    session.pair(load="def load():\n    return LOCK")
    with pytest.raises(CaptureError, match=r"`LOCK` (may have been|was) changed"):
        session.notebook.module("digits")


@pytest.mark.parametrize(
    ("failing", "value"),
    [
        ("for LOCK in [1]: 1 / 0", 1),
        ("LOCK = 1; 1 / 0", 1),
        ("with LOCK as LOCK:\n    1 / 0", True),
    ],
)
def test_a_plain_value_of_a_failed_statement_is_that_of_the_notebook(failing, value):
    session = Session()
    session.run("import threading\nLOCK = threading.Lock()")
    session.fail(f"A = 1\n{failing}\nB = 2")
    session.pair(load="def load():\n    return LOCK")
    assert f"\nLOCK = {value}\n" in session.notebook.module("digits").source


def test_what_a_captured_cell_did_before_it_failed_counts():
    session = Session()
    session.run("LIMIT = 3")
    session.pair(load="def load():\n    return LIMIT")
    session.fail("LIMIT = 4\nload(1)\nLIMIT = 5")
    assert "\nLIMIT = 4\n" in session.notebook.module("digits").source


def test_two_named_models_keep_the_helpers_that_each_was_captured_with():
    session = Session()
    helper = "def prepare(x):\n    return 'for {}'"
    predict = "def predict(model, request):\n    return prepare(request)"
    for name in ("cats", "dogs"):
        session.run(helper.format(name))
        session.pair(name, predict=predict)
    assert "for cats" in session.notebook.module("cats").source
    assert "for dogs" in session.notebook.module("dogs").source


def test_loading_the_room_loads_nothing_heavy():
    code = (
        "import sys; from sageturner_magic.capture import Cell, Notebook; Notebook({});"
        "heavy = {'numpy', 'joblib', 'docker', 'IPython', 'yaml', 'pydantic', 'subprocess'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    answer = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert answer.strip() == "[]"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with Python 3.12")
def test_generic_functions_and_type_aliases_are_captured():
    session = Session()
    session.run("type Row[T] = list[T]\ndef first[T](row: Row[T]) -> T:\n    return row[0]")
    session.run("class Box[T]:\n    def get(self, x: T) -> T:\n        return x")
    session.pair(load="def load():\n    return Box().get(first([1]))")
    source = session.notebook.module("digits").source
    assert "type Row[T] = list[T]" in source
    assert "def first[T]" in source and "class Box[T]" in source


def test_endpoints_that_run_other_code_than_is_captured_now_are_known():
    session = Session()
    session.load(name="cats")
    session.predict(name="cats")
    session.notebook.captures.deployed("cats", "cats")
    session.predict(name="cats")
    assert session.notebook.captures.outdated("predict", "cats") == {}
    session.predict("def predict(model, request):\n    return 'new'", name="cats")
    assert session.notebook.captures.outdated("predict", "cats") == {"cats": 2}
    assert session.notebook.captures.outdated("load", "cats") == {}
    session.notebook.captures.ended("cats")
    assert session.notebook.captures.outdated("predict", "cats") == {}


def test_unnamed_cells_of_another_model_make_no_endpoint_outdated():
    session = Session()
    session.load(cell_id="a")
    session.predict(cell_id="b")
    session.notebook.captures.deployed("", "cats")
    session.predict("def predict(model, request):\n    return 'dog'", cell_id="c")
    assert session.notebook.captures.outdated("predict", "") == {}
    session.predict("def predict(model, request):\n    return 'cat'", cell_id="b")
    assert session.notebook.captures.outdated("predict", "") == {"cats": 2}


def test_a_statement_that_acts_on_what_is_used_and_cannot_be_repeated_is_named():
    session = Session()
    session.run("import colorsys\nwith open('/dev/null') as file:\n    found = len(file.read())")
    session.run("colorsys.ONE_THIRD = found")
    session.run("import json\njson.scanner = found")
    session.pair(load="def load():\n    return colorsys.ONE_THIRD\n")
    module, (note,) = session.notebook.module_and_notes("digits")
    assert "found" not in module.source
    assert note.what == "`colorsys.ONE_THIRD = found` is not part of the deployed code"
    assert note.where == "In[2], line 1" and note.severity == "warning"
