"""Lines of sageturner.py are told as lines of the notebook's cells."""

import json

import pytest

from sageturner_magic.endpoints.server_log import with_cells

LINES = {2: (4, 3), 12: (5, 1)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('  File "/opt/program/sageturner.py", line 2, in predict', "  In[4], line 3, in predict"),
        ('File "sageturner.py", line 12', "In[5], line 1"),
        ("/a-b/program/sageturner.py:2: slow", "In[4], line 3: slow"),
        ("sageturner.py:2", "In[4], line 3"),
        ('File "/opt/program/sageturner.py", line 9', 'File "/opt/program/sageturner.py", line 9'),
        ('File "/lib/other.py", line 2, in f', 'File "/lib/other.py", line 2, in f'),
        ("mysageturner.py:2", "mysageturner.py:2"),
    ],
)
def test_a_line_is_told_by_its_cell(text, told):
    assert with_cells(text, LINES) == told


def test_also_in_a_log_of_json():
    frame = '  File "/opt/program/sageturner.py", line 2, in predict'
    line = json.dumps({"message": "predict raised", "traceback": [frame]})
    assert json.loads(with_cells(line, LINES))["traceback"] == ["  In[4], line 3, in predict"]


def test_without_cells_everything_stays():
    assert with_cells("sageturner.py:2", {}) == "sageturner.py:2"
