"""The page /docs of an endpoint: it works without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.integration.server.conftest import SERVER, Server, listening_socket

pytestmark = pytest.mark.browser

TOKEN = "a <token> & more"
EXAMPLE = {"text": "</script><b>café</b>", "numbers": [1.0, 12345678901234567890]}
PROGRAM = f"""


def load(): return None
def example_request(): return {EXAMPLE!r}
def predict(model, request):
    if isinstance(request, bytes): return request
    return request["missing"] if request == {{}} else request
"""


@pytest.fixture
def docs(tmp_path: Path, page: Page) -> Iterator[Page]:
    """The page, open; a request of it to anywhere but its server fails the test."""
    (tmp_path / "sageturner.py").write_text(PROGRAM)
    with listening_socket() as listener:
        environment = {"SAGETURNER_TOKEN": TOKEN}
        server = Server(tmp_path, tmp_path / "log", listener, environment, SERVER)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        server.ready()
        page.goto(f"http://127.0.0.1:{server.port}/docs?token={quote(TOKEN)}")
        expect(page.locator("#state")).to_have_text("ready")
        yield page
    finally:
        server.close()
    hosts = {urlsplit(url).netloc for url in asked if url.startswith("http")}
    assert hosts == {f"127.0.0.1:{server.port}"}


def test_the_example_is_sent_and_its_answer_shown_as_it_came(docs: Page) -> None:
    assert json.loads(docs.locator("#body").input_value()) == EXAMPLE
    docs.get_by_role("button", name="Send").click()
    expect(docs.locator("#said")).to_contain_text("200 OK")
    answer = docs.locator("#answer")
    expect(answer).to_contain_text("</script><b>café</b>")
    expect(answer).to_contain_text("1.0")
    assert json.loads(answer.inner_text())["text"] == EXAMPLE["text"]


def test_a_picture_is_sent_as_a_file_and_shown(docs: Page, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    docs.screenshot(path=picture)
    docs.get_by_label("Content-Type").select_option("image/png")
    docs.get_by_label("Accept").select_option("image/png")
    docs.get_by_label("File, sent as it is").set_input_files(picture)
    docs.get_by_role("button", name="Send").click()
    expect(docs.locator("#answer img")).to_be_visible()
    assert docs.evaluate("document.querySelector('#answer img').naturalWidth") > 0
