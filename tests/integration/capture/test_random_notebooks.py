"""Whatever a notebook did: the module does what the notebook does, or there is none."""

import collections
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from .random_notebooks import CleanProcess, Kernel, RandomNotebook, notebooks, verdict

SAMPLE = 1000


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture(scope="module")
def clean() -> Iterator[CleanProcess]:
    process = CleanProcess()
    yield process
    process.close()


def test_a_module_answers_as_its_notebook_or_is_refused(kernel: Kernel, clean: CleanProcess):
    counts: collections.Counter[str] = collections.Counter()

    @settings(
        max_examples=SAMPLE,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(notebook=notebooks())
    def try_one(notebook: RandomNotebook) -> None:
        what = verdict(notebook, kernel, clean)
        counts[what if what in ("equal", "refused", "failing") else "wrong"] += 1
        assert what in ("equal", "refused", "failing"), f"{what}\n{notebook}"

    try_one()
    # A capture that refuses everything is never wrong, and of no use.
    assert counts["equal"] > SAMPLE / 5, counts
