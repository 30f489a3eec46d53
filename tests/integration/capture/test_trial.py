"""A module runs in a clean process, and its failures are told in the user's lines."""

import json
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from sageturner_magic.capture.code_folder import from_folder
from sageturner_magic.deployment.trial.process import Limits, check_module, try_module
from sageturner_magic.errors import CaptureError, DeploymentCancelled
from sageturner_magic.values import CapturedModule, CellLine, Request, SourceFile

FUNCTIONS = "\ndef load(): ...\ndef predict(model, request): ...\n"


def module_of(cell: str) -> CapturedModule:
    source = cell + FUNCTIONS
    lines = {n: CellLine(2, n + 1) for n in range(1, source.count("\n") + 1)}
    return CapturedModule("In[2]", (SourceFile("sageturner.py", source.encode()),), lines=lines)


def failure(module: CapturedModule, **options) -> CaptureError:
    with pytest.raises(CaptureError) as raised:
        check_module(module, sys.executable, **options)
    return raised.value


def test_a_module_that_imports_passes():
    check_module(module_of("X = 1"), sys.executable)


def test_the_failing_line_is_that_of_the_cell():
    error = failure(module_of("X = 1\nY = int('x')"))
    assert error.findings[0].where == "In[2], line 3"
    assert "ValueError: invalid literal" in str(error)
    assert "In[2], line 3, in <module>\n    Y = int('x')" in error.report()


def test_a_module_that_is_not_installed_is_named_with_the_remedy():
    error = failure(module_of("import not_there_at_all\nX = not_there_at_all"))
    assert "No module named 'not_there_at_all'" in str(error)
    assert "`python_packages`" in str(error)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Attempting to deserialize object on a CUDA device but torch.cuda", "map_location"),
        ("don't know how to restore data location (tagged with mps)", "map_location"),
        ("Found no NVIDIA driver on your system.", "torch.cuda.is_available()"),
        ("Torch not compiled with CUDA enabled", "torch.cuda.is_available()"),
    ],
)
def test_code_that_takes_a_gpu_for_granted_is_told_what_to_write(message, remedy):
    error = failure(module_of(f"raise RuntimeError({message!r})"))
    assert remedy in error.findings[0].do


