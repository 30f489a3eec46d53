"""docs/architecture.md names nothing that does not exist, and its map leaves no room out."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

import sageturner_magic
from sageturner_magic.config.keys import all_keys

PACKAGE = Path(sageturner_magic.__file__).parent
REPOSITORY = PACKAGE.parent
PAGE = REPOSITORY / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")

SPANS = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)))
PATHS = [span for span in SPANS if re.fullmatch(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.(py|md)", span)]
DOTTED = [span for span in SPANS if re.fullmatch(r"\w+(\.\w+)+", span) and span not in PATHS]
LINKS = re.findall(r"\]\(([^)#]+)(?:#([\w-]+))?\)", TEXT)

OF_USERS = {"sageturner.py"}
"""Files that users have."""

KEYS = {".".join(path) for path in all_keys()}


def exists(path: str) -> bool:
    """Whether a path of the page exists, below the package or the repository."""
    return (PACKAGE / path).exists() or (REPOSITORY / path).exists()


def test_the_page_names_paths_and_names():
    assert len(PATHS) > 80 and len(DOTTED) > 15


@pytest.mark.parametrize("path", sorted({*PATHS} - OF_USERS))
def test_every_path_exists(path):
    assert exists(path), f"{path} is neither in {PACKAGE} nor in {REPOSITORY}"


@pytest.mark.parametrize("name", DOTTED)
def test_every_dotted_name_exists(name):
    assert name in KEYS or resolve_name(f"sageturner_magic.{name}") is not None


@pytest.mark.parametrize(("page", "heading"), LINKS)
def test_every_link_leads_somewhere(page, heading):
    target = PAGE.parent / page
    headings = re.findall(r"(?m)^#+ (.+)$", target.read_text(encoding="utf-8"))
    assert not heading or heading in [each.lower().replace(" ", "-") for each in headings]


def rooms_by_floor():
    """Floor of the map -> its rooms, as `make check` names them."""
    table = TEXT.partition("## The map")[2].partition("\n## ")[0]
    floors = {}
    for floor, room in re.findall(r"(?m)^\| (\w+) \| `(\w+)(?:/|\.py)` \|", table):
        floors.setdefault(floor, set()).add(room)
    return floors


def test_the_map_has_every_room():
    rooms = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    mapped = set().union(*rooms_by_floor().values())
    assert mapped == rooms - {"__init__", "__main__", "_version"}


def test_the_floors_are_those_that_make_check_enforces():
    floors = [rooms for floor, rooms in rooms_by_floor().items() if floor != "apart"]
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.findall(r'"([^"]+)"', re.findall(r"(?s)\nlayers = \[(.+?)\]", project)[0])
    assert floors == [set(re.split(r"\W+", layer)) for layer in layers]
