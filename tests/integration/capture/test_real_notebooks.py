"""A sample of the published notebooks: those that need no package which is not here anyway."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from .real_notebooks import fetch, in_its_own_process

NOTEBOOKS = {
    "cython==3.3.1": "docs__examples__Cython Magics.ipynb",
    "george==0.4.4": "docs__hodlr.ipynb",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("notebooks")
    fetch(found, list(NOTEBOOKS))
    return found


@pytest.mark.parametrize("package", NOTEBOOKS)
def test_what_is_sliced_out_of_a_published_notebook_answers_as_its_kernel(
    folder: Path, package: str
) -> None:
    path = folder / package.partition("==")[0] / NOTEBOOKS[package]
    results = in_its_own_process(path)
    counts = collections.Counter(verdict for _, verdict, _ in results)
    # A capture that refuses everything is never wrong, and of no use.
    assert counts["equal"], results
    assert not counts["wrong"] + counts["crashed"], results
