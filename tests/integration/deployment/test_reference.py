"""The notebook's own response is the reference for the deployed code's."""

import asyncio
import os
import sys
import threading
import types
from types import SimpleNamespace

import pytest

import sageturner_magic as sageturner
from sageturner_magic.context import enter_notebook, leave_notebook
from sageturner_magic.deployment import Collector, gather, with_reference
from sageturner_magic.deployment.tried import trial_step
from sageturner_magic.endpoints.local import LocalEndpoints
from sageturner_magic.errors import CaptureError, DeploymentCancelled
from sageturner_magic.verbs.requested import Silent, config_of, request_for
from tests.unit.capture.helpers import Session

EXAMPLE = "def example_request():\n    return [1, 2]\n"


@pytest.fixture
def session(state, monkeypatch, tmp_path):
    """A notebook of this process, as the extension tells the verbs about it."""
    monkeypatch.chdir(tmp_path)
    made = Session()
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    made.namespace = vars(sys.modules["__main__"])
    made.notebook.__init__(made.namespace)
    environment = dict(os.environ)
    enter_notebook(
        SimpleNamespace(
            notebook=made.notebook,
            namespace=made.namespace,
            environment=environment,
            profile=None,
            region=None,
            ended=lambda name: None,
            configuration=lambda name: None,
            earlier_configuration=lambda name: None,
            remember=lambda config: None,
        )
    )
    yield made
    if LocalEndpoints().list():
        sageturner.delete("sum")
    leave_notebook()


def captured(session, body, load="def load():\n    return None\n", example=EXAMPLE, cells=()):
    for cell in cells:
        session.run(cell)
    session.load(load, "sum")
    session.predict(f"def predict(model, request):\n{body}\n{example}", "sum")


COUNTING = (
    "    import sys\n"
    "    if 'calls_of_the_notebook' in sys.modules:\n"
    "        sys.modules['calls_of_the_notebook'].made.append(request)\n"
)


@pytest.fixture
def made(monkeypatch):
    module = types.ModuleType("calls_of_the_notebook")
    module.made = []
    monkeypatch.setitem(sys.modules, "calls_of_the_notebook", module)
    return module.made


def notes(plan):
    return {fact.label: fact.value for fact in plan.facts}["Notebook's response"]


def step_notes(config):
    """What the steps of a deployment say at their end."""
    handle = sageturner.start_deployment(config)
    handle.watch(lambda: None)
    assert handle.result().name == "sum"
    return "\n".join(step.note for step in handle.progress.steps())


def test_predict_of_the_notebook_runs_once_for_a_module(session, made):
    captured(session, f"{COUNTING}    return {{'sum': sum(request)}}")
    config = config_of(None, "sum")
    assert notes(sageturner.plan(config)) == "compared with it" and made == []
    sageturner.deploy(config)
    sageturner.plan(config)
    assert sageturner.try_(config=config).findings == ()
    sageturner.deploy(config)
    assert made == [[1, 2]]
    session.run("print")
    session.predict(f"def predict(model, request):\n{COUNTING}    return 3\n{EXAMPLE}", "sum")
    sageturner.deploy(config)
    assert len(made) == 2


def test_another_response_stops_the_deployment_and_names_the_place(session):
    session.run("import os\nos.environ['REFERENCE_MODE'] = 'kernel'")
    body = (
        "    import os\n"
        "    mode = 1 if 'REFERENCE_' + 'MODE' in os.environ else 2\n"
        "    return {'scores': [0.5, mode]}"
    )
    environment = {name: value for name, value in os.environ.items() if "REFERENCE" not in name}
    sageturner.context.current_notebook().environment = environment
    try:
        captured(session, body)
        with pytest.raises(CaptureError) as raised:
            sageturner.deploy(config_of(None, "sum"))
        said = str(raised.value)
        assert "predict() returns something else than in the notebook" in said
        assert 'at `["scores"][1]`: 1 and 2' in said and "`--no-compare`" in said
        assert LocalEndpoints().list() == []
        findings = sageturner.try_(config=config_of(None, "sum")).findings
        assert [each.why for each in findings if "something else" in each.what] == [
            'in the notebook and in the deployed code: at `["scores"][1]`: 1 and 2'
        ]
        assert sageturner.deploy(config_of(None, "sum"), compare=False).name == "sum"
        assert "not compared" in notes(sageturner.plan(config_of(None, "sum"), compare=False))
    finally:
        del os.environ["REFERENCE_MODE"]


