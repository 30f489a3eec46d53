"""A proxy before a registry that fails as it is told to."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.parts.ecr_uploads import Answer, EcrUploads

Fault = str
"""`500`, `429`, `401`: that status instead of an answer. `expired`: ECR's answer to credentials
that were good once. `reset`: the connection is reset before
the request is passed on. `lost`: after it was passed on. `cut`: in the middle of the answer's
body. `wrong`: the body's first byte is another. `half`: as `lost`, and only half of the body was
passed on."""


EXPIRED = b"""{"errors": [{"code": "DENIED", "message":
"Your authorization token has expired. Reauthenticate and try again."}]}"""


@dataclass
class FaultyProxy:
    """A running proxy.

    Attributes:
        host: `127.0.0.1:port`.
        fault: (method, path) -> the fault for this request, or an empty string.
        requests: (method, path, bytes of the body) of each request so far.
    """

    host: str
    fault: Callable[[str, str], Fault] = lambda method, path: ""
    requests: list[tuple[str, str, int]] = field(default_factory=list)


@contextmanager
def faulty_proxy(registry: str, ecr: EcrUploads | None = None) -> Iterator[FaultyProxy]:
    """A proxy before `registry` (host:port), for as long as the block runs.

    Args:
        ecr: The registry answers uploads as ECR does.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.requests.append((self.command, self.path, len(body)))
            fault = proxy.fault(self.command, self.path)
            if fault.isdigit():
                self.send_response(int(fault))
                if fault == "401":
                    self.send_header("WWW-Authenticate", 'Basic realm="proxy"')
                if fault == "429":
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault == "expired":
                self.send_response(403)
                self.send_header("Content-Length", str(len(EXPIRED)))
                self.end_headers()
                self.wfile.write(EXPIRED)
                return
            if fault == "reset":
                self.reset()
                return
            headers = dict(self.headers)
            path, _, query = self.path.partition("?")
            about = (self.command, path, headers.get("Content-Range", ""))
            if ecr and (refusal := ecr.refuses(*about, len(body))):
                self.send_response(refusal.status)
                self.send_header("Content-Length", str(len(refusal.body())))
                self.end_headers()
                self.wfile.write(refusal.body())
                return
            if fault == "half":
                body = body[: len(body) // 2]
                headers["Content-Length"] = str(len(body))
                headers.pop("Content-Range", None)
            upstream = http.client.HTTPConnection(registry, timeout=30)
            target = ecr.target(path, query) if ecr else self.path
            upstream.request(self.command, target, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if ecr and "Location" in answer.headers:
                said = Answer(
                    answer.status, answer.headers["Location"], answer.headers.get("Range", "")
                )
                said = ecr.answered(*about, said)
                answer.status = said.status
                answer.headers.replace_header("Location", said.location)
                if said.range:
                    answer.headers.replace_header("Range", said.range)
            if fault in ("lost", "half"):
                self.reset()
                return
            if fault == "wrong" and content:
                content = bytes([content[0] ^ 0xFF]) + content[1:]
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = answer.headers["Content-Length"] if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if fault == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.reset()
                return
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def reset(self) -> None:
            # Closing with a linger of 0 sends RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultyProxy(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
