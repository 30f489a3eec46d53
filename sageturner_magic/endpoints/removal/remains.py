"""Find what is left of endpoints that AWS deleted, such as at the end of a lease. Remove nothing.

`list` shows it; `delete NAME` removes it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sageturner_magic.aws import AwsSession, refused
from sageturner_magic.aws.endpoints import left_autoscaling, list_versions
from sageturner_magic.errors import AwsError, Finding

YOUNG_S = 600.0
"""A version without an endpoint may belong to a deployment that is under way; no lease is shorter
than 15 minutes."""


@dataclass(frozen=True)
class LeftOver:
    """What is left of an endpoint. Attributes: name, the endpoint's; resources, a line each."""

    name: str
    resources: tuple[str, ...]

    @property
    def finding(self) -> Finding:
        """What `list` says of it."""
        return Finding(
            f"The endpoint {self.name} is gone, and left {', '.join(self.resources)}",
            why="its lease has ended, or something else than `delete` ended it",
            do=f"`sageturner delete {self.name}` removes them; `sageturner deploy` brings the"
            " endpoint back",
            severity="note",
        )


def left_overs(session: AwsSession, live: Collection[str], now: float) -> tuple[LeftOver, ...]:
    """What is left of endpoints of ours, by name; nothing where the caller may not look.

    Permissions: those of `list_versions` and `left_autoscaling`.

    Args:
        session: Who asks.
        live: The names of the endpoints that exist.
        now: Seconds since 1970.

    Raises:
        AwsError: A call failed, and not because it was refused.
    """
    try:
        versions = list_versions(session, besides=live)
        found: dict[str, list[str]] = {}
        for version in versions:
            found.setdefault(version.name, []).append(
                f"model and endpoint config {version.resource}"
            )
        young = {each.name for each in versions if each.created > now - YOUNG_S}
        return tuple(
            LeftOver(name, (*lines, *left_autoscaling(session, name)))
            for name, lines in sorted(found.items())
            if name not in young
        )
    except AwsError as error:
        if refused(error):
            return ()
        raise
