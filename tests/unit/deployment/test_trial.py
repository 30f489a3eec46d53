"""Deployments try the code first, once, where this machine can tell anything."""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment import tried
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.request import DeployRequest, FolderCode
from sageturner_magic.deployment.trial.process import Trial
from sageturner_magic.errors import CaptureError
from sageturner_magic.values import Artefact, CapturedModule, SourceFile
from tests.parts.recorder import Recorder

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def request(text: str = "", python: str = HERE) -> DeployRequest:
    config = parse_config(
        f"name: m\ncontainer: {{generate_container: {{python_version: '{python}'}}}}\n{text}",
        folder=Path("/"),
        origin=Origin.file("sageturner.yaml"),
    )
    code = FolderCode(Path("/nowhere"))
    return DeployRequest(config, "serverless", "generate", code, {}, False, sys.executable)


def module(source: str = "x = 1\n", *imports: str) -> CapturedModule:
    return CapturedModule("In[1]", (SourceFile("sageturner.py", source.encode()),), imports=imports)


def made(asked: DeployRequest, code: CapturedModule | None = None) -> Ingredients:
    return Ingredients(asked, code or module(), None)


def measured(memory_mb: float = 100, load_s: float = 1.0, asked: str = "example") -> Trial:
    return Trial(
        0.5, load_s, 0.003, int(memory_mb * 1e6), asked, b"1", "application/json", 0, (), '{"x": 1}'
    )


@pytest.mark.parametrize(
    ("text", "python", "source", "imports", "reason"),
    [
        ("", HERE, "x = 1", (), ""),
        ("artefact: s3://bucket/model.tar.gz", HERE, "x = 1", (), "the artefact is in S3"),
        ("", "3.14", "x = 1", (), f"this is Python {HERE}, the image has 3.14"),
        ("", HERE, "x = 1", ("json", "not_here"), "not_here is not installed"),
        ("", HERE, "p = '/opt/ml/model/m'", (), "the code has /opt/ml/model written in it"),
        ("", HERE, "import os\np = os.environ.get('SM_MODEL_DIR', '/opt/ml/model')", (), ""),
    ],
)
def test_what_this_machine_cannot_tell_is_said(text, python, source, imports, reason):
    assert tried.cannot_run_here(made(request(text, python), module(source, *imports))) == reason


def test_a_package_that_is_here_in_another_version_says_nothing_about_the_image():
    def reason(*wanted):
        asked = request()
        generate = asked.config.container.generate_container
        changed = generate.model_copy(update={"python_packages": wanted})
        container = asked.config.container.model_copy(update={"generate_container": changed})
        config = asked.config.model_copy(update={"container": container})
        code = DeployRequest(config, "serverless", "generate", asked.code, {}, True, sys.executable)
        return tried.cannot_run_here(made(code))

    here = version("packaging")
    assert reason("packaging", f"packaging=={here}", "not-here==1") == ""
    assert reason("packaging<1") == f"packaging {here} is installed, the image gets packaging<1"
    assert reason("packaging<1; python_version < '3'") == ""


def test_a_model_that_does_not_fit_into_memory_is_not_loaded(tmp_path):
    large = Artefact(tmp_path, "0" * 64, 1 << 60, 1)
    reason = tried.cannot_run_here(Ingredients(request(), module(), large))
    assert "do not fit into its free memory" in reason


def for_gpu(text: str = "") -> DeployRequest:
    asked = request(text)
    generate = asked.config.container.generate_container.model_copy(update={"install_cuda": True})
    container = asked.config.container.model_copy(update={"generate_container": generate})
    config = asked.config.model_copy(update={"container": container})
    return DeployRequest(config, "server", "generate", asked.code, {}, False, sys.executable)


def test_code_for_a_gpu_is_not_tried_without_one(monkeypatch):
    monkeypatch.setattr(tried, "_has_gpu", lambda: False)
    assert tried.cannot_run_here(made(for_gpu())) == "there is no GPU"


