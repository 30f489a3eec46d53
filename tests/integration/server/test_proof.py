"""The samples of the large proofs; `make proof` and `make soak` run the whole."""

from __future__ import annotations

import resource

from . import hostile, soak
from .conftest import Start

REQUESTS = 5_000
SEED = 1


def test_hostile_requests_do_no_harm(start: Start) -> None:
    server = start(hostile.PROGRAM, serving=hostile.SERVING).ready()
    outcome = hostile.attack(server, REQUESTS, SEED)
    assert not outcome.problems, "\n".join([f"seed {SEED}:", *outcome.problems[:5]])
    # Wide, because a sample is hardly longer than the warm-up.
    assert outcome.slope < 20_000_000


def test_under_load_and_with_workers_killed_every_request_is_answered(start: Start) -> None:
    server = start(soak.PROGRAM, serving=soak.SERVING).ready()
    outcome = soak.soak(server, 20)
    assert not outcome.problems, outcome.problems[:5]
    assert outcome.kills >= 2 and outcome.kills + outcome.freezes >= 5
    assert outcome.answers[200] > 100
    assert outcome.answers[500] >= 1
    assert server.ping().status == 200


def test_thousands_of_connections_do_not_keep_others_out(start: Start) -> None:
    server = start(hostile.PROGRAM).ready()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(5000, hard - 500)
    connections = []
    try:
        for number in range(count):
            connection = server.connect()
            connection.sendall(b"POST /inv" if number % 2 else b"")
            connections.append(connection)
        assert server.ping().status == 200
        assert server.invoke([1]).json == [1]
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
