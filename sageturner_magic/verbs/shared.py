"""Describe the arguments that several verbs have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sageturner_magic.constants import CONTAINER_MODES, ENDPOINT_TYPES, REQUEST_SECONDS
from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import Argument


def flag(*flags: str, help: str, **more: Any) -> Argument:
    parameter = more.pop("parameter", flags[-1].lstrip("-").replace("-", "_"))
    return Argument(parameter, help, flags, **more)


def switch(*flags: str, help: str, **more: Any) -> Argument:
    return flag(*flags, help=help, **{"default": False, **more})


def number(name: str, default: float, help: str, **more: Any) -> Argument:
    more = {"metavar": "N", "type": type(default), "default": default, **more}
    return flag(name, help=f"{help} (default: {default:g})", **more)


def at(place: str, help: str, **more: Any) -> Argument:
    return Argument(more.pop("parameter", place.lower()), help, metavar=place, **more)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"`--env` is `{text}`", do="write `--env NAME=VALUE`")
    return name, value


CONFIG = flag(
    "-c",
    "--config-path",
    parameter="config",
    metavar="PATH",
    help="the YAML configuration (default: ./sageturner.yaml)",
)
AWS = (
    flag("--profile", metavar="NAME", help="AWS profile"),
    flag("--region", metavar="REGION", help="AWS region"),
)
HELP = switch("-h", "--help", help="print this and do nothing")
JSON = switch("--json", help="print JSON for programs")
NAME = at("NAME", "the endpoint", required=True)
YES = switch("-y", "--yes", help="do it without asking")
ENDPOINT_TYPE = flag(
    "-e",
    "--endpoint-type",
    choices=ENDPOINT_TYPES,
    default="local",
    help="where the model runs (default: {default})",
)
CONTAINER_MODE = flag(
    "-m",
    "--container-mode",
    choices=CONTAINER_MODES,
    spellings={"provided": "provide"},
    default="generate",
    help="generate the image from the code, or build the Dockerfile that you provide"
    " (default: {default})",
)
VERSION = (
    "12 hex digits (default: the previous version, the only one that a local process keeps; local"
    " containers keep none)"
)
ON_AWS = (*AWS, JSON)
ON_ENDPOINT = (
    replace(ENDPOINT_TYPE, parameter="where", default=None, help="which one of that name"),
    *ON_AWS,
)
DEPLOYMENT = (
    at("NAME", "the endpoint; without a configuration its keys have their defaults"),
    *(ENDPOINT_TYPE, CONTAINER_MODE, CONFIG, *AWS),
)
KEYS = (
    flag(
        "--memory",
        metavar="MB",
        help="of a serverless endpoint, if not 2048 or the configuration's",
    ),
    flag(
        "--instance-type",
        metavar="TYPE",
        help="for `-e server`; left out everywhere: the smallest that holds the model, as a trial"
        " measures it",
    ),
    flag(
        "--packages",
        metavar="PACKAGES",
        collects=True,
        help='as pip takes them, such as "numpy>=2 pandas"; repeat it for more (default: what the'
        " code imports)",
    ),
    flag(
        "--env",
        parameter="environment",
        metavar="NAME=VALUE",
        type=_variable,
        collects=True,
        help="an environment variable of the model server; repeat it for more",
    ),
    flag(
        "--lease",
        metavar="LENGTH",
        help="on SageMaker: AWS deletes the endpoint so long after its last use, such as 8h; `none`"
        " for no lease",
    ),
)
MODEL = (
    flag(
        "--model",
        metavar="VARIABLE",
        help="a live object of the notebook, or a function: load() and predict() are generated",
    ),
    flag(
        "--example",
        metavar="EXPRESSION",
        help="with --model: a request it can answer, such as X_test.head(3)",
    ),
)
COMPARE = switch(
    "--no-compare",
    parameter="compare",
    default=True,
    sets=False,
    help="do not run predict in the notebook too, to compare its response with the deployed code's",
)
FILE = (
    flag(
        "--file", metavar="PATH", help="send this file as it is; - is the standard input of a shell"
    ),
    flag("--content-type", metavar="TYPE", help="media type of the request"),
)
REQUEST = (
    *FILE,
    flag("--accept", metavar="TYPE", help="media type wanted for the response"),
    number(
        "--timeout",
        REQUEST_SECONDS,
        "how long to wait for the response, or for the next piece of a stream; SageMaker gives a"
        " model 60",
        parameter="timeout_s",
        metavar="SECONDS",
    ),
    *ON_ENDPOINT,
    NAME,
)
INVOKE_OPTIONS = (
    flag(
        "--custom-attributes",
        metavar="TEXT",
        help="what predict reads as context.custom_attributes",
    ),
    flag("--inference-id", metavar="ID", help="names the request in captured data"),
    flag(
        "--session-id",
        metavar="ID",
        help="the stateful session that the request belongs to; NEW_SESSION begins one",
    ),
    flag(
        "--target-variant",
        metavar="NAME",
        help="which production variant responds, of an endpoint with several",
    ),
)
PAYLOAD = at(
    "PAYLOAD", "a Python expression in a notebook; JSON, @FILE or - (standard input) in a shell"
)
