"""Show what endpoints cost as text."""

from __future__ import annotations

from sageturner_magic.constants import EndpointType
from sageturner_magic.endpoints import Price

REQUEST_S = 0.1
"""The duration of the request whose price is shown for an endpoint that is billed by use."""


def price_text(price: Price | None, endpoint_type: EndpointType) -> str:
    """`$0.230 per hour`, `$20.00 per million requests of 100 ms, nothing while idle`."""
    if endpoint_type == "local":
        return "free"
    if price is None or price.hour is None:
        return "not known: your user may not read prices (pricing:GetProducts)"
    parts = [f"${price.hour:,.3f} per hour (${price.hour * 24:,.2f} per day)"] * bool(price.hour)
    if price.busy_second:
        million = price.busy_second * REQUEST_S * 1_000_000
        parts.append(f"${million:,.2f} per million requests of {REQUEST_S * 1000:g} ms")
    elif endpoint_type == "serverless":
        parts.append("billed per request")
    return " + ".join(parts) + ("" if price.hour else ", nothing while idle")