def test_a_trial_compares_nothing_when_it_is_told_so(session, made):
    captured(session, f"{COUNTING}    return sum(request)")
    assert sageturner.try_(config=config_of(None, "sum"), compare=False).value == 3
    assert made == []


def test_chance_is_said_and_stops_nothing(session):
    captured(session, "    import random\n    return random.random()")
    assert sageturner.deploy(config_of(None, "sum")).name == "sum"
    (finding,) = sageturner.try_(config=config_of(None, "sum")).findings
    assert finding.severity == "note" and "another response each time" in finding.why


def test_the_notebook_gets_the_request_in_the_type_that_predict_names(session):
    cells = ["from dataclasses import dataclass\n@dataclass\nclass Pair:\n    a: int\n    b: int"]
    example = "def example_request():\n    return {'a': 1, 'b': 2}\n"
    session.run(cells[0])
    session.load("def load():\n    return None\n", "sum")
    predict = "def predict(model, request: Pair):\n    return request.a + request.b\n"
    session.predict(predict + example, "sum")
    assert "as in the notebook" in step_notes(config_of(None, "sum"))


def test_floats_are_compared_to_a_tolerance(session):
    body = "    import os\n    return 1 / 3 + (1e-9 if 'kernel' in model else 0)"
    captured(session, body, load="def load():\n    return ['module']\n")
    session.run("model = load()")
    session.namespace["model"][0] = "kernel"
    assert sageturner.deploy(config_of(None, "sum")).name == "sum"


def test_the_model_is_what_load_returned_and_load_is_not_run(session, made):
    load = (
        "def load():\n    import sys\n    if 'calls_of_the_notebook' in sys.modules:\n"
        "        sys.modules['calls_of_the_notebook'].made.append('load')\n    return [10]\n"
    )
    body = "    return model[0] + sum(request)"
    captured(session, body, load)
    config = config_of(None, "sum")
    assert "no cell keeps what load() returns" in notes(sageturner.plan(config))
    session.run("model = load()")
    assert notes(sageturner.plan(config)) == "compared with it"
    session.namespace["model"][0] = 11
    with pytest.raises(CaptureError, match="14 and 13"):
        sageturner.deploy(config)
    assert made == ["load"]


@pytest.mark.parametrize(
    ("body", "example", "why"),
    [
        (
            "    return request",
            "",
            "there is no example_request(), and no request was tried",
        ),
        ("    LOG.append(1)\n    return LOG", EXAMPLE, "predict() changes `LOG`"),
        ("    model['n'] += 1\n    return 1", EXAMPLE, "predict() changes its `model`"),
        ("    return 1 / 0", EXAMPLE, "predict() raises ZeroDivisionError in the notebook"),
    ],
)
def test_what_is_not_compared_is_said(session, body, example, why):
    captured(
        session, body, "def load():\n    return MODEL\n", example, ["LOG = []", "MODEL = {'n': 1}"]
    )
    assert "in the notebook" not in step_notes(config_of(None, "sum"))
    assert notes(sageturner.plan(config_of(None, "sum"))) == f"not compared: {why}"


MODE = "    import os\n    mode = b'k' if 'REFERENCE_' + 'MODE' in os.environ else b'm'\n"


@pytest.mark.parametrize(
    ("head", "body", "example"),
    [
        ("def predict(model, request)", "    yield 'a'\n    yield mode.decode()", "[1, 2]"),
        ("def predict(model, request)", "    yield {'a': 1}\n    yield mode.decode()", "[1, 2]"),
        ("async def predict(model, request)", "    return [sum(request), str(mode)]", "[1, 2]"),
        ("async def predict(model, request)", "    yield 'a'\n    yield mode.decode()", "[1, 2]"),
        ("def predict(model, request, context)", "    return str(mode), context.accept", "[1, 2]"),
        ("def predict(model, request)", "    return request + mode", "b'x'"),
        ("def predict(model, request)", "    return np.array([float(mode == b'k')])", "[1]"),
    ],
)
def test_streamed_raw_and_async_responses_are_compared(
    session, monkeypatch, tmp_path, head, body, example
):
    session.run("import numpy as np")
    session.load("def load():\n    return None\n", "sum")
    end = f"\ndef example_request():\n    return {example}\n"
    session.predict(f"{head}:\n{MODE}{body}{end}", "sum")
    assert trial_note(tmp_path).endswith("as in the notebook")
    session.predict(f"{head}:\n{MODE}{body}{end}    # in another environment", "sum")
    monkeypatch.setenv("REFERENCE_MODE", "1")
    with pytest.raises(CaptureError, match="something else than in the notebook"):
        trial_note(tmp_path)


