"""Run predict or predict_batch one call at a time, in the main thread."""

from __future__ import annotations

import collections
import errno
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from .. import frames
from ..codec import Context
from ..codec.formats import ChunkEncoder
from ..shared_page import Page
from . import cuda, prefork, request_ids
from .batching import BatchRule
from .handler import Work

RECEIVE = 1 << 18

INTERRUPT = signal.SIGURG
"""What the front sends to interrupt a request; processes that do not know it ignore it."""


LOOK_SECONDS = 0.001
"""After a look at the socket; until then requests that have come are served without another."""

_FRONT_GONE = (errno.EPIPE, errno.ECONNRESET)


class Abandoned(BaseException):
    """Raised inside predict when nobody waits for its answer any more."""


class PlainWorker:
    """Serves requests from `channel` until its other end closes it.

    Args:
        work: The program.
        channel: The worker's end of the socket pair, blocking.
        page: Shared with the front.
        rule: Says how requests are gathered for predict_batch.
    """

    def __init__(self, work: Work, channel: socket.socket, page: Page, rule: BatchRule) -> None:
        self._work = work
        self._channel = channel
        self._page = page
        self._rule = rule
        self._reader = frames.FrameReader()
        # Requests by number, in the order in which they came; None once nobody wants them.
        self._waiting: dict[int, bytes | None] = {}
        self._taken = 0
        self._open = True
        # The request whose user code runs right now: the only code that may be interrupted.
        self._interruptible = 0
        self._streaming = 0
        self._unwanted = False
        self._ahead = 0
        self._look = 0.0
        self._pid = os.getpid()

    def serve(self) -> None:
        """Answer requests until the front closes the channel, or the process cannot go on."""
        signal.signal(INTERRUPT, self._interrupt)
        several = self._work.program.kind == "batch"
        while not self._work.lost:
            if several or not self._waiting or time.monotonic() >= self._look:
                self._receive(wait=not self._waiting)
                self._look = time.monotonic() + LOOK_SECONDS
            if not self._waiting:
                if not self._open:
                    return
                continue
            if several:
                self._serve_batch()
            else:
                self._serve_one()

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self._interruptible and self._page.unwanted == self._interruptible:
            raise Abandoned

    def _receive(self, wait: bool) -> None:
        try:
            data = self._channel.recv(RECEIVE, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._disconnected(error)
        if not data:
            self._open = False
            return
        before = len(self._waiting)
        for kind, number, payload in self._reader.feed(data):
            if kind == frames.REQUEST:
                self._waiting[number] = payload
            elif kind == frames.CANCEL:
                if number in self._waiting:
                    self._waiting[number] = None
                elif number == self._streaming:
                    self._unwanted = True
            elif kind == frames.ACKNOWLEDGE and number == self._streaming:
                self._ahead -= frames.unpack_acknowledge(payload)
            elif kind == frames.PING:
                self._send(frames.pack(frames.PONG, number))
        if (arrived := len(self._waiting) - before) > 0:
            self._rule.arrived(arrived, time.monotonic())

    def _take(self, count: int) -> list[tuple[int, bytes]]:
        # The first `count` requests that are still wanted.
        taken: list[tuple[int, bytes]] = []
        for number in list(self._waiting):
            if len(taken) == count:
                break
            self._taken += 1
            payload = self._waiting.pop(number)
            if payload is None:
                self._send(frames.pack(frames.DROPPED, number))
            else:
                taken.append((number, payload))
        self._page.taken = self._taken
        return taken

    def _send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except OSError as error:
            self._disconnected(error)

    def _disconnected(self, error: OSError) -> NoReturn:
        if error.errno not in _FRONT_GONE:
            text = f"the worker ends: its connection was closed by the model's code ({error})"
            self._work.log.error(text)
        os._exit(1)

    def _serve_one(self) -> None:
        for number, payload in self._take(1):
            context, body = self._work.open(payload)
            try:
                request = self._work.decode(context, body)
                value = self._predict(number, request, context)
                if isinstance(value, Iterator):
                    self._stream(number, value, context)
                    continue
            except Abandoned:
                self._send(frames.pack(frames.DROPPED, number))
            except BaseException as error:
                problem = self._work.problem(error, context)
                self._send(self._work.refusal(number, problem))
            else:
                self._send(self._work.answer(number, value, context))

    def _predict(self, number: int, request: Any, context: Context) -> Any:
        self._interruptible = number
        try:
            return self._work.program.predict(self._work.model, request, context)
        finally:
            self._interruptible = 0
            prefork.end_child(self._pid)

    def _next(self, number: int, chunks: Iterator[Any]) -> Any:
        self._interruptible = number
        try:
            return next(chunks, _LAST)
        finally:
            self._interruptible = 0
            prefork.end_child(self._pid)

    def _stream(self, number: int, chunks: Iterator[Any], context: Context) -> None:
        self._streaming, self._unwanted, self._ahead = number, False, 0
        encoder: ChunkEncoder | None = None
        try:
            chunk = self._next(number, chunks)
            first = "" if chunk is _LAST else chunk
            encoder = ChunkEncoder(first, context.accept, self._work.nan)
            data = b"" if chunk is _LAST else self._work.chunk(encoder, chunk, context)
            head = self._work.head(encoder, context)
            self._send(frames.pack_answer(frames.STREAM, number, head))
            while chunk is not _LAST:
                self._send(frames.pack(frames.CHUNK, number, data))
                self._ahead += len(data)
                self._receive(wait=False)
                while self._ahead >= frames.WINDOW and self._open and not self._unwanted:
                    self._receive(wait=True)
                if self._unwanted or not self._open:
                    raise Abandoned
                chunk = self._next(number, chunks)
                data = b"" if chunk is _LAST else self._work.chunk(encoder, chunk, context)
            self._send(frames.pack(frames.END, number))
        except Abandoned:
            self._close(chunks, context)
            self._send(frames.pack(frames.DROPPED, number))
        except BaseException as error:
            self._close(chunks, context)
            problem = self._work.problem(error, context)
            if encoder is None:
                self._send(self._work.refusal(number, problem))
            else:
                self._send(frames.pack(frames.BROKEN, number, problem.body()))
        finally:
            self._streaming = 0

    def _close(self, chunks: Iterator[Any], context: Context) -> None:
        close = getattr(chunks, "close", None)
        if callable(close):
            try:
                close()
            except BaseException as error:
                self._work.problem(error, context)

    def _gather(self) -> None:
        # Wait for more requests as long as that pays.
        began = time.monotonic()
        while self._open:
            pause = self._rule.wait(len(self._waiting), time.monotonic() - began)
            if pause <= 0 or not select.select([self._channel], [], [], pause)[0]:
                return
            self._receive(wait=False)

    def _serve_batch(self) -> None:
        self._gather()
        jobs = []
        for number, payload in self._take(self._rule.size()):
            context, body = self._work.open(payload)
            try:
                jobs.append((number, self._work.decode(context, body), context))
            except BaseException as error:
                problem = self._work.problem(error, context)
                self._send(self._work.refusal(number, problem))
        if jobs:
            self._run_batch(jobs)

    def _run_batch(self, jobs: list[tuple[int, Any, Context]]) -> None:
        # A request that makes its batch fail is found by halving, so that it fails alone.
        call = self._work.program.predict_batch
        assert call is not None
        request_ids.requests.set(tuple(context.request_id for _, _, context in jobs))
        began = time.monotonic()
        try:
            values = list(call(self._work.model, [request for _, request, _ in jobs]))
            if len(values) != len(jobs):
                raise BatchError(
                    f"predict_batch returned {len(values)} answers for {len(jobs)} requests"
                )
        except BaseException as error:
            prefork.end_child(self._pid)
            if len(jobs) == 1 or isinstance(error, BatchError) or cuda.broken():
                for number, _, context in jobs:
                    problem = self._work.problem(error, context)
                    self._send(self._work.refusal(number, problem))
                return
        else:
            prefork.end_child(self._pid)
            self._answer_batch(jobs, values, time.monotonic() - began)
            return
        # Not while the exception is held, whose frames hold what the whole batch took of a GPU.
        middle = len(jobs) // 2
        self._run_batch(jobs[:middle])
        self._run_batch(jobs[middle:])

    def _answer_batch(
        self, jobs: list[tuple[int, Any, Context]], values: list[Any], seconds: float
    ) -> None:
        self._rule.ran(len(jobs), seconds)
        self._page.count_batch(len(jobs))
        for (number, _, context), value in zip(jobs, values, strict=True):
            self._send(self._work.answer(number, value, context))


def warm_up(work: Work) -> None:
    """Run the program's example request, if it has one."""
    program, model = work.program, work.model
    with work.warm_up() as examples:
        if examples and program.predict_batch is not None:
            (value,) = program.predict_batch(model, examples)
            work.keep_response(value)
        elif examples:
            value = program.predict(model, examples[0], Context())
            if isinstance(value, Iterator):
                collections.deque(value, maxlen=0)
            else:
                work.keep_response(value)


class BatchError(Exception):
    """predict_batch did not return one answer for each request."""


_LAST = object()
