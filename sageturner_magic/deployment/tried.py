"""Try load() and predict() in a clean process before anything is built."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import platformdirs
import psutil
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from sageturner_magic.config import SERVERLESS_MEMORY
from sageturner_magic.constants import MODEL_DIR, THIS_PYTHON
from sageturner_magic.deployment.ingredients import Ingredients, gather
from sageturner_magic.deployment.local_secrets import missing_here
from sageturner_magic.deployment.plan import Done
from sageturner_magic.deployment.reference import Compared, Said, compare, differs, refuse, said_in
from sageturner_magic.deployment.request import Collector, DeployRequest
from sageturner_magic.deployment.trial import Limits, Trial, try_module
from sageturner_magic.endpoints import decode
from sageturner_magic.errors import Finding
from sageturner_magic.text import brief, duration, size
from sageturner_magic.values import CapturedModule, Reporter, Request

SERVER_BYTES = 64 << 20
"""Memory of the server's front process: 27 MB at rest, and requests that wait."""

SERVERLESS_STARTUP_S = 180.0
"""Until the first good /ping of a serverless endpoint's container."""


@dataclass(frozen=True)
class Tried:
    """What came of trying a model in a clean process.

    Attributes:
        name: The endpoint's.
        origin: The cells or directory that the code came from.
        python: The interpreter's version.
        workers: Worker processes that would hold the model.
        trial: What was measured, and the answer.
        findings: Warnings: what will not do where the model runs.
    """

    name: str
    origin: str
    python: str
    workers: int
    trial: Trial
    findings: tuple[Finding, ...]

    @property
    def serverless_memory(self) -> int | None:
        """The smallest size in MB of a serverless endpoint that would do, if one would."""
        return serverless_memory(self.trial, self.workers)

    @cached_property
    def value(self) -> Any:
        """The decoded answer; None where there was no request."""
        return decode(self.trial.body, self.trial.content_type) if self.trial.asked else None


def try_request(
    request: DeployRequest,
    sample: Request | None,
    workspace: Path,
    reporter: Reporter,
    entered: Callable[[str], None] | None = None,
) -> Tried:
    """Try what `request` would deploy, with `sample` or the module's own example.

    `entered` is told each stage of the process as it begins (see `capture.try_module`).

    Raises:
        SageturnerError: What would fail where the model runs.
    """
    found = Collector(request.config)
    found.add(missing_here(request.config))
    ingredients = found.require(gather(request, workspace, reporter, found))
    if entered is not None:
        # The interpreter that starts is a part of the import, and says so only when it has.
        entered("import")
    trial = run_trial(ingredients, reporter, sample=sample, entered=entered)
    checked = check_response(ingredients, said_in(trial, sample), reporter)
    return Tried(
        name=request.config.name,
        origin=ingredients.module.origin,
        python=platform.python_version(),
        workers=request.config.serving.workers,
        trial=trial,
        findings=(
            *found.finish(),
            *findings_of(trial, ingredients),
            *_remarks(checked, ingredients),
        ),
    )


def check_response(ingredients: Ingredients, said: Said | None, reporter: Reporter) -> Compared:
    """Compare `said`, what the deployed code has responded, with the notebook's response."""

    def ask(sample: Request, repeats: int, seed: str) -> Trial:
        return run_trial(ingredients, reporter, sample=sample, repeats=repeats, hash_seed=seed)

    return compare(ingredients.request, said, ask)


def _remarks(checked: Compared, ingredients: Ingredients) -> list[Finding]:
    if checked.difference:
        return [differs(checked.difference, ingredients.module, severity="warning")]
    reference = ingredients.request.reference
    if reference is None or reference.request is None or not checked.note.startswith("not"):
        return []
    return [
        Finding(
            "The response was not compared with the notebook's",
            where=ingredients.module.origin,
            why=checked.note.partition(": ")[2],
            severity="note",
        )
    ]


