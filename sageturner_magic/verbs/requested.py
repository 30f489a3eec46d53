"""Find what a call of a verb is about: the configuration, the code and the AWS account.

For the verbs' modules. `config` is a path (default: ./sageturner.yaml), YAML text, a mapping or a
Config; in a notebook with the extension loaded, captured cells and live variables are found.
"""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sageturner_magic.capture.artefact import files_of
from sageturner_magic.config import (
    Config,
    ConfigSource,
    Given,
    config_from,
    read_config,
    with_values,
)
from sageturner_magic.constants import ContainerMode, EndpointType
from sageturner_magic.context import DEFAULT_AWS, AwsOptions, NotebookContext, current_notebook
from sageturner_magic.deployment import DeployRequest, code_source
from sageturner_magic.errors import ConfigError, SageturnerError, UsageError
from sageturner_magic.text import kind_of
from sageturner_magic.values import LiveModel

DEFAULT_CONFIG = "sageturner.yaml"


@dataclass(frozen=True)
class Flags:
    """Keys that may be given beside a configuration, or without one.

    Attributes:
        name: The endpoint.
        memory: Of a serverless endpoint, in MB.
        instance_type: Of an endpoint on instances.
        packages: Pieces of a pip command line; `auto` for what the code imports.
        environment: Variables of the model server.
        lease: How long an endpoint on SageMaker stays after its last use.
    """

    name: str | None = None
    memory: int | None = None
    instance_type: str | None = None
    packages: str | Sequence[str] | None = None
    environment: Mapping[str, str] | Iterable[tuple[str, str]] | None = None
    lease: str | None = None

    def values(self, endpoint_type: EndpointType) -> dict[tuple[str, ...], Given]:
        """Path of a key -> value, for those that are given.

        Raises:
            UsageError: One does not fit the endpoint type.
        """
        found: dict[tuple[str, ...], Given] = {}
        if self.memory is not None:
            _require("--memory", "serverless", endpoint_type)
            found["compute", "serverless", "memory"] = Given(self.memory, "--memory")
        if self.instance_type is not None:
            _require("--instance-type", "server", endpoint_type)
            key = ("compute", "server", "instance_type")
            found[key] = Given(self.instance_type, "--instance-type")
        if self.packages is not None:
            pieces = (self.packages,) if isinstance(self.packages, str) else (*self.packages,)
            listed = "auto" if pieces == ("auto",) else [*pieces]
            found["container", "generate_container", "python_packages"] = Given(
                listed, "--packages"
            )
        for variable, value in dict(self.environment or ()).items():
            found["environment", variable] = Given(value, "--env")
        if self.lease is not None:
            found["lease",] = Given(self.lease, "--lease")
        return found


def _require(flag: str, needed: EndpointType, endpoint_type: EndpointType) -> None:
    if endpoint_type != needed:
        raise UsageError(
            f"`{flag}` is for the endpoint type `{needed}`, and this one is `{endpoint_type}`",
            do=f"add `-e {needed}`, or leave `{flag}` out",
        )


@dataclass(frozen=True)
class Expression:
    """The value of an expression in a line of the notebook.

    Attributes:
        text: The expression.
        cell: The number of the cell.
    """

    text: str
    value: object = field(repr=False)
    cell: int


def live_model(model: object, example: object = None) -> LiveModel | None:
    """The object that load() is generated for; None where none was given.

    Args:
        model: The object itself, or the expression that gave it.
        example: A request it can answer; also as an expression.

    Raises:
        UsageError: It is no object that could be a model; there is an example and no model.
    """
    sample = example.value if isinstance(example, Expression) else example
    if model is None and sample is None:
        return None
    if model is None:
        raise UsageError(
            "`--example` describes requests of `--model`, which is missing",
            do="add `--model VARIABLE`, or define example_request() in a captured cell",
        )
    given = model if isinstance(model, Expression) else Expression("", model, 0)
    if given.value is None or isinstance(given.value, (str, bytes, int, float, bool)):
        raise UsageError(
            f"`--model` is {given.text or repr(given.value)}, {_kind(given.value)}",
            why="a model is an object of the notebook that predicts, or a function",
            do="in a notebook write `%sageturner deploy NAME --model VARIABLE`; a shell has no"
            " objects, so there set `code_dir`",
        )
    sample_text = example.text if isinstance(example, Expression) else ""
    return LiveModel(given.value, _name(given), sample, given.cell, given.text, sample_text)


def _kind(value: object) -> str:
    return "which is None" if value is None else kind_of(value)


def _name(given: Expression) -> str:
    """What files and messages call it: the variable, else words of the expression."""
    if _is_plain(given.text):
        return given.text
    notebook = current_notebook()
    for name, value in (notebook.namespace if notebook else {}).items():
        if value is given.value and not name.startswith("_"):
            return name
    words = re.sub(r"\W+", "_", given.text, flags=re.ASCII).strip("_")
    words = words or str(getattr(given.value, "__name__", "model"))
    return words if _is_plain(words) else "model"


def _is_plain(text: str) -> bool:
    return text.isidentifier() and text.isascii() and not keyword.iskeyword(text)


def find_config(config: ConfigSource | None) -> Config:
    """The configuration that is meant. Raises ConfigError."""
    if config is not None:
        return config_from(config)
    default = Path(DEFAULT_CONFIG)
    if not default.exists():
        raise _no_config(f"none was named, and {Path.cwd()} has no {DEFAULT_CONFIG}")
    return read_config(default)


