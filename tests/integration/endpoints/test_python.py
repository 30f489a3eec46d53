"""What `deploy()` returns is the endpoint; the functions for `await` do what the others do."""

import asyncio
import textwrap
import threading

import pytest

import sageturner_magic as sageturner
from sageturner_magic.errors import EndpointError, UsageError
from tests.integration.conftest import wait_until


@pytest.fixture
def config(tmp_path, state):
    """Makes the configuration of a code folder, as a dict."""

    def made(code):
        (tmp_path / "sageturner.py").write_text(textwrap.dedent(code))
        code_dir = {"generate_container": {"code_dir": tmp_path}}
        return {"name": "echo", "artefact": "none", "container": code_dir}

    return made


ECHO = """
    def load():
        print("loaded")

    def predict(model, request, context):
        context.answer_attributes = context.custom_attributes
        return {"echo": request}
"""
PARTS = """
    def load():
        pass

    def predict(model, request):
        for number in range(request):
            yield f"part {number} "
"""


def test_what_deploy_returns_is_the_endpoint(config):
    echo = sageturner.deploy(config(ECHO))
    assert (echo.name, echo.endpoint_type, echo.unchanged) == ("echo", "local", False)
    assert echo.url.startswith("http://127.0.0.1:")
    answered = echo.invoke([1, 2], custom_attributes="trace=1")
    assert answered["echo"] == [1, 2]
    assert answered.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    with pytest.raises(UsageError, match="needs an endpoint on SageMaker"):
        echo.invoke([1], target_variant="B")
    assert echo.status() == sageturner.status("echo")
    assert echo.status().url == echo.url
    assert any("loaded" in line for line in echo.logs())
    assert len([*echo.logs(last=1)]) == 1
    echo.delete()
    assert sageturner.list(aws=sageturner.AwsOptions(endpoint_type="local")) == []
    with pytest.raises(EndpointError):
        echo.status()


def test_every_step_can_be_awaited(config):
    async def use():
        aws = sageturner.AwsOptions(endpoint_type="local")
        written = config(ECHO)
        assert (await sageturner.aplan(written)).name == "echo"
        assert (await sageturner.atry(5, written)).value == {"echo": 5}
        echo = await sageturner.adeploy(written)
        first, second = await asyncio.gather(echo.ainvoke(1), sageturner.ainvoke("echo", 2))
        assert (first["echo"], second["echo"]) == (1, 2)
        tested = await sageturner.aload_test("echo", 3, requests=8, concurrency=2)
        assert (tested.sent, tested.failed) == (8, 0)
        assert (await echo.astatus()).status == "InService"
        assert [each.name for each in await sageturner.alist(aws=aws)] == ["echo"]
        assert any("loaded" in line for line in await sageturner.alogs("echo"))
        await echo.adelete()
        assert await sageturner.alist(aws=aws) == []

    asyncio.run(use())


def test_a_streamed_response_can_be_awaited_piece_by_piece(config):
    async def use():
        parts = await sageturner.adeploy(config(PARTS))
        stream = await parts.ainvoke_stream(3)
        assert "".join([piece async for piece in stream]) == "part 0 part 1 part 2 "
        await parts.adelete()

    asyncio.run(use())


def test_a_cancelled_task_stops_its_deployment_as_ctrl_c_does(config):
    slow = """
        import time

        def load():
            time.sleep(600)

        def predict(model, request):
            return request
    """
    began = threading.Event()

    def started(event):
        if getattr(event, "step", "") not in ("", "check"):
            began.set()

    async def use():
        task = asyncio.create_task(sageturner.adeploy(config(slow), listener=started))
        await asyncio.to_thread(began.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())
    wait_until(lambda: not sageturner.list(aws=sageturner.AwsOptions(endpoint_type="local")))
