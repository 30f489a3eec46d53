"""Fixtures that generate a module for a variable of a notebook, and ask it."""

from __future__ import annotations

import json
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sageturner_magic.capture.artefact import prepare_artefact
from sageturner_magic.server.codec.formats.values import to_json
from sageturner_magic.values import LiveModel, Shipped

from .helpers import Session


class Quiet:
    def log(self, line: str) -> None: ...

    def progress(self, done: float, total: float | None, unit: str, part: str = "") -> None: ...

    def checkpoint(self) -> None: ...


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A notebook whose variables are those of `__main__`, as in a kernel."""
    made = Session()
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    made.namespace = vars(main)
    made.notebook.__init__(made.namespace)  # type: ignore[misc]
    return made


Ask = Callable[[object], Any]
Serve = Callable[..., Ask]


@pytest.fixture
def serve(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Generate for a variable; what asks the module, in a fresh namespace, as a server does."""

    def run(variable: str, example: object = None, name: str = "digits") -> Ask:
        live = LiveModel(session.namespace[variable], variable, example, 9)
        module, _ = session.notebook.module_and_notes(name, Shipped(), live)
        staging = Path(tempfile.mkdtemp(dir=tmp_path))
        files = prepare_artefact(
            None, tmp_path, {}, staging, Quiet(), module.objects, module.definitions
        )
        folder = files.folder if files else tmp_path
        monkeypatch.setenv("SM_MODEL_DIR", str(folder))
        fresh = types.ModuleType("sageturner")
        monkeypatch.setitem(sys.modules, "sageturner", fresh)
        exec(compile(module.source, "sageturner.py", "exec", dont_inherit=True), vars(fresh))
        takes = fresh.load.__code__.co_argcount
        model = fresh.load(*[str(folder)][:takes])

        def ask(request: object) -> Any:
            decoded = json.loads(json.dumps(request))
            return json.loads(to_json(fresh.predict(model, decoded), "null"))

        ask.module = fresh  # type: ignore[attr-defined]
        fresh.SOURCE = module.source  # type: ignore[attr-defined]
        return ask

    return run
