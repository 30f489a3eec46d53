"""What user code may do without harm to the server, whatever it does to itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from .conftest import Server, Start, wait_for

FORKS = """
    import os, sys, time

    def fork(request):
        if request == "":
            return os.getpid()
        if os.fork() == 0:
            if request == "returns": return "child"
            if request == "raises": raise RuntimeError("in the child")
            if request == "exits": sys.exit(3)
            if request == "stays": time.sleep(3600)
            os._exit(0)
        return os.getpid()

    def load(): return None
"""
KINDS = {
    "plain": "    def predict(model, request): return fork(request)\n",
    "stream": """
    def predict(model, request):
        if request == "": return os.getpid()
        def pieces():
            fork(request)
            yield "one"
            yield "two"
        return pieces()
""",
    "batch": """
    def predict(model, request): raise AssertionError
    def predict_batch(model, requests): return [fork(each) for each in requests]
""",
    "async": "    async def predict(model, request): return fork(request)\n",
    "async that waits": """
    import asyncio
    async def predict(model, request):
        pid = fork(request)
        await asyncio.sleep(0.01)
        return pid
""",
}


def answers(server: Server, worker: int) -> None:
    """Every request is answered once, and by `worker`."""
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(server.invoke, [""] * 40))
    assert [(reply.status, reply.json) for reply in replies] == [(200, worker)] * 40


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("child", ["returns", "raises", "exits", "stays", "ends"])
def test_a_process_that_predict_forks_never_serves(start: Start, kind: str, child: str) -> None:
    server = start(FORKS + KINDS[kind]).ready()
    worker = server.invoke("").json
    for _ in range(3):
        reply = server.invoke(child)
        assert (reply.status, reply.body.count(b"child")) == (200, 0), reply.body
    answers(server, worker)
    if child != "stays":
        # They have ended, although nobody waited for them.
        wait_for(
            lambda: all(each.status() == "zombie" for each in psutil.Process(worker).children()),
            "the end of the children",
        )
    answers(server, worker)
    assert server.ping().status == 200
    children = psutil.Process(worker).children()
    server.terminate()
    assert server.wait() == 0
    psutil.wait_procs(children, 5)
    assert not [each for each in children if each.is_running() and each.status() != "zombie"]


def test_the_traceback_of_a_child_is_in_the_log(start: Start) -> None:
    server = start(FORKS + KINDS["plain"]).ready()
    server.invoke("raises")
    wait_for(lambda: "RuntimeError: in the child" in server.log(), "the traceback")


def test_a_process_that_load_forks_never_serves(start: Start) -> None:
    source = """
        import os
        def load():
            os.fork()
            return None
        def predict(model, request): return os.getpid()
    """
    server = start(source).ready()
    answers(server, server.invoke("").json)
    assert server.log().count("the model is loaded") == 1


POOLS = """
    import concurrent.futures, multiprocessing, os

    def double(value): return 2 * value

    def load(): return None

    def predict(model, request):
        if request == "joblib":
            import joblib
            return joblib.Parallel(n_jobs=2)(joblib.delayed(double)(each) for each in range(10))
        context = multiprocessing.get_context(request)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            return list(pool.map(double, range(10)))
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver", "joblib"])
def test_predict_may_use_pools_of_processes(start: Start, way: str, workers: int) -> None:
    server = start(POOLS, serving={"workers": workers}).ready()
    for _ in range(2):
        reply = server.invoke(way)
        assert (reply.status, reply.json) == (200, [2 * each for each in range(10)]), server.log()
    assert "worker" not in server.log().split("the model is loaded")[1].replace(
        "workers share its memory", ""
    )


MISCHIEF = """
    import atexit, locale, gc, os, signal, sys, threading, time

    def load(): return None

    def predict(model, request):
        if request == "exit": sys.exit(0)
        if request == "exit in a thread":
            thread = threading.Thread(target=sys.exit); thread.start(); thread.join()
        if request == "interrupt": raise KeyboardInterrupt
        if request == "daemon":
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        if request == "atexit": atexit.register(open, "said", "w")
        if request == "chdir": os.chdir("/")
        if request == "locale": locale.setlocale(locale.LC_ALL, "C"); os.environ["LC_ALL"] = "de_DE"
        if request == "freeze": gc.freeze(); gc.disable()
        if request == "print":
            for _ in range(100_000): print("y" * 999)
        if request == "quiet": sys.stdout = sys.stderr = None
        if request == "fail quietly":
            sys.stdout = sys.stderr = None
            raise ValueError("x" * 10_000_000)
        if request == "fail closed":
            sys.stderr.close()
            raise ValueError("closed")
        if request == "close output": os.close(1); os.close(2)
        if request == "signals":
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGURG, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)
        if request == "session": os.setpgid(0, 0) if os.getpid() != os.getsid(0) else None
        if request == "umask": os.umask(0o777)
        return os.getpid()
"""


@pytest.mark.parametrize(
    "deed",
    ["exit", "exit in a thread", "interrupt", "daemon", "atexit", "chdir", "locale", "freeze",
     "print", "quiet", "fail quietly", "fail closed", "close output", "signals", "session",
     "umask"],
)  # fmt: skip
def test_what_predict_does_to_its_process_costs_no_other_request(start: Start, deed: str) -> None:
    server = start(MISCHIEF).ready()
    worker = server.invoke("").json
    expected = 500 if deed in ("exit", "interrupt", "fail quietly", "fail closed") else 200
    reply = server.invoke(deed)
    assert reply.status == expected and len(reply.body) < 50_000
    answers(server, worker)
    assert server.ping().status == 200
    began = time.monotonic()
    server.terminate()
    assert server.wait() == 0
    assert time.monotonic() - began < 10
    assert not psutil.pid_exists(worker)
    if deed == "atexit":
        program = next(iter(server.log_path.parent.glob("program-*")))
        assert (program / "said").exists()
