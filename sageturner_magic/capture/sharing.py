"""Find what objects of the notebook have in common, and keep views of arrays views in a pickle.

Objects that share a part are written to one file: a pickle keeps what is one object in it one
object. Of arrays that share memory without being one object, it would make copies.
"""

from __future__ import annotations

import copyreg
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from inspect import isroutine
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from sageturner_magic.values import package_of

_ATOMS = (type(None), bool, int, float, complex, str, bytes, range, slice, tuple, frozenset)
_NAMED = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, Enum)

_FIXED_PACKAGES = (
    "datetime",
    "decimal",
    "fractions",
    "logging",
    "pathlib",
    "pyarrow",
    "re",
    "uuid",
)
"""Packages whose objects nobody changes, or that are one in each process."""

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True)
class Call:
    """Becomes what `function` of `arguments` returns when it is unpickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __reduce__(self) -> Reduced:
        return self.function, self.arguments


class Parts:
    """What can be changed in place of an object, and in it.

    It holds the parts, so that nothing else gets their ids.

    Attributes:
        held: Id -> part.
        arrays: Those parts that are NumPy arrays.
        repeats_memory: An array or tensor is reached twice: most formats would write two.
    """

    def __init__(self) -> None:
        self.held: dict[int, Any] = {}
        self.arrays: list[Any] = []
        self.repeats_memory = False
        self._fixed: set[int] = set()

    def add(self, value: Any) -> None:
        """Take a part; what nobody can change is left out."""
        if id(value) in self.held:
            self.repeats_memory |= _is_array(value)
        elif id(value) not in self._fixed and not self._is_fixed(value):
            self.held[id(value)] = value
            if _is_array(value):
                self.arrays.append(value)
            elif storage := _storage(value):
                self.repeats_memory |= storage in self.held
                self.held[storage] = value

    def _is_fixed(self, value: Any) -> bool:
        kind = type(value)
        if kind in _ATOMS or isinstance(value, _NAMED) or isroutine(value):
            return True
        package = package_of(kind)
        if package == "pandas":
            self._fixed.update(map(id, _fixed_in(value)))
            if kind.__name__.endswith("Index"):
                # Frames share their indexes, and copy one that they change.
                return True
        is_scalar = hasattr(kind, "dtype") and not hasattr(kind, "__setitem__")
        is_named = kind.__name__.lower().endswith("dtype")
        return package in _FIXED_PACKAGES or is_named or (package == "numpy" and is_scalar)


def is_copied_on_write(value: Any) -> bool:
    """Whether `value` is a frame or series that a change of another never reaches.

    pandas lets frames share memory until one of them is changed. A pickle has no record of that.
    """
    if package_of(type(value)) != "pandas" or not hasattr(value, "_mgr"):
        return False
    pandas: Any = sys.modules["pandas"]
    if int(pandas.__version__.partition(".")[0]) > 2:
        return True
    return getattr(pandas.options.mode, "copy_on_write", False) is True


def _fixed_in(value: Any) -> Iterator[Any]:
    """What of an index, frame or series of pandas is never changed in place through another."""
    if hasattr(value, "_mgr"):
        # A list of the class.
        yield getattr(value, "_metadata", None)
    arrays = []
    if is_copied_on_write(value):
        arrays = [block.values for block in value._mgr.blocks]
    elif type(value).__name__.endswith("Index") and type(value).__name__ != "RangeIndex":
        arrays = [getattr(value, "_data", None)]
    for array in arrays:
        yield array
        for attribute in ("_ndarray", "_data", "_mask", "_codes"):
            yield getattr(array, attribute, None)


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _storage(value: Any) -> int:
    """A number, no object's id, for the memory that a tensor may have in common with others."""
    if package_of(type(value)) != "torch" or not hasattr(value, "untyped_storage"):
        return 0
    try:
        return -int(value.untyped_storage().data_ptr())
    except Exception:
        # Sparse tensors have no storage.
        return 0


def groups(parts: Mapping[str, Parts]) -> list[set[str]]:
    """The names whose objects share something that can be changed, each name in one group."""
    group = {name: {name} for name in parts}

    def join(one: str, other: str) -> None:
        if group[one] is not group[other]:
            group[one] |= group[other]
            for each in group[other]:
                group[each] = group[one]

    owners: dict[int, str] = {}
    for name, each in parts.items():
        for number, part in each.held.items():
            owner = owners.setdefault(number, name)
            if owner not in group[name] and not _is_global(part):
                join(owner, name)
    of_array = {id(array): name for name, each in parts.items() for array in each.arrays}
    for cluster in clusters(array for each in parts.values() for array in each.arrays):
        for array in cluster[1:]:
            join(of_array[id(cluster[0])], of_array[id(array)])
    found: list[set[str]] = []
    for each_group in group.values():
        if len(each_group) > 1 and each_group not in found:
            found.append(each_group)
    return found


