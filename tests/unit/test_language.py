"""No text that a person reads has the words that this project does without."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
WORDS = re.compile(
    r"\b(?:mend(?:s|ed|ing)?|shall|thereof|(?:bear|bears|bore|borne) out|for want of|"
    r"the same again|is said so|put into words|as it means there|something went wrong)\b",
    re.IGNORECASE,
)
"""Words that readers of English as a second language stumble over, and their plain neighbours:
repair, will, of it, confirm, without."""

SOURCES = sorted((ROOT / "sageturner_magic").rglob("*.py"))
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "proof" not in page.relative_to(ROOT).parts
)
NOTEBOOKS = sorted((ROOT / "example_notebooks").glob("*.ipynb"))


def found(text: str) -> list[str]:
    """The lines of `text` that have one of the words, also where it is spread over two lines."""
    flat = re.sub(r"\s+", " ", text)
    return [flat[max(0, each.start() - 60) : each.end() + 40] for each in WORDS.finditer(flat)]


def texts_of(source: str) -> str:
    """All that a module says to people: its strings, docstrings and comments."""
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join(token.string.strip("#\"'") for token in tokens if token.type in kinds)


def named(texts: dict[Path, str]) -> dict[str, list[str]]:
    """Path in the repository -> what is found there."""
    return {
        str(path.relative_to(ROOT)): hits for path, text in texts.items() if (hits := found(text))
    }


def test_no_module_has_one_of_the_words():
    assert len(SOURCES) > 200
    assert not named({path: texts_of(path.read_text(encoding="utf-8")) for path in SOURCES})


def test_no_page_has_one_of_the_words():
    assert len(PAGES) > 20
    assert not named({path: path.read_text(encoding="utf-8") for path in PAGES})


def test_no_example_notebook_has_one_of_the_words():
    read = {path: nbformat.read(path, as_version=4).cells for path in NOTEBOOKS}
    assert not named({path: "\n".join(cell.source for cell in read[path]) for path in NOTEBOOKS})


def test_the_words_are_seen_wherever_a_module_says_them():
    said = ("'it shall be'", "f'{x} shall be'", '"""They\nbear\nout."""', "x = 1  # mended")
    assert all(found(texts_of(source)) for source in said)
    assert not found(texts_of("mend = 'amend, recommend, marshall'"))
