"""A code directory becomes a local endpoint, and every way in which that can go wrong is said."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import sageturner_magic as sageturner
from sageturner_magic.cli import main
from sageturner_magic.errors import (
    ArtefactError,
    CaptureError,
    DeploymentCancelled,
    EndpointError,
    InvocationError,
    SageturnerError,
    UsageError,
)
from sageturner_magic.verbs.deploying import start_deployment
from tests.integration.conftest import servers_of, wait_until
from tests.parts.json_output import failure_of, result_of

ECHO = """
    def load(model_dir):
        return "{version}"

    def predict(model, request):
        return {{"version": model, "request": request}}
"""

RAISES = """
    def load():
        return None

    def predict(model, request):
        if request == "raise":
            raise ValueError("no")
        return {"request": request, "folder": "/opt/ml/model"}
"""


@pytest.fixture
def project(tmp_path, state):
    """Writes a code directory and its YAML; returns the YAML's path."""

    def write(code, extra="", name="echo"):
        folder = tmp_path / "code"
        folder.mkdir(exist_ok=True)
        (folder / "sageturner.py").write_text(textwrap.dedent(code))
        config = tmp_path / "sageturner.yaml"
        config.write_text(
            f"name: {name}\ncontainer: {{generate_container: {{code_dir: ./code}}}}\n"
            + textwrap.dedent(extra)
        )
        return config

    return write


@contextmanager
def deployed(config):
    deployment = sageturner.deploy(config)
    try:
        yield deployment
    finally:
        sageturner.delete(deployment.name)