def _is_global(part: Any) -> bool:
    """Whether a pickle has only the name of `part`, by which every process finds its own."""
    reduce = copyreg.dispatch_table.get(type(part))
    try:
        return isinstance(reduce(part) if reduce else part.__reduce_ex__(5), str)
    except Exception:
        return False


def clusters(arrays: Iterable[Any]) -> list[list[Any]]:
    """Arrays that overlap in memory, two or more in each list."""
    distinct = {id(each): each for each in arrays if each.size}
    if len(distinct) < 2:
        return []
    import numpy

    ordered = sorted(distinct.values(), key=_extent)
    found: list[list[Any]] = []
    last: list[tuple[int, list[Any]]] = []
    for array in ordered:
        low, high = _extent(array)
        last = [(end, cluster) for end, cluster in last if end > low]
        touched = [
            (end, cluster)
            for end, cluster in last
            if any(_overlap(numpy, array, each) for each in cluster)
        ]
        joined = [each for _, cluster in touched for each in cluster] + [array]
        found = [each for each in found if not any(each is cluster for _, cluster in touched)]
        found.append(joined)
        last = [pair for pair in last if not any(pair is each for each in touched)]
        last.append((max([high, *(end for end, _ in touched)]), joined))
    return [cluster for cluster in found if len(cluster) > 1]


def _overlap(numpy: Any, one: Any, other: Any) -> bool:
    try:
        return bool(numpy.shares_memory(one, other, max_work=10_000))
    except Exception:
        # Too hard to tell: taken as one, which is never wrong.
        return True


def _extent(array: Any) -> tuple[int, int]:
    """The addresses of the first byte of `array`, and of that after its last."""
    start = array.__array_interface__["data"][0]
    spans = [(count - 1) * stride for count, stride in zip(array.shape, array.strides, strict=True)]
    low = start + sum(span for span in spans if span < 0)
    return low, start + sum(span for span in spans if span > 0) + array.itemsize


def views(parts: Parts) -> dict[int, Reduced]:
    """Id of an array that shares memory with another -> how a pickle keeps that."""
    found: dict[int, Reduced] = {}
    for cluster in clusters(parts.arrays):
        found.update(_on_one_memory(cluster))
    return found


def lost(parts: Iterable[Parts], file: str) -> Iterator[Any]:
    """Arrays that share memory with another, of which `file` would hold copies."""
    # Of formats with one array or tensor in a piece, torch's keeps only what its tensors share.
    keeps_views = file.endswith((".pickle", ".pkl"))
    for cluster in clusters(array for each in parts for array in each.arrays):
        if not keeps_views or not _on_one_memory(cluster):
            yield from cluster


def _on_one_memory(cluster: list[Any]) -> dict[int, Reduced]:
    """How each array is made of the memory that all of them have; empty where it cannot be.

    Memory that belongs to none of them is not written: it may be training data.
    """
    import numpy

    owner = cluster[0]
    while isinstance(owner.base, numpy.ndarray):
        owner = owner.base
    flat = numpy.asarray(owner).ravel(order="K")
    has_objects = flat.dtype.hasobject
    if has_objects and any(each.dtype != flat.dtype for each in cluster):
        return {}
    flat = flat if has_objects else flat.view(numpy.uint8)
    first = _extent(flat)[0]
    low = min(_extent(each)[0] for each in cluster)
    high = max(_extent(each)[1] for each in cluster)
    piece = flat[(low - first) // flat.itemsize : (high - first) // flat.itemsize]
    is_theirs = _extent(piece) == (low, high) if piece.size else False
    is_plain = all(type(each) is numpy.ndarray for each in cluster)
    if not is_theirs or not is_plain or piece.nbytes > sum(each.nbytes for each in cluster):
        return {}
    reduced: dict[int, Reduced] = {}
    for each in cluster:
        offset = each.__array_interface__["data"][0] - low
        if has_objects:
            tail = Call(operator.getitem, (piece, slice(offset // piece.itemsize, None)))
            as_strided = numpy.lib.stride_tricks.as_strided
            reduced[id(each)] = as_strided, (tail, each.shape, each.strides)
        else:
            arguments = (each.shape, each.dtype, piece, offset, each.strides)
            reduced[id(each)] = numpy.ndarray, arguments
    return reduced
