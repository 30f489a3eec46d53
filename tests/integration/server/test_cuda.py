"""A process that has lost its GPU is replaced (tests/gpu has the same with a real one)."""

import concurrent.futures
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.server.conftest import Start, wait_for

DRIVER = """
/* The part of the CUDA driver that the server asks. */
static int initialised = 0, broken = 0;
int cuInit(unsigned flags) { initialised = 1; return 0; }
int fail_an_assertion(void) { return broken = 710; }
int cuDeviceGetCount(int *count) { *count = 1; return initialised ? 0 : 3; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    *flags = 0; *active = initialised; return broken;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
int cuCtxPushCurrent_v2(void *context) { return 0; }
int cuCtxPopCurrent_v2(void **context) { return 0; }
int cuCtxSynchronize(void) { return broken; }
int cuGetErrorName(int status, const char **name) { *name = "CUDA_ERROR_ASSERT"; return 0; }
"""

USES_IT = """
    import ctypes
    driver = ctypes.CDLL({library!r})

    def load(model_dir):
        driver.cuInit(0)

    def predict(model, request):
        if request == "out of range":
            driver.fail_an_assertion()
            raise RuntimeError("CUDA error: device-side assert triggered")
        if request == "refused":
            raise ValueError("not this one")
        return request
"""
ASYNC = """
    plain = predict

    async def predict(model, request):
        return plain(model, request)
"""
BATCHES = """
    def predict_batch(model, requests):
        return [predict(model, request) for request in requests]
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Code that uses a GPU as the driver sees it."""
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libcuda.so.1"
    (folder / "driver.c").write_text(DRIVER)
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", library, "driver.c"]
    subprocess.run(command, cwd=folder, check=True)
    return USES_IT.format(library=str(library))


@pytest.mark.parametrize("kind", ["", ASYNC, BATCHES], ids=["plain", "async", "batch"])
def test_the_worker_that_lost_its_gpu_is_replaced_and_the_next_request_answered(
    start: Start, source: str, kind: str
) -> None:
    server = start(source + kind).ready()
    worker = server.workers()
    assert server.invoke("refused").status == 500
    assert server.workers() == worker
    reply = server.invoke("out of range")
    assert reply.status == 500
    assert "device-side assert" in reply.error["message"]
    assert server.invoke("again").json == "again"
    wait_for(lambda: "is replaced" in server.log(), "the new worker")
    assert "the GPU is lost to this process (CUDA_ERROR_ASSERT); the worker ends" in server.log()
    assert not set(worker) & set(server.workers())


@pytest.mark.parametrize("kind", ["", ASYNC, BATCHES], ids=["plain", "async", "batch"])
def test_a_server_whose_warm_up_loses_the_gpu_does_not_start(
    start: Start, source: str, kind: str
) -> None:
    server = start(source + kind + '    def example_request(): return "out of range"')
    assert server.wait() == 1
    assert "example_request's request failed, and the GPU is lost" in server.log()


def test_requests_that_break_the_gpu_again_and_again_do_not_make_the_server_unhealthy(
    start: Start, source: str
) -> None:
    server = start(source).ready()
    for _ in range(6):
        assert server.invoke("out of range").status == 500
        assert server.invoke("again").json == "again"
    assert server.ping().status == 200


def test_a_batch_in_which_the_gpu_is_lost_is_not_run_again(
    start: Start, source: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    waiting = f"""
    import pathlib, time
    gate = pathlib.Path({str(gate)!r})

    def predict_batch(model, requests):
        print(f"batch of {{len(requests)}}")
        while requests == ["wait"] and not gate.exists():
            time.sleep(0.01)
        return [predict(model, request) for request in requests]
    """
    server = start(source + waiting, serving={"batch": {"max_size": 2}}).ready()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(server.invoke, "wait")
        wait_for(lambda: "batch of 1" in server.log(), "the first batch")
        both = [pool.submit(server.invoke, each) for each in ("fine", "out of range")]
        wait_for(
            lambda: (
                "sageturner_requests_running 3" in server.request("GET", "/metrics").body.decode()
            ),
            "both",
        )
        gate.touch()
        assert first.result().status == 200
        assert [each.result().status for each in both] == [500, 500]
    assert re.findall(r"batch of \d", server.log()) == ["batch of 1", "batch of 2"]


def test_a_process_that_has_initialised_cuda_is_not_forked(start: Start, source: str) -> None:
    server = start(source, serving={"workers": 2}).ready()
    assert "each worker loads the model for itself: CUDA is in use" in server.log()
    assert server.invoke("fine").json == "fine"
