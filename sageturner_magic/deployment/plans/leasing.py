"""Schedule the end of an endpoint before it is created, by its `lease` or its `budget`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from sageturner_magic.aws import TAG_LEASE, AwsSession, Names
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.endpoints import EndpointState, Spending
from sageturner_magic.config import Config, Server, Serverless
from sageturner_magic.deployment.plans.pausing import pausing
from sageturner_magic.endpoints import note_end, renew_in_background
from sageturner_magic.errors import ConfigError, EndpointError
from sageturner_magic.text import moment
from sageturner_magic.values import Reporter

SHORTEST_S = 900.0
"""An endpoint takes minutes to start; no lease is shorter either."""


def spending_of(
    session: AwsSession, config: Config, compute: Serverless | Server
) -> Spending | None:
    """The budget, and the most that the endpoint spends; None without one.

    Permissions: pricing:GetProducts.

    Raises:
        ConfigError: The price is not known, or the budget is too small.
    """
    if not config.dollars or not isinstance(compute, Server):
        return None
    one = compute.model_copy(update={"initial_instance_count": 1})
    each = aws_account.hourly(session, one)
    if each is None:
        raise ConfigError(
            f"The price of {compute.instance_type} is not known, so `budget` has no time",
            where="budget",
            why="AWS's price list does not tell it for this region, or you may not read it",
            do="allow `pricing:GetProducts`, or write `lease: 8h` in place of `budget`",
        )
    scaling = compute.autoscaling
    most = max(compute.initial_instance_count, scaling.max if scaling else 0)
    found = Spending(config.dollars, most, compute.instance_type, each)
    if found.seconds < SHORTEST_S:
        raise ConfigError(
            f"`budget` is too small: {found.reason}",
            where="budget",
            why="an endpoint takes minutes to start",
            do=f"write `budget: ${found.hour:.2f}` for an hour, or more",
        )
    return found


@dataclass
class Leasing:
    """What becomes of the end of one endpoint while it is deployed.

    Attributes:
        present: The endpoint, if it exists.
        spending: What the configuration's budget allows; None without one.
    """

    session: AwsSession
    names: Names
    config: Config
    present: EndpointState | None
    spending: Spending | None

    @property
    def text(self) -> str:
        """What becomes of the lease; empty where the endpoint has none."""
        config, former = self.config, self._former
        if self.spending:
            left = "what is left of it counts; " if aws_endpoints.read_spending(former) else ""
            return f"{self.spending.reason}; {left}then AWS deletes the endpoint"
        if config.lease_s:
            return f"{config.lease} from the last use on; then AWS deletes the endpoint"
        if former:
            return "removed: the endpoint stays" if self._ends else f"stays {former}"
        return ""

    @property
    def tag(self) -> str:
        """The tag that the endpoint gets; empty where it gets none."""
        if self.spending:
            return self._during(self.spending).tag
        return (self.config.lease or "") if self.config.lease_s else ""

    @property
    def _former(self) -> str:
        return self.present.tags.get(TAG_LEASE, "") if self.present else ""

    @property
    def _ends(self) -> bool:
        return bool(self.config.protected or self.config.lease == "none")

    def _during(self, wanted: Spending) -> Spending:
        """`wanted` with as many instances as may run until autoscaling is set up, too."""
        former = aws_endpoints.read_spending(self._former)
        counts = [wanted.most, former.most if former else 0]
        return replace(wanted, most=max(*counts, self.present.instances[1] if self.present else 0))

    def schedule(self, reporter: Reporter, resource: str) -> None:
        """Schedule the end, so that no endpoint has the tag of a lease without a schedule.

        Args:
            resource: The endpoint config that the endpoint is going to serve.
        """
        if self.spending:
            is_update = self.present is not None and self.present.heads_for != resource
            overlap_s = aws_endpoints.OVERLAP_S if is_update else 0.0
            wanted = self._during(self.spending)
            end = self._budget_end(wanted, self._former, overlap_s)
            self._put(end, f"because {wanted.reason}", reporter)
        elif self.config.lease_s:
            end = time.time() + self.config.lease_s
            lease = aws_endpoints.find_lease(self.session, self.config.name)
            if lease and self._former == self.config.lease:
                # `extend` has moved it further.
                end = max(end, lease.end)
            self._put(end, f"a lease of {self.config.lease}", reporter)
        elif self._ends and self.present and self._former:
            aws_endpoints.end_lease(self.session, self.present)
            reporter.log("removed the lease: the endpoint stays")

    def is_ordered(self) -> None:
        """Count the deployment as a use, where the configuration leaves the lease as it is."""
        if self._former and not (self.tag or self._ends):
            renew_in_background(self.session, self.config.name)

    def scaled(self, reporter: Reporter) -> None:
        """Let a budget last as long as it may, now that no more instances run than it counts."""
        if self.spending and self.tag != self.spending.tag:
            end = self._budget_end(self.spending, self.tag, 0.0)
            self._put(end, f"because {self.spending.reason}", reporter)
            present = aws_endpoints.our_endpoint(self.session, self.config.name)
            aws_endpoints.mark_leased(self.session, present, self.spending.tag)

    def _budget_end(self, wanted: Spending, former: str, overlap_s: float) -> float:
        now, lease = time.time(), aws_endpoints.find_lease(self.session, self.config.name)
        end = aws_endpoints.budget_end(
            now,
            wanted,
            aws_endpoints.read_spending(former),
            lease.end if lease else None,
            overlap_s=overlap_s,
        )
        if end < now + SHORTEST_S:
            raise EndpointError(
                f"The budget of {self.config.name} is spent",
                where="budget",
                why=f"{wanted.reason}, and too little of it is left",
                do="raise `budget` and deploy again",
            )
        return end

    def _put(self, end: float, why: str, reporter: Reporter) -> None:
        name, role = self.config.name, self.names.lease_role_arn
        pause = pausing(reporter)
        aws_endpoints.put_lease(self.session, name, end, role, pause=pause, say=reporter.log)
        note_end(name, end)
        reporter.log(f"{name} ends at {moment(end)}: {why}")
