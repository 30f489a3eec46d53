"""The example notebooks against local endpoints: what they teach is so.

Each runs from its first cell to its last by one of the programs that run notebooks; on the stand
another runs it, and all three run the quickstart (see test_runners.py). Every notebook by every
runner would show no more and take three times as long.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.examples import run_example

EMBEDDINGS = """
assert len(sentences) > 300 and difference < 1e-5
nearest = (vectors @ vectors_of(["remove a folder"])[0]).argmax()
assert functions[nearest] in ("os.rmdir", "shutil.rmtree"), functions[nearest]
"""
LOADED = """
assert not batched.failed and not single.failed
assert batched.throughput > single.throughput
"""
READING = """
read = {line["text"] for line in reading["lines"]}
assert {"5.60", "4.90", "3.20", "13.70", "TOTAL"} <= read, read
corners = [corner for line in reading["lines"] for corner in line["box"]]
assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in corners)
"""
LABELS = """
names = "zero one two three four five six seven eight nine".split()
ask = lambda image: sageturner.invoke("digit-words", {"image": base64_of(image)})
asked = [ask(image) for image in test_images[:40]]
right = [said["label"] == names[label] for said, label in zip(asked, test_labels)]
assert sum(right) >= 38, sum(right)
"""
STREAM = """
assert len(words) == len(arrivals) == 300 and set(words) <= set(vocabulary)
# Pieces that came together would all be there within a few milliseconds.
assert arrivals[-1] - arrivals[0] > 20, arrivals
whole = sageturner.invoke("writer", {"prompt": "The object", "words": 300, "seed": 1})
assert whole.value == "".join(words)
"""


@pytest.fixture(autouse=True)
def own_state(state: Path) -> None:
    """A state folder in which no server is left behind."""


@pytest.mark.torch
def test_the_endpoints_vectors_are_the_notebooks_and_batching_pays(tmp_path: Path) -> None:
    run_example("02_text_embeddings", tmp_path, runner="papermill", check=EMBEDDINGS + LOADED)


def test_the_receipt_is_read_from_base64_and_from_png_bytes(tmp_path: Path) -> None:
    run_example("03_image_to_text", tmp_path, runner="jupyter-execute", check=READING)


@pytest.mark.torch
def test_the_code_folder_answers_with_its_labels(tmp_path: Path) -> None:
    account_or_docker = ("sageturner plan -e serverless", "-m provide", "provided = ")
    run_example(
        "04_config_and_code_dir", tmp_path, runner="nbclient", check=LABELS,
        without=account_or_docker,
    )  # fmt: skip


@pytest.mark.torch
def test_words_arrive_while_the_model_writes(tmp_path: Path) -> None:
    run_example("05_streaming", tmp_path, runner="jupyter-execute", check=STREAM)
