"""The model server with a real GPU, which continuous integration has not: run by `make gpu`."""

import concurrent.futures
import http.client
import subprocess
from collections.abc import Iterator
from importlib import metadata

import pytest

from sageturner_magic.server.worker import gpu_check
from tests.integration.server.conftest import Server, Start, wait_for

pytestmark = pytest.mark.gpu

LOOKUP = """
    import torch

    def load(model_dir):
        return torch.arange(10, device="cuda") ** 2

    def predict(table, request):
        return table[torch.tensor(request, device="cuda")].tolist()
"""

BATCHES = """
    import torch

    FREE = torch.cuda.mem_get_info()[0]

    def load(model_dir):
        return FREE // 12

    def predict(each, request):
        return predict_batch(each, [request])[0]

    def predict_batch(each, requests):
        shape = len(requests), each // 2
        first = torch.ones(shape, dtype=torch.uint8, device="cuda")
        second = torch.ones(shape, dtype=torch.uint8, device="cuda")
        return [
            int(row[:4].sum() + other[:4].sum()) * value
            for row, other, value in zip(first, second, requests)
        ]
"""


def nvidia_smi(query: str) -> list[str]:
    command = ["nvidia-smi", f"--query-{query}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")


@pytest.fixture
def memory_comes_back() -> Iterator[None]:
    before = int(nvidia_smi("gpu=memory.used")[0])
    yield
    wait_for(lambda: int(nvidia_smi("gpu=memory.used")[0]) <= before + 64, "the GPU's memory")


def in_parallel(server: Server, requests: list[object]) -> list[object]:
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        replies = list(pool.map(lambda each: server.invoke(each, timeout=120), requests))
    assert {reply.status for reply in replies} == {200}, [reply.body for reply in replies]
    return [reply.json for reply in replies]


def replaced(server: Server) -> str:
    wait_for(lambda: "is replaced" in server.log(), "a new worker", 60)
    return server.log()


def test_the_driver_check_reads_this_machine_and_lets_what_fits_pass() -> None:
    import torch

    assert gpu_check.driver_version() == nvidia_smi("gpu=driver_version")[0]
    cuda = gpu_check.cuda_of_driver()
    assert cuda is not None and cuda >= int(torch.version.cuda.partition(".")[0])
    assert gpu_check.check() is None
    needs = {need.framework: need.cuda for need in gpu_check.needs(metadata.distributions())}
    assert needs[f"torch {metadata.version('torch')}"] == int(torch.version.cuda.partition(".")[0])
    newer = gpu_check.misfit([gpu_check.Need("torch 99.0", 99)], "450.80.02", 11)
    assert newer is not None and "450.80.02" in newer


def test_what_runs_on_the_gpu_is_answered_and_its_memory_comes_back(
    start: Start, memory_comes_back: None
) -> None:
    server = start(LOOKUP).ready()
    assert server.invoke([2, 3]).json == [4, 9]
    server.terminate()
    assert server.wait() == 0


def test_an_assertion_on_the_device_costs_one_request_and_the_worker_is_replaced(
    start: Start,
) -> None:
    server = start(LOOKUP).ready()
    reply = server.invoke([99])
    assert reply.status == 500 and "device-side assert" in reply.error["message"]
    assert server.invoke([3], timeout=60).json == [9]
    assert "the GPU is lost to this process (CUDA_ERROR_ASSERT)" in replaced(server)
    for _ in range(5):
        assert server.invoke([99], timeout=60).status == 500
        assert server.invoke([3], timeout=60).json == [9]
    assert server.ping().status == 200


def test_a_warm_up_that_fails_an_assertion_on_the_device_ends_the_server(start: Start) -> None:
    server = start(LOOKUP + "\n    def example_request(): return [99]")
    assert server.wait(60) == 1
    assert "example_request's request failed, and the GPU is lost" in server.log()


def test_an_assertion_on_the_device_in_a_thread_of_an_async_predict(start: Start) -> None:
    source = (
        LOOKUP
        + """
    import asyncio
    plain = predict

    async def predict(table, request):
        return await asyncio.to_thread(plain, table, request)
    """
    )
    server = start(source).ready()
    assert server.invoke([99]).status == 500
    replaced(server)
    assert server.invoke([3], timeout=60).json == [9]


def test_an_assertion_on_the_device_within_a_stream(start: Start) -> None:
    source = """
    import torch

    def load(model_dir):
        return torch.arange(10, device="cuda")

    def predict(table, request):
        for index in request:
            yield f"{table[torch.tensor([index], device='cuda')].item()} "
    """
    server = start(source).ready()
    assert server.invoke([1, 2, 3]).body == b"1 2 3 "
    with pytest.raises(http.client.IncompleteRead):
        server.invoke([1, 99, 3])
    replaced(server)
    assert server.invoke([4], timeout=60).body == b"4 "


def test_a_batch_that_does_not_fit_into_the_gpu_is_answered_in_parts(
    start: Start, memory_comes_back: None
) -> None:
    serving = {"batch": {"max_size": 32, "max_wait_ms": 200}}
    server = start(BATCHES, serving=serving).ready()
    worker = {each.pid for each in server.workers()}
    for _ in range(3):
        assert in_parallel(server, list(range(32))) == [8 * each for each in range(32)]
    assert {each.pid for each in server.workers()} == worker
    server.terminate()
    assert server.wait() == 0


def test_a_request_that_does_not_fit_into_the_gpu_leaves_its_worker_as_it_was(
    start: Start,
) -> None:
    source = """
    import torch

    def load(model_dir):
        return torch.cuda.get_device_properties(0).total_memory

    def predict(total, request):
        return torch.ones(int(total * request), dtype=torch.uint8, device="cuda").numel()
    """
    server = start(source).ready()
    worker = {each.pid for each in server.workers()}
    assert "out of memory" in server.invoke(2).error["message"]
    assert server.invoke(0.5).status == 200
    assert {each.pid for each in server.workers()} == worker


@pytest.mark.parametrize(
    "load",
    [
        "return torch.arange(10, device='cuda')",
        "return torch.arange(10) if torch.cuda.is_available() else None",
    ],
    ids=["uses it in load", "asks for it in load"],
)
def test_each_of_several_workers_uses_the_gpu(start: Start, load: str) -> None:
    source = f"""
    import os, time, torch
    torch.set_num_threads(1)

    def load(model_dir):
        {load}

    def predict(table, request):
        time.sleep(0.05)
        return [table.to("cuda")[request].item(), os.getpid()]
    """
    server = start(source, serving={"workers": 2}).ready()
    answers = in_parallel(server, [3] * 16)
    assert {value for value, _ in answers} == {3}
    assert len({pid for _, pid in answers}) == 2
