"""Describe what `--json` prints as JSON schemas.

The site's page is generated from these; the tests check what the verbs really print by them.
"""

from __future__ import annotations

from typing import Any

from sageturner_magic.constants import ENDPOINT_TYPES

Schema = dict[str, Any]


def _is(kind: str | list[str], about: str, **more: Any) -> Schema:
    return {"type": kind, "description": about, **more}


def _text(about: str, **more: Any) -> Schema:
    return _is("string", about, **more)


def _number(about: str) -> Schema:
    return _is("number", about)


def _maybe(kind: str, about: str) -> Schema:
    return _is([kind, "null"], about)


def _yes(about: str) -> Schema:
    return _is("boolean", about)


def _count(about: str) -> Schema:
    return _is("integer", about)


def _list(items: Schema, about: str) -> Schema:
    return _is("array", about, items=items)


def _object(about: str, fields: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in fields if name not in optional]
    return _is("object", about, properties=fields, required=required)


def _map(values: Schema, about: str) -> Schema:
    return _is("object", about, additionalProperties=values)


def _finding(severities: tuple[str, ...], about: str) -> dict[str, Schema]:
    return {
        "severity": _text(about, enum=[*severities]),
        "code": _text("kind of problem, such as `ST12`; empty for some notes"),
        "headline": _text("what is wrong or was noticed"),
        "where": _text("line of the YAML, cell, or AWS resource; may be empty"),
        "why": _text("the cause; may be empty"),
        "remedy": _text("what to do; may be empty for a note"),
        "details": _text("lines that help, such as the end of a log; may be empty"),
        "message": _text("all of it as the sentence that a person reads"),
    }


FINDING = _object("a warning or a note", _finding(("warning", "note"), "a `note` needs no action"))
_FINDINGS = _list(FINDING, "warnings and notes, each [a finding](#a-finding)")
_PROBLEM = _finding(("error",), "how serious it is")
ERROR = _object(
    "a command that failed: the first problem, and all of them",
    {
        **_PROBLEM,
        "exit_code": _count("2, or 130 if you stopped it"),
        "problems": _list(
            _object("a problem", _PROBLEM),
            "all problems, the first one included, with the fields above except `exit_code`",
        ),
    },
)
_TYPE = _text("where the model runs", enum=[*ENDPOINT_TYPES])
_VERSION = _text("12 hex digits that name what it runs")
_ORIGIN = _text("cells or folder that the code came from")
_USE = _yes("whether requests are billed")
_SO_FAR = _maybe("number", "US dollars so far")
_ENDPOINT = {
    "name": _text("the endpoint"),
    "endpoint_type": _TYPE,
    "status": _text("SageMaker's `EndpointStatus`, such as `InService`"),
    "version": _VERSION,
    "created": _number("seconds since 1970"),
    "origin": _ORIGIN,
    "url": _text("address for HTTP clients; empty on SageMaker"),
    "cost_per_hour": _maybe("number", "US dollars while nobody sends requests"),
    "detail": _text("what is special, such as why it failed; may be empty"),
    "ends": _maybe("number", "when its lease ends, in seconds since 1970"),
    "cost_so_far": _SO_FAR,
}
_REQUESTS = {
    "requests": _number("how many were answered"),
    "client_errors": _number("of these, answered with 4xx"),
    "server_errors": _number("of these, answered with 5xx"),
    "mean_ms": _maybe("number", "mean latency in ms"),
    "slowest_ms": _maybe("number", "latency of the slowest one in ms"),
}
_USAGE = {
    "start": _number("seconds since 1970"),
    "end": _number("seconds since 1970"),
    "period_s": _number("seconds of a period"),
    **_REQUESTS,
    "periods": _list(_object("one period", _REQUESTS), "the same for each period"),
}
_PLACE: Schema = _text("where it is", enum=["registry", "cache", "base", "nowhere"])
_DEPLOYMENT = _object(
    "the endpoint that was deployed",
    {
        "name": _ENDPOINT["name"],
        "endpoint_type": _TYPE,
        "version": _VERSION,
        "url": _ENDPOINT["url"],
        "origin": _ORIGIN,
        "seconds": _number("how long it took"),
        "unchanged": _yes("whether nothing had to be done"),
        "example": _text("a request as JSON; empty if none is known"),
        "outline": _text("what `predict` reads of a request, as JSON to fill in; may be empty"),
        "price": {
            **_object(
                "US dollars; null for a local endpoint, and where AWS tells no price",
                {
                    "hour": _maybe("number", "each hour, called or not"),
                    "busy_second": _maybe("number", "each second that a request takes"),
                },
            ),
            "type": ["object", "null"],
        },
        "region": _text("AWS region; empty for a local endpoint"),
        "profile": _text("AWS profile; empty for the default one"),
        "header_file": _text("file with the `Authorization` header of a local endpoint"),
        "findings": _FINDINGS,
    },
)
_CHANGED = _object("what was changed", {"changed": _list(_text("a change"), "a sentence each")})
_REMOVED = _object(
    "what was removed",
    {
        "deleted": _list(_text("a resource"), "what was removed"),
        "left": _list(_text("a note"), "what stays, and why"),
    },
    optional=("left",),
)
_TEXT = _object("a text", {"text": _text("the text")})