@pytest.mark.parametrize(
    ("memory_mb", "workers", "size"),
    [
        (100, 1, 1024),
        (1000, 1, 1024),
        (1010, 1, 2048),
        (1000, 3, 3072),
        (6300, 1, 6144),
        (7000, 1, None),
    ],
)
def test_the_smallest_serverless_size_that_would_do(memory_mb, workers, size):
    assert tried.serverless_memory(measured(memory_mb), workers) == size


SERVERLESS = "compute: {serverless: {memory: 1024, max_concurrency: 1}}"


def test_what_will_not_do_where_the_model_runs_is_a_warning():
    serverless = made(request(SERVERLESS))
    assert tried.findings_of(measured(), serverless) == []
    (memory,) = tried.findings_of(measured(2000), serverless)
    assert (
        memory.do == "set `memory: 2048`, or add `--memory 2048`"
        and "sageturner.yaml:3" in memory.where
    )
    (slow,) = tried.findings_of(measured(load_s=200), serverless)
    assert "a serverless endpoint has 180 s" in slow.why
    (untried,) = tried.findings_of(measured(asked=""), serverless)
    assert untried.severity == "note" and "example_request()" in untried.do


def test_limits_that_this_machine_could_not_set_are_a_note():
    trial = replace(measured(), unconfined="this machine makes no namespaces")
    (note,) = tried.findings_of(trial, made(request(SERVERLESS)))
    assert note.severity == "note" and note.why == "this machine makes no namespaces"
    assert "multiprocessing.Lock" in note.do


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """How often code was run; the caches are the test's own."""
    found: list[object] = []

    def run(*arguments: object, **options: object) -> Trial:
        found.append(options)
        return measured()

    monkeypatch.setattr(tried, "try_module", run)
    monkeypatch.setattr(tried.platformdirs, "user_cache_path", lambda name: tmp_path)
    return found


def test_what_passed_once_is_not_run_again_until_something_changes(runs):
    first, _ = tried.trial_step(made(request()), Recorder())
    again, example = tried.trial_step(made(request()), Recorder())
    assert example == '{"x": 1}'
    assert (first.reused, again.reused, len(runs)) == (False, True, 1)
    assert first.note == again.note == "imports 500 ms, load 1.0 s, predict 3.0 ms, memory 100 MB"
    tried.trial_step(made(request(), module("x = 2\n")), Recorder())
    tried.trial_step(made(request("environment: {A: b}")), Recorder())
    assert len(runs) == 3


def test_a_warning_is_given_again_each_time(runs, monkeypatch):
    monkeypatch.setattr(tried, "try_module", lambda *a, **k: runs.append(k) or measured(2000))
    for _ in range(2):
        recorder = Recorder()
        tried.trial_step(made(request(SERVERLESS)), recorder)
        assert any("1024 MB are too little" in line for line in recorder.lines)
    assert len(runs) == 2


def test_a_failure_is_not_remembered(runs, monkeypatch):
    def fails(*arguments: object, **options: object) -> Trial:
        runs.append(options)
        raise CaptureError("load() raises")

    monkeypatch.setattr(tried, "try_module", fails)
    for _ in range(2):
        with pytest.raises(CaptureError):
            tried.trial_step(made(request()), Recorder())
    assert len(runs) == 2


def test_the_limits_of_the_configuration_hold(runs):
    text = "compute: {local: {startup_timeout_s: 7}}\nserving: {timeout_s: 3}\nenvironment: {A: b}"
    tried.trial_step(made(request(text)), Recorder())
    (options,) = runs
    assert (options["limits"].load_s, options["limits"].predict_s) == (7, 3)
    assert options["environment"]["A"] == "b"


def test_a_model_that_will_have_no_gpu_is_tried_without_this_machines(runs):
    serverless = request()
    local = replace(serverless, endpoint_type="local")
    in_container = replace(request("compute: {local: {mode: container}}"), endpoint_type="local")
    own = for_gpu("environment: {CUDA_VISIBLE_DEVICES: '1'}")
    for asked in (serverless, in_container, local, for_gpu(), own):
        tried.run_trial(made(asked), Recorder())
    seen = [options["environment"].get("CUDA_VISIBLE_DEVICES") for options in runs]
    assert seen == ["", "", None, None, "1"]