def test_the_memory_of_this_process_is_not_there():
    sys.modules["only_here"] = sys
    try:
        assert "only_here" in str(failure(module_of("import only_here\nX = only_here")))
    finally:
        del sys.modules["only_here"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os\nos._exit(7)", "exit code 7"),
        ("import os\nos.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_an_import_that_ends_python_is_an_error(code, expected):
    assert expected in str(failure(module_of(code)))


def test_an_import_that_hangs_ends_with_all_that_it_started(tmp_path):
    note = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    error = failure(module_of(code), limit_s=3)
    assert "takes longer than 3 s" in str(error) and "`startup_timeout_s`" in str(error)
    assert "into load()" in str(error) and "where a slow disk is the reason" in str(error)
    gone = [int(pid) for pid in note.read_text().split()]
    deadline = time.monotonic() + 10
    while any(map(_alive, gone)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, gone))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_user_who_stops_does_not_wait_for_the_import():
    class Stopping:
        lines: list[str]

        def log(self, line: str) -> None: ...
        def progress(self, done, total, unit, part=""): ...
        def checkpoint(self) -> None:
            raise DeploymentCancelled("stopped")

    began, threads = time.monotonic(), threading.active_count()
    with pytest.raises(DeploymentCancelled):
        check_module(module_of("import time\ntime.sleep(600)"), sys.executable, Stopping())
    assert time.monotonic() - began < 60
    assert threading.active_count() < threads + 20


def test_a_folder_runs_beside_its_files_and_not_as_main(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "helper.py").write_text("import json\nX = json.load(open('config.json'))")
    (tmp_path / "sageturner.py").write_text(
        "import helper" + FUNCTIONS + "if __name__ == '__main__':\n    raise SystemExit(1)\n"
    )
    module, _ = from_folder(tmp_path)
    check_module(module, sys.executable)
    assert not list(tmp_path.rglob("*.pyc"))
    (tmp_path / "helper.py").write_text("\n1 / 0")
    error = failure(from_folder(tmp_path)[0])
    assert error.findings[0].where == "helper.py:2"


def test_what_an_import_prints_reaches_the_log():
    class Keeping:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def log(self, line: str) -> None:
            self.lines.append(line)

        def progress(self, done, total, unit, part=""): ...
        def checkpoint(self) -> None: ...

    kept = Keeping()
    check_module(module_of("print('hello from the import')"), sys.executable, kept)
    assert kept.lines == ["hello from the import"]


# --- load and one request -----------------------------------------------------------------

LIMITS = Limits(load_s=60, predict_s=60)


def tried(cell: str, **options):
    source = textwrap.dedent(cell).strip() + "\n"
    lines = {n: CellLine(3, n + 1) for n in range(1, source.count("\n") + 1)}
    module = CapturedModule("In[3]", (SourceFile("sageturner.py", source.encode()),), lines=lines)
    options = {"model_dir": None, "limits": LIMITS, "python": sys.executable} | options
    return try_module(module, options.pop("model_dir"), **options)


def refused(cell: str, **options) -> CaptureError:
    with pytest.raises(CaptureError) as raised:
        tried(cell, **options)
    return raised.value


def asking(value: object) -> Request:
    return Request(json.dumps(value).encode())


DOUBLES = """
def load(model_dir):
    print("loading", model_dir)
    return 2
def predict(model, request):
    return {"doubled": model * request["x"]}
def example_request():
    return {"x": 21}
"""


def test_the_example_is_answered_as_a_client_would_get_it(tmp_path):
    (tmp_path / "weights.txt").write_text("")
    trial = tried(DOUBLES, model_dir=tmp_path)
    assert (trial.body, trial.content_type) == (b'{"doubled":42}', "application/json")
    assert trial.asked == "example" and trial.chunks == 0
    assert trial.example == '{"x": 21}'
    assert trial.output == (f"loading {tmp_path}",)
    assert trial.predict_s is not None and 0 <= trial.load_s < 60
    # A bare Python takes some 10 MB; this test process takes far more than that.
    assert 4e6 < trial.memory < psutil.Process().memory_info().rss + 200e6


def test_a_payload_goes_before_the_example():
    trial = tried(DOUBLES, request=asking({"x": 4}))
    assert trial.body == b'{"doubled":8}' and trial.asked == "payload"
    assert trial.example == ""


def test_without_a_request_only_load_is_tried():
    trial = tried("def load():\n    return 1\ndef predict(model, request):\n    return model")
    assert trial.asked == "" and trial.predict_s is None and trial.body == b""


@pytest.mark.parametrize(
    "predict",
    [
        "async def predict(model, request):\n    return [model]",
        "def predict(model, request, context):\n    return [model] if context.accept else 0",
        "def predict(m, r): ...\ndef predict_batch(m, several):\n    return [[m] for _ in several]",
    ],
)
def test_every_kind_of_predict_is_run_as_the_server_runs_it(predict):
    assert tried(f"def load():\n    return 7\n{predict}", request=asking(0)).body == b"[7]"


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_generator_is_read_to_its_end(kind):
    trial = tried(
        f"def load():\n    return 'a'\n{kind} predict(model, request):\n"
        "    for n in range(3):\n        yield f'{model}{n}'",
        request=asking(0),
    )
    assert (trial.body, trial.chunks) == (b"a0a1a2", 3)
    assert trial.content_type == "text/plain; charset=utf-8"


def test_a_request_is_what_json_makes_of_it():
    trial = tried(
        "def load(): ...\ndef predict(model, request):\n    return type(request).__name__\n"
        "def example_request():\n    return (1, 2)"
    )
    assert trial.body == b'"list"'


TYPED = """
from dataclasses import dataclass
@dataclass
class Digits:
    pixels: list[float]
def load(): ...
def predict(model, request: Digits):
    return sum(request.pixels)
"""


def test_the_example_and_the_payload_are_of_the_type_that_predict_names():
    example = "def example_request():\n    return {'pixels': [1, 2]}\n"
    trial = tried(TYPED + example)
    assert (trial.body, trial.example) == (b"3.0", '{"pixels": [1, 2]}')
    finding = refused(TYPED + example.replace("[1", "['x'")).findings[0]
    assert finding.what == "What example_request() returns is not of the type that predict() takes"
    assert finding.why == 'pixels[0]: expected a number, got "x"'
    finding = refused(TYPED, request=asking({"pixel": [1]})).findings[0]
    assert finding.what == "The payload is not of the type that predict() takes"
    assert 'pixel: unknown; did you mean "pixels"?' in finding.why


@pytest.mark.parametrize("kind", ["list[int]", "typing.Iterator[int]"])
def test_what_predict_returns_is_of_the_type_that_it_names(kind):
    give = "yield from request" if "Iterator" in kind else "return request"
    source = f"import typing\ndef load(): ...\ndef predict(model, request) -> {kind}: {give}\n"
    assert tried(source, request=asking([1, 2])).chunks == 2 * ("Iterator" in kind)
    finding = refused(source, request=asking([1, "x"])).findings[0]
    assert finding.what == "What predict() returns is not of the type that its signature names"
    assert finding.why == 'answer[1]: expected a whole number, got "x"'


def test_an_answer_that_json_cannot_hold_is_found_at_its_line():
    error = refused(
        """
        def load():
            return 1
        def predict(model, request):
            class Odd:
                __slots__ = ()
            return {"odd": [Odd()]}
        """,
        request=asking(0),
    )
    finding = error.findings[0]
    assert finding.where == "In[3], line 7"
    assert "odd[0] is of type Odd" in finding.why and "return" in finding.do


def test_a_number_that_json_does_not_know_is_refused_or_allowed_as_configured():
    cell = (
        "def load():\n    return 1\ndef predict(model, request):\n    return {'p': float('nan')}\n"
    )
    assert "answer at p is nan" in str(refused(cell, request=asking(0)))
    assert tried(cell, request=asking(0), serving={"nan": "null"}).body == b'{"p":null}'


FORGETS = """
def load(model_dir):
    model = {"bias": 1}
def predict(model, request):
    return model["bias"]
"""


@pytest.mark.parametrize("options", [{}, {"request": asking(0)}])
def test_a_load_that_forgets_to_return_is_found_with_and_without_a_request(options):
    finding = refused(FORGETS, **options).findings[0]
    assert finding.what == "load() returns nothing"
    assert finding.where == "In[3], line 3"
    assert finding.do == "end load() with `return model`"


def test_a_model_may_be_none_where_predict_does_not_need_one():
    cell = "def load(): ...\ndef predict(model, request):\n    return request"
    assert tried(cell).asked == ""
    assert tried(cell, request=asking([1])).body == b"[1]"


def test_a_name_of_the_notebook_only_is_found_where_it_is_read():
    finding = refused(
        "def load():\n    return 1\ndef predict(model, request):\n    return labels[model]",
        request=asking(0),
    ).findings[0]
    assert finding.where == "In[3], line 5"
    assert "`labels` exists in the notebook only" in finding.do


def test_a_file_that_load_does_not_find_is_told_with_what_there_is(tmp_path):
    cell = (
        "def load(model_dir):\n    return open(f'{model_dir}/a.txt').read()\n"
        "def predict(model, request):\n    return model"
    )
    assert "no `artefact:` is configured" in refused(cell).findings[0].do
    (tmp_path / "b.txt").write_text("")
    finding = refused(cell, model_dir=tmp_path).findings[0]
    assert finding.do == "model_dir holds `b.txt`" and finding.where == "In[3], line 3"


def test_a_class_of_the_notebook_in_a_pickle_is_told_with_the_remedy(tmp_path):
    (tmp_path / "m.pkl").write_bytes(b"c__main__\nThing\n.")
    finding = refused(
        "import pickle\ndef load(model_dir):\n"
        "    return pickle.load(open(f'{model_dir}/m.pkl', 'rb'))\n"
        "def predict(model, request):\n    return 1",
        model_dir=tmp_path,
    ).findings[0]
    assert (
        finding.where == "In[3], line 4" and "class that was defined in the notebook" in finding.do
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("os._exit(3)", "predict() ended Python (exit code 3)"),
        ("sys.exit('no')", "predict() raises SystemExit"),
        ("os.abort()", "predict() ended Python (killed by SIGABRT)"),
        ("ctypes.string_at(0)", "predict() ended Python (killed by SIGSEGV)"),
    ],
)
def test_a_predict_that_ends_python_is_told_with_the_line_where_that_can_be_known(line, expected):
    finding = refused(
        "import ctypes, os, sys\ndef load():\n    return 1\n"
        f"def predict(model, request):\n    {line}\n",
        request=asking(0),
    ).findings[0]
    assert expected in str(finding)
    assert finding.where == ("In[3]" if "_exit" in line else "In[3], line 6")


