"""SageMaker's container contract and what local endpoints rely on."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import stat
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import SERVER, Server, Start, listening_socket, wait_for

ECHO = """
    def load():
        return None

    def predict(model, request):
        return request
"""

SLOW_LOAD = """
    import time, pathlib

    def load():
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        return []

    def predict(model, request):
        model.append(request)
        return len(model)
"""

BLOCKING = """
    import ctypes

    def load():
        return None

    def predict(model, request):
        # PyDLL keeps the GIL during the call.
        ctypes.PyDLL(None).usleep(int(request * 1e6))
        return "done"
"""


def test_ping_says_503_while_the_model_loads_and_200_afterwards(start: Start, program: Any) -> None:
    folder = program(SLOW_LOAD)
    server = start(folder)
    loading = server.ping()
    assert (loading.status, loading.json["status"]) == (503, "loading")
    refused = server.invoke(1)
    assert (refused.status, refused.error["type"]) == (503, "Loading")
    (folder / "go").touch()
    wait_for(lambda: server.ping().status == 200, "a good ping")
    assert server.ping().json == {"status": "ready"}
    assert server.request("HEAD", "/ping").status == 200


def test_the_model_is_loaded_once_and_kept(start: Start, program: Any) -> None:
    folder = program(SLOW_LOAD)
    (folder / "go").touch()
    server = start(folder).ready()
    assert [server.invoke(0).json for _ in range(3)] == [1, 2, 3]


def test_ping_is_quick_while_predict_holds_the_gil(start: Start) -> None:
    server = start(BLOCKING).ready()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(server.invoke, 1.5)
        times = []
        while not running.done():
            began = time.perf_counter()
            assert server.ping().status == 200
            times.append(time.perf_counter() - began)
            time.sleep(0.01)
        assert running.result().json == "done"
    assert len(times) > 20
    # 20 ms on a machine of its own; this one is shared with other tests.
    assert sorted(times)[int(len(times) * 0.9)] < 0.02
    assert max(times) < 0.5


@pytest.mark.parametrize("model", ["None", "{}", "0", "numpy.zeros(3)", "pandas.DataFrame()"])
def test_any_value_is_fine_as_a_model(start: Start, model: str) -> None:
    source = f"""
        import numpy, pandas
        def load(): return {model}
        def predict(model, request): return type(model).__name__
    """
    server = start(source).ready()
    assert server.invoke({}).json


def test_load_gets_the_model_directory_and_predict_the_context(
    start: Start, tmp_path: Path
) -> None:
    source = """
        import os
        def load(model_dir):
            return model_dir, os.environ["SM_MODEL_DIR"], os.getcwd()
        def predict(model, request, context):
            context.answer_attributes = "seen=" + context.custom_attributes
            return [*model, context.inference_id, context.content_type, context.headers]
    """
    server = start(source, SM_MODEL_DIR=str(tmp_path)).ready()
    reply = server.invoke(
        1,
        X_Amzn_SageMaker_Inference_Id="one",
        X_Amzn_SageMaker_Custom_Attributes="a=b",
        X_Other="not let through by SageMaker",
    )
    directory, variable, cwd, inference, content_type, headers = reply.json
    assert directory == variable == str(tmp_path)
    assert Path(cwd, "sageturner.py").exists()
    assert (inference, content_type) == ("one", "application/json")
    assert "x-other" not in headers
    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "seen=a=b"


def test_values_of_science_become_json(start: Start) -> None:
    source = """
        import datetime, decimal, uuid, dataclasses
        import numpy as np, pandas as pd
        @dataclasses.dataclass
        class Box: left: float
        def load(): return None
        def predict(model, request):
            return {
                "float32": np.float32(0.5), "int64": np.int64(7), "bool": np.bool_(True),
                "array": np.arange(4).reshape(2, 2), "sliced": np.arange(6)[::2],
                "frame": pd.DataFrame({"a": [1, 2]}), "series": pd.Series([1.5, 2.5]),
                "time": datetime.datetime(2024, 1, 2, 3, 4), "stamp": pd.Timestamp("2024-01-02"),
                "bytes": b"hello", "decimal": decimal.Decimal("1.5"), "set": {1},
                "uuid": uuid.UUID(int=1), "box": Box(0.25), 7: None, "big": 2**80,
            }
    """
    assert start(source).ready().invoke({}).json == {
        "float32": 0.5, "int64": 7, "bool": True, "array": [[0, 1], [2, 3]], "sliced": [0, 2, 4],
        "frame": [{"a": 1}, {"a": 2}], "series": [1.5, 2.5], "time": "2024-01-02T03:04:00",
        "stamp": "2024-01-02T00:00:00", "bytes": "aGVsbG8=", "decimal": 1.5, "set": [1],
        "uuid": "00000000-0000-0000-0000-000000000001", "box": {"left": 0.25}, "7": None,
        "big": 2**80,
    }  # fmt: skip


NAN = """
    import numpy as np
    def load(): return None
    def predict(model, request):
        return {"scores": [1.0, {"value": np.array([0.5, np.nan])}], "none": None}
