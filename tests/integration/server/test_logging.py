"""What user code logs is in the log once, with the request that it belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Start, wait_for

PROGRAM = """
    import logging, logging.handlers as h, queue, sys
    log = logging.getLogger("model")
    queued = h.QueueHandler(queue.Queue())
    {configure}
    log.info("imported %s", 1)

    def load():
        log.debug("details")
        log.warning("loading")

    {define} predict(model, request):
        if request == "fail":
            try: 1 / 0
            except ZeroDivisionError: log.exception("it failed")
        log.info("got %s", request)
        return request
"""


QUEUED = "log.addHandler(queued); h.QueueListener(queued.queue, {}).start()"


@pytest.mark.parametrize("define", ["def", "async def"])
@pytest.mark.parametrize("configure", ["", "logging.basicConfig(level=logging.INFO)"])
def test_records_are_lines_of_json_with_their_request(
    start: Start, define: str, configure: str
) -> None:
    server = start(PROGRAM.format(define=define, configure=configure)).ready()
    server.invoke("x")
    server.invoke("fail")
    lines = [line for line in server.lines() if line.get("logger") == "model"]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "imported 1"),
        ("warning", "loading"),
        ("info", "got x"),
        ("error", "it failed"),
        ("info", "got fail"),
    ]
    ids = [line.get("request_id") for line in lines]
    assert ids[:2] == [None, None]
    assert ids[2] and ids[3] == ids[4] and ids[2] != ids[3]
    assert lines[3]["traceback"][-1] == "ZeroDivisionError: division by zero"
    assert server.log().count("got x") == 1


def test_a_batch_names_all_its_requests(start: Start) -> None:
    server = start("""
        import logging
        def load(): return None
        def predict(model, request): raise AssertionError
        def predict_batch(model, requests):
            logging.warning("a batch")
            return requests
    """).ready()
    server.invoke(1)
    (line,) = [line for line in server.lines() if line["message"] == "a batch"]
    assert line["request_id"]


@pytest.mark.parametrize(
    "configure",
    [
        "log.addHandler(logging.StreamHandler())",
        "logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))",
        "logging.basicConfig(level=logging.INFO, force=True)",
        "log.addHandler(logging.StreamHandler(open(1, 'w', closefd=False)))",
        "from rich.logging import RichHandler; log.addHandler(RichHandler())",
        "log.addHandler(logging.FileHandler('/dev/stderr'))",
        "log.addHandler(h.MemoryHandler(1, target=logging.StreamHandler()))",
        QUEUED.format("logging.StreamHandler(sys.stdout)"),
        QUEUED.format("h.MemoryHandler(1, target=logging.StreamHandler())"),
    ],
)
def test_a_handler_of_the_users_writes_in_place_of_ours(start: Start, configure: str) -> None:
    server = start(PROGRAM.format(define="def", configure=configure)).ready()
    server.invoke("x")
    wait_for(lambda: "got x" in server.log(), "the line")
    assert server.log().count("got x") == 1
    assert not [line for line in server.lines() if line.get("logger") == "model"]


PRINTS = """
    class Prints(logging.Handler):
        def emit(self, record): {emit}
    {logger}.addHandler(Prints())
