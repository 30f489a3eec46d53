"""moto as a server, in a process of its own: it says its address and ends with its input.

moto's accounts belong to the process, so a reset here would empty the AWS stand-in of other tests.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer

_plain = FakeBucket.get_permission


def _without_tls_rules(policy: bytes) -> bytes:
    document = json.loads(policy)
    kept = [s for s in document["Statement"] if "aws:SecureTransport" not in json.dumps(s)]
    return json.dumps({**document, "Statement": kept}).encode()


def _get_permission(self: FakeBucket, action: str, resource: str) -> Any:
    # moto does not know conditions in bucket policies, and so would refuse everything for the
    # statement that refuses what is not sent over TLS.
    policy = self.policy
    try:
        self.policy = _without_tls_rules(policy) if policy else policy
        return _plain(self, action, resource)
    finally:
        self.policy = policy


if __name__ == "__main__":
    FakeBucket.get_permission = _get_permission  # type: ignore[method-assign]
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
