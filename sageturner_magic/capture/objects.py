"""Pickle objects of the notebook so that the module finds their classes and functions again.

A pickle holds the names of classes and functions, not their code. Those of the notebook are
written as attributes of the module `sageturner`, which defines them where the model runs.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Mapping
from types import FunctionType
from typing import Any

MODULE = "sageturner"
"""What the module that is made of the cells is imported as."""

OBJECTS = "objects"
"""The folder beside the module for objects, if the model files are not on this machine."""


class _Module:
    """Becomes the module `sageturner` when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (MODULE,)


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
        return getattr, (_Module(), names[id(value)])
    return NotImplemented


class Probe(pickle.Pickler):
    """Pickles into nothing, to see which classes and functions would be looked up by name.

    Attributes:
        found: Classes and functions of the notebook, each once.
        modules: The modules of all others.
    """

    def __init__(self) -> None:
        # Arrays stay where they are: only what surrounds them is walked.
        super().__init__(io.BytesIO(), protocol=5, buffer_callback=lambda _: None)
        self.found: list[Any] = []
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        """Note what has a name, and let lambdas pass, which have none."""
        if is_of_notebook(value):
            if not any(each is value for each in self.found):
                self.found.append(value)
            return getattr, (_Module(), "x")
        named = value if isinstance(value, (type, FunctionType)) else type(value)
        self.modules.add(getattr(named, "__module__", None) or "")
        return NotImplemented
