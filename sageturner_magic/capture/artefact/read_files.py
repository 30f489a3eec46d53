"""Find the model files that a module reads. The verbs and the form guess with it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from sageturner_magic.capture.artefact.writers import WRITERS


def files_of(source: str) -> list[str]:
    """The files below `model_dir` that a module's load() names, as far as that can be seen."""
    load = next(
        (
            node
            for node in ast.parse(source).body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == "load"
        ),
        None,
    )
    if load is None:
        return []
    texts = [
        node.value.strip("/")
        for node in ast.walk(load)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = [text for text in texts if re.fullmatch(r"[\w./-]+", text)]
    return list(dict.fromkeys(text for text in named if Path(text).suffix.lower() in WRITERS))