def run_trial(
    ingredients: Ingredients,
    reporter: Reporter,
    *,
    sample: Request | None = None,
    clean_python: str = "",
    repeats: int = 0,
    hash_seed: str = "",
    entered: Callable[[str], None] | None = None,
) -> Trial:
    """Run the module within the limits of its configuration.

    Args:
        entered: Told each stage as it begins (see `capture.try_module`).
        repeats: As for `try_module`.
        hash_seed: PYTHONHASHSEED, unless the configuration sets it.
        clean_python: The interpreter of an environment that is to be used alone; by default the
            request's, with all that it finds.

    Raises:
        CaptureError: What would fail where the model runs.
    """
    request, artefact = ingredients.request, ingredients.artefact
    config = request.config
    alone = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1"} if clean_python else {}
    seed = {"PYTHONHASHSEED": hash_seed} if hash_seed else {}
    # No GPU at all for CUDA, and so for every framework that uses it.
    hidden = {} if _runs_on_gpu(request) else {"CUDA_VISIBLE_DEVICES": ""}
    return try_module(
        ingredients.module,
        artefact.folder if artefact else None,
        python=clean_python or request.python,
        limits=Limits(config.compute.local.startup_timeout_s, config.serving.timeout_s),
        request=sample,
        serving=ingredients.serving,
        environment={**hidden, **seed, **ingredients.environment, **alone},
        serverless=request.endpoint_type == "serverless",
        repeats=repeats,
        reporter=reporter,
        entered=entered,
    )


def findings_of(trial: Trial, ingredients: Ingredients) -> list[Finding]:
    """What a trial says about the configuration: memory, time, and what was not tried."""
    config = ingredients.config
    found: list[Finding] = []
    serverless = config.compute.serverless
    workers = config.serving.workers
    has = "a worker has" if workers == 1 else f"each of {workers} workers has"
    wanted = serverless_memory(trial, workers)
    if serverless is not None and (wanted is None or wanted > serverless.memory):
        found.append(
            Finding(
                f"{serverless.memory} MB are too little for a serverless endpoint",
                where=config.where("compute.serverless.memory"),
                why=f"{has} {size(trial.memory)} at most, and the server"
                f" needs {size(SERVER_BYTES)}",
                do=f"set `memory: {wanted}`, or add `--memory {wanted}`"
                if wanted
                else "deploy with `-e server`",
                severity="warning",
                code="ST82",
            )
        )
    if serverless is not None and (started := trial.import_s + trial.load_s) > SERVERLESS_STARTUP_S:
        found.append(
            Finding(
                f"The model was ready after {duration(started)}",
                why=f"a serverless endpoint has {SERVERLESS_STARTUP_S:g} s",
                do="make load() faster, or deploy with `-e server`",
                severity="warning",
                code="ST82",
            )
        )
    if trial.unconfined:
        found.append(
            Finding(
                "The limits of a serverless endpoint were not tried",
                where=ingredients.module.origin,
                why=trial.unconfined,
                do="write files below /tmp only, and use no multiprocessing.Lock: a serverless"
                " endpoint has no shared memory",
                severity="note",
            )
        )
    if not trial.asked:
        found.append(
            Finding(
                "predict() was not tried",
                where=ingredients.module.origin,
                why="there is no request to try it with",
                do="define example_request() beside predict(), or give a payload",
                severity="note",
            )
        )
    return found


def serverless_memory(trial: Trial, workers: int) -> int | None:
    """The smallest size in MB of a serverless endpoint that would do; None where none would."""
    needed = trial.memory * workers + SERVER_BYTES
    return next((size for size in SERVERLESS_MEMORY if size << 20 >= needed), None)


def trial_step(ingredients: Ingredients, reporter: Reporter) -> tuple[Done, str]:
    """Try what is deployed, unless the same passed here before or cannot run here.

    Returns:
        What came of it, and what example_request() gave, as JSON; empty where that is not known.

    Raises:
        CaptureError: What would fail where the model runs.
    """
    reason = cannot_run_here(ingredients)
    if reason:
        return Done(f"not on this machine: {reason}"), ""
    passed = _passed(ingredients, reporter)
    return Done(passed.note, reused=passed.reused), passed.example


def memory_to_serve(ingredients: Ingredients, reporter: Reporter) -> int:
    """Bytes that the model server takes with all its workers, by a trial or by one that passed.

    Raises:
        CaptureError: What would fail where the model runs.
    """
    workers = ingredients.config.serving.workers
    return _passed(ingredients, reporter).memory * workers + SERVER_BYTES


@dataclass(frozen=True)
class _Passed:
    """A trial without errors: what it measured, and what example_request() gave, as JSON."""

    note: str
    example: str
    memory: int
    reused: bool = False


def passed_before(ingredients: Ingredients) -> _Passed | None:
    """What was written down when the same passed here before, unless all is to be tried again."""
    if ingredients.request.fresh or not (written := _written(ingredients)).exists():
        return None
    return replace(_Passed(**json.loads(written.read_text(encoding="utf-8"))), reused=True)


