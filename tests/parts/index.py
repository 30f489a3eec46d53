"""A package index that wants a password, on a free port of this machine."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Index:
    """A running index.

    Attributes:
        url: Of its simple API, with the user and password.
        host: `127.0.0.1:port`.
        user: The only user.
        password: Their password.
    """

    url: str
    host: str
    user: str
    password: str


@contextmanager
def guarded_index(
    folder: Path, user: str = "bob", password: str = "s3cret-token"
) -> Iterator[Index]:
    """An index over the wheels in `folder`, for as long as the block runs."""
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                self.answer(401, b"", {"WWW-Authenticate": 'Basic realm="index"'})
                return
            parts = [part for part in self.path.split("/") if part]
            if parts[0] == "files" and (folder / parts[1]).is_file():
                self.answer(200, (folder / parts[1]).read_bytes())
            elif parts[0] == "simple":
                wheels = folder.glob(f"{parts[1].replace('-', '_')}-*.whl")
                links = "".join(
                    f'<a href="/files/{wheel.name}#sha256={digest(wheel)}">{wheel.name}</a>'
                    for wheel in wheels
                )
                self.answer(200 if links else 404, links.encode(), {"Content-Type": "text/html"})
            else:
                self.answer(404, b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def digest(wheel: Path) -> str:
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Index(f"http://{user}:{password}@{host}/simple", host, user, password)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