def test_an_async_predict_runs_beside_the_loop_of_a_kernel(session, tmp_path):
    session.load("def load():\n    return None\n", "sum")
    for body, end in {
        "await asyncio.sleep(0)": "as in the notebook",
        "await asyncio.sleep(0.01)": "",
    }.items():
        session.predict(
            f"import asyncio\nasync def predict(model, request):\n    {body}\n"
            f"    return sum(request)\n{EXAMPLE}",
            "sum",
        )

        async def cell():
            return trial_note(tmp_path)

        assert asyncio.run(cell()).endswith(end or "MB")
    planned = notes(sageturner.plan(config_of(None, "sum")))
    assert planned == "not compared: predict() is async and waits for something"


def test_generated_code_is_compared_with_the_object(session, tmp_path):
    session.run("def double(value):\n    return 2 * value\n")
    model = {"name": "sum", "model": session.namespace["double"]}
    planned = sageturner.plan(**model, example=[1, 2])
    assert notes(planned) == "compared with it"
    assert "no example_request()" in notes(sageturner.plan(**model))
    session.run(
        "class Scale:\n    by = 2\n    def __call__(self, x):\n        return self.by * x\n"
    )
    session.run("class Twice(Scale):\n    pass\nscale = Twice()")
    scale = {"name": "sum", "model": session.namespace["scale"], "example": 3}
    assert sageturner.deploy(**scale).name == "sum"
    type(session.namespace["scale"]).__getstate__ = lambda self: {"by": 5}
    with pytest.raises(CaptureError, match="6 and 15"):
        sageturner.deploy(**scale)


def test_a_request_that_was_tried_is_the_reference_without_an_example(session, made):
    captured(session, f"{COUNTING}    return sum(request)", example="")
    config = config_of(None, "sum")
    assert sageturner.try_([3, 4], config).value == 7
    assert "compared with it" in notes(sageturner.plan(config))
    assert "as in the notebook" in step_notes(config)
    assert made == [[3, 4]]


def test_only_the_main_thread_runs_predict_and_an_interrupt_stops_it(session, made):
    captured(session, f"{COUNTING}    raise KeyboardInterrupt")
    found = []
    thread = threading.Thread(target=lambda: found.append(sageturner.plan(config_of(None, "sum"))))
    thread.start()
    thread.join()
    assert "main thread" in notes(found[0]) and made == []
    with pytest.raises((KeyboardInterrupt, DeploymentCancelled)):
        sageturner.start_deployment(config_of(None, "sum"))


def test_the_trial_before_an_image_is_compared(session, tmp_path):
    body = "    return sum(request) + len(model)"
    captured(session, body, load="def load():\n    return MODEL\n", cells=["MODEL = [1]"])
    assert trial_note(tmp_path).endswith("as in the notebook")


def trial_note(workspace):
    """What the step says that tries the code before an image is built."""
    config = config_of(None, "sum")
    asked = with_reference(request_for(config, "local", "generate"))
    found = Collector(config)
    ingredients = found.require(gather(asked, workspace, Silent(), found))
    return trial_step(ingredients, Silent())[0].note


def test_an_image_is_not_built_from_code_that_responds_otherwise(session, tmp_path):
    load = "def load():\n    return int(open(__file__).name.endswith('/program/sageturner.py'))\n"
    captured(session, "    return model", load=load)
    session.namespace["__file__"] = __file__
    session.run("model = load()")
    with pytest.raises(CaptureError, match=r"0 and 1.*--no-compare"):
        trial_note(tmp_path)
