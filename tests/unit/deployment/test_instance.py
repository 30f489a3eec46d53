"""The instance type that an endpoint gets where the configuration names none."""

from pathlib import Path

import pytest

from sageturner_magic.config import Server
from sageturner_magic.deployment import tried
from sageturner_magic.deployment.plans import instance
from sageturner_magic.errors import ConfigError
from tests.parts.recorder import Recorder
from tests.unit.deployment.test_trial import for_gpu, made, measured, module, request

PRICES = {"ml.t2.medium": 0.056, "ml.m5.large": 0.115, "ml.m5.xlarge": 0.23}


@pytest.fixture
def chosen(monkeypatch, tmp_path: Path):
    """What is chosen for a model of so many MB, in a region with these prices."""

    def choose(memory_mb: float, prices: dict[str, float], text: str = ""):
        def price(session: object, compute: Server) -> float | None:
            return prices.get(compute.instance_type)

        folder = tmp_path / str(memory_mb)
        monkeypatch.setattr(tried, "try_module", lambda *_, **__: measured(memory_mb))
        monkeypatch.setattr(tried.platformdirs, "user_cache_path", lambda name: folder)
        monkeypatch.setattr(instance.aws_account, "hourly", price)
        return instance.smallest_server(made(request(text)), object(), Recorder())  # type: ignore[arg-type]

    return choose


@pytest.mark.parametrize(
    ("memory_mb", "text", "name"),
    [
        (100, "", "ml.t2.medium"),
        (3100, "", "ml.t2.medium"),
        (3200, "", "ml.m5.large"),
        (3000, "serving: {workers: 3}", "ml.m5.xlarge"),
        (200_000, "", "ml.m5.24xlarge"),
    ],
)
def test_the_smallest_type_that_holds_all_workers(chosen, memory_mb, text, name):
    compute, _ = chosen(memory_mb, PRICES, text)
    assert compute.instance_type == name


def test_the_price_is_named_and_how_to_choose_another(chosen):
    _, note = chosen(100, PRICES)
    assert note.severity == "note" and "ml.t2.medium is chosen, $0.056 per hour" in note.what
    assert "4 GiB" in note.why and "--instance-type" in note.do


def test_a_type_that_the_region_does_not_have_is_passed_over(chosen):
    compute, note = chosen(100, {"ml.m5.large": 0.1})
    assert compute.instance_type == "ml.m5.large" and "8 GiB" in note.why
    compute, note = chosen(101, {})
    assert compute.instance_type == "ml.t2.medium" and "not known" in note.what


def test_what_cannot_be_measured_needs_a_type(chosen):
    with pytest.raises(ConfigError, match="computes on a GPU") as raised:
        instance.smallest_server(made(for_gpu()), None, Recorder())
    assert "--instance-type" in str(raised.value)
    missing = made(request(), module("x = 1", "not_here"))
    with pytest.raises(ConfigError, match="not_here is not installed"):
        instance.smallest_server(missing, None, Recorder())
    with pytest.raises(ConfigError, match="more than the types"):
        chosen(400_000, PRICES)