"""


def test_nan_in_an_answer_is_an_error_that_names_its_place(start: Start) -> None:
    reply = start(NAN).ready().invoke({})
    assert reply.status == 500
    assert "scores[1].value[1]" in reply.error["message"]
    assert "nan" in reply.error["message"]


def test_nan_in_an_answer_becomes_null_where_the_configuration_says_so(start: Start) -> None:
    reply = start(NAN, serving={"nan": "null"}).ready().invoke({})
    assert reply.json == {"scores": [1.0, {"value": [0.5, None]}], "none": None}


BAD_REQUESTS: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "half a JSON": (b'{"a": [1, 2', {}, 400, "line 1 column 12"),
    "no body": (b"", {}, 400, "empty"),
    "NaN": (b'{"a": NaN}', {}, 400, "NaN"),
    "Infinity": (b"[-Infinity]", {}, 400, "Infinity"),
    "not UTF-8": (b'"\xff"', {}, 400, "utf-8"),
    "deep nesting": (b"[" * 200_000, {}, 400, "JSON"),
    "a form": (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "curl"),
    "gzip": (b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, "gzip"),
    "a pickle": (
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(127)
        + b"\n\x80\x04K\x01.",
        {"Content-Type": "application/x-npy"},
        400,
        "pickle",
    ),
    "bad accept": (b"1", {"Accept": "application/xml"}, 406, "application/xml"),
}


@pytest.fixture(scope="module")
def echo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One echo server for tests that only ask."""

    folder = tmp_path_factory.mktemp("echo")
    (folder / "sageturner.py").write_text(textwrap.dedent(ECHO))
    listener = listening_socket()
    serving = {"SAGETURNER_SERVING": json.dumps({"max_body_mb": 1})}
    server = Server(folder, folder / "log", listener, serving, SERVER)
    listener.close()
    yield server.ready()
    server.close()


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_bad_input_is_a_4xx_that_says_what_is_wrong(echo: Server, case: str) -> None:
    body, headers, status, words = BAD_REQUESTS[case]
    content = {"Content-Type": "application/json", **headers}
    reply = echo.request("POST", "/invocations", body, content)
    assert reply.status == status, reply.body
    assert words.lower() in reply.error["message"].lower()
    assert reply.headers["content-type"] == "application/json"
    assert echo.invoke("still here").json == "still here"


def test_a_body_that_is_too_large_is_a_413_that_the_client_gets_to_read(echo: Server) -> None:
    reply = echo.invoke(body=b'"' + b"x" * 5_000_000 + b'"')
    assert (reply.status, reply.error["type"]) == (413, "PayloadTooLarge")
    assert "1,000,000" in reply.error["message"]


def test_a_chunked_body_that_is_too_large_is_a_413(echo: Server) -> None:
    pieces = (b"x" * 100_000 for _ in range(30))
    reply = echo.request("POST", "/invocations", pieces, {"Content-Type": "text/plain"})
    assert (reply.status, reply.error["type"]) == (413, "PayloadTooLarge")


def test_other_paths_and_methods_are_404_and_405(echo: Server) -> None:
    assert echo.request("GET", "/nothing").status == 404
    assert echo.request("GET", "/invocations").status == 405
    assert echo.request("POST", "/ping", b"").status == 405
    assert echo.request("PUT", "/ping").headers["allow"] == "GET, HEAD"
    assert echo.request("OPTIONS", "/invocations").headers["allow"] == "POST"
    assert "/invocations" in echo.request("GET", "/").error["message"]


def test_what_is_not_http_gets_a_400(echo: Server) -> None:
    with echo.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"InvalidHTTP"' in answer