def get(url, token=None):
    headers = {"Authorization": f"token {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.status, answer.read()


def test_it_answers_with_what_predict_returns(project):
    with deployed(project(ECHO.format(version="1"))):
        answer = sageturner.invoke("echo", {"x": [1, 2]})
        assert answer == {"version": "1", "request": {"x": [1, 2]}}
        assert answer.status == 200
        assert answer.latency_ms > 0


def test_only_who_has_the_token_gets_in(project):
    with deployed(project(ECHO.format(version="1"))) as deployment:
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{deployment.url}/docs")
        assert refused.value.code == 401
        assert b'name="token"' in refused.value.read()  # A person is asked for it.
        curl = ["curl", "-sS", f"{deployment.url}/openapi.json", "-H", f"@{deployment.header_file}"]
        assert b"openapi" in subprocess.run(curl, check=True, capture_output=True).stdout
        assert Path(deployment.header_file).stat().st_mode & 0o777 == 0o600
        assert deployment.token not in repr(deployment)
        assert get(f"{deployment.url}/docs?token={deployment.token}")[0] == 200
        assert get(f"{deployment.url}/openapi.json", deployment.token)[0] == 200
        assert get(f"{deployment.url}/ping")[0] == 200


def test_only_this_machines_names_and_allowed_ones_are_answered(project):
    allowed = "serving: {allowed_hosts: [hub.example.org]}"
    with deployed(project(ECHO.format(version="1"), allowed)) as deployment:

        def status(**headers):
            call = urllib.request.Request(f"{deployment.url}/ping", headers=headers)
            try:
                with urllib.request.urlopen(call) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code

        assert status() == 200
        assert status(Host="localhost:1") == 200
        assert status(Host="hub.example.org", Origin="https://hub.example.org") == 200
        assert status(Host="evil.example") == 403
        assert status(Origin="https://evil.example") == 403
        assert status(Origin="null") == 403


def test_files_beside_the_code_open_by_relative_path_and_the_model_by_model_dir(project, tmp_path):
    config = project(
        """
        import os
        from pathlib import Path

        def load(model_dir):
            assert os.environ["SM_MODEL_DIR"] == model_dir
            return Path("labels.txt").read_text() + Path(model_dir, "weights.txt").read_text()

        def predict(model, request):
            return model
        """,
        extra="artefact: ./weights.txt\n",
    )
    (tmp_path / "code" / "labels.txt").write_text("labels and ")
    (tmp_path / "weights.txt").write_text("weights")
    with deployed(config):
        assert sageturner.invoke("echo", {}) == "labels and weights"


def test_an_example_request_that_fails_is_said_and_the_endpoint_serves(project):
    code = ECHO.format(version="1") + "\n    def example_request():\n        return 1 / 0\n"
    handle = start_deployment(project(code))
    handle.wait(60)
    try:
        notes = [step.note for step in handle.progress.steps()]
        assert any("example_request failed: division by zero" in note for note in notes)
        assert sageturner.invoke("echo", 1) == {"version": "1", "request": 1}
    finally:
        sageturner.delete("echo")


def test_deploying_the_same_again_does_nothing(project, state):
    config = project(ECHO.format(version="1"))
    with deployed(config) as first:
        before = servers_of(state)
        again = sageturner.deploy(config)
        assert again.unchanged and again.version == first.version
        assert servers_of(state) == before


def test_a_new_version_replaces_the_old_one_without_a_gap_in_answers(project, state):
    with deployed(project(ECHO.format(version="1"))) as first:
        answers, problems = [], []
        stop = threading.Event()

        def call():
            while not stop.is_set():
                try:
                    answers.append(sageturner.invoke("echo", 1)["version"])
                except SageturnerError as error:
                    problems.append(error)

        callers = [threading.Thread(target=call) for _ in range(3)]
        for caller in callers:
            caller.start()
        wait_until(lambda: len(answers) > 20)
        second = sageturner.deploy(project(ECHO.format(version="2")))
        seen = len(answers)
        wait_until(lambda: len(answers) > seen + 20)
        stop.set()
        for caller in callers:
            caller.join()
        assert problems == []
        assert set(answers) == {"1", "2"}
        assert answers[-1] == "2"
        assert (second.url, second.token) == (first.url, first.token)


def test_the_old_version_goes_on_when_the_new_one_does_not_load(project):
    with deployed(project(ECHO.format(version="1"))):
        with pytest.raises(EndpointError):
            sageturner.deploy(
                project("def load(): raise ValueError('no')\ndef predict(m, r): pass")
            )
        assert sageturner.invoke("echo", 1)["version"] == "1"


def test_a_load_that_raises_is_shown_with_the_users_frames_only(project):
    config = project("""
        def helper():
            raise KeyError("weights")

        def load():
            return helper()

        def predict(model, request):
            return 1
    """)
    with pytest.raises(EndpointError, match="load raised KeyError") as raised:
        sageturner.deploy(config)
    report = raised.value.report()
    assert "line 3, in helper" in report and "weights" in report
    assert "sageturner_magic" not in report


def test_a_file_that_model_dir_lacks_is_answered_with_what_it_holds(project, tmp_path):
    code = "def load(model_dir): open(f'{model_dir}/words.txt')\ndef predict(m, r): pass"
    with pytest.raises(EndpointError, match=r"model_dir is empty.*artefact: \{words.txt: "):
        sageturner.deploy(project(code))
    (tmp_path / "other.txt").write_text("a")
    with pytest.raises(EndpointError, match="model_dir holds `other"):
        sageturner.deploy(project(code, extra="artefact: ./other.txt"))


def test_a_refused_request_shows_the_users_lines_once_and_what_the_code_printed(project):
    code = """
        def load(): return {}

        def predict(model, request):
            print("asked for", request)
            return model[request]
    """
    with deployed(project(code)):
        for _ in range(2):
            with pytest.raises(InvocationError, match="predict raised KeyError") as raised:
                sageturner.invoke("echo", "tea")
        report = raised.value.report()
    assert report.count("Traceback") == 1
    assert "Its code printed last:\nasked for tea" in report
    assert "listening on" not in report


def test_a_name_that_is_nearly_right_is_answered_with_the_endpoint_that_is_meant(project):
    with (
        deployed(project(ECHO.format(version="1"))),
        pytest.raises(EndpointError, match=r"there is `echo`; .*did you mean `echo`"),
    ):
        sageturner.invoke("ecoh", 1)


def test_the_code_of_an_endpoint_from_a_folder_is_shown_by_its_name(project):
    with deployed(project(ECHO.format(version="1"))):
        assert "def predict" in sageturner.code(name="echo")


def test_a_load_that_never_ends_is_stopped_at_the_time_limit(project):
    config = project(
        "import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass",
        extra="compute: {local: {startup_timeout_s: 2}}\n",
    )
    with pytest.raises(EndpointError, match="not loaded within 2 s") as raised:
        sageturner.deploy(config)
    assert "startup_timeout_s" in str(raised.value)


def test_a_slow_load_is_waited_for(project):
    with deployed(project("import time\ndef load(): time.sleep(3)\ndef predict(m, r): return m")):
        assert sageturner.invoke("echo", 1).value is None


def test_a_load_that_ends_the_process_is_said_so(project):
    config = project("import os\ndef load(): os._exit(3)\ndef predict(m, r): pass")
    with pytest.raises(EndpointError) as raised:
        sageturner.deploy(config)
    assert "3" in str(raised.value)


def test_a_predict_that_ends_the_process_costs_only_its_request(project):
    config = project("""
        import os
        def load(): return 1
        def predict(model, request):
            if request == "die":
                os._exit(9)
            return "alive"
    """)
    with deployed(config):
        with pytest.raises(InvocationError) as raised:
            sageturner.invoke("echo", "die")
        assert raised.value.status == 500
        wait_until(lambda: sageturner.status("echo").status == "InService")
        assert sageturner.invoke("echo", "x") == "alive"


def test_a_known_exception_in_predict_has_its_remedy(project):
    config = project("""
        def load(): return 1
        def predict(model, request):
            raise OSError("libgomp.so.1: cannot open shared object file: No such file")
    """)
    with deployed(config):
        with pytest.raises(InvocationError, match="predict raised OSError") as raised:
            sageturner.invoke("echo", 1)
        assert "`libgomp1` has libgomp.so.1" in raised.value.findings[0].do


def test_an_exception_in_predict_shows_the_models_message_and_frames(project):
    config = project("""
        def load(): return {}
        def predict(model, request):
            return model[request["key"]]
    """)
    with deployed(config):
        with pytest.raises(InvocationError, match="predict raised KeyError") as raised:
            sageturner.invoke("echo", {"key": "missing"})
        assert raised.value.status == 500
        assert "in predict" in raised.value.report() and "missing" in raised.value.report()
        with pytest.raises(InvocationError):
            sageturner.invoke("echo", {"wrong": 1})


def test_a_request_that_is_not_of_predicts_type_is_refused_with_every_place(project):
    config = project("""
        import typing
        class Digits(typing.NamedTuple):
            pixels: list[float]
            scale: float = 1.0
        def load(): return None
        def predict(model, request: Digits):
            return sum(request.pixels) * request.scale
    """)
    with deployed(config):
        assert sageturner.invoke("echo", {"pixels": [1, 2]}) == 3.0
        with pytest.raises(InvocationError) as raised:
            sageturner.invoke("echo", {"pixels": ["x"], "scael": 2})
        assert raised.value.status == 422
        why = raised.value.findings[0].why
        assert 'pixels[0]: expected a number, got "x"' in why
        assert 'scael: unknown; did you mean "scale"?' in why


def test_a_payload_beyond_the_limit_is_refused_with_the_limit(project):
    with deployed(project(ECHO.format(version="1"))):
        with pytest.raises(InvocationError) as raised:
            sageturner.invoke("echo", b"x" * 30_000_000)
        assert raised.value.status == 413
        assert sageturner.invoke("echo", 1)["version"] == "1"


def test_cancelling_while_the_model_loads_leaves_nothing(project, state):
    config = project("import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass")
    handle = start_deployment(config)
    wait_until(lambda: servers_of(state))
    handle.cancel()
    with pytest.raises(DeploymentCancelled):
        handle.wait(30)
    assert servers_of(state) == []
    assert sageturner.list() == []


def test_two_deployments_of_one_name_at_once_one_is_told(project, state):
    slow = start_deployment(
        project("import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass")
    )
    try:
        wait_until(lambda: servers_of(state))
        with pytest.raises(EndpointError, match="being changed by another deployment"):
            sageturner.deploy(project(ECHO.format(version="2")))
    finally:
        slow.cancel()
        with pytest.raises(DeploymentCancelled):
            slow.wait(30)


def test_all_that_is_wrong_is_said_at_once(project):
    config = project("def load(): return 1\n", extra="artefact: ./nowhere.bin\n")
    with pytest.raises(SageturnerError) as raised:
        sageturner.plan(config)
    kinds = [finding.what for finding in raised.value.findings]
    assert len(kinds) >= 2
    assert "predict" in str(raised.value) and "nowhere.bin" in str(raised.value)


def test_a_module_that_does_not_import_is_found_by_the_plan(project):
    with pytest.raises(CaptureError, match="no_such_package"):
        sageturner.plan(
            project("import no_such_package\ndef load(): pass\ndef predict(m, r): pass")
        )


def test_a_module_that_does_not_import_fails_its_deployment_and_leaves_what_answered(project):
    with deployed(project(ECHO.format(version="1"))):
        broken = project("import json\nimport no_such_package\ndef load(): pass\n"
                         "def predict(m, r): pass")  # fmt: skip
        with pytest.raises(CaptureError, match="no_such_package") as raised:
            sageturner.deploy(broken)
        assert "sageturner.py:2" in raised.value.findings[0].where
        assert sageturner.invoke("echo", 1)["version"] == "1"


def test_a_deployment_imports_the_module_once(project, tmp_path):
    count = f"with open('{tmp_path}/imports', 'a') as file:\n    file.write('imported ')\n"
    with deployed(project(count + textwrap.dedent(ECHO.format(version="1")))):
        assert (tmp_path / "imports").read_text() == "imported "


def test_a_missing_artefact_is_named(project):
    with pytest.raises(ArtefactError, match="nowhere"):
        sageturner.plan(project(ECHO.format(version="1"), extra="artefact: ./nowhere\n"))


def test_a_plan_does_nothing(project, state):
    plan = sageturner.plan(project(ECHO.format(version="1")))
    assert [step.key for step in plan.steps] == ["write", "start", "load", "switch"]
    assert servers_of(state) == [] and sageturner.list() == []


def test_a_container_path_is_warned_about_unless_it_is_the_default_of_what_the_server_sets(project):
    functions = "\ndef load(): return 1\ndef predict(m, r): return 1"

    def warnings(model):
        found = sageturner.plan(project(f"import os\nMODEL = {model}{functions}")).findings
        return [finding for finding in found if "/opt/ml/model" in finding.what]

    assert len(warnings("'/opt/ml/model'")) == 1
    assert warnings("os.environ.get('SM_MODEL_DIR', '/opt/ml/model')") == []


def test_what_is_not_there_is_said_with_what_is(project):
    with deployed(project(ECHO.format(version="1"))):
        for ask in (sageturner.status, sageturner.delete, lambda name: sageturner.invoke(name, 1)):
            with pytest.raises(EndpointError, match=r"`ecco`.*`echo`"):
                ask("ecco")


def test_logs_have_what_the_code_prints(project):
    with deployed(project("def load(): print('loading it')\ndef predict(m, r): print('hello', r)")):
        sageturner.invoke("echo", "you")
        wait_until(lambda: any("hello you" in line for line in sageturner.logs("echo")))
        assert any("loading it" in line for line in sageturner.logs("echo"))


# --- across processes ---------------------------------------------------------------------

OWNER = """
import sys, time
import sageturner_magic as sageturner
from sageturner_magic.cli import main
print(sageturner.deploy(sys.argv[1]).url, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(project):
    """A process that has deployed an endpoint, as a notebook's kernel does."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(project(ECHO.format(version="1")))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_other_processes_can_use_it(owner, state):
    assert [each.status for each in sageturner.list()] == ["InService"]
    assert sageturner.invoke("echo", 1)["version"] == "1"
    sageturner.delete("echo")
    assert servers_of(state) == [] and sageturner.list() == []


def test_it_dies_with_its_kernel_even_by_kill_9(owner, state):
    assert servers_of(state)
    os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: sageturner.status("echo").status == "OutOfService", what="the end")
    assert servers_of(state) == []
    with pytest.raises(InvocationError, match="its server has ended"):
        sageturner.invoke("echo", 1)
    sageturner.delete("echo")


