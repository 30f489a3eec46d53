"""What a person opens: /docs, a page of our own, and /openapi.json, which FastAPI makes.

Both are imported when asked for. The page needs nothing from elsewhere, because a container in a
VPC and a notebook behind a proxy have no elsewhere; its Content-Security-Policy holds it to that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def openapi(name: str, example: Any, token: bool) -> bytes:
    """The OpenAPI description of the server as JSON.

    Args:
        name: The title.
        example: An example request, or None.
        token: Whether requests need a token.
    """
    from fastapi import Body, FastAPI
    from fastapi.openapi.utils import get_openapi

    app = FastAPI()
    errors: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _ERRORS.items()
    }
    body = Body(examples=[{} if example is None else example])

    def ping() -> dict[str, str]:
        """200 when the model is loaded and its workers are well, otherwise 503."""
        return {}

    def invocations(request: Any = body) -> Any:
        """Calls predict. Other content types than JSON are documented by the model."""

    unready: dict[int | str, dict[str, Any]] = {503: {"description": _ERRORS[503]}}
    app.get("/ping", summary="Is the model ready?", responses=unready)(ping)
    app.post("/invocations", summary="Predict", responses=errors)(invocations)
    schema = get_openapi(title=name, version="1", routes=app.routes)
    schema["paths"]["/invocations"]["post"]["responses"].pop("422", None)
    if token:
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "apiKey", "in": "query", "name": "token"}
        schema["paths"]["/invocations"]["post"]["security"] = [{"token": []}]
    return json.dumps(schema).encode()


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


_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "traceback": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
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
