"""What a deployment is made of is gathered once, and computed only where it is asked for."""

import pickle
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from sageturner_magic.aws.endpoints import offer_findings
from sageturner_magic.config import Origin, Server, parse_config
from sageturner_magic.deployment import ingredients as room
from sageturner_magic.deployment.ingredients import gather, gather_for_image
from sageturner_magic.deployment.plan import Plan, Step
from sageturner_magic.deployment.plans.local import plan_local
from sageturner_magic.deployment.request import Collector, DeployRequest, FolderCode, code_source
from sageturner_magic.deployment.run import execute
from sageturner_magic.errors import AwsError, SageturnerError
from tests.parts.recorder import Recorder
from tests.unit.capture.helpers import Session

CODE = "import yaml\n\ndef load(model_dir):\n    pass\n\ndef predict(model, request):\n    pass\n"


def asked(folder: Path, text: str = "", code: str = CODE) -> DeployRequest:
    (folder / "code").mkdir()
    (folder / "code" / "sageturner.py").write_text(code)
    config = parse_config(
        f"name: m\n{text}", folder=folder, origin=Origin.file(str(folder / "sageturner.yaml"))
    )
    source = FolderCode(folder / "code")
    return DeployRequest(config, "local", "generate", source, {}, False, sys.executable)


def test_all_problems_are_found_at_once(tmp_path):
    request = asked(tmp_path, "artefact: ./missing", code="def predict(:\n")
    found = Collector(request.config)
    assert gather(request, tmp_path / "work", Recorder(), found) is None
    with pytest.raises(SageturnerError) as raised:
        found.finish()
    assert len(raised.value.findings) == 2
    assert "missing" in str(raised.value) and "sageturner.py" in str(raised.value)


@pytest.mark.parametrize(
    "spec", ["", "artefact: auto", "artefact: none", "artefact: s3://b-b-b/m/"]
)
def test_objects_of_captured_cells_are_shipped_as_the_configuration_says(tmp_path, spec):
    session = Session()
    session.run("def words(): return [bytearray(b'a')]\nWORDS = words()")
    session.pair(predict="def predict(model, request):\n    return WORDS\n")
    config = parse_config(f"name: m\n{spec}", folder=tmp_path, origin=Origin.file("x.yaml"))
    source = code_source(config, "generate", session.notebook)
    request = DeployRequest(
        config, "local", "generate", source, session.namespace, False, sys.executable
    )
    found = Collector(config)
    made = gather_for_image(request, tmp_path, Recorder(), found)
    if spec == "artefact: none":
        with pytest.raises(SageturnerError, match="`artefact: none` ships none"):
            found.finish()
        return
    notes = [str(each) for each in found.finish()]
    assert made is not None
    if "s3" in spec:
        assert [file.path for file in made.module.files] == [
            "sageturner.py",
            "objects/WORDS.pickle",
        ]
    else:
        assert made.artefact is not None and (made.artefact.folder / "WORDS.pickle").is_file()
        assert any("`WORDS` of the notebook is shipped as WORDS.pickle" in each for each in notes)


def test_secrets_in_the_environment_and_in_the_model_files_are_told_with_the_yaml(tmp_path):
    secret = "hf_" + 34 * "a"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "hub.yaml").write_text(f"token: {secret}\n")
    (tmp_path / "model" / ".npmrc").write_text("x")
    request = asked(tmp_path, f"artefact: model\nenvironment: {{HF_TOKEN: {secret}}}")
    found = Collector(request.config)
    made = gather(request, tmp_path / "work", Recorder(), found)
    assert made is not None and made.artefact is not None and made.artefact.files == 1
    told = found.findings
    assert [(each.severity, each.where) for each in told] == [
        ("error", f"{tmp_path / 'sageturner.yaml'}:3:25"),
        ("warning", f"{made.artefact.folder / 'hub.yaml'}:1"),
        ("note", str(tmp_path / "model")),
    ]
    with pytest.raises(SageturnerError) as raised:
        found.finish()
    assert secret not in f"{told} {raised.value}"


def test_what_aws_checks_find_is_shown_with_the_line_of_its_key(tmp_path):
    """The checks of the AWS room know keys, and not where they were written."""
    text = "compute:\n  server:\n    instance_type: ml.made.up\n"
    found = Collector(asked(tmp_path, text).config)
    server = Server(instance_type="ml.made.up", inference_ami_version="made-up")
    found.add(offer_findings(server))
    found.attempt(lambda: stop("overrides.bucket_name"))
    found.attempt(lambda: stop("bucket models"))
    with pytest.raises(SageturnerError) as raised:
        found.finish()
    file = tmp_path / "sageturner.yaml"
    assert [(one.where, one.key) for one in raised.value.findings] == [
        (f"{file}:4:20", "compute.server.instance_type"),
        # Left out: the place of the section in which it would be written.
        (f"{file}:3:3", "compute.server.inference_ami_version"),
        # Nothing of it is written.
        ("overrides.bucket_name", ""),
        ("bucket models", ""),
    ]


