"""Describe every verb once.

The command, the magics, completion, `--help`, the public functions, the policy that `setup` shows
and docs/cli.md come from this table. It names functions by their path (`package.module:function`),
so that importing it imports none of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sageturner_magic.constants import CONTAINER_MODES, ENDPOINT_TYPES, REQUEST_SECONDS
from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import Argument
from sageturner_magic.verbs.verb import Verb


def _flag(*flags: str, help: str, **more: Any) -> Argument:
    parameter = more.pop("parameter", flags[-1].lstrip("-").replace("-", "_"))
    return Argument(parameter, help, flags, **more)


def _switch(*flags: str, help: str, **more: Any) -> Argument:
    return _flag(*flags, help=help, **{"default": False, **more})


def _number(flag: str, default: float, help: str, **more: Any) -> Argument:
    more = {"metavar": "N", "type": type(default), "default": default, **more}
    return _flag(flag, help=f"{help} (default: {default:g})", **more)


def _at(place: str, help: str, **more: Any) -> Argument:
    return Argument(more.pop("parameter", place.lower()), help, metavar=place, **more)


def _permissions(text: str) -> list[str]:
    """The permission sets of verbs that are separated by commas."""
    verbs = [name.strip() for name in text.split(",")]
    if unknown := [name for name in verbs if name not in PERMITTED]:
        raise UsageError(
            f"There is no policy for `{unknown[0]}`", do=f"choose from {', '.join(PERMITTED)}"
        )
    return [name for verb in verbs for name in VERBS[verb].permissions]


_CONFIG = _flag(
    "-c",
    "--config-path",
    parameter="config",
    metavar="PATH",
    help="the YAML configuration (default: ./sageturner.yaml)",
)
_AWS = (
    _flag("--profile", metavar="NAME", help="AWS profile"),
    _flag("--region", metavar="REGION", help="AWS region"),
)
HELP = _switch("-h", "--help", help="print this and do nothing")
_JSON = _switch("--json", help="print JSON for programs")
_NAME = _at("NAME", "the endpoint", required=True)
_YES = _switch("--yes", help="do it without asking")
_ENDPOINT_TYPE = _flag(
    "-e",
    "--endpoint-type",
    choices=ENDPOINT_TYPES,
    default="local",
    help="where the model runs (default: {default})",
)
_CONTAINER_MODE = _flag(
    "-m",
    "--container-mode",
    choices=CONTAINER_MODES,
    spellings={"provided": "provide"},
    default="generate",
    help="generate the image from the code, or build the Dockerfile that you provide"
    " (default: {default})",
)
_VERSION = (
    "12 hex digits (default: the previous version, the only one that a local process keeps; local"
    " containers keep none)"
)
_ON_AWS = (*_AWS, _JSON)
_ON_ENDPOINT = (
    replace(_ENDPOINT_TYPE, parameter="where", default=None, help="which one of that name"),
    *_ON_AWS,
)
_DEPLOYMENT = (_ENDPOINT_TYPE, _CONTAINER_MODE, _CONFIG, *_AWS)
_FILE = (
    _flag("--file", metavar="PATH", help="send this file as it is"),
    _flag("--content-type", metavar="TYPE", help="media type of the request"),
)
_REQUEST = (
    *_FILE,
    _flag("--accept", metavar="TYPE", help="media type wanted for the response"),
    _number(
        "--timeout",
        REQUEST_SECONDS,
        "how long to wait for the response, or for the next piece of a stream; SageMaker gives a"
        " model 60",
        parameter="timeout_s",
        metavar="SECONDS",
    ),
    *_ON_ENDPOINT,
    _NAME,
)
_PAYLOAD = _at(
    "PAYLOAD", "a Python expression in a notebook; JSON, @FILE or - (standard input) in a shell"
)

_DEPLOYMENTS = "sageturner_magic.verbs.deploying"
_SOURCES = "sageturner_magic.verbs.sources"
_FILES = "sageturner_magic.verbs.exporting"
_TRIALS = "sageturner_magic.verbs.trying"
_ENDPOINTS = "sageturner_magic.verbs.endpoints"
_ACCOUNT = "sageturner_magic.verbs.account"

_TABLE = (
    Verb(
        "init",
        "write a commented sageturner.yaml",
        f"{_FILES}:init",
        "pathlib:Path",
        (_at("PATH", "the file to write (default: ./sageturner.yaml)"), _JSON),
    ),
    Verb(
        "setup",
        "create or repair the IAM role, the S3 bucket and the ECR repository",
        f"{_ACCOUNT}:setup",
        f"{_ACCOUNT}:Changes",
        (
            _switch(
                "--show-policy",
                runs=f"{_ACCOUNT}:show_policy",
                help="print the least IAM policies for setting up, for deploying and for the role",
            ),
            _flag(
                "--for",
                parameter="permissions",
                metavar="VERB,…",
                type=_permissions,
                help="with --show-policy: only for these verbs ({permitted})",
            ),
            _CONFIG,
            *_ON_AWS,
        ),
        permissions=("setup",),
    ),
    Verb(
        "try",
        "run load and predict in a clean process, now",
        f"{_TRIALS}:try_",
        "sageturner_magic.deployment.tried:Tried",
        (
            *_FILE,
            _CONFIG,
            _JSON,
            _at("NAME", "the model (default: the configuration's)"),
            replace(_PAYLOAD, help=f"{_PAYLOAD.help} (default: what example_request() returns)"),
        ),
        work=f"{_TRIALS}:start_trial",
        cell="configuration",
    ),
    Verb(
        "form",
        "fill in and deploy a configuration as a form, in a notebook (a form has no --json)",
        f"{_DEPLOYMENTS}:form",
        "",
        (
            *_DEPLOYMENT,
            _flag(
                "--invoke",
                metavar="NAME",
                help="a form that sends requests to this endpoint instead",
            ),
        ),
        cell="configuration",
    ),
    Verb(
        "plan",
        "check everything and show what deploy would do",
        f"{_DEPLOYMENTS}:plan",
        "sageturner_magic.deployment.plan:Plan",
        (
            *_DEPLOYMENT,
            _switch(
                "--dockerfile",
                runs=f"{_DEPLOYMENTS}:planned_dockerfile",
                help="print the Dockerfile of the image for SageMaker, and that only",
            ),
            _switch(
                "--verify",
                help="prove the packages: load and predict in a clean environment that holds"
                " nothing else",
            ),
            _JSON,
        ),
        permissions=("plan",),
        cell="configuration",
    ),
    Verb(
        "deploy",
        "put the model behind an endpoint",
        f"{_DEPLOYMENTS}:deploy",
        "sageturner_magic.deployment.events:Deployment",
        (
            *_DEPLOYMENT,
            _switch(
                "--no-wait", help="return at once with a handle (status, wait(), cancel(), logs())"
            ),
            _switch(
                "--wait",
                parameter="no_wait",
                sets=False,
                help="return when the endpoint answers (the default)",
            ),
            _switch(
                "--detach",
                help="let a local endpoint outlive the notebook or command that deploys it",
            ),
            _switch(
                "--no-smoke-test",
                parameter="smoke_test",
                default=True,
                sets=False,
                help="build and push without trying code and image on this machine first",
            ),
            _JSON,
        ),
        work=f"{_DEPLOYMENTS}:start_deployment",
        permissions=("deploy",),
        cell="configuration",
    ),
    Verb(
        "status",
        "show one endpoint",
        f"{_ENDPOINTS}:status",
        "sageturner_magic.endpoints.measured.dashboard:Dashboard",
        (
            _NAME,
            _number("--hours", 3.0, "how far back requests are shown"),
            *_ON_ENDPOINT,
        ),
        work="sageturner_magic.endpoints.measured:read_dashboard",
        permissions=("list",),
    ),
    Verb(
        "list",
        "show all endpoints",
        f"{_ENDPOINTS}:list_endpoints",
        "sageturner_magic.endpoints.endpoint:Listing",
        _ON_AWS,
        work="sageturner_magic.endpoints:listing",
        permissions=("list",),
    ),
    Verb(
        "logs",
        "show what an endpoint wrote",
        f"{_ENDPOINTS}:logs",
        "collections.abc:Iterator",
        (
            _NAME,
            _switch("-f", "--follow", runs=f"{_ENDPOINTS}:follow_logs", help="wait for new lines"),
            _flag(
                "-n",
                "--lines",
                parameter="last",
                metavar="N",
                type=int,
                help="only the last N lines",
            ),
            *_ON_ENDPOINT,
        ),
        permissions=("logs",),
    ),
    Verb(
        "invoke",
        "send a request and show the prediction",
        f"{_ENDPOINTS}:invoke",
        "sageturner_magic.endpoints.prediction:Prediction",
        (
            _switch(
                "--stream",
                runs=f"{_ENDPOINTS}:invoke_stream",
                help="show the response while the model generates it",
            ),
            *_REQUEST,
            _PAYLOAD,
        ),
        permissions=("invoke",),
        cell="payload",
    ),
    Verb(
        "load-test",
        "send many requests and measure the responses",
        f"{_ENDPOINTS}:load_test",
        "sageturner_magic.endpoints.measured.load_result:LoadTest",
        (
            _number("--requests", 200, "how many to send"),
            _number("--concurrency", 8, "how many at a time"),
            *_REQUEST,
            _PAYLOAD,
        ),
        work=f"{_ENDPOINTS}:start_load_test",
        permissions=("invoke",),
        cell="payload",
    ),
    Verb(
        "rollback",
        "roll an endpoint back to its previous version",
        f"{_DEPLOYMENTS}:rollback",
        "sageturner_magic.deployment.events:Deployment",
        (_NAME, _at("VERSION", _VERSION), *_ON_ENDPOINT),
        work=f"{_DEPLOYMENTS}:start_rollback",
        permissions=("rollback",),
    ),
    Verb(
        "delete",
        "delete an endpoint and everything that was created for it",
        f"{_ACCOUNT}:delete",
        f"{_ACCOUNT}:PlannedRemoval",
        (
            _at("NAME", "the endpoint"),
            _switch("--orphans", help="instead of an endpoint: yours, unused, older than a day"),
            _switch("--everybody", help="with --orphans: also what others created"),
            _switch("--if-exists", help="succeed where there is no such endpoint"),
            _YES,
            _CONFIG,
            *_ON_ENDPOINT,
        ),
        work=f"{_ACCOUNT}:plan_removal",
        permissions=("delete",),
    ),
    Verb(
        "teardown",
        "remove role, bucket, repository and logs from AWS",
        f"{_ACCOUNT}:teardown",
        f"{_ACCOUNT}:PlannedRemoval",
        (_YES, _CONFIG, *_ON_AWS),
        work=f"{_ACCOUNT}:plan_teardown",
        permissions=("teardown",),
    ),
    Verb(
        "export",
        "write code, configuration and artefact as a folder to deploy",
        f"{_FILES}:export",
        "builtins:list",
        (_at("DIR", "an empty or new folder", parameter="folder", required=True), _CONFIG, _JSON),
        cell="configuration",
    ),
    Verb(
        "code",
        "show the module that is deployed",
        f"{_SOURCES}:code",
        f"{_SOURCES}:Source",
        (
            _at("NAME", "the captured name (default: the configuration's)"),
            _switch("--diff", runs=f"{_SOURCES}:code_diff", help="against what is deployed"),
            _switch("--left-out", runs=f"{_SOURCES}:code_left_out", help="what acts on it outside"),
            _CONFIG,
            *_ON_ENDPOINT,
        ),
        cell="configuration",
    ),
    Verb(
        "schema",
        "print the configuration's JSON schema, for editors",
        "sageturner_magic.config:json_schema",
        "builtins:dict",
        (_JSON,),
    ),
    Verb(
        "doctor",
        "check this machine, AWS account and environment, and report what is missing",
        "sageturner_magic.verbs.doctor:doctor",
        "sageturner_magic.verbs.doctor:Report",
        (
            _switch(
                "--aws",
                runs="sageturner_magic.verbs.real_account:check_account",
                help="deploy, call and remove two small endpoints, and report what AWS does"
                " differently from what this package expects (costs less than $0.25)",
            ),
            _YES,
            *_ON_AWS,
        ),
    ),
)

PERMITTED = tuple(verb.name for verb in _TABLE if verb.permissions)
"""The verbs that have a policy."""


def _filled(argument: Argument) -> Argument:
    text = argument.help.format(default=argument.default, permitted=", ".join(PERMITTED))
    return replace(argument, help=text)


VERBS = {verb.name: replace(verb, arguments=tuple(map(_filled, verb.arguments))) for verb in _TABLE}
"""Name -> verb, in the order in which help shows them."""

PUBLIC = {verb.public_name: verb.function for verb in _TABLE}
"""Public name -> path of the function."""
