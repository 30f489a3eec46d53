"""A notebook asks before it removes anything on AWS.

No test here starts a container, so none needs a Docker engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from sageturner_magic.aws.names import TAG_CREATED_BY
from tests.aws.test_scheduler import running
from tests.stand import Stand

pytestmark = pytest.mark.registry


class FrontEnd:
    """A front end that answers what a cell asks, or (with None) that cannot be asked."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.asked: list[str] = []

    def run(self, source: str, answer: str | None = None) -> tuple[str, str]:
        """How a cell ended, and everything that it showed."""
        shown: list[str] = []

        def show(message: dict[str, Any]) -> None:
            content = message["content"]
            bundle = content.get("data", {})
            shown.append(
                content.get("text") or bundle.get("text/plain") or content.get("evalue", "")
            )

        def reply(message: dict[str, Any]) -> None:
            self.asked.append(message["content"]["prompt"])
            self.client.input(answer)

        ended = self.client.execute_interactive(
            source,
            allow_stdin=answer is not None,
            stdin_hook=reply,
            output_hook=show,
            timeout=120,
        )
        return ended["content"]["status"], "\n".join(shown)


@pytest.fixture
def front_end(stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[FrontEnd]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    made = FrontEnd()
    made.run("%load_ext sageturner_magic")
    yield made
    made.client.stop_channels()
    made.manager.shutdown_kernel(now=True)


def test_a_removal_is_done_after_a_yes_only(stand: Stand, front_end: FrontEnd) -> None:
    before = stand.inventory()
    front_end.run("%sageturner setup")
    there = stand.inventory()
    assert there != before

    status, shown = front_end.run("%sageturner teardown")
    assert status == "error" and stand.inventory() == there
    assert "Nothing was removed" in shown and "nobody can be asked" in shown
    assert "%sageturner teardown --yes" in shown
    assert front_end.asked == []

    for answer in ("", "n", "what?"):
        status, shown = front_end.run("%sageturner teardown", answer)
        assert status == "ok" and shown.rstrip().endswith("Nothing was removed.")
        assert stand.inventory() == there
    assert front_end.asked == ["Remove it? [y/N] "] * 3

    status, shown = front_end.run("%sageturner teardown", "y")
    assert status == "ok" and "Nothing was removed" not in shown
    assert stand.inventory() == before


def test_where_nobody_can_be_asked_a_button_removes(stand: Stand, front_end: FrontEnd) -> None:
    before = stand.inventory()
    front_end.run("%sageturner setup")
    _, shown = front_end.run("%sageturner teardown")
    assert "To remove it, run `%sageturner teardown --yes`." in shown
    press = (
        "import gc, ipywidgets\n"
        "(button,) = [each for each in gc.get_objects() if type(each) is ipywidgets.Button]\n"
        "button.click()"
    )
    status, shown = front_end.run(press)
    assert status == "ok", shown
    assert stand.inventory() == before


DEPLOYS_NOTHING = """\
import functools
import sageturner_magic.verbs.deploying as deploying

@functools.wraps(deploying.start_deployment)
def stopped(*args, **given):
    raise deploying.UsageError(f"deployed with lease {given.get('lease')}")

deploying.start_deployment = stopped
"""


def test_a_new_endpoint_that_costs_unused_is_offered_a_lease(
    stand: Stand, front_end: FrontEnd
) -> None:
    before = stand.inventory()
    front_end.run(DEPLOYS_NOTHING)
    deploy = "%sageturner deploy by-hand -e server"
    for line, answer, lease in (
        (deploy, None, "None"),
        (deploy, "n", "None"),
        (deploy, "y", "8h"),
        (f"{deploy} --lease none", "y", "none"),
        ("%sageturner deploy by-hand -e serverless", "y", "None"),
        ("%sageturner deploy by-hand", "y", "None"),
        ("%%sageturner deploy -e server\nname: by-hand\nlease: 2d", "y", "None"),
        ("%%sageturner deploy -e server\nname: by-hand\nprotected: true", "y", "None"),
    ):
        _, shown = front_end.run(line, answer)
        assert f"deployed with lease {lease}" in shown, line
    assert len(front_end.asked) == 2
    assert "Let AWS delete it 8h after its last use? [y/N]" in front_end.asked[0]
    # A yes has created the role, so that the deployment does not fail for it.
    assert any("lease" in each for each in stand.inventory()["roles"])
    running(stand, "by-hand", **{TAG_CREATED_BY: "me"})
    front_end.run(deploy, "y")
    assert len(front_end.asked) == 2
    del stand.sagemaker.store(stand.region).endpoints["by-hand"]
    front_end.run("%sageturner teardown --yes")
    assert stand.inventory() == before