@pytest.mark.parametrize(("stage", "line"), [("load", 4), ("predict", 6)])
def test_what_hangs_is_ended_and_told_with_its_line(stage, line):
    hangs = {stage: "while True: pass"}
    finding = refused(
        "import time\ndef load():\n"
        f"    {hangs.get('load', 'return 1')}\ndef predict(model, request):\n"
        f"    {hangs.get('predict', 'return 1')}\n",
        request=asking(0),
        limits=Limits(load_s=1, predict_s=1),
    ).findings[0]
    assert f"{stage}() takes longer than 1 s" in str(finding)
    assert finding.where == f"In[3], line {line}"


def test_nothing_is_left_of_what_the_user_stops(tmp_path):
    note = tmp_path / "pid"

    class Stopping:
        def log(self, line: str) -> None: ...
        def progress(self, done, total, unit, part=""): ...
        def checkpoint(self) -> None:
            if note.exists() and note.read_text().endswith("."):
                raise DeploymentCancelled("stopped")

    with pytest.raises(DeploymentCancelled):
        tried(
            "import subprocess, sys, time\n"
            "def load():\n"
            "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],\n"
            "        start_new_session=True)\n"
            f"    open({str(note)!r}, 'w').write(f'{{child.pid}}.')\n"
            "    time.sleep(600)\n"
            "def predict(model, request):\n    return 1",
            reporter=Stopping(),
        )
    pid = int(note.read_text()[:-1])
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)


