# ruff: noqa: E501 - a notebook in a line is easier to compare
"""What decorators registered and what was put on classes is in the module; old objects load."""

from __future__ import annotations

import pytest

from .test_kept_values import Serve, serve, session

__all__ = ["serve", "session"]

REGISTER = "REG = {}\ndef register(name):\n    def add(f):\n        REG[name] = f\n        return f\n    return add\n"
ONE = "@register('a')\ndef f(x): return x + 1\n"
ALL = "[REG[key](5) for key in sorted(REG)]"
NET = "class Net:\n    size = 2\n    def go(self, x): return x\n"
FITTED = "class Mean:\n    def fit(self, xs):\n        self.mean = sum(xs) / len(xs)\n        return self\n    def run(self, x): return x - self.mean\n"
CASES = [
    ("one name for two functions", [REGISTER, ONE, "@register('b')\ndef f(x): return x + 2"], ALL),
    ("no name", [REGISTER, "@register('a')\ndef _(x): return x", "@register('b')\ndef _(x): return -x"], ALL),
    ("a cell that ran again under another name", [REGISTER, ONE, "@register('b')\ndef f(x): return x + 5"], ALL),
    ("what a decorator wraps", ["REG = {}\ndef tenfold(f):\n    REG['a'] = lambda x: f(x) * 10\n    return f", "@tenfold\ndef f(x): return x + 1"], ALL),
    ("objects of the classes", ["REG = {}\ndef made(cls):\n    REG[cls.__name__] = cls()\n    return cls", "@made\nclass A:\n    def run(self, x): return x + 1"], "REG['A'].run(5)"),
    ("with an order", ["REG = []\ndef step(n):\n    def add(f):\n        REG.append((n, f))\n        return f\n    return add", "@step(2)\ndef f(x): return x + 1", "@step(1)\ndef g(x): return x * 2"], "[(n, f(5)) for n, f in REG]"),
    ("in lists", ["from collections import defaultdict\nREG = defaultdict(list)\ndef on(event):\n    def add(f):\n        REG[event].append(f)\n        return f\n    return add", "@on('x')\ndef f(x): return x + 1"], "[f(5) for f in REG['x']]"),
    ("less what was taken out", [REGISTER, ONE, "@register('b')\ndef g(x): return x", "REG.pop('b')"], ALL),
    ("of a class", ["class Reg:\n    items = {}\n    @classmethod\n    def add(cls, f):\n        cls.items['a'] = f\n        return f", "@Reg.add\ndef f(x): return x + 1"], "Reg.items['a'](5)"),
    ("by a call with a lambda", ["REG = {}\ndef put(name, f):\n    REG[name] = f", "put('a', lambda x: x + 1)"], ALL),
    ("a function as a method", [NET, "def double(self, x): return x * self.size\nNet.double = double"], "Net().double(5)"),
    ("another method", [NET, "Net.go = lambda self, x: x + 5"], "Net().go(5)"),
    ("a method around the old one", [NET, "_old = Net.go\ndef go(self, x): return _old(self, x) * 2\nNet.go = go"], "Net().go(5)"),
    ("setattr", [NET, "setattr(Net, 'go', lambda self, x: x + 5)"], "Net().go(5)"),
    ("setattr in a loop", [NET, "for name in ('a', 'b'):\n    setattr(Net, name, lambda self, x: x + 1)"], "Net().b(5)"),
    ("a property", [NET, "Net.twice = property(lambda self: self.size * 2)"], "Net().twice"),
    ("a method that is gone", [NET, "del Net.go"], "hasattr(Net, 'go')"),
    ("a decorator with the class", [NET + "def to(cls):\n    def put(f):\n        setattr(cls, f.__name__, f)\n        return f\n    return put", "@to(Net)\ndef more(self, x): return x + self.size"], "Net().more(5)"),
    ("a decorator that reads the annotation", [NET + "def patch(f):\n    cls = next(iter(f.__annotations__.values()))\n    setattr(cls, f.__name__, f)\n    return f", "@patch\ndef more(self: Net, x): return x + self.size"], "Net().more(5)"),
    ("an object of the class before", [FITTED, "m = Mean().fit([1, 2])", FITTED.replace("x -", "100 + x -")], "(m.run(5), isinstance(m, Mean))"),
    ("an object of the same class before", [FITTED, "m = Mean().fit([1, 2])", FITTED], "(m.run(5), isinstance(m, Mean))"),
    ("an object of a deleted class", [FITTED, "m = [Mean().fit([1, 2])]", "del Mean"], "m[0].run(5)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "expression"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_the_module_has_what_the_notebook_has(serve: Serve, cells: list[str], expression: str):
    here, there = serve(*cells, predict=expression)
    assert there == here
