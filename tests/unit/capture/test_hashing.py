"""Code whose result depends on the seed of Python's hashes is found; other uses of sets are not.

The first test asks Python itself: what is found differs between two seeds, or may.
"""

import ast
import os
import subprocess
import sys

import pytest

from sageturner_magic.capture.elsewhere import has_stable_order
from sageturner_magic.capture.syntax import in_functions, ordered_uses

from .helpers import LOAD, Session

WORDS = "WORDS = {'a', 'bb', 'ccc', 'dddd', 'eeeee', 'ffffff'}\n"

DIFFER = [
    "list(WORDS)",
    "tuple(w for w in WORDS)",
    "{w: i for i, w in enumerate(WORDS)}",
    "'-'.join(WORDS)",
    "[*WORDS]",
    "[w for w in WORDS if w != 'a']",
    "list(WORDS | {'x'})",
    "list(set('hello world') - {'h'})",
    "f'{WORDS}'",
    "dict.fromkeys(WORDS)",
    "list(zip(WORDS, range(9)))",
    "set(WORDS).pop()",
    "sorted(WORDS, key=lambda word: 0)",
    "max((word for word in WORDS), key=lambda word: 0)",
    "list(dict.fromkeys('abcd').keys() & dict.fromkeys('dcba').keys())",
]
ALIKE = [
    "sorted(WORDS)",
    "len(WORDS)",
    "'a' in WORDS",
    "max(len(w) for w in WORDS)",
    "min(WORDS)",
    "sorted(w.upper() for w in WORDS)",
    "{w.upper() for w in WORDS} == {'A'}",
    "[w for w in ['a', 'z'] if w in WORDS]",
    "WORDS.isdisjoint(['z'])",
    "list({1, 2, -3})",
    "list(set(range(5)))",
]


def uses(expression: str) -> list[ast.expr]:
    return list(
        ordered_uses(ast.parse(expression).body[0], lambda node: ast.unparse(node) == "WORDS")
    )


def values(expression: str) -> set[str]:
    found = set()
    for seed in range(1, 6):
        code = f"{WORDS}print(repr({expression}))"
        found.add(
            subprocess.run(
                [sys.executable, "-S", "-c", code],
                env={**os.environ, "PYTHONHASHSEED": str(seed)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    return found


@pytest.mark.parametrize("expression", DIFFER)
def test_what_differs_between_processes_is_found(expression):
    assert len(values(expression)) > 1
    assert uses(expression)


@pytest.mark.parametrize("expression", ALIKE)
def test_what_is_the_same_in_each_process_is_not(expression):
    assert len(values(expression)) == 1
    assert not uses(expression)


def test_numbers_have_a_stable_order_and_text_has_not():
    assert has_stable_order({1, 2.5, (3, 4)})
    assert not has_stable_order({"a"}) and not has_stable_order({(1, "a")})
    assert not has_stable_order([1])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return list(set(x))", ["set(x)"]),
        ("s = set(x)\n    return [w for w in s]", ["s"]),
        ("return hash(x) % 10", ["hash(x)"]),
        ("s = set(x)\n    for w in s:\n        out.append(w)", ["s"]),
        ("s = set(x)\n    for w in s:\n        total += 1", []),
        ("return helper(WORDS)", []),
        ("return sorted(set(x))", []),
        ("return max(set(x), key=x.count)", ["set(x)"]),
        ("return x.__hash__()", ["x.__hash__()"]),
    ],
)
def test_a_function_that_answers_otherwise_in_each_process_is_found(body, expected):
    node = ast.parse(f"def f(x):\n    {body}").body[0]
    found = [
        ast.unparse(each)
        for each, _ in in_functions(node, lambda node: ast.unparse(node) == "WORDS")
    ]
    assert found == expected


def test_a_hash_of_a_class_of_ones_own_is_fine():
    node = ast.parse("class P:\n    def __hash__(self):\n        return hash(self.x)").body[0]
    assert not list(in_functions(node, lambda node: False))


def test_the_module_warns_of_a_hash_with_the_line_to_write():
    session = Session()
    session.run("def bucket(s):\n    return hash(s) % 10")
    session.pair(load=LOAD, predict="def predict(model, request):\n    return bucket(request)\n")
    _, (warning,) = session.notebook.module_and_notes("digits")
    assert warning.severity == "warning" and warning.where == "In[1], line 2"
    assert "`zlib.crc32(repr(s).encode())`" in warning.do
