"""The model server beside its peers with a model on a GPU.

Usage: python -m benchmarks.gpu [ROUNDS]

Needs an NVIDIA GPU, wrk, and one environment with torch (a CUDA build), transformers, what this
project's server needs, litserve, fastapi and uvicorn: all servers run in it. The models are
sentence encoders of the shapes of MiniLM and of BERT-large with random weights, which cost what
trained ones cost. Writes benchmarks/results/gpu.md, with medians over the rounds.
"""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

from benchmarks.model_servers import OURS, PEERS, PLAIN_ROUTE
from benchmarks.server import running

RESULT = Path(__file__).parent / "results" / "gpu.md"
SECONDS = 4
CONNECTIONS = (1, 16, 64)
SENTENCE = "Remove a folder and everything that is in it, then say how much room that made. " * 3

ENCODER = """
import zlib
import torch
from transformers import BertConfig, BertModel

def load():
    torch.manual_seed(0)
    config = BertConfig(num_hidden_layers={layers}, hidden_size={width},
                        num_attention_heads={width} // 64, intermediate_size=4 * {width})
    return BertModel(config).half().cuda().eval()

def predict(model, request):
    return predict_batch(model, [request])[0]

def predict_batch(model, requests):
    rows = [[zlib.crc32(word.encode()) % 30000 for word in request["x"].split()[:64]]
            for request in requests]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device="cuda")
    with torch.inference_mode():
        found = model(ids, attention_mask=ids != 0).last_hidden_state.mean(1)
        found = torch.nn.functional.normalize(found)
    return [{{"y": vector}} for vector in found.float().cpu().tolist()]
"""
MODELS = {
    "6 layers of 384 (MiniLM's shape)": ENCODER.format(layers=6, width=384),
    "24 layers of 1024 (BERT-large's shape)": ENCODER.format(layers=24, width=1024),
}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    litserve = next(peer for peer in PEERS if peer.name == "LitServe")
    on_gpu = litserve.files["lit.py"].replace('accelerator="cpu"', 'accelerator="cuda"')
    servers = [
        dataclasses.replace(server, packages=(), files=files)
        for server, files in (
            (OURS, {}),
            (litserve, {"lit.py": on_gpu}),
            (PLAIN_ROUTE, PLAIN_ROUTE.files),
        )
    ]
    seen: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        for model, program in MODELS.items():
            for server in servers:
                with running(server, program) as it:
                    seen[model, server.name, "start"].append(it.first_good)
                    for connections in CONNECTIONS:
                        it.load(connections, SENTENCE, 1)
                        rate, median, high, _ = it.load(connections, SENTENCE, SECONDS)
                        for what, value in (("rate", rate), ("p50", median), ("p99", high)):
                            seen[model, server.name, f"{what} {connections}"].append(value)
        write(seen, [server.name for server in servers], number + 1)
    return 0


def write(seen: dict[tuple[str, str, str], list[float]], servers: list[str], rounds: int) -> None:
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    gpu = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    lines = [
        "# The model server beside its peers on a GPU",
        "",
        f"Made by `benchmarks/gpu.py`: {date.today()}, {gpu},",
        f"medians of {rounds} rounds of {SECONDS} s.",
        "",
        "The same code with `predict_batch` in half precision, 51 words a request, the vector as",
        "JSON; one worker each. LitServe collects up to 32 requests for 5 ms; the plain route",
        "(FastAPI) answers one after the other.",
    ]
    rows = {"start": "start to a good /ping, s"}
    for connections in CONNECTIONS:
        plural = "s" if connections > 1 else ""
        rows[f"rate {connections}"] = f"requests/s, {connections} connection{plural}"
        rows[f"p50 {connections}"] = "p50, ms"
        rows[f"p99 {connections}"] = "p99, ms"
    for model in MODELS:
        lines += ["", f"## {model}", "", "| | " + " | ".join(servers) + " |"]
        lines.append("|---" * (len(servers) + 1) + "|")
        for what, title in rows.items():
            values = [statistics.median(seen[model, server, what]) for server in servers]
            shown = (f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values)
            lines.append(f"| {title} | " + " | ".join(shown) + " |")
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