SCHEMAS: dict[str, Schema] = {
    "init": _object("the file", {"wrote": _text("its path")}),
    "setup": _CHANGED,
    "try": _object(
        "the trial",
        {
            "name": _ENDPOINT["name"],
            "python": _text("version of Python that ran it"),
            "code": _ORIGIN,
            "asked": _text("where the request came from", enum=["payload", "example", ""]),
            "value": {"description": "what `predict` returned; null for bytes"},
            "content_type": _text("media type of the response"),
            "import_seconds": _number("time of the imports"),
            "load_seconds": _number("time of `load()`"),
            "predict_seconds": _number("time of `predict()`"),
            "memory_bytes": _count("most memory that it used"),
            "serverless_memory_mb": _maybe(
                "integer", "smallest serverless endpoint that holds it; null if none does"
            ),
            "findings": _FINDINGS,
        },
    ),
    "plan": _object(
        "the plan",
        {
            "name": _ENDPOINT["name"],
            "endpoint_type": _TYPE,
            "version": _VERSION,
            "facts": _map(_text("a fact"), "what the plan shows, by its label; `cost` is one"),
            "layers": _list(
                _object(
                    "a layer of the image",
                    {
                        "title": _text("what is in it"),
                        "size": _count("compressed bytes"),
                        "digest": _text("`sha256:…`; empty if it is not made yet"),
                        "place": _PLACE,
                    },
                ),
                "layers of the image; empty for a local process",
            ),
            "steps": _list(_text("a step"), "what `deploy` would do; empty if it runs already"),
            "findings": _FINDINGS,
        },
    ),
    "deploy": _DEPLOYMENT,
    "status": _list(
        _object(
            "the endpoint",
            {
                **_ENDPOINT,
                "usage": {
                    **_object("its requests; null if AWS tells none", _USAGE),
                    "type": ["object", "null"],
                },
                "findings": _FINDINGS,
            },
        ),
        "a list of one endpoint",
    ),
    "list": _object(
        "all endpoints",
        {
            "endpoints": _list(
                _object("an endpoint", {**_ENDPOINT, "billed_by_use": _USE}), "local ones first"
            ),
            "total": _object(
                "what they cost together",
                {
                    "cost_per_hour": _number("US dollars"),
                    "cost_so_far": _number("US dollars"),
                    "billed_by_use": _count("endpoints whose requests are billed"),
                    "price_unknown": _count("endpoints whose price is unknown"),
                },
            ),
            "left_overs": _list(
                _object(
                    "an endpoint that is gone",
                    {
                        "name": _text("the endpoint's"),
                        "resources": _list(_text("a line"), "what is left of it"),
                    },
                ),
                "what `delete NAME` removes of endpoints that AWS has deleted",
            ),
            "findings": _FINDINGS,
        },
    ),
    "logs": _list(_text("a line"), "lines of the log, oldest first"),
    "invoke": _object(
        "the prediction",
        {
            "status": _count("HTTP status"),
            "latency_ms": _number("time until the whole response was there"),
            "content_type": _text("media type of the response"),
            "value": {"description": "what `predict` returned"},
        },
    ),
    "load-test": _object(
        "the measurement; if requests failed, with the fields of a failure",
        {
            "endpoint": _ENDPOINT["name"],
            "requests": _count("how many were sent"),
            "wanted": _count("how many were to be sent"),
            "stopped": _yes("whether you stopped it"),
            "concurrency": _count("how many at a time"),
            "seconds": _number("how long it took"),
            "throughput": _number("responses per second"),
            "failed": _count("requests without a good response"),
            "throttled": _count("of these, refused because there were too many at a time"),
            "latency_ms": _map(_number("ms"), "`p50` to `p99` and `max`; empty if all failed"),
            "histogram": _list(
                _object(
                    "a bin",
                    {
                        "from_ms": _number("lower end"),
                        "to_ms": _number("upper end"),
                        "count": _count("responses"),
                    },
                ),
                "how many responses took how long",
            ),
            "errors": _map(_count("how often"), "what went wrong"),
            "bytes": _count("of all responses"),
            "cost_usd": _maybe("number", "what the requests cost"),
        },
    ),
    "rollback": _DEPLOYMENT,
    "extend": _CHANGED,
    "keep": _CHANGED,
    "cost": _object(
        "an estimate of the last 30 days",
        {
            "days": _list(
                _object(
                    "a version of an endpoint on a day",
                    {
                        "endpoint": _ENDPOINT["name"],
                        "version": _VERSION,
                        "day": _text("such as `2026-11-29`, in UTC"),
                        "hours": _number("how long it was there on that day"),
                        "requests": _maybe("integer", "how many came"),
                        "dollars": _maybe("number", "US dollars"),
                    },
                ),
                "by endpoint, oldest first",
            ),
            "idle": _list(
                _object(
                    "an endpoint that costs and got no request",
                    {
                        "endpoint": _ENDPOINT["name"],
                        "days": _count("days without a request"),
                        "month": _number("US dollars a month that ending it saves"),
                    },
                ),
                "endpoints that nobody uses",
            ),
            "month": _number("US dollars since the first of this month"),
            "forecast": _number("US dollars of the whole month, if everything stays as it is"),
            "unknown": _list(_text("an endpoint"), "not counted, as the price is unknown"),
            "findings": _FINDINGS,
        },
    ),
    "delete": _REMOVED,
    "teardown": _REMOVED,
    "export": _list(_text("a path"), "the files that were written"),
    "code": _TEXT,
    "client": _object("the file", {"wrote": _text("its path")}),
    "secret": _CHANGED,
    "schema": _is("object", "the JSON schema of `sageturner.yaml`"),
    "doctor": {
        **_object(
            "the state of each part by its name, such as `python`, `docker`, `aws`, `role`",
            {
                "frameworks": _list(
                    _map(_text("a cell"), "a row"), "what this environment needs on each GPU"
                ),
                "wrong": _list(_text("a part"), "the parts with which something is wrong"),
            },
        ),
        "additionalProperties": _text("the state, or what is wrong and what to do"),
    },
}
"""Verb -> the schema of what it prints with `--json` if it ends well."""

VARIANTS = {
    ("setup", "--show-policy"): "The IAM policy; several by what each is for.",
    ("plan", "--dockerfile"): "An object with the Dockerfile as `text`.",
    ("logs", "--follow"): "A JSON string in each line, as the lines come.",
    ("invoke", "--stream"): "The JSON value of each piece in a line, as the pieces come.",
    ("code", "--diff"): "An object with the diff as `text`.",
    ("doctor", "--aws"): "The same object with one field for each check.",
}
"""Verb and flag -> what is printed in place of it."""
