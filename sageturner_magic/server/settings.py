"""Read and check the server's environment once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_PROGRAM_DIR = "/opt/program"
DEFAULT_MODEL_DIR = "/opt/ml/model"
DEFAULT_PORT = 8080

UNTYPED = "application/octet-stream"
"""The type that SageMaker gives to a request without a ContentType."""


class SettingsError(Exception):
    """What is wrong with the environment, one problem a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Batch:
    """How requests are gathered for predict_batch.

    Attributes:
        max_size: Requests in one call at most.
        max_wait_ms: Milliseconds that a request waits at most for others to join it.
    """

    max_size: int = 32
    max_wait_ms: float = 5.0


@dataclass(frozen=True)
class Csv:
    """How text/csv is read.

    Attributes:
        types: `infer`: a column that has numbers alone is numeric. `text`: all cells are text.
            `cell`: each cell by itself, as Python reads numbers.
        header: Whether the first row has names, where the Content-Type does not say.
    """

    types: str = "infer"
    header: str = "absent"


@dataclass(frozen=True)
class Serving:
    """The `serving` section of the configuration.

    Attributes:
        workers: Worker processes.
        batch: Only used where the code defines predict_batch.
        queue: Requests that wait or run at most; more are answered with 429.
        timeout_s: Seconds from a request's arrival to its answer, below SageMaker's 60.
        max_body_mb: Megabytes (of 1,000,000 bytes) of a request's body at most.
        nan: What NaN and Infinity in an answer become: an `error`, or `null`.
        default_content_type: The type of a request that has none, or has the type that SageMaker
            gives to such a request (`UNTYPED`).
        csv: How text/csv is read.
        check_answers: Whether responses are checked by the type that predict names: all (a wrong
            one is an error), a `sample` (a wrong one is logged), or none. `auto`: all
            on a local endpoint, else a sample.
        log_level: The least level of what user code logs that is written.
        allowed_hosts: Names beside this machine's own under which a local endpoint is addressed.
        metrics: Where metrics go besides /metrics: `prometheus` (nowhere) or `emf` (the log).
    """

    workers: int = 1
    batch: Batch = field(default_factory=Batch)
    queue: int = 256
    timeout_s: float = 55.0
    max_body_mb: float = 25.0
    nan: str = "error"
    default_content_type: str = UNTYPED
    csv: Csv = field(default_factory=Csv)
    metrics: str = "prometheus"
    check_answers: bool | str = "auto"
    log_level: str = "info"
    allowed_hosts: Sequence[str] = ()

    @property
    def max_body(self) -> int:
        """Bytes of a request's body at most."""
        return int(self.max_body_mb * 1_000_000)


@dataclass(frozen=True)
class Secrets:
    """The `secrets` section of the configuration: where the values are.

    Attributes:
        region: Of references that are no ARN; empty for the container's own.
        references: Environment variable -> name or ARN of a secret, or `ssm:` and the name of a
            parameter, each with an optional `#key` of a JSON object. Empty: the variable is set.
    """

    region: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Everything that the environment says; the package's docstring explains each."""

    program_dir: str
    model_dir: str
    serving: Serving
    host: str
    port: int
    token: str
    packages: str
    log: str
    listen_fd: int | None
    lifeline_fd: int | None
    control: str
    local: bool
    endpoint: str
    accept_when_ready: bool
    secrets: Secrets


