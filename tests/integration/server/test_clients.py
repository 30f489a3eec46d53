"""Generated clients: type-checked for ten contracts, and run against real servers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import socket
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from sageturner_magic.endpoints.clients import client_module
from sageturner_magic.server.codec.contract import contract_of
from sageturner_magic.server.front import docs

from .conftest import Server, Start, wait_for

TYPES = """
import dataclasses, enum, typing
import numpy as np, pydantic

class Colour(enum.Enum):
    RED = "red"
    ONE = 1
@dataclasses.dataclass
class Tree:
    name: str
    children: "list[Tree]" = dataclasses.field(default_factory=list)
@dataclasses.dataclass
class Digits:
    pixels: list[float]
    scale: float = 1.0
    colour: Colour = Colour.RED
    tree: Tree | None = None
    mode: typing.Literal["x", 3, None] = "x"
class Answer(typing.TypedDict):
    digit: int
class Model(pydantic.BaseModel):
    a: int
    b: dict[str, tuple[int, str]] = {}
Odd = typing.TypedDict("Odd", {"a-b": int, "class": str})
class Str(typing.NamedTuple):
    x: float
    y: float = 0
class local(typing.TypedDict):
    self: int
"""
CONTRACTS = [
    ("Digits", "Answer"), ("Model", "Model"), ("Odd", "Odd"), ("list[Str]", "list[Str]"),
    ("np.ndarray", "float"), ("str", "typing.Iterator[str]"), ("Tree", "typing.Iterator[Tree]"),
    ("typing.Any", "typing.Any"), ("int | list[int] | None", "bytes"),
    ("local", "dict[str, Digits | Tree]"),
]  # fmt: skip
USES = """
import c0, c4, c6
client = c0.local()
digit: int = client.predict(pixels=[1.0], tree={"name": "a"}, colour=1)["digit"]
client.predict(pixels=["a"])  # type: ignore[list-item]
client.predict(pixels=[1.0], scael=1.0)  # type: ignore[call-arg]
client.predict()  # type: ignore[call-arg]
several: list[c0.Answer] = client.batch([{"pixels": [1.0]}])
number: float = c4.sagemaker().predict([1, 2])
for tree in c6.local().stream(name="a"):
    text: str = tree["name"]
"""


def described(request: str, answer: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "client_types"}
    sys.modules["client_types"] = module = types.ModuleType("client_types")
    source = f"{TYPES}\ndef predict(model, request: {request}) -> {answer}: ..."
    exec(source, space)
    vars(module).update(space)
    found = contract_of(space["predict"], None)
    assert not found.unread
    document: dict[str, Any] = json.loads(docs.openapi("x", None, True, found.described or None))
    return document


def test_the_clients_of_ten_contracts_are_strictly_typed(tmp_path: Path) -> None:
    for number, pair in enumerate(CONTRACTS):
        text = client_module("digits", described(*pair), "http://127.0.0.1:1", "")
        (tmp_path / f"c{number}.py").write_text(text)
    (tmp_path / "uses.py").write_text(USES)
    files = sorted(path.name for path in tmp_path.glob("*.py"))
    checker = [sys.executable, "-m", "mypy", "--strict", "--config-file=", *files]
    ran = subprocess.run(checker, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


SERVED = """
    import dataclasses, pathlib, typing

    @dataclasses.dataclass
    class Digits:
        pixels: list[float]
        scale: float = 1.0

    class Answer(typing.TypedDict):
        digit: int

    def load():
        import time
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
"""
PLAIN = """
    def predict(model, request: Digits) -> Answer:
        if request.scale < 0: 1 / 0
        return {"digit": int(sum(request.pixels) * request.scale)}
"""
STREAM = """
    def predict(model, request: list[str]) -> typing.Iterator[str]:
        for each in request:
            yield each
            if each == "end": 1 / 0
