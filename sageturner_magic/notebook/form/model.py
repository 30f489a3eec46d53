"""The deploy form without widgets: fields, their values as YAML, and their mistakes.

The YAML is the only state. A field reads and writes one of its keys, and what is deployed is what
the configuration's own reader makes of the text; so the form can neither mean nor allow anything
that the same YAML would not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sageturner_magic.capture import Notebook
from sageturner_magic.capture.artefact import files_of
from sageturner_magic.config import (
    Config,
    Origin,
    alternatives,
    options,
    parse_config,
    schema_at,
    schema_keys,
)
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.errors import CaptureError, ConfigError, Finding
from sageturner_magic.notebook.form.yaml_document import Document, Value
from sageturner_magic.notebook.form.yaml_document import Path as KeyPath
from sageturner_magic.values import attribute_of

Kind = Literal["text", "number", "choice", "switch", "lines", "pairs"]

GENERATE = ("container", "generate_container")
SERVERLESS = ("compute", "serverless")
SERVER = ("compute", "server")
SECTIONS: Mapping[EndpointType, tuple[KeyPath, Mapping[str, str]]] = {
    "serverless": (SERVERLESS, {"memory": "2048", "max_concurrency": "5"}),
    "server": (SERVER, {"instance_type": "ml.m5.xlarge", "initial_instance_count": "1"}),
}
"""Endpoint type -> the section that it needs, and what the form begins it with."""

PACKAGES = (*GENERATE, "python_packages")
MAIN: Mapping[str, tuple[KeyPath, ...]] = {
    "Code": ((*GENERATE, "code_dir"),),
    "Packages": (PACKAGES,),
    "Environment and tags": (("environment",), ("tags",)),
}
"""Title -> the keys of the parts that are folded first. Name and artefact are always in sight."""

COMPUTE: Mapping[EndpointType, tuple[KeyPath, ...]] = {
    "local": (),
    "serverless": ((*SERVERLESS, "memory"),),
    "server": tuple((*SERVER, key) for key in ("instance_type", "initial_instance_count")),
}
"""Endpoint type -> its keys that are in sight, because they decide what it costs."""

CAPACITY: Mapping[EndpointType, tuple[KeyPath, ...]] = {
    "local": (("compute", "local", "mode"),),
    "serverless": tuple((*SERVERLESS, key) for key in schema_keys(SERVERLESS) if key != "memory"),
    "server": (),
}
"""Endpoint type -> its keys that are folded beside these."""

ADVANCED: Mapping[str, tuple[KeyPath, ...]] = {
    "Image": (("container", "generate_container"), ("container", "provide_container")),
    "Model files": (("artefact_limit",),),
    "Instances and local start": (SERVER, ("compute", "local")),
    "Serving": (("serving",),),
    "Lease": (("lease",), ("budget",), ("protected",)),
    "Secrets": (("secrets",), ("not_secret",)),
    "Network and encryption": (("network",), ("kms_key",)),
    "Names of your own": (("overrides",),),
}
"""Title -> the keys, or sections with all their keys, of a part that is folded at first."""

_WORDS = {
    "cuda": "CUDA",
    "dir": "folder",
    "kms": "KMS",
    "arn": "ARN",
    "nan": "NaN",
    "ami": "AMI",
    "gb": "(GB)",
    "mb": "(MB)",
    "s": "(s)",
    "ms": "(ms)",
    "max": "max.",
    "min": "min.",
}


@dataclass(frozen=True)
class Field:
    """One key of the configuration as a person fills it in.

    Attributes:
        path: The key.
        label: Its name in words.
        help: What it means.
        kind: `lines` is a list with an entry a line, `pairs` are names with values.
        choices: What a `choice` has to be chosen from.
        default: What holds while it is left empty, for people; may be empty.
        required: Whether it may not be left empty.
    """

    path: KeyPath
    label: str
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()
    default: str = ""
    required: bool = False

    @property
    def summary(self) -> str:
        """The first sentence of `help`, and the next where that says little."""
        first, _, rest = self.help.partition(". ")
        return f"{first}. {rest}" if rest and len(first) < 25 else f"{first.rstrip('.')}."

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)


def field_at(path: KeyPath) -> Field:
    """The field of a key of the schema that is not a section."""
    schema = schema_at(path) or {}
    one_of = alternatives(schema)
    kinds = {one.get("type") for one in one_of}
    default = schema.get("default")
    choices = tuple(options(schema))
    kind: Kind = "text"
    if "array" in kinds:
        kind, choices = "lines", ()
    elif choices:
        kind = "choice"
    elif kinds == {"boolean"}:
        kind, default = "switch", None
    elif "object" in kinds:
        kind = "pairs"
    elif kinds == {"integer"}:
        kind = "number"
    return Field(
        path,
        _label(path),
        schema_keys(path[:-1])[path[-1]],
        kind,
        choices,
        "" if default is None or isinstance(default, (list, dict)) else str(default),
        path[-1] in (schema_at(path[:-1]) or {}).get("required", ()),
    )


def _label(path: KeyPath) -> str:
    """The key in words, behind that of its section where the form shows both as one part."""
    if path[-2:-1] in (("batch",), ("autoscaling",)):
        own = label_of(path[-1])
        return f"{label_of(path[-2])}: {own[0].lower()}{own[1:]}"
    return label_of(path[-1])


def label_of(key: str) -> str:
    """`Max. concurrency`, `Startup timeout (s)`."""
    text = " ".join(_WORDS.get(word, word) for word in key.split("_"))
    return text[0].upper() + text[1:]


def fields_below(path: KeyPath) -> Iterator[Field]:
    """The field of a key, or those of all keys of a section."""
    if not schema_keys(path):
        yield field_at(path)
    for key in schema_keys(path):
        yield from fields_below((*path, key))


def advanced_fields() -> dict[str, list[Field]]:
    """Title -> the fields of each folded part: all that are not in sight already."""
    shown = (*MAIN.values(), *COMPUTE.values(), *CAPACITY.values())
    seen = {("name",), *(path for paths in shown for path in paths)}
    return {
        title: [field for path in paths for field in fields_below(path) if field.path not in seen]
        for title, paths in ADVANCED.items()
    }


@dataclass(frozen=True)
class Checked:
    """What the configuration's reader says of the form.

    Attributes:
        config: None while something is wrong.
        findings: All that is wrong.
    """

    config: Config | None
    findings: tuple[Finding, ...]

    def beside(self, key: str) -> list[Finding]:
        """What is wrong with one field: with its key, or an entry of it."""
        return [each for each in self.findings if re.match(rf"{re.escape(key)}($|[.\[])", each.key)]


class Form:
    """The values of a form.

    Attributes:
        model, example: The expressions of `--model` and `--example`; empty for captured cells.
    """

    def __init__(
        self, text: str, folder: Path, endpoint_type: EndpointType, container_mode: ContainerMode
    ) -> None:
        """
        Args:
            text: YAML to begin with, which the configuration's reader accepts; may be empty.
            folder: What its paths are relative to.
        """
        self._document = Document(text)
        self._folder = folder
        self._begun: KeyPath | None = None
        self.endpoint_type: EndpointType = "local"
        self.container_mode: ContainerMode = container_mode
        self.model = self.example = ""
        self.choose(endpoint_type)

    @property
    def yaml(self) -> str:
        """The configuration as it would be saved."""
        return self._document.text

    @property
    def cell(self) -> str:
        """A notebook cell that deploys the same."""
        flags = f"-e {self.endpoint_type}"
        flags += "" if self.container_mode == "generate" else f" -m {self.container_mode}"
        flags += f" --model {shlex.quote(self.model)}" if self.model else ""
        flags += f" --example {shlex.quote(self.example)}" if self.model and self.example else ""
        return f"%%sageturner deploy {flags}\n{self.yaml}"

    def get(self, path: KeyPath) -> Value:
        """What a key holds."""
        return self._document.get(path)

    def summary(self, fields: Sequence[Field]) -> str:
        """What is set of these keys: `Timeout (s) 30, Workers 2`, `defaults`."""
        held = [(field.label, self.get(field.path)) for field in fields]
        return ", ".join(f"{label} {_brief(value)}" for label, value in held if value) or "defaults"

    def set(self, path: KeyPath, value: Value) -> None:
        """Fill in one key; an empty value leaves it to its default.

        The last key of the section that the endpoint type needs is written with its usual value
        instead, since the section has to stay.
        """
        section, usual = SECTIONS.get(self.endpoint_type, ((), {}))
        held = self.get(path[:-1])
        if not value and path[:-1] == section and isinstance(held, dict) and [*held] == [path[-1]]:
            value = usual.get(path[-1])
        self._document.set(path, value)

    def choose(self, endpoint_type: EndpointType) -> None:
        """Choose where the model runs; the section that this needs is begun with usual values.

        What was begun for another type, and not changed since, goes again.
        """
        self.endpoint_type = endpoint_type
        if self._begun:
            (begun,) = (values for path, values in SECTIONS.values() if path == self._begun)
            if self.get(self._begun) == begun:
                self._document.set(self._begun, None)
            self._begun = None
        if endpoint_type in SECTIONS:
            path, values = SECTIONS[endpoint_type]
            if not self.get(path):
                for key, value in values.items():
                    self.set((*path, key), value)
                self._begun = path

    def check(self) -> Checked:
        """Read the YAML as every verb does, for this endpoint type and container mode."""
        try:
            config = parse_config(self.yaml, folder=self._folder, origin=Origin("the form"))
        except ConfigError as error:
            return Checked(None, error.findings)
        findings = tuple(config.check(self.endpoint_type, self.container_mode))
        return Checked(None if findings else config, findings)


def _brief(value: Value) -> str:
    """A value in a summary: names without their values, which may be long."""
    return ", ".join(value) if isinstance(value, (list, dict)) else str(value)


# --- what a form begins with --------------------------------------------------------------


def first_text(
    notebook: Notebook,
    namespace: Mapping[str, object],
    variables: Sequence[str],
    name: str | None = None,
) -> str:
    """The YAML of a new form: the name that is captured, and the objects that load() reads."""
    document = Document()
    complete = [each for each in notebook.captures.names() if len(each.cells) == 2]
    named = [each.name for each in complete if each.name]
    name = name or (named[-1] if named else "my-model")
    document.set(("name",), name)
    try:
        source = notebook.module(name).source
    except CaptureError:
        return document.text
    found = {file: _holder(file, namespace, variables) for file in files_of(source)}
    document.set(("artefact",), {file: name for file, name in found.items() if name})
    return document.text


def first_model(notebook: Notebook, form: Form, *, is_new: bool) -> tuple[str, str]:
    """The expressions of the live model and its example that a form begins with; empty for none.

    They are those of the last deployment of its name. A new form of a notebook that captured
    nothing for it begins with the notebook's newest model.
    """
    name = str(form.get(("name",)) or "")
    if last := notebook.model_for(name):
        return last.expression or last.name, last.example_expression
    found = [] if notebook.captures.halves_or_unnamed(name) or not is_new else notebook.models()
    return (found[0] if found else "", "")


def _holder(file: str, namespace: Mapping[str, object], variables: Sequence[str]) -> str:
    """The variable that is most likely meant: called as the file, or the only model there is."""
    stem = Path(file).stem
    if stem in variables:
        return stem
    models = [
        name
        for name in variables
        if any(
            attribute_of(namespace[name], mark) is not None for mark in ("predict", "state_dict")
        )
    ]
    return models[0] if len(models) == 1 else ""


# --- the captured cells -------------------------------------------------------------------


@dataclass(frozen=True)
class CodeState:
    """What is captured under one name.

    Attributes:
        name: Empty for the unnamed pair.
        cells: `load in In[2], predict in In[3]`.
        state: `missing`: one half is not there. `stale`: the notebook no longer has what the
            cells say, or they cannot be shipped.
        findings: Why.
    """

    name: str
    cells: str
    state: Literal["captured", "stale", "missing"]
    findings: tuple[Finding, ...] = ()


def code_states(notebook: Notebook) -> list[CodeState]:
    """Every captured name with its state, in the order in which they came up."""
    found = []
    for each in notebook.captures.names():
        cells = ", ".join(f"{role} in In[{number}]" for role, number in each.cells.items())
        made = CodeState(each.name, cells, "captured")
        try:
            notebook.module(each.name or "my-model")
        except CaptureError as error:
            state: Literal["stale", "missing"] = "stale" if len(each.cells) == 2 else "missing"
            made = replace(made, state=state, findings=error.findings)
        found.append(made)
    return found
