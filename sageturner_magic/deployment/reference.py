"""Compare what predict() returns in the notebook with what the deployed code returns.

The notebook's predict() runs once for each capture, on the main thread, before anything else of a
deployment does. The deployed code runs in a trial or in the new server.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sageturner_magic.capture import InKernel
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.request import DeployRequest, NotebookCode, Reference
from sageturner_magic.deployment.trial import Trial, difference
from sageturner_magic.endpoints import JSON, OCTETS, decode, encode, media_type
from sageturner_magic.errors import CaptureError, DeploymentCancelled, Finding, SageturnerError
from sageturner_magic.values import CapturedModule, Request

_SEEDS = ("1", "2")
"""Values of PYTHONHASHSEED: sets in another order give another response."""


def with_reference(
    asked: DeployRequest, sample: Request | None = None, *, is_asked: bool = True
) -> DeployRequest:
    """`asked` with the response of the notebook's predict() to `sample`, or to its example.

    Without either, it is the response to the request that was tried last.

    Args:
        is_asked: Whether predict() runs now, if it has not; otherwise it is only said whether a
            deployment runs it.

    Raises:
        DeploymentCancelled: The user interrupted predict().
    """
    if not isinstance(asked.code, NotebookCode):
        return asked
    if asked.code.model is not None:
        return replace(asked, reference=Reference(why_not="`--model` generates the code"))
    if not asked.smoke_test and (asked.endpoint_type, asked.local_mode) != ("local", "process"):
        return replace(asked, reference=Reference(why_not="`--no-smoke-test` was given"))
    try:
        reference = _reference(asked, asked.code, sample, is_asked)
    except SageturnerError:
        # Whoever plans the deployment says it.
        reference = Reference(why_not="the code cannot be captured")
    except KeyboardInterrupt:
        raise DeploymentCancelled(
            "predict() in the notebook was stopped",
            do="add `--no-compare` to deploy without it",
        ) from None
    return replace(asked, reference=reference)


def without_reference(asked: DeployRequest) -> DeployRequest:
    """`asked`, whose response is not to be compared."""
    if not isinstance(asked.code, NotebookCode):
        return asked
    return replace(asked, reference=Reference(why_not="`--no-compare` was given"))


def _reference(
    asked: DeployRequest, code: NotebookCode, sample: Request | None, is_asked: bool
) -> Reference:
    if threading.current_thread() is not threading.main_thread():
        return Reference(why_not="this is not the notebook's main thread")
    known = code.notebook.answers
    found = code.notebook.in_kernel(code.name)
    if isinstance(found, str):
        return Reference(why_not=found)
    before = known.get(code.name)
    if found.example is None and sample is None and before is None:
        return Reference(why_not="there is no example_request(), and no request was tried")
    key = (code.module()[0].digest(), *found.touched)
    if before is not None and before[0] == key:
        return _again(before[1], sample)
    if found.example is None and sample is None:
        return Reference(why_not="no request was tried since the code changed")
    if not is_asked:
        return Reference()
    try:
        with _unnoticed():
            made = _made(found, sample, asked.config.serving.nan)
    except _NotCompared as reason:
        made = Reference(why_not=str(reason))
    known[code.name] = key, made
    return made


def _again(made: Reference, sample: Request | None) -> Reference:
    if sample is None or (made.request and made.request.body == sample.body):
        return made
    return Reference(why_not="predict() ran in the notebook with another request already")


class _NotCompared(Exception):
    """Why the notebook has no response, in words."""


def _made(found: InKernel, sample: Request | None, nan: str) -> Reference:
    # The server's own: a second one would read types and write tables in another form.
    from sageturner_magic.server import codec

    request = sample or _example(found)
    if media_type(request.content_type) != JSON:
        raise _NotCompared("the request is not JSON")
    with _failures_of("predict()"):
        promised = codec.contract_of(found.predict or found.answer, found.predict_batch)
        value = found.answer(promised.request(json.loads(request.body)))
        content_type, body = codec.encode(value, "*/*", nan)
    if media_type(content_type) != JSON:
        raise _NotCompared("what predict() returns is not JSON")
    return Reference(request, json.loads(body), gpu=_uses_gpu())


def _example(found: InKernel) -> Request:
    assert found.example is not None
    with _failures_of("example_request()"):
        made = found.example()
        is_raw = isinstance(made, bytes) or type(made).__module__ == "numpy"
        return Request(b"", OCTETS) if is_raw else encode(made)


@contextlib.contextmanager
def _failures_of(function: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        reason = f"{function} raises {type(error).__name__} in the notebook"
        raise _NotCompared(reason) from None


@contextlib.contextmanager
def _unnoticed() -> Iterator[None]:
    """Run the notebook's code so that later cells give what they would have given without it."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    kept = [(random.setstate, random.getstate())]
    with contextlib.suppress(AttributeError):
        if numpy is not None:
            kept.append((numpy.random.set_state, numpy.random.get_state()))
        if torch is not None:
            kept.append((torch.set_rng_state, torch.get_rng_state()))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for restore, state in kept:
            restore(state)