"""


def made(text: str) -> Any:
    module = types.ModuleType("digits_client")
    exec(compile(text, "digits_client.py", "exec"), vars(module))
    return module


def served(server: Server, header_file: str = "", token: str = "") -> Any:
    headers = {"Authorization": f"token {token}"} if token else {}
    document = server.request("GET", "/openapi.json", headers=headers).json
    url = f"http://127.0.0.1:{server.port}"
    return made(client_module("digits", document, url, header_file))


def test_a_client_calls_a_local_endpoint(start: Start, program: Any, tmp_path: Path) -> None:
    folder = program(textwrap.dedent(SERVED + PLAIN))
    (folder / "go").touch()
    header_file = tmp_path / "authorization"
    header_file.write_text("Authorization: token secret\n")
    server = start(folder, SAGETURNER_TOKEN="secret").ready()
    module = served(server, str(header_file), "secret")
    client = module.local()
    assert client.predict(pixels=[1, 2], scale=2) == {"digit": 6}
    assert asyncio.run(client.apredict(pixels=[3])) == {"digit": 3}
    assert client.batch([{"pixels": [n]} for n in range(20)]) == [{"digit": n} for n in range(20)]
    with pytest.raises(module.Invalid) as wrong:
        client.predict(pixels=[1, "x"], scael=1)
    assert (wrong.value.at, wrong.value.status, len(wrong.value.faults)) == ("pixels[1]", 422, 2)
    with pytest.raises(module.EndpointError, match="division") as raised:
        client.predict(pixels=[1], scale=-1)
    assert (raised.value.status, raised.value.kind) == (500, "ZeroDivisionError")


def test_a_client_waits_for_an_endpoint_that_starts(start: Start, program: Any) -> None:
    folder = program(textwrap.dedent(SERVED + PLAIN))
    server = start(folder)
    wait_for(lambda: server.ping().status == 503, "the server to load")
    url = f"http://127.0.0.1:{server.port}"
    module = made(client_module("digits", described("Digits", "Answer"), url, ""))
    with pytest.raises(module.EndpointError, match="load"):
        module.local(ready_s=0).predict(pixels=[1])
    with concurrent.futures.ThreadPoolExecutor() as threads:
        waiting = threads.submit(module.local().predict, pixels=[4])
        (folder / "go").touch()
        assert waiting.result() == {"digit": 4}


def test_a_client_reads_a_stream(start: Start, program: Any) -> None:
    folder = program(textwrap.dedent(SERVED + STREAM))
    (folder / "go").touch()
    module = served(start(folder).ready())
    client = module.local()
    assert [*client.stream(["a", "b\nc"])] == client.predict(["a", "b\nc"]) == ["a", "b\nc"]
    values = client.stream(["a", "end"])
    assert [next(values), next(values)] == ["a", "end"]
    with pytest.raises(module.EndpointError, match="division"):
        next(values)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 99\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\n{",
    ],
)
def test_a_response_that_breaks_off_is_an_error_of_the_client(head: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        module = made(client_module("digits", described("Digits", "Answer"), url, ""))

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                received = b""
                while not received.endswith(b"}"):
                    received += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)

        with concurrent.futures.ThreadPoolExecutor() as threads:
            answered = threads.submit(answer)
            with pytest.raises(module.EndpointError, match="broke off"):
                module.local(timeout_s=10).predict(pixels=[1])
            answered.result()


def test_a_client_waits_for_a_model_on_sagemaker_and_reads_its_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    module = made(client_module("digits", described("Digits", "Answer"), "http://x", ""))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    client = module.sagemaker("eu-west-1")
    fault = {"at": "pixels", "message": "missing"}
    told = json.dumps({"error": {"type": "Invalid", **fault, "faults": [fault]}})
    with Stubber(client._runtime) as stub:
        stub.add_client_error("invoke_endpoint", "ModelNotReadyException", http_status_code=429)
        stub.add_response("invoke_endpoint", {"Body": _body(b'{"digit": 3}')})
        assert client.predict(pixels=[3]) == {"digit": 3}
        stub.add_client_error(
            "invoke_endpoint",
            "ModelError",
            http_status_code=424,
            modeled_fields={"OriginalStatusCode": 422, "OriginalMessage": told},
        )
        with pytest.raises(module.Invalid) as wrong:
            client.predict()
        assert (wrong.value.at, wrong.value.faults) == ("pixels", [("pixels", "missing")])


def _body(data: bytes) -> Any:
    import io

    from botocore.response import StreamingBody

    return StreamingBody(io.BytesIO(data), len(data))
