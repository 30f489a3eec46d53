"""What the smoke test finds in an image before it is pushed, on a real Docker engine."""

from __future__ import annotations

import subprocess
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sageturner_magic.endpoints.container.runner import ContainerSpec
from sageturner_magic.endpoints.container.smoke import smoke_test
from sageturner_magic.errors import DeploymentCancelled, EndpointError
from sageturner_magic.image.docker.builder import DockerBuilder
from sageturner_magic.image.spec import BuildSpec, ProvidedSpec
from sageturner_magic.packages.requirements import Requirements, Target
from sageturner_magic.packages.resolution import resolve, server_arguments
from sageturner_magic.values import CapturedModule, CellLine, Request, SourceFile
from tests.integration.endpoints.test_local_container import OWN_SERVER
from tests.parts import kept_layers
from tests.parts.recorder import Recorder

pytestmark = pytest.mark.docker

TARGET = Target("3.12")
HOME = f"smoke-{uuid.uuid4().hex[:8]}"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def base() -> str:
    return kept_layers.keep("3.12")


@pytest.fixture(scope="module")
def server(base: str) -> Requirements:
    return resolve(server_arguments(), TARGET, Recorder())


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    left = docker("ps", "--all", "--quiet", "--filter", f"label=sageturner.home={HOME}").split()
    if left:
        docker("rm", "--force", *left)
    assert left == []


@pytest.fixture
def name() -> Iterator[str]:
    unique = f"test-{uuid.uuid4().hex[:8]}"
    yield unique
    for tag in docker("images", "--format", "{{.Tag}}", "sageturner-sagemaker").split():
        if tag.startswith(unique):
            docker("rmi", "--force", f"sageturner-sagemaker:{tag}")


Generate = Callable[..., tuple[ContainerSpec, CapturedModule]]


@pytest.fixture
def generate(name: str, server: Requirements) -> Generate:
    """A function: code -> a generated image of it, and its module, all lines from In[7]."""

    def make(code: str, **fields: object) -> tuple[ContainerSpec, CapturedModule]:
        text = textwrap.dedent(code).strip() + "\n"
        places = {number: CellLine(7, number) for number in range(1, text.count("\n") + 1)}
        module = CapturedModule(
            "In[7]", (SourceFile("sageturner.py", text.encode()),), cells=(7,), lines=places
        )
        spec = BuildSpec(name, module, Requirements(TARGET, ()), server)
        image = DockerBuilder().build(spec, Recorder())
        return ContainerSpec(image.reference, HOME, **fields), module  # type: ignore[arg-type]

    return make


@pytest.fixture
def provide(name: str, base: str, tmp_path: Path) -> Callable[..., ContainerSpec]:
    """A function: Dockerfile (after FROM), a server's code -> an image of it."""

    def make(dockerfile: str, code: str = "") -> ContainerSpec:
        folder = tmp_path / "own"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {base}\n{dockerfile}\n")
        (folder / "server.py").write_text(code)
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights.txt").write_text("weights")
        image = DockerBuilder().build(ProvidedSpec(name, folder), Recorder())
        return ContainerSpec(image.reference, HOME, model=str(tmp_path / "model"))

    return make


def test_a_good_image_passes_with_its_own_example(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "factor").write_text("3")
    spec, module = generate(
        """
        def load(model_dir):
            print("loading from", model_dir)
            return int(open(f"{model_dir}/factor").read())

        def predict(model, request):
            return {"product": model * request["x"]}

        def example_request():
            return {"x": 14}
        """,
        model=str(tmp_path / "model"),
        serverless_mb=1024,
    )
    recorder = Recorder()
    report = smoke_test(spec, recorder, module=module)
    assert report.answer == b'{"product":42}'
    assert report.findings == ()
    assert report.ready_s > 0 and report.stop_s < 30
    assert "loading from /opt/ml/model" in recorder.lines


def test_a_model_that_only_its_owner_may_read_is_read_in_a_serverless_container(
    generate: Generate, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.write_text("3")
    weights.chmod(0o600)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "factor").symlink_to(weights)
    spec, module = generate(
        """
        def load(model_dir):
            return int(open(f"{model_dir}/factor").read())

        def predict(model, request):
            return model * request

        def example_request():
            return 2
        """,
        model=str(tmp_path / "model"),
        serverless_mb=1024,
    )
    assert smoke_test(spec, Recorder(), module=module).answer == b"6"


