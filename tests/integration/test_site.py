"""The documentation site: every link leads somewhere, and a reader's browser asks nobody else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from sageturner_magic.error_codes import KINDS
from sageturner_magic.verbs import VERBS

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=\"((?:https?:)?//[^\"]+)"
    r"|<link[^>]+href=\"((?:https?:)?//[^\"]+)|url\(\"?((?:https?:)?//[^)]+)|@import ([^;]+)"
)
"""What a browser fetches as soon as it shows the page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built as `make docs` builds it: a warning fails."""
    folder = tmp_path_factory.mktemp("site")
    command = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr[-4000:]
    return folder


def test_nothing_is_fetched_from_elsewhere(site):
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 20
    found = {page.name: FETCHED.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert not {page: hits for page, hits in found.items() if hits}


def test_the_search_finds_every_verb(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"] for entry in index["docs"]}
    assert {f"cli/#{name}" for name in VERBS} <= places


def test_every_public_function_has_its_arguments(site):
    text = (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    headings = set(re.findall(r"<h2[^>]*>\s*<code[^>]*></code>\s*(\w+)", text))
    assert headings >= {verb.public_name for verb in VERBS.values()}
    # `deploy` has the arguments of start_deployment, from which its signature is made.
    deploy = text.partition('id="sageturner_magic.verbs.deploying.deploy"')[2].partition("</pre>")[
        0
    ]
    assert "smoke_test" in deploy


def test_an_assistant_is_told_every_verb_and_page(site):
    text = (site / "llms.txt").read_text(encoding="utf-8")
    assert all(f"- `{name}`: " in text for name in VERBS)
    pages = re.findall(r"(?m)^- \[.+?\]\((.*?)\)$", text)
    assert len(pages) > 20 and all((site / page).exists() for page in pages)
    skill = (site / "skill" / "index.html").read_text(encoding="utf-8")
    assert all(f"<code>{name}</code>" in skill for name in VERBS)


def test_every_error_code_has_an_entry_to_link_to(site):
    text = (site / "reference" / "error-codes" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2 id=\"(\w+)\"", text) == list(KINDS)
    for kind in KINDS.values():
        assert kind.title in unescape(text)
