"""A small project as a person has it, and the `sageturner` command that deploys it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sageturner_magic.cli import main
from tests.parts.json_output import failure_of, result_of
from tests.stand import Keys, Stand

CODE = """\
import json, os, pathlib

def load(model_dir):
    files = {p.name: p.read_text() for p in pathlib.Path(model_dir).rglob("*") if p.is_file()}
    return {"factor": %(factor)s, "files": files}

def predict(model, request):
    if "fail" in request:
        raise ValueError(request["fail"])
    if "environment" in request:
        return {"value": os.environ.get(request["environment"])}
    if "file" in request:
        return {"value": model["files"].get(request["file"])}
    return {"answer": request["x"] * model["factor"]}

def example_request():
    return {"x": 1}
"""

SERVERLESS = {"serverless": {"memory": 2048, "max_concurrency": 5}}
SERVER = {"server": {"instance_type": "ml.m5.xlarge", "initial_instance_count": 1}}


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass
class Project:
    """A folder with a configuration and code; `run` is the command in it.

    Attributes:
        stand: The AWS that the command meets.
        folder: Holds sageturner.yaml and code/.
        name: The endpoint's.
        keys: Whose credentials are used; the administrator's without.
        variables: Of the environment, on top of the stand's.
    """

    stand: Stand
    folder: Path
    name: str
    keys: Keys | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def configure(self, **keys: Any) -> None:
        """Write sageturner.yaml; YAML is a superset of JSON. Serverless unless said otherwise."""
        container = {"generate_container": {"code_dir": "./code", "python_version": "3.11"}}
        document = {
            "name": self.name,
            "container": container,
            "compute": {**SERVERLESS, **SERVER},
            **keys,
        }
        (self.folder / "sageturner.yaml").write_text(json.dumps(document, indent=2))

    def write_code(self, factor: int = 2, code: str = CODE) -> None:
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "sageturner.py").write_text(
            code % {"factor": factor} if "%(factor)s" in code else code
        )

    @property
    def environment(self) -> dict[str, str]:
        aws = self.stand.environment_of(self.keys) if self.keys else self.stand.environment
        own = {"SAGETURNER_STATE_DIR": str(self.folder / "state")}
        return {**os.environ, **aws, **own, **self.variables}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "sageturner_magic", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str) -> Ended:
        """The command, in this process, however it ends."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            code = main(words)
        return Ended(code, out.getvalue(), err.getvalue())

    def run(self, *words: str, fails: bool = False) -> Ended:
        """The command, in this process; it ends well, unless `fails`."""
        ended = self.call(*words)
        assert (ended.code != 0) == fails, ended
        return ended

    def json(self, *words: str) -> Any:
        return result_of(words[0], self.run(*words, "--json").out)

    def deploy(self, endpoint_type: str = "serverless", *words: str) -> Any:
        return self.json("deploy", "-e", endpoint_type, *words)

    def invoke(self, payload: Any) -> Any:
        return self.json("invoke", self.name, json.dumps(payload))["value"]

    def failure(self, *words: str) -> Any:
        """What the command prints for programs when it fails."""
        return failure_of(self.run(*words, "--json", fails=True).out)

    def refused(self, *words: str) -> str:
        """What the command says that is refused."""
        done = self.run(*words, fails=True)
        assert done.code == 2, done
        return done.err
