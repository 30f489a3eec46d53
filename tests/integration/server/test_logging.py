"""What user code logs is in the log once, with the request that it belongs to."""

from __future__ import annotations

import pytest

from .conftest import Start, wait_for

PROGRAM = """
    import logging, sys
    log = logging.getLogger("model")
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
    ],
)
def test_a_handler_of_the_users_writes_in_place_of_ours(start: Start, configure: str) -> None:
    server = start(PROGRAM.format(define="def", configure=configure)).ready()
    server.invoke("x")
    wait_for(lambda: "got x" in server.log(), "the line")
    assert server.log().count("got x") == 1
    assert not [line for line in server.lines() if line.get("logger") == "model"]


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
    (line,) = [line for line in server.lines() if line["message"] == "got x"]
    assert line["worker"] in [process.pid for process in server.workers()]
