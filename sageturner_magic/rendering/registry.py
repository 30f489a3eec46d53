"""Render results of verbs as text for people and as plain values for JSON.

The command line and the notebook use `text_of` and `data_of`; how a type is rendered is registered
here by the type's path, so that only what is rendered is imported. Knows nothing of IPython.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from pkgutil import resolve_name
from typing import Any, NamedTuple, TypeVar


class Renderer(NamedTuple):
    """Paths of two functions of a result: `text` returns str, `data` plain values."""

    text: str
    data: str


_HERE = "sageturner_magic.rendering"
RENDERERS = {
    "sageturner_magic.deployment.plan:Plan": Renderer(
        f"{_HERE}.plans:plan_text", f"{_HERE}.plans:plan_data"
    ),
    "sageturner_magic.deployment.tried:Tried": Renderer(
        f"{_HERE}.trials:tried_text", f"{_HERE}.trials:tried_data"
    ),
    "sageturner_magic.deployment.events:Deployment": Renderer(
        f"{_HERE}.deployments:outcome", f"{_HERE}.deployments:deployment_data"
    ),
    "sageturner_magic.endpoints.measured.dashboard:Dashboard": Renderer(
        f"{_HERE}.dashboards:dashboard_text", f"{_HERE}.dashboards:dashboard_data"
    ),
    "sageturner_magic.endpoints.endpoint:Listing": Renderer(
        f"{_HERE}.endpoints:listing_text", f"{_HERE}.endpoints:listing_data"
    ),
    "sageturner_magic.endpoints.measured.spent:Spent": Renderer(
        f"{_HERE}.spent:spent_text", f"{_HERE}.spent:spent_data"
    ),
    "sageturner_magic.endpoints.prediction:Prediction": Renderer(
        f"{_HERE}.responses:prediction_text", f"{_HERE}.responses:prediction_data"
    ),
    "sageturner_magic.endpoints.measured.load_result:LoadTest": Renderer(
        f"{_HERE}.load_tests:load_test_text", f"{_HERE}.load_tests:load_test_data"
    ),
    "sageturner_magic.verbs.account.offers:Changes": Renderer(
        f"{_HERE}.account:changes_text", f"{_HERE}.account:changes_data"
    ),
    "sageturner_magic.verbs.account.printed_policies:Policies": Renderer(
        f"{_HERE}.account:policies_text", f"{_HERE}.account:policies_data"
    ),
    "sageturner_magic.verbs.account.removing:PlannedRemoval": Renderer(
        f"{_HERE}.account:removal_text", f"{_HERE}.account:removal_data"
    ),
    "sageturner_magic.verbs.diagnosis:Report": Renderer(
        f"{_HERE}.account:report_text", f"{_HERE}.account:report_data"
    ),
}
"""Path of a type (`package.module:Type`) -> how its values are rendered."""

Registered = TypeVar("Registered")


def registered(registry: Mapping[str, Registered], value: object) -> Registered | None:
    """Return what is registered for the type of `value`, or for the nearest of its bases."""
    paths = (f"{kind.__module__}:{kind.__qualname__}" for kind in type(value).__mro__)
    return next((registry[path] for path in paths if path in registry), None)


def text_of(result: object) -> str:
    """Return a verb's result as text for people."""
    if renderer := registered(RENDERERS, result):
        text: str = resolve_name(renderer.text)(result)
        return text
    if isinstance(result, PurePath):
        return f"wrote {result}"
    if isinstance(result, list):
        return "\n".join(map(str, result))
    return json.dumps(result, indent=2) if isinstance(result, dict) else str(result)


def data_of(result: object) -> Any:
    """Return a verb's result as plain values: an object or a list of the facts of its text."""
    if renderer := registered(RENDERERS, result):
        return resolve_name(renderer.data)(result)
    if isinstance(result, PurePath):
        return {"wrote": str(result)}
    if isinstance(result, list):
        return [*map(str, result)]
    return result if isinstance(result, dict) else {"text": str(result)}


def json_of(result: object) -> str:
    """Return a verb's result as JSON."""
    return json.dumps(data_of(result), indent=2, ensure_ascii=False, default=str)
