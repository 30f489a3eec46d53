"""A trial says what it does, and ends as it should."""

import threading
from pathlib import Path

import pytest

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment import trial_handle
from sageturner_magic.deployment.request import DeployRequest, FolderCode
from sageturner_magic.deployment.trial_handle import TrialHandle
from sageturner_magic.errors import CaptureError, DeploymentCancelled, SageturnerError
from sageturner_magic.rendering import deployments

SECONDS = 60


def asked():
    config = parse_config("name: m", folder=Path("/"), origin=Origin.file("sageturner.yaml"))
    return DeployRequest(config, "local", "generate", FolderCode(Path("/x")), {}, False, "python")


def begin(monkeypatch, work):
    """A trial whose process does `work(reporter, entered)`."""
    monkeypatch.setattr(
        trial_handle,
        "try_request",
        lambda request, payload, workspace, reporter, entered: work(reporter, entered),
    )
    return TrialHandle(asked(), None)


def test_each_stage_of_the_process_is_a_step(monkeypatch):
    def work(reporter, entered):
        for stage in ("import", "load", "example", "predict"):
            entered(stage)
            reporter.log(f"in {stage}")
        return "tried"

    handle = begin(monkeypatch, work)
    handle.watch(lambda: None)
    assert handle.result() == "tried"
    assert [step.outcome for step in handle.progress.steps()] == ["done"] * 4
    assert handle.logs() == ["in import", "in load", "in example", "in predict"]
    assert deployments.headline(handle.progress) == "Trying m"


@pytest.mark.parametrize("kind", [CaptureError("load() raises"), ZeroDivisionError("x")])
def test_a_failure_is_seen_at_its_step_and_raised_by_the_result(monkeypatch, kind):
    def work(reporter, entered):
        entered("import")
        entered("load")
        raise kind

    handle = begin(monkeypatch, work)
    handle.watch(lambda: None)
    with pytest.raises(SageturnerError, match=str(kind)[:4]):
        handle.result()
    line = deployments.steps_line(handle.progress)
    assert line.endswith("✗ Load the model") and "Answer a request" not in line


def test_it_can_be_stopped(monkeypatch):
    begun = threading.Event()

    def work(reporter, entered):
        entered("load")
        begun.set()
        while True:
            reporter.checkpoint()

    handle = begin(monkeypatch, work)
    assert begun.wait(SECONDS)
    with pytest.raises(SageturnerError, match="still runs"):
        handle.result()
    handle.cancel()
    handle.watch(lambda: None)
    with pytest.raises(DeploymentCancelled, match="The trial was stopped"):
        handle.result()
    assert deployments.steps_line(handle.progress).endswith("■ Load the model")
