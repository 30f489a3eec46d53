"""Describe every verb once.

The command, the magics, completion, `--help`, the public functions, the policy that `setup` shows
and docs/cli.md come from this table. It names functions by their path (`package.module:function`),
so that importing it imports none of them.
"""

from __future__ import annotations

from dataclasses import replace

from sageturner_magic.errors import UsageError
from sageturner_magic.verbs.arguments import Argument
from sageturner_magic.verbs.shared import (
    COMPARE,
    CONFIG,
    DEPLOYMENT,
    FILE,
    INVOKE_OPTIONS,
    JSON,
    KEYS,
    MODEL,
    NAME,
    ON_AWS,
    ON_ENDPOINT,
    PAYLOAD,
    REQUEST,
    VERSION,
    YES,
    at,
    flag,
    number,
    switch,
)
from sageturner_magic.verbs.verb import Verb


def _permissions(text: str) -> list[str]:
    """The permission sets of verbs that are separated by commas."""
    verbs = [name.strip() for name in text.split(",")]
    if unknown := [name for name in verbs if name not in PERMITTED]:
        raise UsageError(
            f"There is no policy for `{unknown[0]}`", do=f"choose from {', '.join(PERMITTED)}"
        )
    return [name for verb in verbs for name in VERBS[verb].permissions]


_DEPLOYMENTS = "sageturner_magic.verbs.deploying"
_SOURCES = "sageturner_magic.verbs.sources"
_TRIALS = "sageturner_magic.verbs.trying"
_ENDPOINTS = "sageturner_magic.verbs.endpoints"
_ACCOUNT = "sageturner_magic.verbs.account"


def _leasing(name: str, summary: str, arguments: tuple[Argument, ...]) -> Verb:
    function, result = f"sageturner_magic.verbs.leases:{name}", f"{_ACCOUNT}.offers:Changes"
    return Verb(name, summary, function, result, (*arguments, *ON_ENDPOINT), permissions=("lease",))


