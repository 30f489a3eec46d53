"""Pickle objects of the notebook so that the module finds their classes and functions again.

A pickle holds the names of classes and functions, not their code. Those of the notebook are
written as attributes of the module `sageturner`, which defines them where the model runs.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import FunctionType, MethodType
from typing import Any

from sageturner_magic.capture.secrets import secret_in
from sageturner_magic.capture.sharing import Call, Parts
from sageturner_magic.values import attribute_of

MODULE = "sageturner"
"""What the module that is made of the cells is imported as."""

OBJECTS = "objects"
"""The folder beside the module for objects, if the model files are not on this machine."""


_TEXT_KINDS = ("U", "O")
"""`dtype.kind` of arrays that may hold text: NumPy's own, and those of Arrow and of objects."""


_MODULE = Call(importlib.import_module, (MODULE,))


def is_of_notebook(value: object) -> bool:
    """Whether `value` is a class or function that a pickle would look up in the notebook."""
    named = isinstance(value, (type, FunctionType)) and hasattr(value, "__qualname__")
    return named and getattr(value, "__module__", None) == "__main__"


def reduced(value: Any, names: Mapping[int, str]) -> Any:
    """How a pickler reduces `value`: the notebook's own as attributes of the module.

    Args:
        names: Id of a class or function of the notebook -> its name in the module.
    """
    if is_of_notebook(value) and id(value) in names:
        return getattr, (_MODULE, names[id(value)])
    return _bound(value)


def _bound(value: Any) -> Any:
    """How a method is reduced that was put on its object: by its function."""
    if not isinstance(value, MethodType) or not is_of_notebook(value.__func__):
        return NotImplemented
    own = getattr(type(value.__self__), value.__func__.__name__, None)
    is_put = own is not value.__func__
    return (MethodType, (value.__func__, value.__self__)) if is_put else NotImplemented


def _may_hold_text(array: Any) -> bool:
    return attribute_of(attribute_of(array, "dtype"), "kind") in _TEXT_KINDS


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


class Probe(pickle.Pickler):
    """Pickles into nothing, to see which classes and functions would be looked up by name.

    Attributes:
        found: Classes and functions of the notebook, each once.
        modules: The modules of all others.
        parts: What of the object can be changed in place.
    """

    def __init__(self) -> None:
        # Arrays stay where they are: only what surrounds them is walked.
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: None)
        self.found: list[Any] = []
        self.modules: set[str] = set()
        self.parts = Parts()
        self._texts: list[str] = []
        self._named_secret = ""

    @property
    def secret(self) -> str:
        """The first text in it that looks like a secret, in words; empty if there is none."""
        # Searched at once: a vocabulary has hundreds of thousands of texts.
        return self._named_secret or secret_in("", "\n".join(self._texts))

    def persistent_id(self, value: Any) -> None:
        """Note each text of the object. A pickler calls this for whatever it writes."""
        if isinstance(value, str):
            self._texts.append(value)
            return
        self.parts.add(value)
        if isinstance(value, bytes):
            self._texts.append(value.decode("latin-1"))
        elif type(value) is dict:
            # Attributes too: an object is written as a dict of them.
            pairs = (
                (key, text)
                for key, text in value.items()
                if isinstance(text, str) and isinstance(key, str)
            )
            self._named_secret = self._named_secret or next(
                filter(None, (secret_in(*pair) for pair in pairs)), ""
            )
        elif isinstance(value, Iterable) and _may_hold_text(value):
            # Arrow and NumPy keep text as bytes of one block.
            each: Any
            for each in getattr(value, "flat", value):
                if isinstance(each, str):
                    self._texts.append(each)

    def reducer_override(self, value: Any) -> Any:
        """Note what has a name, and let lambdas pass, which have none."""
        if is_of_notebook(value):
            if not any(each is value for each in self.found):
                self.found.append(value)
            return getattr, (_MODULE, "x")
        named = value if isinstance(value, (type, FunctionType)) else type(value)
        self.modules.add(getattr(named, "__module__", None) or "")
        return _bound(value)


def secret_of(variable: str, value: object) -> str:
    """What in `value` looks like a secret, in words; empty if nothing does.

    Of what no pickle can hold only the part before that is seen.
    """
    if isinstance(value, str):
        return secret_in(variable, value)
    probe = Probe()
    with suppress(Exception):
        probe.dump(value)
    return probe.secret