def test_the_docs_describe_the_endpoint(echo: Server) -> None:
    page = echo.request("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "POST /invocations" in page.body.decode()
    paths = echo.request("GET", "/openapi.json").json["paths"]
    assert set(paths) == {"/ping", "/invocations"}


def test_pipelined_requests_are_answered_in_their_order(echo: Server) -> None:
    def request(value: int) -> bytes:
        body = json.dumps(value).encode()
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with echo.connect() as connection:
        connection.sendall(b"".join(map(request, range(300))) + ping)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    bodies = [part.split(b"\r\n\r\n")[1] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [str(number).encode() for number in range(300)] + [b'{"status":"ready"}']


def test_an_exception_in_predict_is_a_500_with_the_users_frames_only(start: Start) -> None:
    source = """
        import json
        def load(): return None
        def helper(request):
            return json.loads(request["text"])
        def predict(model, request):
            return helper(request)
    """
    server = start(source).ready()
    error = server.invoke({"text": "{"})
    assert error.status == 500
    assert error.error["type"] == "JSONDecodeError"
    lines = "\n".join(error.error["traceback"])
    assert "in predict" in lines and "in helper" in lines and "sageturner.py" in lines
    assert "json/decoder.py" not in lines and "plain.py" not in lines
    assert server.invoke({}).error["type"] == "KeyError"
    assert server.invoke({"text": "[1]"}).json == [1]
    logged = [line for line in server.lines() if line["level"] == "error"]
    assert [line["message"].split(":")[0] for line in logged] == [
        "predict raised JSONDecodeError", "predict raised KeyError",
    ]  # fmt: skip


def test_an_exception_with_a_status_code_chooses_its_status(start: Start) -> None:
    source = """
        class Unprocessable(Exception): status_code = 422
        def load(): return None
        def predict(model, request): raise Unprocessable("pixels has to hold 64 numbers")
    """
    reply = start(source).ready().invoke({})
    assert (reply.status, reply.error["type"]) == (422, "Unprocessable")
    assert "traceback" not in reply.error


def test_sys_exit_in_predict_is_a_500_and_the_server_goes_on(start: Start) -> None:
    source = """
        import sys
        def load(): return None
        def predict(model, request):
            if request == "exit": sys.exit(3)
            return "here"
    """
    server = start(source).ready()
    assert server.invoke("exit").error["type"] == "SystemExit"
    assert server.invoke("stay").json == "here"


CRASHES = {
    "os._exit": ("os._exit(3)", "exit status 3"),
    "a segmentation fault": ("ctypes.string_at(0)", "SIGSEGV"),
    "the kernel's memory killer": ("os.kill(os.getpid(), 9)", "SIGKILL"),
}


@pytest.mark.parametrize("case", CRASHES)
def test_a_worker_that_dies_in_predict_fails_only_its_request(start: Start, case: str) -> None:
    crash, words = CRASHES[case]
    source = f"""
        import ctypes, os, time
        def load(): return None
        def predict(model, request):
            if request == "crash": {crash}
            time.sleep(0.05)
            return request
    """
    server = start(source).ready()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        wanted: list[Any] = [1, "crash", 2, 3, 4, 5]
        replies = list(threads.map(server.invoke, wanted))
    for value, reply in zip(wanted, replies, strict=True):
        if value == "crash":
            assert (reply.status, reply.error["type"]) == (500, "WorkerDied")
            assert words in reply.error["message"]
        else:
            assert reply.json == value
    assert server.ping().status == 200
    assert server.invoke("again").json == "again"


@pytest.mark.parametrize("case", CRASHES)
def test_a_worker_that_dies_in_load_ends_the_server_with_a_clear_line(
    start: Start, case: str
) -> None:
    crash, words = CRASHES[case]
    server = start(f"import ctypes, os\ndef load(): {crash}\ndef predict(model, request): pass")
    assert server.wait() == 1
    assert words in server.log() and "while it loaded the model" in server.log()


BAD_PROGRAMS = {
    "load raises": (
        "def load():\n    return open('model.bin')\ndef predict(m, r): pass",
        ["load raised FileNotFoundError", "line 2, in load", "model.bin"],
    ),
    "a syntax error": ("def load(:\n", ["SyntaxError", "line 1"]),
    "a missing package": ("import nothing_like_this", ["nothing_like_this"]),
    "no predict": ("def load(): pass", ["defines no function predict"]),
    "predict takes one argument": (
        "def load(): pass\ndef predict(request): pass",
        ["predict(request)", "predict(model, request)"],
    ),
    "load exits": ("import sys\ndef load(): sys.exit(4)\ndef predict(m, r): pass", ["sys.exit(4)"]),
}


@pytest.mark.parametrize("case", BAD_PROGRAMS)
def test_a_load_that_fails_ends_the_server_at_once_with_the_users_frames(
    start: Start, case: str
) -> None:
    source, words = BAD_PROGRAMS[case]
    server = start(source)
    assert server.wait(15) == 1
    for word in words:
        assert word in server.log()
    assert "program.py" not in server.log() and "worker.py" not in server.log()


def test_a_missing_sageturner_py_is_said(start: Start, tmp_path: Path) -> None:
    server = start(tmp_path)
    assert server.wait() == 1
    assert f"there is no sageturner.py in {tmp_path}" in server.log()


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(start: Start) -> None:
    source = """
        import pathlib, time
        def load(): return None
        def predict(model, request):
            pathlib.Path("begun").touch()
            time.sleep(request)
            return "finished"
    """
    server = start(source).ready()
    folder = Path(server.workers()[0].cwd())
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(server.invoke, 1.5)
        waiting = threads.submit(server.invoke, 0.1)
        wait_for((folder / "begun").exists, "predict to begin")
        time.sleep(0.2)  # The second request is on its way as well.
        server.terminate()
        assert running.result().json == "finished"
        assert waiting.result().json == "finished"
    assert server.wait() == 0


def test_sigterm_while_loading_ends_at_once(start: Start) -> None:
    server = start(SLOW_LOAD)
    wait_for(lambda: server.ping().status == 503, "the first ping")
    server.terminate()
    assert server.wait(10) == 0


def test_a_port_that_is_taken_is_said(start: Start) -> None:
    with listening_socket() as other:
        port = str(other.getsockname()[1])
        server = start(ECHO, SAGETURNER_LISTEN_FD="", SAGETURNER_PORT=port)
        assert server.wait() == 2
    assert f"cannot listen on 0.0.0.0:{port}" in server.log()


def test_the_port_is_chosen_and_logged_without_an_inherited_socket(start: Start) -> None:
    server = start(ECHO, SAGETURNER_LISTEN_FD="", SAGETURNER_PORT="0", SAGETURNER_HOST="127.0.0.1")
    wait_for(lambda: any("port" in line for line in server.lines()), "the line with the port")
    server.port = next(line["port"] for line in server.lines() if "port" in line)
    assert server.ready().invoke("hello").json == "hello"


def test_wrong_settings_are_all_said_at_once(start: Start) -> None:
    server = start(ECHO, serving={"workers": 0, "nan": "maybe", "que": 1}, SAGETURNER_LOG="xml")
    assert server.wait() == 2
    for word in ("workers is 0", '"error" or "null"', "'que' is not a key", "SAGETURNER_LOG"):
        assert word in server.log()


def test_what_user_code_prints_passes_through_unchanged(start: Start) -> None:
    source = """
        def load(): print("loading it")
        def predict(model, request): print(request); return 1
    """
    server = start(source, SAGETURNER_LOG="text").ready()
    server.invoke("a line of mine")
    wait_for(lambda: "\na line of mine\n" in server.log(), "the printed line")
    assert "loading it\n" in server.log()
    assert "the model is loaded" in server.log()
    assert "{" not in server.log()


def test_the_server_runs_from_anywhere_without_writing_there(
    start: Start, copied_server: Path
) -> None:
    for path in (copied_server, *copied_server.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    server = start(ECHO, server=copied_server, PYTHONDONTWRITEBYTECODE="").ready()
    assert server.invoke([1]).json == [1]


def test_the_program_is_imported_as_itself_and_as_main(start: Start) -> None:
    source = """
        import pickle, sys
        class Model: answer = 42
        if __name__ == "__main__": raise SystemExit("ran as a script")
        def load(): return pickle.loads(b"c__main__\\nModel\\n.")
        def predict(model, request): return model.answer
    """
    assert start(source).ready().invoke({}).json == 42


TOKEN = "secret-token"


def test_everything_but_ping_needs_the_token_where_there_is_one(start: Start) -> None:
    server = start(ECHO, SAGETURNER_TOKEN=TOKEN).ready()
    assert server.invoke(1).status == 401
    assert server.invoke(1, Authorization="token wrong").status == 403
    assert server.request("GET", "/docs").status == 401
    for headers in ({"Authorization": f"token {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}"}):
        assert server.invoke(1, **headers).json == 1
    assert server.request("POST", f"/invocations?token={TOKEN}", b"1").json == 1
    page = server.request("GET", f"/docs?token={TOKEN}").body.decode()
    assert f'"token": "{TOKEN}"' in page
    assert server.request("GET", f"/openapi.json?token={TOKEN}").status == 200
    assert TOKEN not in str(server.workers()[0].environ())


def test_the_server_ends_with_whoever_holds_its_lifeline(start: Start) -> None:
    end, lifeline = os.pipe()
    server = start(BLOCKING, SAGETURNER_LIFELINE_FD=str(end), pass_fds=(end,)).ready()
    os.close(end)
    workers = server.workers()
    threading.Thread(target=lambda: _ignore_errors(server.invoke, 20), daemon=True).start()
    wait_for(lambda: workers[0].status() == "sleeping", "predict to begin")
    os.close(lifeline)
    server.wait(5)
    psutil.wait_procs(workers, 5)
    assert not any(worker.is_running() for worker in workers)


def test_workers_end_when_the_front_is_killed_even_inside_a_call_that_holds_the_gil(
    start: Start,
) -> None:
    server = start(BLOCKING).ready()
    workers = server.workers()
    threading.Thread(target=lambda: _ignore_errors(server.invoke, 60), daemon=True).start()
    time.sleep(0.3)
    server.process.kill()
    gone, alive = psutil.wait_procs(workers, 5)
    assert gone and not alive


def _ignore_errors(call: Any, *arguments: Any) -> None:
    with contextlib.suppress(OSError):
        call(*arguments)


def ask_control(path: Path) -> tuple[dict[str, Any], socket.socket]:
    """What the control socket says, and the socket that it hands over."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        data, descriptors, _, _ = socket.recv_fds(connection, 65536, 4)
        while more := connection.recv(65536):
            data += more
    assert len(descriptors) == 1
    return json.loads(data), socket.socket(fileno=descriptors[0])


def test_the_control_socket_tells_the_state_and_hands_over_the_listening_socket(
    start: Start, program: Any, tmp_path: Path
) -> None:
    path = tmp_path / "control"
    folder = program(SLOW_LOAD)
    server = start(folder, SAGETURNER_CONTROL=str(path))
    wait_for(path.exists, "the control socket")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said, listener = ask_control(path)
    with listener:
        assert listener.getsockname()[1] == server.port
    assert said == {
        "state": "loading", "pid": server.process.pid, "load_seconds": None, "error": None,
        "warmed": None,
    }  # fmt: skip
    (folder / "go").touch()
    server.ready()
    said, listener = ask_control(path)
    listener.close()
    assert said["state"] == "ready" and said["load_seconds"] > 0
    server.terminate()
    assert server.wait() == 0
    assert not path.exists()


def test_the_control_socket_tells_why_load_failed(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "control"
    source = "import time\ndef load(): time.sleep(0.3); 1/0\ndef predict(m, r): pass"
    server = start(source, SAGETURNER_CONTROL=str(path))

    def failed() -> Any:
        try:
            said, listener = ask_control(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        listener.close()
        return said if said["state"] == "failed" else None

    said = wait_for(failed, "the failure")
    assert said["error"]["type"] == "ZeroDivisionError"
    assert any("in load" in line for line in said["error"]["traceback"])
    assert server.wait(10) == 1


def test_an_endpoint_is_replaced_without_a_gap_in_answers(start: Start, tmp_path: Path) -> None:
    def versioned(number: int) -> str:
        return f"def load(): pass\ndef predict(model, request): return {number}"

    control = tmp_path / "control"
    old = start(versioned(1), SAGETURNER_CONTROL=str(control)).ready()
    stop = threading.Event()
    answers: list[Any] = []
    failures: list[BaseException] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(old.invoke({}).json)
            except Exception as error:
                failures.append(error)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    _, listener = ask_control(control)
    with listener:
        new = start(
            versioned(2),
            listener=listener,
            SAGETURNER_ACCEPT="ready",
            SAGETURNER_CONTROL=str(tmp_path / "control-2"),
        )

        def loaded() -> bool:
            if not (tmp_path / "control-2").exists():
                return False
            said, other = ask_control(tmp_path / "control-2")
            other.close()
            return bool(said["state"] == "ready")

        wait_for(loaded, "the new server")
    old.terminate()
    assert old.wait() == 0
    seen = len(answers)
    wait_for(lambda: len(answers) > seen + 50, "answers of the new server")
    stop.set()
    for client in clients:
        client.join()
    assert failures == []
    assert set(answers) == {1, 2} and set(answers[-20:]) == {2}
    new.terminate()
    assert new.wait() == 0


def test_sigkill_is_not_needed(start: Start) -> None:
    server = start(ECHO).ready()
    workers = server.workers()
    assert server.invoke(1).json == 1
    server.process.send_signal(signal.SIGINT)
    assert server.wait(10) == 0
    assert not any(worker.is_running() for worker in workers)