def test_what_a_step_finds_is_shown_with_the_line_of_its_key(tmp_path):
    request = asked(tmp_path, "overrides: {bucket_name: taken}")
    made = gather(request, tmp_path / "work", Recorder(), Collector(request.config))
    step = Step("upload", "Upload the model", lambda reporter: stop("overrides.bucket_name"))
    plan = Plan("m", "local", "v", (), (), (step,), nullcontext, lambda: None, ingredients=made)
    with pytest.raises(AwsError) as raised:
        execute(lambda reporter, workspace: plan, lambda event: None, threading.Event())
    assert raised.value.findings[0].where == f"{tmp_path / 'sageturner.yaml'}:2:26"


def stop(where):
    raise AwsError("It cannot be used", where=where)


def test_a_problem_with_the_artefact_leaves_the_code_to_be_checked(tmp_path):
    request = asked(tmp_path, "artefact: ./missing")
    found = Collector(request.config)
    made = gather(request, tmp_path / "work", Recorder(), found)
    assert made is not None and made.artefact is None
    with pytest.raises(SageturnerError, match="missing"):
        found.require(made)


def test_model_files_in_s3_are_for_images_only(tmp_path):
    request = asked(tmp_path, "artefact: s3://bucket/model.tar.gz")
    found = Collector(request.config)
    made = found.require(gather_for_image(request, tmp_path, Recorder(), found))
    assert made.artefact is None
    gather(request, tmp_path, Recorder(), found)
    with pytest.raises(SageturnerError, match="S3"):
        found.finish()


@pytest.fixture
def looked_up(monkeypatch):
    """How often the code's packages were looked for."""
    times: list[int] = []
    look = room.needed_packages

    def needed(*arguments):
        times.append(1)
        return look(*arguments)

    monkeypatch.setattr(room, "needed_packages", needed)
    return times


def test_packages_are_looked_for_once_and_only_when_asked(tmp_path, looked_up):
    request = asked(tmp_path)
    found = Collector(request.config)
    made = found.require(gather(request, tmp_path, Recorder(), found))
    assert looked_up == []
    (package,) = made.needed_packages
    assert package.name.lower() == "pyyaml" and package.because == "import yaml"
    assert made.package_lines == (package.line,)
    assert made.pip_arguments.requirements == (package.line,)
    assert looked_up == [1]


def test_configured_packages_are_taken_as_they_are(tmp_path, looked_up):
    text = "container: {generate_container: {python_packages: [six, numpy]}}"
    request = asked(tmp_path, text)
    found = Collector(request.config)
    made = found.require(gather(request, tmp_path, Recorder(), found))
    assert made.package_lines == ("six", "numpy")
    assert looked_up == []


def test_a_local_process_needs_no_packages(tmp_path, looked_up, monkeypatch):
    def resolved(*_):
        raise AssertionError("nothing is resolved")

    monkeypatch.setattr(room, "resolved", resolved)
    monkeypatch.setenv("SAGETURNER_STATE_DIR", str(tmp_path / "state"))
    plan = plan_local(asked(tmp_path), Recorder(), tmp_path / "work")
    assert [step.key for step in plan.steps] == ["write", "start", "load", "switch"]
    assert plan.ingredients is not None and plan.requirements is None
    assert looked_up == []


def test_a_model_that_another_scikit_learn_saved_is_told_with_the_version_to_pin(tmp_path):
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import LinearRegression

    model = pickle.dumps(LinearRegression().fit([[0.0], [1.0]], [0, 1]))
    here = sklearn.__version__.encode()
    other = b"0" * (len(here) - 2) + b".9"
    for name, content in (("new.sav", model), ("old.sav", model.replace(here, other))):
        (tmp_path / name).write_bytes(content)
    request = asked(tmp_path, "artefact: old.sav")
    found = Collector(request.config)
    gather(request, tmp_path / "work", Recorder(), found)
    (warning,) = found.finish()
    assert warning.what == f"`old.sav` was saved by scikit-learn {other.decode()}"
    assert f"`scikit-learn=={other.decode()}`" in warning.do
    same = Collector(request.config)
    config = parse_config("name: m\nartefact: new.sav", folder=tmp_path, origin=Origin.file("y"))
    gather(replace(request, config=config), tmp_path / "other", Recorder(), same)
    assert same.finish() == ()


def test_a_check_beside_the_others_is_told_first_and_delays_none_of_them(tmp_path):
    found, others = Collector(asked(tmp_path, "").config), threading.Event()

    def slow():
        assert others.wait(30)
        stop("the import")

    found.beside(slow)
    found.attempt(lambda: stop("the bucket"))
    others.set()
    with pytest.raises(SageturnerError) as raised:
        found.finish()
    assert [one.where for one in raised.value.findings] == ["the import", "the bucket"]
