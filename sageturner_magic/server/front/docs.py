"""Serve /docs for people and /openapi.json for programs.

The page loads nothing from other hosts, because a container in a VPC and a notebook behind a proxy
cannot reach any; its Content-Security-Policy forbids it. tests/unit/server/openapi holds whole
documents, which programs that were generated from them rely on: names, titles and the two schemas
of validation errors, which no response uses, included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..problems import SSE


def openapi(
    name: str,
    example: Any,
    token: bool,
    contract: Mapping[str, Any] | None = None,
    warmed: Mapping[str, str] | None = None,
) -> bytes:
    """Describe the server in OpenAPI 3.1, as JSON.

    Args:
        name: The title.
        example: An example request, or None.
        token: Whether requests need a token.
        contract: What predict's signature says (see `codec/contract`), if anything.
        warmed: Content type and text of the response to the example request, if known.
    """
    contract = contract or {"request": None, "answer": None, "schemas": {}}
    request: dict[str, Any] = {"title": "Request", "examples": [{} if example is None else example]}
    if contract["request"] is not None:
        request = _with_example(contract["request"], example)
    answer = contract["answer"] or {"title": "Response Invocations Invocations Post"}
    schemas: dict[str, Any] = {"schemas": {**contract["schemas"], **_VALIDATION}}
    invocations: dict[str, Any] = {
        "summary": "Predict",
        "description": "Calls predict. Other content types than JSON are documented by the model.",
        "operationId": "invocations_invocations_post",
        "requestBody": {
            "content": _json(request),
            "required": True,
        },
        "responses": {
            "200": _OK | {"content": _content(answer, contract, warmed)},
            **{
                str(status): {"description": text, "content": _json(_ERROR)}
                for status, text in _ERRORS.items()
            },
            **(_INVALID if contract["request"] is not None else {}),
        },
    }
    if token:
        invocations["security"] = [{"token": []}]
        schemas["securitySchemes"] = {"token": {"type": "apiKey", "in": "query", "name": "token"}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": name, "version": "1"},
        "paths": {"/ping": {"get": _PING}, "/invocations": {"post": invocations}},
        "components": schemas,
    }
    return json.dumps(document).encode()


def _with_example(schema: Mapping[str, Any], example: Any) -> dict[str, Any]:
    return {**schema, **({} if example is None else {"examples": [example]})}


_TOKEN_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Token needed</title>
<body style="font: 16px system-ui; margin: 4em auto; max-width: 40em">
<h1>Token needed</h1>
<p>Copy the token from the file that the endpoint's curl command names after <code>-H @</code>.</p>
<form action="docs"><input type="password" name="token" autofocus required aria-label="Token">
<button>Open</button></form>
</body></html>
"""


def token_page() -> bytes:
    """A page that asks for the token and opens /docs with it."""
    return _TOKEN_PAGE


def page(name: str, example: Any, token: str) -> bytes:
    """The page that sends a request and shows the answer, as HTML.

    Args:
        name: The title.
        example: What the request begins with, or None.
        token: What the page's own requests carry, if not empty.
    """
    statuses = {200: "The answer of predict", **_ERRORS}
    # As text, because a browser would round its numbers.
    body = None if example is None else json.dumps(example, ensure_ascii=False)
    facts = {"name": name, "example": body, "token": token, "statuses": statuses}
    # In a script element only `<` could be taken for markup.
    text = json.dumps(facts).replace("<", "\\u003c")
    template = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
    return template.replace("$FACTS", text).encode()


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _content(
    answer: Mapping[str, Any], contract: Mapping[str, Any], warmed: Mapping[str, str] | None
) -> dict[str, Any]:
    if contract.get("streams"):
        return _streamed(answer)
    content = _json({**answer})
    if warmed and warmed["content_type"] in content:
        content["application/json"]["example"] = json.loads(warmed["body"])
    return content


def _streamed(item: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a stream of such values: text as it is, else a line for each."""
    kind = "text/plain" if item.get("type") == "string" else "application/jsonlines"
    events = {"type": "string", "description": "An event whose data is the value, for each"}
    lines = {**item, "description": item.get("description", "One of the values, each on a line")}
    return {kind: {"schema": item if kind == "text/plain" else lines}, SSE: {"schema": events}}


_ERROR = {
    "properties": {
        "error": {
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "traceback": {"items": {"type": "string"}, "type": "array"},
            },
            "type": "object",
        }
    },
    "type": "object",
}
_FAULT = {
    "at": {"type": "string", "description": "The place: `pixels[63]`; empty for the whole"},
    "message": {"type": "string"},
}
_INVALID = {
    "422": {
        "description": "The request is not of the type that predict takes",
        "content": _json(
            {
                "type": "object",
                "properties": {
                    "error": {
                        "type": "object",
                        "properties": {
                            "type": {"const": "Invalid"},
                            **_FAULT,
                            "faults": {
                                "type": "array",
                                "maxItems": 20,
                                "items": {
                                    "type": "object",
                                    "properties": _FAULT,
                                    "required": ["at", "message"],
                                },
                            },
                        },
                        "required": ["type", "at", "message", "faults"],
                    }
                },
                "required": ["error"],
            }
        ),
    }
}
_ERRORS = {
    400: "The body is not what its Content-Type says",
    406: "Nothing that is accepted can be made",
    413: "The body is too large",
    415: "The Content-Type is not supported",
    429: "Too many requests wait",
    500: "predict raised; `traceback` has the frames of the model's code",
    503: "Loading, draining or unhealthy",
    504: "predict did not answer in time",
}
_OK = {"description": "Successful Response"}
_PING = {
    "summary": "Is the model ready?",
    "description": "200 when the model is loaded and its workers are well, otherwise 503.",
    "operationId": "ping_ping_get",
    "responses": {
        "200": {
            **_OK,
            "content": _json(
                {
                    "additionalProperties": {"type": "string"},
                    "type": "object",
                    "title": "Response Ping Ping Get",
                }
            ),
        },
        "503": {"description": _ERRORS[503]},
    },
}
_VALIDATION = {
    "HTTPValidationError": {
        "properties": {
            "detail": {
                "items": {"$ref": "#/components/schemas/ValidationError"},
                "type": "array",
                "title": "Detail",
            }
        },
        "type": "object",
        "title": "HTTPValidationError",
    },
    "ValidationError": {
        "properties": {
            "loc": {
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "type": "array",
                "title": "Location",
            },
            "msg": {"type": "string", "title": "Message"},
            "type": {"type": "string", "title": "Error Type"},
            "input": {"title": "Input"},
            "ctx": {"type": "object", "title": "Context"},
        },
        "type": "object",
        "required": ["loc", "msg", "type"],
        "title": "ValidationError",
    },
}