def test_a_notebooks_own_variables_do_not_reach_it(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    trial = tried(
        "import os\ndef load():\n    return os.environ.get('MPLBACKEND'), os.environ['MODE']\n"
        "def predict(model, request):\n    return model",
        request=asking(0),
        environment={"MODE": "fast"},
    )
    assert trial.body == b'[null,"fast"]'


SERVERLESS = """
def load(): ...
def predict(model, request):
    import getpass, multiprocessing, os, pathlib, pwd
    return eval(request)
"""


@pytest.fixture
def namespaces() -> None:
    made = subprocess.run(["unshare", "--user", "--mount", "--map-root-user", "true"])
    if made.returncode:
        pytest.skip("this machine makes no namespaces")


def serverless(expression: str, model_dir: Path | None = None) -> object:
    module = CapturedModule("In[2]", (SourceFile("sageturner.py", SERVERLESS.encode()),))
    request = Request(json.dumps(expression).encode())
    limits = Limits(60, 60)
    trial = try_module(
        module, model_dir, python=sys.executable, limits=limits, request=request, serverless=True
    )
    assert trial.unconfined == ""
    return json.loads(trial.body)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("getpass.getuser()", "sageturner"),
        ("(pathlib.Path.home() / '.cache/numba').mkdir(parents=True)", None),
        ("open('/tmp/' + str(os.getpid()), 'x').close() or os.remove('/tmp/' + str(os.getpid()))",
         None),
        ("open('/dev/null', 'w').write('x')", 1),
        ("os.path.expanduser('~') == os.environ['HOME']", True),
    ],
)  # fmt: skip
def test_what_works_on_a_serverless_endpoint_passes_a_trial_with_its_limits(
    namespaces, expression, expected
):
    assert serverless(expression) == expected


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        ("multiprocessing.Lock()", "use threads in place of `multiprocessing.Lock`"),
        ("multiprocessing.Queue()", "use threads in place of"),
        ("open('cache.json', 'w')", "write below /tmp only"),
        ("open('/var/tmp/cache.json', 'w')", "write below /tmp only"),
        ("open(os.environ['SM_MODEL_DIR'] + '/x', 'w')", "write below /tmp only"),
    ],
)
def test_what_fails_on_a_serverless_endpoint_fails_such_a_trial_with_a_remedy(
    namespaces, tmp_path, expression, remedy
):
    with pytest.raises(CaptureError) as raised:
        serverless(expression, tmp_path)
    assert raised.value.findings[0].do.startswith(remedy)


def test_the_users_number_has_no_entry_in_passwd(namespaces):
    with pytest.raises(CaptureError, match="uid not found"):
        serverless("pwd.getpwuid(os.getuid())")