def _uses_gpu() -> bool:
    """Whether a library of this process has loaded NVIDIA's driver."""
    with contextlib.suppress(OSError):
        return "libcuda.so" in Path("/proc/self/maps").read_text(errors="replace")
    return False


@dataclass(frozen=True)
class Said:
    """A response of the deployed code.

    Attributes:
        request: The request, as JSON.
    """

    request: str
    body: bytes
    content_type: str


def said_in(trial: Trial, sample: Request | None = None) -> Said | None:
    """The response of `trial` to `sample` or the example; None if the request was not JSON."""
    is_json = sample is not None and media_type(sample.content_type) == JSON
    asked = sample.body.decode() if sample and is_json else trial.example
    return Said(asked, trial.body, trial.content_type) if asked else None


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Attributes:
        note: For people: `as in the notebook`, `not compared: …`; empty if the plan has said it.
        difference: The first place where the responses differ; empty if they are alike.
    """

    note: str
    difference: str = field(default="")


Ask = Callable[[Request, int, str], Trial]
"""Give the deployed code a request and repeat it so many times, with this PYTHONHASHSEED."""


def compare(request: DeployRequest, said: Said | None, ask: Ask) -> Compared:
    """Compare the notebook's response with one of the deployed code.

    If they differ, the code is asked again: what changes by chance says nothing.

    Args:
        said: A response that the deployed code has given already; None if it has given none.
    """
    reference = request.reference
    if reference is None or reference.request is None:
        return Compared("")
    if said is None or difference(json.loads(reference.request.body), json.loads(said.request)):
        if reference.agrees:
            return Compared("as in the notebook")
        trial = _trial(ask, reference.request, 0, "")
        if isinstance(trial, Compared):
            return trial
        said = Said("", trial.body, trial.content_type)
    if media_type(said.content_type) != JSON:
        return Compared("not compared: the response is not JSON")
    found = _differs(reference, said.body)
    if found:
        return _confirmed(found, reference, reference.request, said.body, ask)
    _remember(request, reference)
    return Compared("as in the notebook")


def _remember(request: DeployRequest, reference: Reference) -> None:
    """Note that the deployed code agrees: a deployment after a trial need not try it again."""
    assert isinstance(request.code, NotebookCode)
    known, name = request.code.notebook.answers, request.code.name
    key, last = known.get(name, (None, None))
    if last is reference:
        known[name] = key, replace(reference, agrees=True)


def _confirmed(
    found: str, reference: Reference, request: Request, first: bytes, ask: Ask
) -> Compared:
    """The difference `found`, if the deployed code gives the same response each time."""
    chance = Compared("not compared: predict() returns another response each time")
    for seed in _SEEDS:
        trial = _trial(ask, request, REPEATS, seed)
        if isinstance(trial, Compared):
            return trial
        for body in (trial.body, trial.again):
            if difference(json.loads(first), json.loads(body)) or not _differs(reference, body):
                return chance
    return Compared("", found)


def _trial(ask: Ask, request: Request, repeats: int, seed: str) -> Trial | Compared:
    """A trial beside a server that serves: there may be no room for a second model."""
    try:
        return ask(request, repeats, seed)
    except DeploymentCancelled:
        raise
    except SageturnerError as error:
        return Compared(f"not compared: {error.findings[0].what}")


REPEATS = 8
"""Further requests to see whether a response repeats; a trial spreads them over a second."""


def _differs(reference: Reference, body: bytes) -> str:
    return difference(reference.value, decode(body, JSON), gpu=reference.gpu)


def differs(found: str, module: CapturedModule, severity: Any = "error") -> Finding:
    """predict() of the notebook and of the deployed code disagree."""
    return Finding(
        "predict() returns something else than in the notebook",
        where=module.origin,
        why=f"in the notebook and in the deployed code: {found}",
        do="run the cells that load() and predict() use again, top to bottom; `--no-compare`"
        " deploys the code as it is",
        severity=severity,
        code="ST49",
    )


def refuse(found: str, ingredients: Ingredients) -> SageturnerError:
    """The error of `differs`, with what the notebook's environment has and the code has not."""
    return CaptureError.of([differs(found, ingredients.module), *ingredients.lost_variables])
