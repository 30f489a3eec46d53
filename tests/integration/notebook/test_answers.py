"""Answers as they reach a person: streamed, shown, and asked for again from elsewhere."""

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

import sageturner_magic as sageturner
from sageturner_magic.endpoints.snippets import client_snippets
from sageturner_magic.errors import InvocationError
from tests.integration.conftest import wait_until

CODE = """
    import pathlib, time

    def load():
        return pathlib.Path("closed").absolute()

    def predict(model, request):
        if request == "where":
            yield str(model)
            return
        try:
            for number in range(request["count"]):
                time.sleep(request.get("sleep", 0))
                if number == request.get("fail"):
                    raise ValueError("out of words")
                yield request["piece"] if "piece" in request else {"n": number}
        finally:
            model.write_text("yes")
"""


@pytest.fixture
def chat(tmp_path, state):
    """An endpoint that streams; gives the file that it writes when a generator is closed."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "sageturner.py").write_text(textwrap.dedent(CODE))
    config = tmp_path / "sageturner.yaml"
    config.write_text("name: chat\ncontainer: {generate_container: {code_dir: ./code}}\n")
    sageturner.deploy(config, detach=True)
    yield Path(sageturner.invoke("chat", "where").value)
    sageturner.delete("chat")


def test_pieces_arrive_while_the_model_makes_them(chat):
    with sageturner.invoke_stream("chat", {"count": 3, "sleep": 0.3}) as answer:
        assert next(answer) == {"n": 0}
        arrived = time.monotonic()
        assert list(answer) == [{"n": 1}, {"n": 2}]
        assert time.monotonic() - arrived > 0.3
    whole = answer.so_far()
    assert whole.value == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert whole.status == 200 and whole.latency_ms > answer.first_ms


def test_text_is_text_and_an_answer_that_is_not_streamed_is_one_piece(chat):
    answer = sageturner.invoke_stream("chat", {"count": 2, "piece": "señor "})
    assert "".join(answer) == "señor señor "


def test_leaving_early_ends_the_generator(chat):
    chat.unlink(missing_ok=True)
    with sageturner.invoke_stream("chat", {"count": 10_000, "sleep": 0.01}) as answer:
        next(answer)
    wait_until(chat.exists, what="the generator's clean-up")


def test_a_model_that_fails_in_the_middle_is_an_error_after_what_arrived(chat):
    answer = sageturner.invoke_stream("chat", {"count": 3, "fail": 1, "sleep": 0.1})
    assert next(answer) == {"n": 0}
    with pytest.raises(InvocationError, match="broke off") as raised:
        next(answer)
    assert "out of words" in raised.value.report()
    assert "in predict" in raised.value.report()


def test_a_whole_response_that_breaks_off_is_told_in_words(chat):
    with pytest.raises(InvocationError, match="the connection was closed before its end") as raised:
        sageturner.invoke("chat", {"count": 3, "fail": 1})
    assert "out of words" in raised.value.report() and "Incomplete" not in raised.value.report()


def test_one_that_fails_before_the_first_piece_says_so_with_its_frames(chat):
    with pytest.raises(InvocationError, match="out of words"):
        sageturner.invoke_stream("chat", {"count": 3, "fail": 0})


def command(*arguments):
    return [sys.executable, "-m", "sageturner_magic", *arguments]


def test_the_command_writes_pieces_as_they_come_and_stops_with_ctrl_c(chat):
    chat.unlink(missing_ok=True)
    request = '{"count": 10000, "sleep": 0.05, "piece": "word "}'
    process = subprocess.Popen(
        command("invoke", "--stream", "chat", request),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 5) == b"word "
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"was stopped" in said and b"Traceback" not in said
    wait_until(chat.exists, what="the generator's clean-up")


def test_the_command_writes_each_piece_as_a_line_of_json(chat):
    done = subprocess.run(
        command("invoke", "--stream", "--json", "chat", '{"count": 2}'),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == '{"n": 0}\n{"n": 1}\n'


def in_terminal(*arguments):
    """What a command writes to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(command(*arguments), stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            read = os.read(leader, 65536)
        except OSError:
            break
        if not read:
            break
        shown += read
    os.close(leader)
    assert process.wait(30) == 0
    return shown.decode()


@pytest.mark.parametrize("options", [(), ("--stream",)])
def test_a_terminal_shows_escape_sequences_and_a_pipe_gets_them(chat, options):
    request = r'{"count": 1, "piece": "\u001b[31mred"}'
    assert "␛[31mred" in in_terminal("invoke", *options, "chat", request)
    piped = subprocess.run(
        command("invoke", *options, "chat", request), capture_output=True, text=True, check=True
    )
    assert piped.stdout == "\x1b[31mred\n"


def test_what_is_copied_from_an_answer_gives_the_same_answer(chat, tmp_path):
    answer = sageturner.invoke("chat", {"count": 2, "piece": 'it\'s "quoted" $HOME '})
    assert answer.request is not None
    for snippet in client_snippets("chat", answer.request):
        program = [sys.executable, "-c"] if snippet.label == "Python" else ["sh", "-c"]
        done = subprocess.run(
            [*program, snippet.code], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout.rstrip("\n") == answer.value


EXTENSION = "%load_ext sageturner_magic"


def run(*sources):
    """The executed notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


@pytest.fixture
def own_kernel(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def test_a_notebook_keeps_one_static_output_of_a_streamed_answer(chat, own_kernel):
    notebook = run(
        EXTENSION,
        '%sageturner invoke --stream chat {"count": 3, "piece": "word "}',
        'p = %sageturner invoke --stream chat {"count": 2}\nprint(len(p), p.status)',
        "p",
    )
    (output,) = notebook.cells[1].outputs
    assert "word word word" in output.data["text/plain"]
    assert "HTTP 200" in output.data["text/html"] and "curl" in output.data["text/html"]
    assert notebook.cells[2].outputs[1].text.strip() == "2 200"
    (again,) = notebook.cells[3].outputs
    assert "HTTP 200" in again.data["text/html"]


def outputs_until(client, enough):
    """The last message of each kind that the kernel sends, up to one that is `enough`."""
    outputs = {}
    deadline = time.monotonic() + 60
    while True:
        message = client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0))
        outputs[message["msg_type"]] = message["content"]
        if enough(message):
            return outputs


def test_the_stop_button_keeps_what_arrived(chat, own_kernel):
    chat.unlink(missing_ok=True)
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive(EXTENSION, timeout=60)
        request = '{"count": 10000, "sleep": 0.05, "piece": "word "}'
        client.execute(f"%sageturner invoke --stream chat {request}")
        outputs_until(client, lambda message: "word word" in str(message["content"].get("data")))
        manager.interrupt_kernel()
        outputs = outputs_until(client, lambda message: message["msg_type"] == "error")
        data = outputs["update_display_data"]["data"]
        assert "word word" in data["text/plain"] and "stopped" in data["text/html"]
        assert outputs["error"]["ename"] == "InvocationCancelled"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    wait_until(chat.exists, what="the generator's clean-up")


def test_a_load_test_counts_good_and_bad_answers(chat):
    test = sageturner.load_test("chat", {"count": 1}, requests=60, concurrency=6)
    assert (test.sent, test.failed, test.stopped) == (60, 0, False)
    assert test.throughput > 1 and test.percentiles()["p50"] > 0
    assert test.to_dict()["cost_usd"] == 0
    failing = sageturner.load_test("chat", {"count": 1, "fail": 0}, requests=5, concurrency=2)
    assert failing.errors() == {"HTTP 500 ValueError": 5}
    assert failing.examples() == {"HTTP 500 ValueError": "out of words"}


def test_the_command_measures_and_says_with_its_exit_code_whether_all_went_well(chat):
    def load(*more):
        done = command("load-test", "--requests", "20", "--concurrency", "4", *more)
        return subprocess.run(done, capture_output=True, text=True)

    good = load("chat", '{"count": 1}')
    assert good.returncode == 0
    assert "20, 4 at a time" in good.stdout and "p99" in good.stdout
    data = json.loads(load("--json", "chat", '{"count": 1}').stdout)
    assert data["requests"] == 20 and data["failed"] == 0
    bad = load("chat", '{"count": 1, "fail": 0}')
    assert bad.returncode == 2
    assert "20 HTTP 500 ValueError: out of words" in bad.stdout
    assert "20 of 20 requests failed" in bad.stderr
    missing = load("chat")
    assert missing.returncode == 2 and "example_request()" in missing.stderr


def test_a_load_test_that_is_stopped_keeps_what_was_measured(chat):
    chat.unlink(missing_ok=True)
    process = subprocess.Popen(
        command(
            *("load-test", "--requests", "100000", "--json", "chat"), '{"count": 1, "sleep": 0.01}'
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    endpoint = sageturner.Endpoint("chat")
    wait_until(lambda: endpoint.usage(1).requests > 50, what="many answers")
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=60)
    assert process.returncode == 130
    data = json.loads(shown)
    assert data["stopped"] and 0 < data["requests"] < 100_000
    assert b"was stopped after" in said


def test_status_shows_how_a_local_endpoint_was_used(chat, own_kernel):
    sageturner.load_test("chat", {"count": 1}, requests=20, concurrency=4)
    sageturner.load_test("chat", {"count": 1, "fail": 0}, requests=3, concurrency=1)
    done = subprocess.run(
        command("status", "--json", "chat"), capture_output=True, text=True, check=True
    )
    (status,) = json.loads(done.stdout)
    assert status["status"] == "InService" and status["cost_so_far"] == 0
    # The request of the fixture counts as well.
    assert status["usage"]["requests"] == 24 and status["usage"]["server_errors"] == 3
    assert 0 < status["usage"]["mean_ms"] <= status["usage"]["slowest_ms"]
    shown = subprocess.run(
        command("status", "--hours", "1", "chat"), capture_output=True, text=True, check=True
    )
    assert "3 (0 with 4xx, 3 with 5xx)" in shown.stdout and "1 min a bar" in shown.stdout
    notebook = run(EXTENSION, "%sageturner status chat")
    assert notebook.cells[1].outputs[0].data["text/html"].count("<svg") == 3


def test_a_notebook_shows_a_load_test_as_a_figure_and_gives_the_data(chat, own_kernel):
    notebook = run(
        EXTENSION,
        '%sageturner load-test chat --requests 30 --concurrency 3 {"count": 1}',
        "_.to_dict()['requests']",
    )
    progress, result = notebook.cells[1].outputs
    assert "30 requests in" in progress.data["text/plain"]
    assert "widget" not in "".join(progress.data)
    assert "<svg" in result.data["text/html"] and "p99" in result.data["text/plain"]
    assert notebook.cells[2].outputs[0].data["text/plain"] == "30"
