"""The smallest model container that keeps SageMaker's contract; what it does is in the request."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(503 if os.environ.get("PING") == "never" else 200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = json.loads(body or b"{}")
        match request.get("do"):
            case "fail":
                self.answer(request["status"], request["message"].encode())
            case "sleep":
                time.sleep(request["seconds"])
                self.answer(200, b"awake")
            case "stream":
                self.stream(request["parts"], breaks=request.get("breaks", False))
            case "file":
                self.answer(200, Path("/opt/ml/model", request["name"]).read_bytes())
            case "write":
                self.answer(200, self.write(request["path"]).encode())
            case "large":
                self.answer(200, b"x" * request["bytes"])
            case "end":
                os._exit(3)
            case _:
                print(f"answering {len(body)} bytes")
                about: dict[str, object] = {
                    "headers": dict(self.headers),
                    "environment": dict(os.environ),
                }
                about |= {"arguments": sys.argv[1:], "user": os.getuid()}
                self.answer(200, json.dumps(about).encode())

    def write(self, path: str) -> str:
        try:
            Path(path).write_text("written")
        except OSError as error:
            return type(error).__name__
        return "written"

    def stream(self, parts: list[str], breaks: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonlines")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            data = part.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            time.sleep(0.2)
        if breaks:
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.wfile.write(b"0\r\n\r\n")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "from=model")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def stop(*_: object) -> None:
    print("stopping")
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    if os.environ.get("CRASH"):
        raise RuntimeError(os.environ["CRASH"])
    print("serving")
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