def _no_config(why: str) -> ConfigError:
    if current_notebook():
        do = (
            "name the endpoint and a model of the notebook (`deploy NAME --model VARIABLE`), write"
            " the YAML below `%%sageturner deploy`, pass `-c PATH`, or run `sageturner init`"
        )
    else:
        do = "write one with `sageturner init`, or pass `-c PATH`"
    return ConfigError("There is no configuration", why=why, do=do, code="ST23")


def config_of(
    config: ConfigSource | None, name: str | None = None, *, otherwise: str = ""
) -> Config:
    """The configuration that is meant, by itself or by the endpoint's name.

    Without one it is the last one of that name in this notebook, then ./sageturner.yaml, then the
    last one of an earlier session if the user agrees, then one of defaults only. Without a name it
    is the only one that can be meant.

    Args:
        otherwise: The name where nothing gives one.

    Raises:
        ConfigError: There is none, or it has mistakes.
        UsageError: It is that of another name, or several can be meant.
    """
    if config is not None:
        return _called(name, find_config(config))
    notebook = current_notebook()
    file = find_config(None) if Path(DEFAULT_CONFIG).exists() else None
    if notebook is None:
        return _called(name, file or (_of_defaults(name) if name else find_config(None)))
    known = notebook.configuration(name)
    if name is None and known and file and known.name != file.name:
        raise UsageError(
            f"`{known.name}` or `{file.name}`?",
            why=f"{known.where('name')} configures the one, ./{DEFAULT_CONFIG} the other",
            do=f"write the name behind the verb, such as `deploy {known.name}`",
        )
    if found := known or (file if file and name in (None, file.name) else None):
        return found
    captured = [each.name for each in notebook.notebook.captures.names() if each.name]
    name = name or (captured[0] if len(captured) == 1 else None)
    if earlier := notebook.earlier_configuration(name):
        return earlier
    if not (name or otherwise) and captured:
        raise _no_config(f"cells are captured for {', '.join(captured)}, and none is named")
    return _of_defaults(name or otherwise) if name or otherwise else find_config(None)


def chosen_config(config: ConfigSource | None, flags: Flags, endpoint_type: EndpointType) -> Config:
    """The configuration that is meant, with the flags' values; the notebook remembers it.

    Raises as `config_of`, and ConfigError or UsageError for a flag that does not fit.
    """
    chosen = with_values(config_of(config, flags.name), flags.values(endpoint_type))
    if notebook := current_notebook():
        notebook.remember(chosen)
    return chosen


def _called(name: str | None, found: Config) -> Config:
    if name in (None, found.name):
        return found
    raise UsageError(
        f"The configuration is that of `{found.name}`, not of `{name}`",
        where=found.where("name"),
        do=f"write `{found.name}`, or name the right file with -c",
    )


def _of_defaults(name: str) -> Config:
    values: dict[tuple[str, ...], Given] = {("name",): Given(name, "")}
    if current_notebook() is None and Path("sageturner.py").is_file():
        values["container", "generate_container", "code_dir"] = Given(".", "")
    return with_values(None, values)


def request_for(
    config: ConfigSource | None,
    endpoint_type: EndpointType,
    container_mode: ContainerMode,
    detach: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
    smoke_test: bool = True,
    model: LiveModel | None = None,
    fresh: bool = False,
) -> DeployRequest:
    notebook, found = current_notebook(), config_of(config)
    if notebook:
        model = notebook.notebook.model_for(found.name, model)
    if endpoint_type == "serverless" and found.compute.serverless is None:
        found = with_values(found, {("compute", "serverless"): Given({}, "-e serverless")})
    if notebook and container_mode == "generate":
        found = _with_variable(found, notebook)
    return DeployRequest(
        config=found,
        endpoint_type=endpoint_type,
        container_mode=container_mode,
        code=code_source(found, container_mode, notebook.notebook if notebook else None, model),
        namespace=notebook.namespace if notebook else {},
        detach=detach,
        python=sys.executable,
        aws=aws,
        smoke_test=smoke_test,
        fresh=fresh,
    )


def _with_variable(config: Config, notebook: NotebookContext) -> Config:
    """`config` where `artefact: model` means the variable `model`, as the file that load() reads.

    Raises ConfigError where it is not clear which file that is.
    """
    name = config.named_artefact
    if not isinstance(name, str) or name not in notebook.namespace or config.resolve(name).exists():
        return config
    bare = config.model_copy(update={"artefact": None})
    try:
        module, _ = code_source(bare, "generate", notebook.notebook).module()
    except SageturnerError:
        # The plan tells it with everything else that is wrong.
        return config
    files = files_of(module.source)
    names = {each.id for each in ast.walk(ast.parse(module.source)) if isinstance(each, ast.Name)}
    is_used = not files and name in names
    if is_used or any(each.variable == name for each in module.objects):
        # It is written down, or shipped, as everything else that the cells use.
        return bare
    named = [file for file in files if Path(file).stem == name] or files
    if len(named) != 1:
        raise ConfigError(
            f"`artefact: {name}` names a variable, and load() reads "
            + (" and ".join(files) or "no file that names a format"),
            where=config.where("artefact"),
            do=f"write `artefact: {{{(named or [f'{name}.joblib'])[0]}: {name}}}`, with the file"
            " that load() reads",
        )
    return with_values(config, {("artefact",): Given({named[0]: name}, config.where("artefact"))})


class Silent:
    """A Reporter for those who only want the result."""

    def log(self, line: str) -> None:
        pass

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None:
        pass

    def checkpoint(self) -> None:
        pass