"""


@pytest.mark.parametrize("logger", ["log", "logging.getLogger()"])
@pytest.mark.parametrize(
    "emit",
    [
        "print(self.format(record))",
        "print('at', record.created, record.getMessage(), file=sys.stderr)",
        "import json; sys.stderr.write(json.dumps({'text': record.getMessage()}) + '\\n')",
        "writes(self.format(record) + '\\n')",
    ],
)
def test_a_handler_without_a_stream_writes_in_place_of_ours(
    start: Start, emit: str, logger: str
) -> None:
    configure = "writes = sys.stderr.write" + PRINTS.format(emit=emit, logger=logger)
    server = start(PROGRAM.format(define="def", configure=configure)).ready()
    for request in ("first", 'a "quoted" é', "first"):
        assert server.invoke(request).status == 200
    wait_for(lambda: server.log().count("got first") == 2, "both lines")
    assert server.log().count("got a ") == 1
    assert not [line for line in server.lines() if line.get("logger") == "model"]


def test_a_handler_that_prints_something_else_takes_nothing_from_the_log(start: Start) -> None:
    configure = PRINTS.format(emit="print('.')", logger="log")
    server = start(PROGRAM.format(define="def", configure=configure)).ready()
    server.invoke("x")
    wait_for(lambda: "got x" in server.log(), "the line")
    assert [line["message"] for line in server.lines() if "got x" in line["message"]] == ["got x"]


def test_a_record_that_a_handler_filters_out_is_written_by_us(start: Start) -> None:
    """Two handlers, below and from `warning`, are what many programs configure."""
    configure = """
    below = logging.StreamHandler(sys.stdout)
    below.addFilter(lambda record: record.levelno < logging.WARNING)
    log.addHandler(below)
    """
    server = start(PROGRAM.format(define="def", configure=configure)).ready()
    server.invoke("fail")
    wait_for(lambda: "got fail" in server.log(), "the line")
    lines = [line["message"] for line in server.lines() if line.get("logger") == "model"]
    assert lines == ["loading", "it failed"]
    assert server.log().count("got fail") == 1


@pytest.mark.parametrize(
    "configure",
    [
        "log.addHandler(queued)",
        "log.addHandler(h.MemoryHandler(9, target=logging.FileHandler('other.log')))",
        "log.addHandler(logging.FileHandler('other.log'))",
    ],
)
def test_a_handler_that_writes_elsewhere_takes_nothing_from_the_log(
    start: Start, configure: str
) -> None:
    server = start(PROGRAM.format(define="def", configure=configure)).ready()
    server.invoke("x")
    wait_for(lambda: "got x" in server.log(), "the line")
    assert [line["message"] for line in server.lines() if "got x" in line["message"]] == ["got x"]


def test_the_level_is_configured_and_text_is_for_people(start: Start) -> None:
    source = PROGRAM.format(define="def", configure="")
    server = start(source, serving={"log_level": "debug"}, SAGETURNER_LOG="text").ready()
    assert "details" in server.log()
    assert "warning: loading" in server.log()
    server = start(source, serving={"log_level": "warning"}).ready()
    server.invoke("x")
    assert "loading" in server.log() and "got x" not in server.log()


def test_forked_workers_name_themselves(start: Start) -> None:
    server = start(PROGRAM.format(define="def", configure=""), serving={"workers": 2}).ready()
    server.invoke("x")
    wait_for(lambda: "got x" in server.log(), "the line")
    (line,) = [line for line in server.lines() if line["message"] == "got x"]
    assert line["worker"] in [process.pid for process in server.workers()]


THREADS = """
    import asyncio, logging, threading
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool
    log = logging.getLogger("model")
    pools = {}
    say = log.info

    def run(request):
        if "executor" not in pools:
            pools["executor"], pools["pool"] = ThreadPoolExecutor(1), ThreadPool(1)
        thread = threading.Thread(target=say, args=("thread %s", request))
        timer = threading.Timer(0, say, ("timer %s", request))
        for each in (thread, timer):
            each.start()
            each.join()
        pools["executor"].submit(say, "submit %s", request).result()
        list(pools["executor"].map(say, ["map %s"], [request]))
        pools["pool"].apply(func=say, args=("apply %s", request))
        pools["pool"].starmap(say, [("starmap %s", request)])
        list(pools["pool"].imap(say, [f"imap {request}"]))
        thread = threading.Thread(target=lambda: pools["executor"].submit(say, f"both {request}"))
        thread.start()
        thread.join()

    def load():
        pools["early"] = ThreadPoolExecutor(1)
        pools["early"].submit(say, "load")

    def predict(model, request):
        pools["early"].submit(say, "early %s", request).result()
        run(request)
"""
IN_A_LOOP = (
    THREADS
    + """
    async def predict(model, request):
        await asyncio.to_thread(say, "to_thread %s", request)
        await asyncio.get_running_loop().run_in_executor(None, say, f"run {request}")
        run(request)
"""
)


@pytest.mark.parametrize(("source", "count"), [(THREADS, 9), (IN_A_LOOP, 10)])
def test_records_of_threads_and_pools_have_their_request(
    start: Start, source: str, count: int
) -> None:
    server = start(source).ready()
    for request in ("first", "second"):
        server.invoke(request)

    def of_model() -> list[dict[str, Any]]:
        return [line for line in server.lines() if line.get("logger") == "model"]

    # Threads may write after the response.
    wait_for(lambda: len(of_model()) > 2 * count, "the lines of both requests")
    lines = of_model()
    assert "request_id" not in next(line for line in lines if line["message"] == "load")
    ids = []
    for request in ("first", "second"):
        of_one = [line for line in lines if line["message"].endswith(request)]
        assert len(of_one) == count
        (one,) = {line.get("request_id") for line in of_one}
        ids.append(one)
    assert None not in ids and ids[0] != ids[1]