def _whole(least: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        right = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return "" if right else f"a whole number of at least {least}"

    return check


def _number(least: float, above: bool = False) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        if right and (value > least if above else value >= least):
            return ""
        return f"a number {'above' if above else 'of at least'} {least:g}"

    return check


def _names(value: Any) -> str:
    right = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return "" if right else "a list of names"


def _one_of(*values: str | bool) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        return "" if value in values else " or ".join(json.dumps(each) for each in values)

    return check


_SERVING = {
    "workers": _whole(1),
    "queue": _whole(1),
    "timeout_s": _number(0, above=True),
    "max_body_mb": _number(0, above=True),
    "nan": _one_of("error", "null"),
    "default_content_type": _one_of(UNTYPED, "application/json", "text/csv", "text/plain"),
    "metrics": _one_of("prometheus", "emf"),
    "allowed_hosts": _names,
    "check_answers": _one_of("auto", True, "sample", False),
    "log_level": _one_of("debug", "info", "warning", "error"),
}
_BATCH = {"max_size": _whole(1), "max_wait_ms": _number(0)}
_CSV = {"types": _one_of("infer", "text", "cell"), "header": _one_of("absent", "present")}
_PARTS: dict[str, tuple[type, Mapping[str, Callable[[Any], str]]]] = {
    "batch": (Batch, _BATCH),
    "csv": (Csv, _CSV),
}


def _section(
    given: Any, rules: Mapping[str, Callable[[Any], str]], where: str, problems: list[str]
) -> dict[str, Any]:
    if not isinstance(given, dict):
        problems.append(f"{where} is not a JSON object: {json.dumps(given)[:80]}")
        return {}
    values = {}
    for key, value in given.items():
        if key not in rules:
            problems.append(f"{where}: {key!r} is not a key; the keys are {', '.join(rules)}")
        elif value is not None and (expected := rules[key](value)):
            problems.append(f"{where}: {key} is {json.dumps(value)[:80]}, expected {expected}")
        elif value is not None:
            values[key] = value
    return values


def _serving(text: str, problems: list[str]) -> Serving:
    name = "SAGETURNER_SERVING"
    try:
        given = json.loads(text)
    except ValueError as error:
        problems.append(f"{name} is not JSON: {error}")
        return Serving()
    written = given if isinstance(given, dict) else {}
    parts = {key: part for key in _PARTS if (part := written.pop(key, None)) is not None}
    values = _section(given, _SERVING, name, problems)
    for key, part in parts.items():
        kind, rules = _PARTS[key]
        values[key] = kind(**_section(part, rules, f"{name}: {key}", problems))
    return Serving(**values)


def _secrets(text: str, problems: list[str]) -> Secrets:
    try:
        given = json.loads(text)
        region, references = given.get("region", ""), given.get("references", {})
        if all(isinstance(each, str) for each in (region, *references.values())):
            return Secrets(region, references)
    except (ValueError, AttributeError):
        pass
    problems.append('SAGETURNER_SECRETS is not {"region": TEXT, "references": {NAME: TEXT}}')
    return Secrets()


def _integer(environ: Mapping[str, str], name: str, problems: list[str]) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or int(text) > 65535:
        problems.append(f"{name} is {text!r}, expected a number from 0 to 65535")
        return None
    return int(text)


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`. Raises SettingsError with every problem at once."""
    problems: list[str] = []
    port = _integer(environ, "SAGETURNER_PORT", problems)
    if port is None:
        port = _integer(environ, "SAGEMAKER_BIND_TO_PORT", problems)
    for name, values in {
        "SAGETURNER_LOG": ("json", "text"),
        "SAGETURNER_ACCEPT": ("ready",),
    }.items():
        if environ.get(name) and environ[name] not in values:
            problems.append(f"{name} is {environ[name]!r}, expected {' or '.join(values)}")
    settings = Settings(
        program_dir=environ.get("SAGETURNER_PROGRAM_DIR") or DEFAULT_PROGRAM_DIR,
        model_dir=environ.get("SM_MODEL_DIR") or DEFAULT_MODEL_DIR,
        serving=_serving(environ.get("SAGETURNER_SERVING") or "{}", problems),
        host=environ.get("SAGETURNER_HOST") or "0.0.0.0",
        port=DEFAULT_PORT if port is None else port,
        token=environ.get("SAGETURNER_TOKEN", ""),
        packages=environ.get("SAGETURNER_PACKAGES", ""),
        log=environ.get("SAGETURNER_LOG") or "json",
        listen_fd=_integer(environ, "SAGETURNER_LISTEN_FD", problems),
        lifeline_fd=_integer(environ, "SAGETURNER_LIFELINE_FD", problems),
        control=environ.get("SAGETURNER_CONTROL", ""),
        local=environ.get("SAGETURNER_LOCAL") == "1",
        endpoint=environ.get("SAGETURNER_ENDPOINT", ""),
        accept_when_ready=environ.get("SAGETURNER_ACCEPT") == "ready",
        secrets=_secrets(environ.get("SAGETURNER_SECRETS") or "{}", problems),
    )
    if problems:
        raise SettingsError(problems)
    return settings
