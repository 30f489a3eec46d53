"""Several workers: shared memory, crashes, and models that cannot be forked."""

from __future__ import annotations

import concurrent.futures
import os
import sys
import time
from typing import Any

import psutil
import pytest

from .conftest import Server, Start, wait_for

PROGRAM = """
    import os, pathlib, time

    def load():
        with open("loads", "a") as file: file.write("x")
        return bytearray(os.urandom(1000)) * 60_000

    def predict(model, request):
        if request == "crash": os._exit(3)
        if request == "loads": return os.path.getsize("loads")
        time.sleep(request)
        return os.getpid()
"""
THREADED = (
    PROGRAM.replace("def load():", "import threading\n    def load():\n        _start()")
    + """
    def _start():
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""
)


def ask(server: Server, values: list[Any]) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(len(values)) as threads:
        return [reply.json for reply in threads.map(server.invoke, values)]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_workers_share_the_memory_of_a_model_that_is_loaded_once(start: Start) -> None:
    server = start(PROGRAM, serving={"workers": 3}).ready()
    pids = set(ask(server, [0.3] * 12))
    assert len(pids) == 3
    assert server.invoke("loads").json == 1
    assert "3 workers share its memory" in server.log()
    # A model of 60 MB: each worker's own share of it is a few pages.
    for pid in pids:
        assert psutil.Process(pid).memory_full_info().uss < 40_000_000


def test_a_model_that_starts_threads_is_loaded_by_each_worker(start: Start) -> None:
    server = start(THREADED, serving={"workers": 2}).ready()
    assert len(set(ask(server, [0.3] * 8))) == 2
    assert server.invoke("loads").json == 2
    assert "each worker loads the model for itself" in server.log()
    assert "have started 1 threads" in server.log()


@pytest.mark.parametrize("source", [PROGRAM, THREADED], ids=["forked", "spawned"])
def test_a_worker_that_dies_is_replaced_and_the_others_go_on(start: Start, source: str) -> None:
    server = start(source, serving={"workers": 2}).ready()
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        wanted: list[Any] = [0.2] * 5 + ["crash"] + [0.2] * 6
        replies = list(threads.map(server.invoke, wanted))
    for value, reply in zip(wanted, replies, strict=True):
        if value == "crash":
            assert (reply.status, reply.error["type"]) == (500, "WorkerDied")
            assert "exit status 3" in reply.error["message"]
        else:
            assert reply.status == 200, reply.body
    assert server.ping().status == 200
    wait_for(lambda: len(set(ask(server, [0.3] * 4))) == 2, "two workers again")


def test_one_slow_request_does_not_hold_up_those_behind_it(start: Start) -> None:
    server = start(PROGRAM, serving={"workers": 2}).ready()
    with concurrent.futures.ThreadPoolExecutor() as threads:
        slow = threads.submit(server.invoke, 3)
        time.sleep(0.2)
        began = time.monotonic()
        ask(server, [0.01] * 20)
        assert time.monotonic() - began < 2.5
        assert slow.result().status == 200


def test_what_waits_behind_a_request_that_turns_out_slow_is_taken_by_another(start: Start) -> None:
    server = start(PROGRAM, serving={"workers": 2}).ready()
    ask(server, [0] * 50)  # Now a worker is known to be quick, and is sent several at a time.
    for _ in range(2):
        with concurrent.futures.ThreadPoolExecutor(40) as threads:
            slow = threads.submit(server.invoke, 2.5)
            began = time.monotonic()
            list(threads.map(server.invoke, [0] * 30))
            assert time.monotonic() - began < 2.2
            assert slow.result().status == 200


def test_the_process_that_forks_may_end_without_harm(start: Start) -> None:
    server = start(PROGRAM, serving={"workers": 2}).ready()
    pids = set(ask(server, [0.3] * 8))
    (template,) = psutil.Process(server.process.pid).children()
    template.kill()
    assert set(ask(server, [0.3] * 8)) == pids
    assert server.invoke("crash").status == 500
    wait_for(lambda: len(set(ask(server, [0.3] * 4))) == 2, "two workers again")
    assert server.invoke("loads").json == 2


@pytest.mark.parametrize("source", [PROGRAM, THREADED], ids=["forked", "spawned"])
def test_all_workers_end_with_the_server(start: Start, source: str) -> None:
    server = start(source, serving={"workers": 2}).ready()
    workers = server.workers()
    assert len(workers) >= 2
    server.terminate()
    assert server.wait() == 0
    assert not any(worker.is_running() for worker in workers)
    server = start(source, serving={"workers": 2}).ready()
    workers = server.workers()
    server.process.kill()
    _, alive = psutil.wait_procs(workers, 5)
    assert not alive


def test_a_load_that_fails_ends_the_server_with_several_workers_too(start: Start) -> None:
    source = "def load(): 1/0\ndef predict(m, r): pass"
    server = start(source, serving={"workers": 3})
    assert server.wait(15) == 1
    assert server.log().count('"load raised ZeroDivisionError: division by zero"') == 1


def test_async_models_are_shared_as_well(start: Start) -> None:
    source = """
        import asyncio, os
        def load(): return None
        async def predict(model, request):
            await asyncio.sleep(0.2)
            return os.getpid()
    """
    server = start(source, serving={"workers": 2}).ready()
    assert len(set(ask(server, [0] * 10))) == 2


def test_batches_are_made_in_each_worker(start: Start) -> None:
    source = """
        import os, time
        def load(): return None
        def predict(model, request): raise AssertionError
        def predict_batch(model, requests):
            time.sleep(0.05)
            return [[os.getpid(), len(requests)] for _ in requests]
    """
    server = start(source, serving={"workers": 2, "batch": {"max_size": 8}}).ready()
    answers = ask(server, [0] * 40)
    assert len({pid for pid, _ in answers}) == 2
    assert max(size for _, size in answers) <= 8


THREADS = """
    import os
    def load(): return None
    def predict(model, request): return os.environ.get(request)
"""


def test_processors_are_divided_among_workers(start: Start) -> None:
    server = start(THREADS, serving={"workers": 2}).ready()
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert server.invoke("OMP_NUM_THREADS").json == str(share)


def test_threads_of_libraries_do_not_spin_while_they_wait(start: Start) -> None:
    server = start(THREADS).ready()
    assert server.invoke("OMP_WAIT_POLICY").json == "PASSIVE"
    assert server.invoke("OMP_NUM_THREADS").json is None
    half = max(1, len(os.sched_getaffinity(0)) // 2)
    assert server.invoke("OPENBLAS_NUM_THREADS").json == str(half)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS"])
def test_what_the_environment_says_of_threads_stands(start: Start, name: str) -> None:
    server = start(THREADS, serving={"workers": 2}, **{name: "7"}).ready()
    assert server.invoke(name).json == "7"
