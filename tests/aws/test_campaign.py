"""A sample of the random lives that `make proof` runs; see `campaign.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.campaign import PYTHON, Campaign, container
from tests.parts.no_engine import NoEngine, no_engine
from tests.stand import Stand
from tests.stand.sweep import nothing_left

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoEngine]:
    with no_engine(tmp_path_factory.mktemp("away"), PYTHON) as machine:
        yield machine


@pytest.mark.parametrize(("builder", "seed", "steps"), [("docker", 2, 3), ("layers", 3, 2)])
def test_list_says_what_the_account_holds_whatever_happens(
    stand: Stand, away: NoEngine, tmp_path: Path, builder: str, seed: int, steps: int
) -> None:
    with nothing_left(stand):
        Campaign(stand, tmp_path, seed, *container(builder, away)).live(steps)
