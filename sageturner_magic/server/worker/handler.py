"""Decode, answer and report one request, for every kind of worker."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from .. import frames
from ..codec import Context, formats
from ..codec.contract import InvalidAnswer
from ..logs import Log
from ..problems import Problem
from ..settings import UNTYPED, Serving
from . import cuda, request_ids
from .program import Program, shortened, user_traceback

KEPT_BYTES = 32_000
"""Of the response to the example request, which the control socket says."""

SAMPLE = 100
"""With `check_answers: sample`, one response in so many is checked."""

ATTRIBUTES_LENGTH = 1024
"""Characters of X-Amzn-SageMaker-Custom-Attributes at most (SageMaker's limit)."""

_TOLD_BYTES = (
    f"The request came as {UNTYPED}, so predict got bytes: send it with"
    " `Content-Type: application/json`, or set `serving: {default_content_type: application/json}`"
)


class Work:
    """The loaded program and how its requests become responses.

    Args:
        program: The user's functions.
        model: What load returned.
        folder: The program folder, to which tracebacks are cut.
        serving: How requests are read and responses written.
        log: Where failures of user code go.

    Attributes:
        example: The program's example request as a JSON value, once `warm_up` has made it.
        warmed: Content type and text of the response to the example request, if that is short.
        lost: Why this process cannot go on, once a failure has shown that; its worker is to end.
    """

    def __init__(
        self, program: Program, model: Any, folder: str, serving: Serving, log: Log
    ) -> None:
        self.program = program
        self.model = model
        self.folder = folder
        self.serving = serving
        self.nan = serving.nan
        self.log = log
        self.example: Any = None
        self.warmed: dict[str, str] | None = None
        self.lost = ""
        self._answers = 0

    @contextlib.contextmanager
    def warm_up(self) -> Iterator[list[Any]]:
        """Gives the program's example request, in a list that is empty where there is none.

        The first request pays for what frameworks do lazily; this one is paid before /ping is
        good. If it fails, the log says so and the server serves, unless the GPU is lost by it.
        """
        started = time.monotonic()
        examples = self._examples()
        try:
            yield examples
        except Exception as error:
            self._warn("the warm-up request failed", error)
            self._notice_loss()
        else:
            if examples:
                seconds = time.monotonic() - started
                self.log.info(f"the warm-up request took {seconds:.3f} s", seconds=seconds)

    def keep_response(self, value: Any) -> None:
        """Keep what predict returned for the example request."""
        with contextlib.suppress(Exception):
            content_type, body = formats.encode(value, Context().accept, self.nan)
            if len(body) <= KEPT_BYTES:
                self.warmed = {"content_type": content_type, "body": body.decode()}

    def _examples(self) -> list[Any]:
        if self.program.example_request is None:
            return []
        try:
            made = self.program.example_request()
            self.example = json.loads(formats.to_json(made, "null"))
            # As a client would send it.
            return [self.program.contract.request(made if is_raw(made) else self.example)]
        except Exception as error:
            self._warn("example_request failed", error)
            return []

    def _warn(self, what: str, error: Exception) -> None:
        lines = user_traceback(error, self.folder)
        self.log.warning(f"{what}: {describe(error)}", traceback=lines)

    def open(self, payload: bytes) -> tuple[Context, bytes]:
        """Context and undecoded body of a REQUEST frame."""
        head, body = frames.unpack_request(payload)
        default = self.serving.default_content_type
        if default != UNTYPED and head.headers.get("content-type", UNTYPED) == UNTYPED:
            head.headers["content-type"] = default
        request_ids.requests.set((head.request_id,))
        return Context(head.request_id, head.headers), body

    def decode(self, context: Context, body: bytes) -> Any:
        """The request that predict gets. Raises Problem."""
        value, context.csv = formats.decode(body, context.content_type, self.serving)
        return self.program.contract.request(value)

    def answer(self, number: int, value: Any, context: Context) -> bytes:
        """The ANSWER frame for what predict returned."""
        try:
            self._check(value, context)
            content_type, body = formats.encode(value, context.accept, self.nan)
            head = frames.AnswerHead(200, content_type, attributes(context))
        except Exception as error:
            return self.refusal(number, self.problem(error, context))
        return frames.pack_answer(frames.ANSWER, number, head, body)

    def chunk(self, encoder: formats.ChunkEncoder, value: Any, context: Context) -> bytes:
        """The bytes of one value of a stream. Raises AnswerError, InvalidAnswer."""
        self._check(value, context, encoder.count)
        return encoder.encode(value)

    def _check(self, value: Any, context: Context, yielded: int | None = None) -> None:
        wanted = self.serving.check_answers
        self._answers += 1
        if not wanted or (wanted == "sample" and self._answers % SAMPLE != 1):
            return
        try:
            self.program.contract.check_answer(value, yielded)
        except InvalidAnswer as error:
            told = f"the response is not what predict's signature says: {error}"
            self.log.error(told, request_id=context.request_id)
            if wanted != "sample":
                raise

    def refusal(self, number: int, problem: Problem) -> bytes:
        """The ANSWER frame for a request that failed."""
        head = frames.AnswerHead(problem.status, formats.JSON)
        return frames.pack_answer(frames.ANSWER, number, head, problem.body())

    def head(self, encoder: formats.ChunkEncoder, context: Context) -> frames.AnswerHead:
        """Status and headers of a stream. Raises AnswerError."""
        return frames.AnswerHead(200, encoder.content_type, attributes(context))

    def problem(self, error: BaseException, context: Context) -> Problem:
        """What the caller is told about `error`, which is logged if it is the server's side.

        An exception of the user's with an attribute `status_code` (as FastAPI's HTTPException
        has) chooses its status; with one below 500 its traceback is nobody's concern.
        """
        names = {
            "request_id": context.request_id,
            "inference_id": context.inference_id,
            "seconds": round(time.monotonic() - context.began, 6),
        }
        if isinstance(error, Problem):
            return error
        if isinstance(error, formats.AnswerError):
            self.log.error(str(error), **names)
            return Problem(500, "AnswerError", str(error))
        kind, message = type(error).__name__, describe(error)
        status = getattr(error, "status_code", 500)
        if not isinstance(status, int) or not 400 <= status <= 599:
            status = 500
        if status < 500:
            return Problem(status, kind, message)
        if context.content_type == UNTYPED and isinstance(error, TypeError | AttributeError):
            message += f". {_TOLD_BYTES}"
        lines = user_traceback(error, self.folder)
        self.log.error(f"predict raised {kind}: {message}", traceback=lines, **names)
        self._notice_loss(**names)
        return Problem(status, kind, message, lines)

    def _notice_loss(self, **names: Any) -> None:
        if not self.lost and (name := cuda.broken()):
            self.lost = f"the GPU is lost to this process ({name})"
            self.log.error(f"{self.lost}; the worker ends", **names)


def is_raw(example: Any) -> bool:
    """Whether an example request would be sent as it is, not as JSON."""
    return isinstance(example, bytes) or type(example).__module__ == "numpy"


def describe(error: BaseException) -> str:
    """The message of an exception, whatever its class does."""
    try:
        return shortened(str(getattr(error, "detail", "") or error))
    except Exception:
        return f"<{type(error).__name__} without a readable message>"


def attributes(context: Context) -> str:
    """The custom attributes that predict wants to send back. Raises AnswerError."""
    text = context.answer_attributes
    if not text:
        return ""
    if not isinstance(text, str) or len(text) > ATTRIBUTES_LENGTH or not _visible(text):
        raise formats.AnswerError(
            f"context.answer_attributes has to be at most {ATTRIBUTES_LENGTH} characters of "
            f"visible ASCII, not {text!r:.80}"
        )
    return text


def _visible(text: str) -> bool:
    return all(" " <= character <= "~" for character in text)
