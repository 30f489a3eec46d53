"""Prices and quotas: told where AWS tells them, and never in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from sageturner_magic.aws.account import pricing, quotas
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Autoscaling, Server, Serverless

Stub = Callable[[object], Stubber]


def product(usage: str, *prices: str, **attributes: str) -> str:
    dimensions = {str(i): {"pricePerUnit": {"USD": price}} for i, price in enumerate(prices)}
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usage, **attributes}},
            "terms": {"OnDemand": {"t": {"priceDimensions": dimensions}}},
        }
    )


def price_list(stubber: Stubber, *products: str) -> None:
    stubber.add_response("get_products", {"PriceList": list(products)})


class TestPrices:
    def test_an_instance_costs_by_the_hour_and_number(
        self, session: AwsSession, stub: Stub
    ) -> None:
        price_list(
            stub(session.pricing),
            product("EUW1-Train:ml.m5.large", "9"),
            product("EUW1-Host:ml.m5.large", "0.128"),
        )
        assert pricing.hourly(
            session, Server(instance_type="ml.m5.large", initial_instance_count=3)
        ) == pytest.approx(0.384)

    def test_is_asked_for_once_a_session(self, session: AwsSession, stub: Stub) -> None:
        price_list(stub(session.pricing), product("EUW1-Host:ml.m5.large", "0.1"))
        for _ in range(3):
            assert pricing.hourly(session, Server(instance_type="ml.m5.large")) == 0.1

    def test_serverless_costs_nothing_while_it_is_not_used(self, session: AwsSession) -> None:
        assert pricing.hourly(session, Serverless(memory=2048, max_concurrency=5)) == 0.0

    def test_unless_concurrency_is_provisioned(self, session: AwsSession, stub: Stub) -> None:
        price_list(
            stub(session.pricing),
            product("EUW1-ServerlessInf:Mem-2GB", "0.00004"),
            product("EUW1-ProvisionedConcurrency:Mem-2GB", "0.00001"),
        )
        assert pricing.hourly(
            session, Serverless(memory=2048, max_concurrency=5, provisioned_concurrency=2)
        ) == pytest.approx(0.072)

    def test_the_free_tier_is_not_taken_for_the_price(
        self, session: AwsSession, stub: Stub
    ) -> None:
        price_list(stub(session.pricing), product("EUW1-ServerlessInf:Mem-4GB", "0.0", "0.00008"))
        assert pricing.serverless_second(session, 4096) == 0.00008

    def test_all_types_that_host_endpoints_are_told_with_what_they_have(
        self, session: AwsSession, stub: Stub
    ) -> None:
        price_list(
            stub(session.pricing),
            product(
                "EUW1-Host:ml.g5.xlarge",
                "1.4",
                instanceName="ml.g5.xlarge",
                vCpu="4",
                memory="16 GiB",
            ),
            product("EUW1-Host:ml.x1.large", "2", instanceName="ml.x1.large", memory="NA"),
            product("EUW1-Train:ml.m5.large", "9", instanceName="ml.m5.large"),
            product("EUW1-Host:ml.m5.large", instanceName="ml.m5.large"),
        )
        assert pricing.hosted_instances(session) == {
            "ml.g5.xlarge": pricing.HostedInstance(1.4, "4", "16 GiB"),
            "ml.x1.large": pricing.HostedInstance(2.0, "", ""),
        }

    @pytest.mark.parametrize("answer", ["denied", "offline", "empty", "another form"])
    def test_there_is_none_where_aws_does_not_tell(
        self, session: AwsSession, stub: Stub, answer: str
    ) -> None:
        if answer == "denied":
            stub(session.pricing).add_client_error("get_products", "AccessDeniedException", "no")
        elif answer == "offline":

            def fail(**_: Any) -> None:
                raise EndpointConnectionError(endpoint_url="https://pricing")

            session.pricing.meta.events.register("before-call", fail)
        else:
            price_list(stub(session.pricing), *(["{}"] if answer == "another form" else []))
        assert pricing.hourly(session, Server(instance_type="ml.m5.large")) is None
        assert answer == "denied" or pricing.hosted_instances(session) == {}


def limits(session: AwsSession, **values: float) -> list[str]:
    """Quotas by name; returns the list of what is asked for: codes, and `all` for a page of all."""
    asked: list[str] = []

    def give(params: Any, **_: Any) -> Any:
        wanted = json.loads(params["body"])
        asked.append(wanted.get("QuotaCode", "all"))
        found = [
            {"QuotaName": name, "Value": value, "QuotaCode": f"L-{name}"}
            for name, value in values.items()
            if wanted.get("QuotaCode", f"L-{name}") == f"L-{name}"
        ]
        start = int(wanted.get("NextToken", 0))
        more = {"NextToken": str(start + 1)} if start + 1 < len(found) else {}
        return SimpleNamespace(status_code=200), {"Quotas": found[start : start + 1], **more}

    session.quotas.meta.events.register("before-call", give)
    return asked


@pytest.fixture(autouse=True)
def codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "codes" / "quota-codes.json"
    monkeypatch.setattr(quotas, "codes_file", lambda: file)
    return file


class TestQuotas:
    LARGE = "ml.m5.large for endpoint usage"
    GPU = "ml.g5.xlarge for endpoint usage"

    def test_no_quota_names_it_links_the_page_and_lists_types_that_have_some(
        self, session: AwsSession
    ) -> None:
        limits(session, **{self.GPU: 0, self.LARGE: 4, "ml.g5.xlarge for training job usage": 9})
        (finding,) = quotas.quota_findings(session, Server(instance_type="ml.g5.xlarge"))
        assert finding.severity == "error"
        assert f"`{self.GPU}` is 0 in eu-west-1" in finding.why
        assert "eu-west-1.console.aws.amazon.com/servicequotas" in finding.do
        assert "ml.m5.large" in finding.do and "ml.g5" not in finding.do.split("quota: ")[1]

    def test_all_are_listed_once_and_then_the_wanted_one_by_its_code(
        self, session: AwsSession, codes: Path
    ) -> None:
        asked = limits(session, **{self.GPU: 1, self.LARGE: 4, "another": 9})
        large, gpu = Server(instance_type="ml.m5.large"), Server(instance_type="ml.g5.xlarge")
        assert quotas.quota_findings(session, large) == ()
        assert asked == ["all"] * 3
        assert quotas.quota_findings(session, gpu) == ()
        assert quotas.quota_findings(session, gpu) == ()
        assert asked == ["all"] * 3 + [f"L-{self.GPU}"]

    @pytest.mark.parametrize(
        "kept", ["no JSON", "[]", '{"ml.m5.large for endpoint usage": "L-another"}']
    )
    def test_codes_that_are_not_right_are_looked_up_again(
        self, session: AwsSession, codes: Path, kept: str
    ) -> None:
        codes.parent.mkdir()
        codes.write_text(kept)
        limits(session, **{self.LARGE: 0, "another": 9})
        (finding,) = quotas.quota_findings(session, Server(instance_type="ml.m5.large"))
        assert f"`{self.LARGE}` is 0" in finding.why
        assert json.loads(codes.read_text())[self.LARGE] == f"L-{self.LARGE}"

    def test_enough_is_no_finding(self, session: AwsSession) -> None:
        limits(session, **{self.LARGE: 2})
        assert (
            quotas.quota_findings(
                session, Server(instance_type="ml.m5.large", initial_instance_count=2)
            )
            == ()
        )

    @pytest.mark.parametrize(
        ("wanted", "replaced", "why"),
        [
            (
                Server(instance_type="ml.m5.large", initial_instance_count=2),
                Server(instance_type="ml.m5.large", initial_instance_count=1),
                "side by side",
            ),
            (
                Server(
                    instance_type="ml.m5.large",
                    autoscaling=Autoscaling(min=1, max=5, invocations_per_instance=10),
                ),
                None,
                "autoscaling",
            ),
        ],
    )
    def test_what_may_not_suffice_later_is_a_warning(
        self, session: AwsSession, wanted: Server, replaced: Server | None, why: str
    ) -> None:
        limits(session, **{self.LARGE: 2})
        (finding,) = quotas.quota_findings(session, wanted, replaced)
        assert finding.severity == "warning" and why in finding.why

    def test_serverless_memory_and_concurrency_are_checked(self, session: AwsSession) -> None:
        limits(
            session,
            **{
                "Memory size in MB for a serverless endpoint": 3072,
                "Maximum total concurrency for serverless endpoints": 10,
            },
        )
        assert quotas.quota_findings(session, Serverless(memory=3072, max_concurrency=10)) == ()
        findings = quotas.quota_findings(session, Serverless(memory=6144, max_concurrency=20))
        assert [f.where for f in findings] == [
            "compute.serverless.memory",
            "compute.serverless.max_concurrency",
        ]

    def test_not_being_able_to_look_is_a_note(self, session: AwsSession, stub: Stub) -> None:
        stub(session.quotas).add_client_error("list_service_quotas", "AccessDeniedException", "no")
        (finding,) = quotas.quota_findings(session, Server(instance_type="ml.m5.large"))
        assert finding.severity == "note"
        assert "servicequotas:ListServiceQuotas" in finding.why
