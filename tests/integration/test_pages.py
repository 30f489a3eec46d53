"""The pages of the documentation: a reader who pastes their cells gets what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.examples import environment_python, execute, wanted_packages
from tests.parts.pages import PAGES, page_cells, page_notebook


def _parameter(page: Path) -> object:
    needs_torch = "torch" in wanted_packages(page_cells(page))
    return pytest.param(page, marks=pytest.mark.torch if needs_torch else (), id=page.stem)


@pytest.fixture(autouse=True)
def own_state(state: Path) -> None:
    """A state folder in which no server is left behind."""


@pytest.mark.parametrize("page", [_parameter(page) for page in PAGES if page_cells(page)])
def test_the_cells_of_a_page_run_from_the_first_to_the_last(page: Path, tmp_path: Path) -> None:
    execute(page_notebook(page), tmp_path, environment_python(page.stem))