def _passed(ingredients: Ingredients, reporter: Reporter) -> _Passed:
    """Try the module, or take what was written down when the same passed here before."""
    if known := passed_before(ingredients):
        return known
    trial = run_trial(ingredients, reporter)
    checked = check_response(ingredients, said_in(trial), reporter)
    if checked.difference:
        raise refuse(checked.difference, ingredients)
    found = findings_of(trial, ingredients)
    for finding in found:
        reporter.log(f"{finding.severity}: {finding}")
    note = ", ".join(filter(None, (trial_figures(trial), checked.note)))
    passed = _Passed(note, trial.example, trial.memory)
    if not any(finding.severity == "warning" for finding in found):
        written = _written(ingredients)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(asdict(passed)), encoding="utf-8")
    return passed


def cannot_run_here(ingredients: Ingredients) -> str:
    """Why this machine says nothing about where the model will run; empty where it does."""
    config, artefact = ingredients.config, ingredients.artefact
    module, wanted = ingredients.module, ingredients.python_version
    missing = [name for name in module.imports if importlib.util.find_spec(name) is None]
    if config.s3_artefact:
        return "the artefact is in S3"
    if secrets := missing_here(config):
        return secrets[0].what[0].lower() + secrets[0].what[1:]
    if wanted != THIS_PYTHON:
        return f"this is Python {THIS_PYTHON}, the image has {wanted}"
    if other := _other_version(ingredients):
        return other
    if missing:
        return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
    if config.container.generate_container.install_cuda and not _has_gpu():
        return "there is no GPU"
    if has_container_path(module):
        return f"the code has {MODEL_DIR} written in it"
    if artefact is not None and artefact.size > psutil.virtual_memory().available:
        return f"{size(artefact.size)} of model do not fit into its free memory"
    return ""


def has_container_path(module: CapturedModule) -> bool:
    """Whether the code looks for its model files where only containers have them.

    Code that reads SM_MODEL_DIR usually has the path as the default, so it does not count.
    """
    return MODEL_DIR in module.source and "SM_MODEL_DIR" not in module.source


def _other_version(ingredients: Ingredients) -> str:
    """The first package of the configuration that is here in a version which it rules out."""
    if ingredients.config.container.generate_container.python_packages == "auto":
        return ""
    for text in ingredients.pip_arguments.requirements:
        with suppress(InvalidRequirement, PackageNotFoundError, InvalidVersion):
            asked = Requirement(text)
            here = version(asked.name)
            applies = asked.marker is None or asked.marker.evaluate()
            if applies and not asked.specifier.contains(here, prereleases=True):
                gets = f"{asked.name}{asked.specifier}"
                return f"{asked.name} {here} is installed, the image gets {gets}"
    return ""


def _runs_on_gpu(request: DeployRequest) -> bool:
    """Whether the model will have a GPU: its instance's, or this machine's."""
    if request.endpoint_type == "local":
        return request.local_mode == "process"
    return request.config.container.generate_container.install_cuda


def _has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def _written(ingredients: Ingredients) -> Path:
    """Named by all that decides how a trial ends, the installed packages among it."""
    request, config, artefact = ingredients.request, ingredients.config, ingredients.artefact
    places = [Path(entry) for entry in sys.path if entry]
    parts = [
        "note, example and memory",
        ingredients.module.digest(),
        artefact.digest if artefact else None,
        request.python,
        sys.version,
        ingredients.serving,
        dict(config.environment),
        sorted(config.secrets),
        config.compute.local.startup_timeout_s,
        _runs_on_gpu(request),
        request.endpoint_type == "serverless",
        config.compute.serverless.memory if config.compute.serverless else None,
        # Installing or removing a package changes the folder that it lies in.
        _identity_of_response(request),
        [[str(place), place.stat().st_mtime_ns] for place in places if place.is_dir()],
    ]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return platformdirs.user_cache_path("sageturner-magic") / "trials" / digest


def _identity_of_response(request: DeployRequest) -> object:
    reference = request.reference
    if reference is None or reference.request is None:
        return None
    return reference.request.body.hex(), reference.request.content_type, reference.value


def trial_figures(trial: Trial) -> str:
    """What a trial measured, in a line."""
    parts = [f"imports {brief(trial.import_s)}", f"load {brief(trial.load_s)}"]
    if trial.predict_s is not None:
        parts.append(f"predict {brief(trial.predict_s)}")
    parts.append(f"memory {size(trial.memory)}")
    return ", ".join(parts)