_TABLE = (
    Verb(
        "init",
        "write a commented sageturner.yaml",
        f"{_SOURCES}:init",
        "pathlib:Path",
        (at("PATH", "the file to write (default: ./sageturner.yaml)"), JSON),
    ),
    Verb(
        "setup",
        "create or repair the IAM role, the S3 bucket and the ECR repository",
        f"{_ACCOUNT}.setting_up:setup",
        f"{_ACCOUNT}.offers:Changes",
        (
            switch(
                "--show-policy",
                runs=f"{_ACCOUNT}.printed_policies:show_policy",
                help="print the least IAM policies for setting up, for deploying and for the role",
            ),
            flag(
                "--for",
                parameter="permissions",
                metavar="VERB,…",
                type=_permissions,
                help="with --show-policy: only for these verbs ({permitted})",
            ),
            switch(
                "--share-layers",
                help="let the account's ECR repositories in the region share image layers (free)",
            ),
            CONFIG,
            *ON_AWS,
        ),
        permissions=("setup",),
        cell="configuration",
    ),
    Verb(
        "try",
        "run load and predict in a clean process, now",
        f"{_TRIALS}:try_",
        "sageturner_magic.deployment.tried:Tried",
        (
            *FILE,
            *MODEL,
            COMPARE,
            CONFIG,
            JSON,
            at("NAME", "the model (default: the configuration's)"),
            replace(PAYLOAD, help=f"{PAYLOAD.help} (default: what example_request() returns)"),
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
            *DEPLOYMENT,
            flag(
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
            *DEPLOYMENT,
            *MODEL,
            *KEYS,
            COMPARE,
            switch(
                "--dockerfile",
                runs=f"{_DEPLOYMENTS}:planned_dockerfile",
                help="print the Dockerfile of the image for SageMaker, and that only",
            ),
            switch(
                "--verify",
                help="prove the packages: load and predict in a clean environment that holds"
                " nothing else",
            ),
            JSON,
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
            *DEPLOYMENT,
            *MODEL,
            *KEYS,
            switch(
                "--no-wait", help="return at once with a handle (status, wait(), cancel(), logs())"
            ),
            switch(
                "--wait",
                parameter="no_wait",
                sets=False,
                help="return when the endpoint answers (the default)",
            ),
            switch(
                "--detach",
                help="let a local endpoint outlive the notebook or command that deploys it",
            ),
            switch(
                "--no-smoke-test",
                parameter="smoke_test",
                default=True,
                sets=False,
                help="build and push without trying code and image on this machine first",
            ),
            switch("--fresh", help="try code and image again, although the same passed before"),
            COMPARE,
            JSON,
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
            NAME,
            number("--hours", 3.0, "how far back requests are shown"),
            *ON_ENDPOINT,
        ),
        work="sageturner_magic.endpoints.measured:read_dashboard",
        permissions=("list",),
    ),
    Verb(
        "list",
        "show all endpoints",
        f"{_ENDPOINTS}:list_endpoints",
        "sageturner_magic.endpoints.endpoint:Listing",
        ON_AWS,
        work="sageturner_magic.endpoints:listing",
        permissions=("list",),
    ),
    Verb(
        "logs",
        "show what an endpoint wrote",
        f"{_ENDPOINTS}:logs",
        "collections.abc:Iterator",
        (
            NAME,
            switch("-f", "--follow", runs=f"{_ENDPOINTS}:follow_logs", help="wait for new lines"),
            flag("-n", "--lines", parameter="last", metavar="N", type=int, help="the last N lines"),
            *ON_ENDPOINT,
        ),
        permissions=("logs",),
    ),
    Verb(
        "invoke",
        "send a request and show the prediction",
        f"{_ENDPOINTS}:invoke",
        "sageturner_magic.endpoints.prediction:Prediction",
        (
            switch(
                "--stream",
                runs=f"{_ENDPOINTS}:invoke_stream",
                help="show the response while the model generates it",
            ),
            *REQUEST,
            *INVOKE_OPTIONS,
            PAYLOAD,
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
            number("--requests", 200, "how many to send"),
            number("--concurrency", 8, "how many at a time"),
            *REQUEST,
            PAYLOAD,
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
        (NAME, at("VERSION", VERSION), *ON_ENDPOINT),
        work=f"{_DEPLOYMENTS}:start_rollback",
        permissions=("rollback",),
    ),
    _leasing(
        "extend",
        "let an endpoint with a lease end later",
        (NAME, at("LENGTH", "from now, such as 30m, 8h or 2d", required=True), CONFIG),
    ),
    _leasing("keep", "end the lease of an endpoint, so that it stays", (NAME,)),
    Verb(
        "cost",
        "estimate what endpoints on SageMaker have cost by day, and the month",
        f"{_ENDPOINTS}:cost",
        "sageturner_magic.endpoints.measured.spent:Spent",
        (at("NAME", "the endpoint (default: all)"), *ON_AWS),
        permissions=("list",),
    ),
    Verb(
        "delete",
        "delete an endpoint and everything that was created for it",
        f"{_ACCOUNT}.removing:delete",
        f"{_ACCOUNT}.removing:PlannedRemoval",
        (
            at("NAME", "the endpoint"),
            switch("--orphans", help="instead of an endpoint: yours, unused, older than a day"),
            switch("--everybody", help="with --orphans: also what others created"),
            switch("--if-exists", help="succeed where there is no such endpoint"),
            YES,
            CONFIG,
            *ON_ENDPOINT,
        ),
        work=f"{_ACCOUNT}.removing:plan_removal",
        permissions=("delete",),
    ),
    Verb(
        "teardown",
        "remove role, bucket, repository and logs from AWS",
        f"{_ACCOUNT}.removing:teardown",
        f"{_ACCOUNT}.removing:PlannedRemoval",
        (YES, CONFIG, *ON_AWS),
        work=f"{_ACCOUNT}.removing:plan_teardown",
        permissions=("teardown",),
    ),
    Verb(
        "export",
        "write code, configuration and artefact as a folder to deploy",
        f"{_SOURCES}:export",
        "builtins:list",
        (
            at("NAME", "the endpoint (default: the configuration's)"),
            at("DIR", "an empty or new folder", parameter="folder", required=True),
            *MODEL,
            CONFIG,
            JSON,
        ),
        cell="configuration",
    ),
    Verb(
        "code",
        "show the module that is deployed",
        f"{_SOURCES}:code",
        f"{_SOURCES}:Source",
        (
            at("NAME", "the captured name (default: the configuration's)"),
            switch("--diff", runs=f"{_SOURCES}:code_diff", help="against what is deployed"),
            switch("--left-out", runs=f"{_SOURCES}:code_left_out", help="what acts on it outside"),
            switch(
                "--cells",
                runs=f"{_SOURCES}:code_cells",
                help="what --model generates, as cells below to run and edit",
            ),
            *MODEL,
            CONFIG,
            *ON_ENDPOINT,
        ),
        cell="configuration",
    ),
    Verb(
        "client",
        "write a Python module that calls an endpoint, with the types of predict",
        f"{_ENDPOINTS}:client",
        "pathlib:Path",
        (NAME, flag("-o", "--output", metavar="FILE", help="if not NAME_client.py"), *ON_ENDPOINT),
    ),
    Verb(
        "secret",
        "store the value of a secret for `secrets:`; it is asked for without showing it",
        f"{_ACCOUNT}.secrets:secret",
        f"{_ACCOUNT}.offers:Changes",
        (
            at("ACTION", "`put`", required=True),
            at("NAME", "the variable under `secrets:`, or a secret's name", required=True),
            CONFIG,
            *ON_AWS,
        ),
        permissions=("secret",),
    ),
    Verb(
        "schema",
        "print the configuration's JSON schema, for editors",
        "sageturner_magic.config:json_schema",
        "builtins:dict",
        (JSON,),
    ),
    Verb(
        "doctor",
        "check this machine, AWS account and environment, and report what is missing",
        "sageturner_magic.verbs.diagnosis:doctor",
        "sageturner_magic.verbs.diagnosis:Report",
        (
            switch(
                "--aws",
                runs="sageturner_magic.verbs.account.real_account:check_account",
                help="deploy, call and remove two small endpoints, and report what AWS does"
                " differently from what this package expects (costs less than $0.25)",
            ),
            YES,
            *ON_AWS,
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
