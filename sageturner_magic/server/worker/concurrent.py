"""Run async predict functions side by side in an event loop."""

from __future__ import annotations

import asyncio
import collections
import functools
import inspect
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .. import frames
from ..codec import Context
from ..codec.formats import ChunkEncoder
from ..shared_page import Page
from . import prefork
from .handler import Work


class _Stream:
    """How far a stream is ahead of its client."""

    def __init__(self) -> None:
        self.ahead = 0
        self.room = asyncio.Event()
        self.room.set()

    def sent(self, size: int) -> None:
        self.ahead += size
        if self.ahead >= frames.WINDOW:
            self.room.clear()

    def taken(self, size: int) -> None:
        self.ahead -= size
        if self.ahead < frames.WINDOW:
            self.room.set()


class AsyncWorker(asyncio.Protocol):
    """Serves requests from a socket pair until its other end closes it.

    Args:
        work: The program.
        page: Shared with the front.
    """

    def __init__(self, work: Work, page: Page) -> None:
        self._work = work
        self._page = page
        self._reader = frames.FrameReader()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._streams: dict[int, _Stream] = {}
        self._taken = 0
        self._transport: asyncio.WriteTransport | None = None
        self.closed = asyncio.Event()
        self._pid = os.getpid()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks.values():
            task.cancel()
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        for kind, number, payload in self._reader.feed(data):
            if kind == frames.REQUEST:
                self._taken += 1
                self._page.taken = self._taken
                task = asyncio.get_running_loop().create_task(self._serve(number, payload))
                self._tasks[number] = task
                task.add_done_callback(functools.partial(self._forget, number))
            elif kind == frames.CANCEL and number in self._tasks:
                self._tasks[number].cancel()
            elif kind == frames.ACKNOWLEDGE and number in self._streams:
                self._streams[number].taken(frames.unpack_acknowledge(payload))
            elif kind == frames.PING:
                self._send(frames.pack(frames.PONG, number))

    def _forget(self, number: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(number, None)

    def _send(self, data: bytes) -> None:
        prefork.end_child(self._pid)
        assert self._transport is not None
        self._transport.write(data)

    async def _serve(self, number: int, payload: bytes) -> None:
        context, body = self._work.open(payload)
        program, model = self._work.program, self._work.model
        try:
            value = program.predict(model, self._work.decode(context, body), context)
            if inspect.isawaitable(value):
                value = await value
            if isinstance(value, AsyncIterator):
                await self._stream(number, value, context)
            elif isinstance(value, Iterator):
                await self._stream(number, _from_plain(value), context)
            else:
                self._send(self._work.answer(number, value, context))
        except asyncio.CancelledError:
            self._send(frames.pack(frames.DROPPED, number))
        except BaseException as error:
            prefork.end_child(self._pid)
            self._send(self._work.refusal(number, self._work.problem(error, context)))
        if self._work.lost and self._transport is not None:
            self._transport.close()  # What was sent is written before.

    async def _stream(self, number: int, chunks: AsyncIterator[Any], context: Context) -> None:
        stream = self._streams[number] = _Stream()
        encoder: ChunkEncoder | None = None
        try:
            async for chunk in chunks:
                if encoder is None:
                    encoder = ChunkEncoder(chunk, context.accept, self._work.nan)
                    data = self._work.chunk(encoder, chunk, context)
                    self._start(number, encoder, context)
                else:
                    data = self._work.chunk(encoder, chunk, context)
                self._send(frames.pack(frames.CHUNK, number, data))
                stream.sent(len(data))
                await stream.room.wait()
            if encoder is None:
                self._start(number, ChunkEncoder("", context.accept, self._work.nan), context)
            self._send(frames.pack(frames.END, number))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            prefork.end_child(self._pid)
            if encoder is None:
                raise
            problem = self._work.problem(error, context)
            self._send(frames.pack(frames.BROKEN, number, problem.body()))
        finally:
            del self._streams[number]
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    def _start(self, number: int, encoder: ChunkEncoder, context: Context) -> None:
        head = self._work.head(encoder, context)
        self._send(frames.pack_answer(frames.STREAM, number, head))


async def _from_plain(chunks: Iterator[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)


async def _warm_up(work: Work) -> None:
    with work.warm_up() as examples:
        if examples:
            value = work.program.predict(work.model, examples[0], Context())
            if inspect.isawaitable(value):
                value = await value
            if isinstance(value, AsyncIterator):
                async for _ in value:
                    pass
            elif isinstance(value, Iterator):
                collections.deque(value, maxlen=0)
            else:
                work.keep_response(value)


def _end_loop(loop: asyncio.AbstractEventLoop) -> None:
    # In a child: it goes on from the fork to where it would wait, and then ends. What the loop was
    # about to call belongs to the parent (uvloop does not show it).
    for handle in getattr(loop, "_ready", ()):
        handle.cancel()
    loop.call_soon(os._exit, 0)


async def serve(
    work: Work, channel: socket.socket, page: Page, announce: Callable[[], None]
) -> None:
    """Warm up, call `announce`, and answer requests from `channel` until the front closes it."""
    await _warm_up(work)
    announce()
    if work.lost:
        return
    worker = AsyncWorker(work, page)
    channel.setblocking(False)
    loop = asyncio.get_running_loop()
    prefork.keep_children_out(channel, functools.partial(_end_loop, loop))
    await loop.create_unix_connection(lambda: worker, sock=channel)
    await worker.closed.wait()