def test_another_process_takes_it_over_without_a_gap(owner, project, state):
    before = sageturner.status("echo").url
    with deployed(project(ECHO.format(version="2"))) as deployment:
        assert deployment.url == before
        owner.kill()
        owner.wait()
        assert sageturner.invoke("echo", 1)["version"] == "2"


def test_a_deploy_killed_half_way_leaves_no_server_and_the_next_one_works(project, state):
    config = project("import time\ndef load(): time.sleep(600)\ndef predict(m, r): pass")
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(config)], stdout=subprocess.DEVNULL
    )
    wait_until(lambda: servers_of(state))
    process.kill()
    process.wait()
    wait_until(lambda: not servers_of(state), what="the servers' end")
    with deployed(project(ECHO.format(version="1"))):
        assert sageturner.invoke("echo", 1)["version"] == "1"


# --- the command --------------------------------------------------------------------------


def command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "sageturner_magic", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def test_the_command_deploys_detached_calls_and_deletes(project, state, tmp_path):
    config = project(ECHO.format(version="1"))
    made = command("deploy", "-c", config, "--detach", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["name"] == "echo"
    assert "Load the model: done" in made.stderr
    answer = command("invoke", "echo", '{"a": 1}', "--json")
    assert json.loads(answer.stdout)["value"] == {"version": "1", "request": {"a": 1}}
    (tmp_path / "request.json").write_text('{"b": 2}')
    from_file = command("invoke", "echo", f"@{tmp_path / 'request.json'}")
    assert json.loads(from_file.stdout) == {"version": "1", "request": {"b": 2}}
    assert json.loads(command("list", "--json").stdout)["endpoints"][0]["status"] == "InService"
    assert "InService" in command("status", "echo").stdout
    assert command("delete", "echo").returncode == 0
    assert servers_of(state) == []


def test_programs_get_documented_json_from_every_verb_and_of_every_failure(project, state):
    config = project(RAISES)

    def shown(verb, *words):
        done = command(verb, *words, "--json")
        assert done.returncode == 0, done.stderr
        return result_of(verb, done.stdout)

    def failed(*words):
        done = command(*words, "--json")
        assert done.returncode == 2
        data = failure_of(done.stdout)
        # A person who watches reads the same.
        assert data["message"] in done.stderr
        return data

    assert failed("invoke", "echo", "1")["code"] == "ST81"
    plan = shown("plan", "-c", config)
    assert "/opt/ml/model" in plan["findings"][0]["headline"]
    assert shown("deploy", "-c", config, "--detach")["findings"] == plan["findings"]
    try:
        assert shown("invoke", "echo", "1")["value"]["request"] == 1
        (status,) = shown("status", "echo")
        assert status["usage"]["requests"] == 1
        notes = shown("list")["findings"]
        assert all(note["headline"] and note["why"] for note in notes)
        assert shown("load-test", "echo", "1", "--requests", "4")["requests"] == 4
        assert isinstance(shown("logs", "echo"), list)
        assert shown("try", "1", "-c", config)["value"]["request"] == 1
        error = failed("invoke", "echo", '"raise"')
        assert (error["code"], error["severity"]) == ("ST91", "error")
        assert "ValueError: no" in error["details"] + error["message"]
        stopped = command("load-test", "echo", '"raise"', "--requests", "3", "--json")
        assert stopped.returncode == 2
        both = json.loads(stopped.stdout)
        assert (both["failed"], both["code"]) == (3, "ST96")
        lines = command("invoke", "--stream", "echo", '"raise"', "--json").stdout.splitlines()
        assert json.loads(lines[-1])["code"] == "ST91"
        assert failed("deploy", "-e", "server", "-c", "none.yaml")["code"] == "ST22"
    finally:
        assert shown("delete", "echo")["deleted"] == ["endpoint echo"]
    assert servers_of(state) == []


def test_the_command_without_detach_serves_until_it_is_interrupted(project, state):
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sageturner_magic",
            "deploy",
            "-c",
            project(ECHO.format(version="1")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        # A shell that runs the tests in the background lets its children ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process, ExitStack() as failing:
        failing.callback(process.kill)
        assert "echo answers at http://127.0.0.1:" in process.stdout.readline()
        assert (state / "endpoints" / "echo" / "endpoint.json").exists(), [*state.rglob("*")]
        assert sageturner.invoke("echo", 1)["version"] == "1"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert servers_of(state) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["deplyo"], "did you mean `deploy`"),
        (["deploy", "-c", "missing.yaml"], "missing.yaml"),
        (["invoke", "nobody", "1"], "no local endpoint `nobody`"),
        (["invoke", "nobody", "{not json"], "not JSON"),
        (["deploy"], "There is no configuration"),
    ],
)
def test_the_command_fails_with_a_message_and_2(words, message, state, tmp_path):
    result = command(*words, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_init_writes_an_example_that_reads_and_never_overwrites(tmp_path, state):
    assert command("init", cwd=tmp_path).returncode == 0
    again = command("init", cwd=tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr
    assert command("plan", cwd=tmp_path).returncode == 2
    assert "code_dir" in command("plan", cwd=tmp_path).stderr


def test_an_exported_folder_deploys(project, tmp_path, state):
    config = project(ECHO.format(version="1"), extra="artefact: ./weights.txt\n")
    (tmp_path / "weights.txt").write_text("w")
    exported = tmp_path / "exported"
    assert command("export", exported, "-c", config).returncode == 0
    assert (exported / "model" / "weights.txt").read_text() == "w"
    with deployed(exported / "sageturner.yaml"):
        assert sageturner.invoke("echo", 1)["version"] == "1"
    again = command("export", exported, "-c", config)
    assert again.returncode == 2 and "not empty" in again.stderr


def test_code_shows_the_module_and_what_would_change(project, state):
    with deployed(project(ECHO.format(version="1"))):
        changed = project(ECHO.format(version="2"))
        assert 'return "2"' in command("code", "-c", changed).stdout
        difference = command("code", "--diff", "-c", changed).stdout
        assert '-    return "1"' in difference and '+    return "2"' in difference


def test_doctor_says_what_is_there_and_what_to_do_about_the_rest(state, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{state}/no-engine.sock")
    result = command("doctor")
    assert result.returncode == 0
    assert sys.executable in result.stdout
    assert "no Docker engine answers" in result.stdout
    assert "AWS" in result.stdout and "Do: " in result.stdout


def test_a_client_is_written_from_the_types_of_an_endpoint(project, tmp_path, monkeypatch):
    code = "def load(): ...\ndef predict(model, request: list[int]) -> int: return sum(request)\n"
    path = tmp_path / "total_client.py"
    with deployed(project(code, name="total")):
        assert sageturner.client("total", output=path) == path
        module = ModuleType("total_client")
        exec(path.read_text(), vars(module))
        assert module.local().predict([1, 2]) == 3
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert main(["client", "total"]) == 0
        assert Path("total_client.py").read_text() == path.read_text()
        with pytest.raises(UsageError, match="cannot be written"):
            sageturner.client("total", output=tmp_path)
    with pytest.raises(EndpointError):
        sageturner.client("total")
