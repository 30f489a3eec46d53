"""Describe generated code, and write its parts: names, literals, example_request()."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from textwrap import indent
from typing import Any

from sageturner_magic.capture.objects import OBJECTS
from sageturner_magic.capture.slicing import literal_of
from sageturner_magic.errors import CaptureError
from sageturner_magic.values import LiveModel


@dataclass(frozen=True)
class Generated:
    """Two cells that serve an object, and the file that load() reads it from.

    Attributes:
        load, predict: The cells' source.
        file: The file's name below model_dir; empty where the code itself is the model.
        value: What is written to the file.
        of_model: How the value is made of the object, as `{}.state_dict()`.
    """

    load: str
    predict: str
    file: str = ""
    value: object = field(default=None, repr=False)
    of_model: str = "{}"


@dataclass(frozen=True)
class Setting:
    """What generated code is written for.

    Attributes:
        model: The object, its name and its example.
        namespace: The notebook's variables.
        construction: The expression of the one assignment that gave the object its name; empty
            where there is none, or more.
        is_beside_code: The file lies beside the code, because the model files are in S3.
    """

    model: LiveModel
    namespace: Mapping[str, object] = field(repr=False)
    construction: str = ""
    is_beside_code: bool = False

    @property
    def value(self) -> Any:
        """The object."""
        return self.model.value

    def load(self, imports: Sequence[str], file: str, *body: str) -> str:
        """The cell that defines load(); `$file` in `body` is an f-string or string of the path."""
        path = f'"{OBJECTS}/{file}"' if self.is_beside_code else f'f"{{model_dir}}/{file}"'
        lines = "\n".join(body).replace("$file", path)
        head = "def load(model_dir):" if "model_dir" in lines else "def load():"
        return "\n".join([*imports, "", "", head, indent(lines, "    "), ""])

    def names(self, *wanted: str) -> dict[str, str]:
        """Each of `wanted`, or another name where the notebook has that one."""
        return {name: self._free(name) for name in wanted}

    def _free(self, name: str) -> str:
        made, number = name, 1
        while made in self.namespace:
            prefix = "MODEL_" if name.isupper() else "Model" if name[0].isupper() else "model_"
            made = f"{prefix}{name}{number if number > 1 else ''}"
            number += 1
        return made


def filled(template: str, names: Mapping[str, str], **more: str) -> str:
    """`template` with its `$names`."""
    return Template(template).substitute({**names, **more})


def literal(value: object) -> str:
    """`value` as source, in lines of 88 characters; empty if it is too long or not plain."""
    found = literal_of(value, {})
    return found.text if found else ""


def listed(values: Sequence[object]) -> str:
    """A list as source, however long it is."""
    return literal([*values]) or "[\n" + "".join(f"    {each!r},\n" for each in values) + "]"


def example_code(example: object, setting: Setting, shape: Callable[[Any], object]) -> str:
    """The function example_request(), or nothing where there is no example.

    Args:
        shape: Makes a request of the example, as the library's objects have it.

    Raises:
        CaptureError: The example is nothing that JSON can hold.
    """
    if example is None:
        return ""
    try:
        request = json.loads(json.dumps(shape(example), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CaptureError(
            f"`--example` ({type(example).__name__}) cannot be sent as a request",
            where=setting.model.where,
            why=str(error),
            do="give a few rows of what the model gets, such as `--example X_test.head(3)`",
            code="ST45",
        ) from None
    text = literal(request)
    if not text and isinstance(request, list) and len(request) > 1:
        text = literal(request[:1])
    text = text or _shortened(request)
    return example_function(text) if text else ""


def example_function(expression: str) -> str:
    """The function example_request()."""
    return f"\n\ndef example_request():\n    return {indent(expression, '    ').lstrip()}\n"


def _shortened(request: object) -> str:
    """Source of a request of the same form: zeros for its numbers, the first of its records.

    Empty where it holds a text that is too long: only the whole is valid.
    """
    if isinstance(request, dict):
        parts = {key: _shortened(value) for key, value in request.items()}
        lines = "".join(f"    {key!r}: {part},\n" for key, part in parts.items())
        return f"{{\n{lines}}}" if all(parts.values()) else ""
    text = _zeros(request) or literal(request)
    if not text and isinstance(request, list) and request:
        first = _shortened(request[0])
        text = f"[{first}]" if first else ""
    return text


def _zeros(request: object) -> str:
    """Source of nested lists of zeros as large as `request`; empty if it is no grid."""
    sizes = []
    while isinstance(request, list) and request:
        sizes.append(len(request))
        request = request[0]
    if not sizes or not isinstance(request, (int, float)):
        return ""
    return zeros(sizes, "0" if isinstance(request, int) else "0.0")


def zeros(sizes: Sequence[int], zero: str = "0.0") -> str:
    """Source of nested lists of these lengths, the outermost first."""
    text = zero
    for number, size in enumerate(reversed(sizes)):
        text = f"[{text}] * {size}" if not number else f"[{text} for _ in range({size})]"
    return text


def plain(value: Any) -> object:
    """A request made of an example: arrays, tensors and Series become lists, frames records."""
    if hasattr(value, "to_json") and hasattr(value, "columns"):
        return json.loads(value.to_json(orient="records", date_format="iso"))
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return value.tolist() if hasattr(value, "tolist") else value
