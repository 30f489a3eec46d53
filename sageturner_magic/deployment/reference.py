"""Compare what predict() returns in the notebook with what the deployed code returns.

The notebook's predict() runs once for each capture, on the main thread, before anything else of a
deployment does. The deployed code runs in a trial or in the new server.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import io
import json
import math
import random
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sageturner_magic.capture import InKernel
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.request import DeployRequest, NotebookCode, Reference
from sageturner_magic.deployment.trial import Trial, difference
from sageturner_magic.endpoints import JSON, NPY, OCTETS, encode, media_type
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
    found = code.notebook.in_kernel(code.name, code.model, code.shipped)
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
    media = media_type(request.content_type)
    if media == "text/csv":
        # How its columns are read is configured for the server.
        raise _NotCompared("the request is CSV")
    context = codec.Context(headers={"content-type": request.content_type})
    with _failures_of("predict()"):
        promised = codec.contract_of(found.predict or found.answer, found.predict_batch)
        given = promised.request(codec.decode(request.body, request.content_type).value)
        value, is_stream = _finished(_all_of(found.answer(given, context)))
        if is_stream:
            encoder = codec.ChunkEncoder(value[0] if value else "", "*/*", nan)
            content_type, body = encoder.content_type, b"".join(map(encoder.encode, value))
        else:
            content_type, body = codec.encode(value, "*/*", nan)
    return Reference(request, _read(body, content_type), gpu=_uses_gpu())


async def _all_of(given: Any) -> tuple[Any, bool]:
    """What predict() gives in the end, and whether it is a list of the pieces of a stream."""
    value = await given if inspect.isawaitable(given) else given
    if isinstance(value, AsyncIterator):
        return [each async for each in value], True
    return (list(value), True) if isinstance(value, Iterator) else (value, False)


def _finished(work: Coroutine[Any, Any, tuple[Any, bool]]) -> tuple[Any, bool]:
    """The result of `work`, on this thread, also where a kernel's event loop waits for the cell.

    Raises:
        _NotCompared: It waits for something that only the loop can bring.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    try:
        # None is what `asyncio.sleep(0)` waits for: its turn.
        while work.send(None) is None:
            pass
    except StopIteration as end:
        result: tuple[Any, bool] = end.value
        return result
    work.close()
    raise _NotCompared("predict() is async and waits for something")


def _read(body: bytes, content_type: str) -> Any:
    """A response as values that JSON has, for the comparison.

    Raises:
        _NotCompared: Nobody here reads this type.
    """
    from sageturner_magic.server import codec

    try:
        return _plain(codec.decode(body, content_type).value)
    except Exception:
        media = media_type(content_type)
        raise _NotCompared(f"the response is {media}, which is not read here") from None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes with the SHA-256 {hashlib.sha256(value).hexdigest()}"
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in value}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    # A NaN is not equal to another one.
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _example(found: InKernel) -> Request:
    assert found.example is not None
    with _failures_of("example_request()"):
        made = found.example()
        if isinstance(made, bytes):
            return Request(made, OCTETS)
        if type(made).__module__ == "numpy":
            return encode(made, NPY)
        return encode(made)


@contextlib.contextmanager
def _failures_of(function: str) -> Iterator[None]:
    try:
        yield
    except _NotCompared:
        raise
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
    """A response of the deployed code."""

    request: Request
    body: bytes
    content_type: str


def said_in(trial: Trial, sample: Request | None = None) -> Said | None:
    """The response of `trial` to `sample` or the example; None if the request is not known."""
    example = Request(trial.example.encode(), JSON) if trial.example else None
    request = sample or example
    return Said(request, trial.body, trial.content_type) if request else None


def _is_same(one: Request, other: Request) -> bool:
    """Whether two requests are the same to predict()."""
    if {media_type(one.content_type), media_type(other.content_type)} == {JSON}:
        return not difference(json.loads(one.body), json.loads(other.body))
    return (one.body, one.content_type) == (other.body, other.content_type)


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
    if said is None or not _is_same(reference.request, said.request):
        if reference.agrees:
            return Compared("as in the notebook")
        trial = _trial(ask, reference.request, 0, "")
        if isinstance(trial, Compared):
            return trial
        said = Said(reference.request, trial.body, trial.content_type)
    try:
        found = _differs(reference, said.body, said.content_type)
        if found:
            return _confirmed(found, reference, said, ask)
    except _NotCompared as reason:
        return Compared(f"not compared: {reason}")
    _remember(request, reference)
    return Compared("as in the notebook")


def _remember(request: DeployRequest, reference: Reference) -> None:
    """Note that the deployed code agrees: a deployment after a trial need not try it again."""
    assert isinstance(request.code, NotebookCode)
    known, name = request.code.notebook.answers, request.code.name
    key, last = known.get(name, (None, None))
    if last is reference:
        known[name] = key, replace(reference, agrees=True)


def _confirmed(found: str, reference: Reference, said: Said, ask: Ask) -> Compared:
    """The difference `found`, if the deployed code gives the same response each time."""
    chance = Compared("not compared: predict() returns another response each time")
    first = _read(said.body, said.content_type)
    for seed in _SEEDS:
        trial = _trial(ask, said.request, REPEATS, seed)
        if isinstance(trial, Compared):
            return trial
        for body in (trial.body, trial.again):
            again = _read(body, trial.content_type)
            if difference(first, again) or not _differs(reference, body, trial.content_type):
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


def _differs(reference: Reference, body: bytes, content_type: str) -> str:
    return difference(reference.value, _read(body, content_type), gpu=reference.gpu)


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
