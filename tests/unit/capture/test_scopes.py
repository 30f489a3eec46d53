"""Which names a statement binds and reads, and when: Python's own rules."""

import ast
import subprocess
import sys

import pytest

from sageturner_magic.capture.syntax.scope_stack import ScopeNames
from sageturner_magic.capture.syntax.scopes import names_of


def names(source: str) -> ScopeNames:
    (statement,) = ast.parse(source).body
    return names_of(statement)


NOW = [
    ("x = a", {"a"}),
    ("x = x + 1", {"x"}),
    ("x += 1", {"x"}),
    ("x: T = a", {"a"}),
    ("def f(p=a): pass", {"a"}),
    ("@d(a)\ndef f(): pass", {"d", "a"}),
    ("class C(B, metaclass=M): pass", {"B", "M"}),
    ("class C:\n    y = a\n    z = y", {"a"}),
    ("class C:\n    a = a", {"a"}),
    ("x = [i for i in a if b]", {"a", "b"}),
    ("x = [a for i in b for j in i]", {"a", "b"}),
    ("x = {k: v for k, v in a.items()}", {"a"}),
    ("x = (y := a) + y", {"a"}),
    ("with a as b: c = b", {"a"}),
    ("for i in a: x = i", {"a"}),
    ("try:\n    x = a\nexcept E as e:\n    x = e", {"a", "E"}),
    ("del x[a]", {"x", "a"}),
    ("x[a].b = c", {"x", "a", "c"}),
    ("match a:\n    case C(x=1) | {'k': x}: y = x\n    case _ if b: pass", {"a", "C", "b"}),
    ("f'{a!r:{b}}'", {"a", "b"}),
    ("import a.b as c", set()),
]


@pytest.mark.parametrize(("source", "expected"), NOW)
def test_what_is_read_when_the_statement_runs(source, expected):
    assert set(names(source).reads) == expected


LATER = [
    ("def f():\n    return a", {"a"}),
    ("def f(a):\n    return a", set()),
    ("def f():\n    a = 1\n    def g():\n        return a\n    return g", set()),
    ("def f():\n    if 0:\n        a = 1\n    return a", set()),
    ("def f():\n    global a\n    a = 1\n    return a", {"a"}),
    ("def f():\n    def g():\n        global a\n        return a\n    a = 1", {"a"}),
    ("def f():\n    a = 1\n    def g():\n        nonlocal a\n        a = 2\n    return g", set()),
    ("def f():\n    return [a for a in b]", {"b"}),
    ("def f():\n    [(last := i) for i in b]\n    return last", {"b"}),
    ("def f():\n    class C:\n        a = 1\n        def m(self): return a\n    return C", {"a"}),
    ("def f():\n    import a.b\n    return a", set()),
    ("def f():\n    for a, (b, *c) in d: pass\n    return a, b, c", {"d"}),
    ("def f():\n    try: pass\n    except E as a: pass\n    return a", {"E"}),
    ("x = lambda a, *b, c=1, **d: (a, b, c, d, e)", {"e"}),
    ("class C:\n    def m(self): return super().m() + a", {"a", "super"}),
    ("class C:\n    def m(self): return __a", {"_C__a"}),
    ("async def f():\n    async for a in b: await c(a)", {"b", "c"}),
    ("def f():\n    match a:\n        case [b, *c]: return b, c", {"a"}),
    ("def f():\n    x: T = 1\n    return x", set()),
]


@pytest.mark.parametrize(("source", "expected"), LATER)
def test_what_is_read_when_the_function_is_called(source, expected):
    assert set(names(source).later) == expected


def test_annotations_are_kept_apart():
    found = names("def f(x: A, y: 'B', z: list['C | D'], w: Literal['E']) -> F: pass")
    assert set(found.annotated) == {"A", "list", "F", "Literal"}
    assert set(found.soft) == {"B", "C", "D"}


def test_what_is_bound_changed_and_deleted():
    assert set(names("a, (b, *c) = d = 1").binds) == {"a", "b", "c", "d"}
    assert set(names("for i in x: j = i").binds) == {"i", "j"}
    assert set(names("import a.b, c as d").binds) == {"a", "d"}
    assert set(names("x.y[0] = 1").changes) == {"x"}
    assert set(names("del x, y[0]").deletes) == {"x"}
    assert set(names("def f():\n    global g\n    g = 1").writes_later) == {"g"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with Python 3.12")
def test_type_parameters_are_local_to_what_they_parameterise():
    assert set(names("def f[T: B](x: T) -> T: return K").later) == {"B", "K"}
    assert not names("def f[T](x: T): pass").annotated
    assert set(names("type A[T] = dict[T, U]").later) == {"dict", "U"}
    assert set(names("class C[T](Base[T]): pass").reads) == {"Base"}


def test_what_ipython_adds_to_the_builtins_is_none_of_them():
    code = (
        "import builtins; builtins.display = builtins.get_ipython = print;"
        "from sageturner_magic.capture.syntax.scopes import BUILTINS;"
        "print(sorted(BUILTINS & {'display', 'get_ipython', 'len'}))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "['len']"