def test_a_load_that_raises_is_found_in_the_cells_lines(generate: Generate) -> None:
    spec, module = generate(
        """
        def load():
            raise FileNotFoundError("weights.bin")

        def predict(model, request):
            return 1
        """
    )
    with pytest.raises(
        EndpointError, match=r"load raised FileNotFoundError: weights\.bin"
    ) as found:
        smoke_test(spec, Recorder(), module=module)
    assert "In[7], line 2" in found.value.report()


def test_a_predict_that_raises_on_its_example_is_found(generate: Generate) -> None:
    spec, module = generate(
        """
        def load():
            return {}

        def predict(model, request):
            return model[request["x"]]

        def example_request():
            return {"x": "missing"}
        """
    )
    with pytest.raises(EndpointError, match=r"answered with 500 .*KeyError") as found:
        smoke_test(spec, Recorder(), module=module)
    assert "In[7], line 5" in found.value.report()


def test_a_module_without_an_example_is_only_pinged(generate: Generate) -> None:
    spec, module = generate("def load(): return 1\ndef predict(model, request): return model / 0")
    assert smoke_test(spec, Recorder(), module=module).answer is None


def test_a_request_can_be_given(generate: Generate) -> None:
    spec, module = generate("def load(): return 1\ndef predict(model, request): return model / 0")
    with pytest.raises(EndpointError, match="answered with 500") as found:
        smoke_test(spec, Recorder(), module=module, example=Request(b"{}"))
    assert "ZeroDivisionError" in str(found.value)


def test_an_image_of_ones_own_passes(provide: Callable[..., ContainerSpec]) -> None:
    spec = provide('COPY server.py /\nENTRYPOINT ["python", "/server.py"]', OWN_SERVER)
    report = smoke_test(spec, Recorder(), example=Request(b"hello", "text/plain"))
    assert report.answer == b"HELLOweights"
    assert report.findings == ()


def test_an_image_that_ignores_sigterm_is_warned_about(
    provide: Callable[..., ContainerSpec],
) -> None:
    deaf = OWN_SERVER.replace("lambda *_: os._exit(0)", "signal.SIG_IGN")
    spec = provide('COPY server.py /\nENTRYPOINT ["python", "/server.py"]', deaf)
    report = smoke_test(spec, Recorder(), grace_s=2)
    (finding,) = report.findings
    assert "SIGTERM" in finding.what and finding.severity == "warning"
    assert report.answer is None


def test_a_ping_that_waits_for_predictions_is_warned_about(
    provide: Callable[..., ContainerSpec],
) -> None:
    slow = OWN_SERVER.replace("ThreadingHTTPServer", "HTTPServer").replace(
        'print("asked', 'import time; time.sleep(5); print("asked'
    )
    spec = provide('COPY server.py /\nENTRYPOINT ["python", "/server.py"]', slow)
    report = smoke_test(spec, Recorder(), example=Request(b"hello", "text/plain"))
    assert [finding.severity for finding in report.findings] == ["warning"]
    assert "/ping is not answered within 2 s" in report.findings[0].what


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("CMD python -m http.server 8080", "no program `serve`"),
        ('ENTRYPOINT ["/no/such/program"]', "ENTRYPOINT does not exist"),
        (
            'RUN printf nonsense > /program && chmod 755 /program\nENTRYPOINT ["/program"]',
            "another processor",
        ),
        ('COPY server.py /\nENTRYPOINT ["/server.py"]', "may not be executed"),
        ('ENTRYPOINT ["python", "-c", "raise SystemExit(3)"]', "exited with status 3"),
    ],
)
def test_an_image_that_does_not_start_is_explained(
    provide: Callable[..., ContainerSpec], dockerfile: str, message: str
) -> None:
    with pytest.raises(EndpointError, match=message) as found:
        smoke_test(provide(dockerfile), Recorder())
    assert "Do: " in str(found.value)


def test_an_image_that_does_not_listen_is_given_up_at_the_limit(
    provide: Callable[..., ContainerSpec],
) -> None:
    silent = 'ENTRYPOINT ["python", "-c", "import time; time.sleep(600)"]'
    with pytest.raises(EndpointError, match="not ready within 3 s") as found:
        smoke_test(provide(silent), Recorder(), startup_timeout_s=3)
    assert "nothing answers GET /ping" in str(found.value)


def test_stopping_the_test_leaves_nothing(provide: Callable[..., ContainerSpec]) -> None:
    class Stopping(Recorder):
        def log(self, line: str) -> None:
            raise DeploymentCancelled("stopped")

    talks = 'ENTRYPOINT ["python", "-uc", "import time; print(1); time.sleep(600)"]'
    with pytest.raises(DeploymentCancelled):
        smoke_test(provide(talks), Stopping())
