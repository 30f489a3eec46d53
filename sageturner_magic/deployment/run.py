"""Run a plan: order, concurrency and cancelling; and the handle for the caller."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

from sageturner_magic.deployment.events import (
    Announced,
    Deployment,
    Ended,
    Event,
    Found,
    Listener,
    StepTitle,
)
from sageturner_magic.deployment.plan import Done, Plan, Step
from sageturner_magic.deployment.progress import Progress
from sageturner_magic.deployment.reporter import StepReporter
from sageturner_magic.deployment.termination import cancel_at_sigterm, ended_by_sigterm
from sageturner_magic.errors import DeploymentCancelled, SageturnerError
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.values import Reporter

CONCURRENCY = 4

REDRAWS = 5
"""How often a second a renderer draws."""

CHECK = StepTitle("check", "Check everything")
"""The step in which the plan itself is made."""


class _Run:
    def __init__(self, emit: Listener, cancelled: threading.Event) -> None:
        self._emit = emit
        self._cancelled = cancelled

    def step(self, key: str, work: Callable[[Reporter], Done]) -> None:
        reporter = StepReporter(self._emit, self._cancelled, "The deployment was stopped")
        reporter.enter(key)
        try:
            reporter.checkpoint()
            done = work(reporter)
        except DeploymentCancelled:
            reporter.end("cancelled")
            raise
        except BaseException:
            reporter.end("failed")
            raise
        reporter.end("reused" if done.reused else "done", done.note)

    def steps(self, steps: tuple[Step, ...]) -> None:
        """Run each step as soon as the steps it needs have ended. The first error stops the rest.

        Raises CycleError when steps need each other.
        """
        works = {step.key: step.run for step in steps}
        order = TopologicalSorter({step.key: step.needs for step in steps})
        order.prepare()
        running: dict[Future[None], str] = {}
        errors: list[BaseException] = []
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sageturner-step") as pool:
            while order.is_active():
                for key in () if errors else order.get_ready():
                    running[pool.submit(self.step, key, works[key])] = key
                if not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    order.done(running.pop(future))
                    if error := future.exception():
                        errors.append(error)
                        self._cancelled.set()
        if errors:
            # What was cancelled because something else failed is not the cause.
            causes = [error for error in errors if not isinstance(error, DeploymentCancelled)]
            raise (causes or errors)[0]


def execute(
    make_plan: Callable[[Reporter, Path], Plan], emit: Listener, stop: threading.Event
) -> Plan:
    """Make the plan and run it, telling `emit` of everything; blocks until it has ended.

    Args:
        make_plan: Checks everything and decides; raises SageturnerError with all it found.
            The folder that it gets is deleted when the run has ended.
        emit: Called from several threads, one at a time.
        stop: Set it to cancel.

    Raises:
        SageturnerError: What went wrong; DeploymentCancelled when it was stopped.
    """
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            emit(event)

    run = _Run(tell, stop)
    plans: list[Plan] = []
    deployment: Deployment | None = None
    error: SageturnerError | None = None
    try:
        with scratch_folder() as workspace:

            def check(reporter: Reporter) -> Done:
                plans.append(make_plan(reporter, workspace))
                version = plans[0].version
                return Done(f"version {version}" if version else "")

            tell(Announced((CHECK,)))
            run.step(CHECK.key, check)
            plan = plans[0]
            titles = tuple(StepTitle(step.key, step.title) for step in plan.steps)
            tell(Announced(titles, plan.expected_s if plan.steps else None))
            tell(Found(plan.findings))
            with plan.lock():
                run.steps(plan.steps)
                deployment = replace(plan.result(), findings=plan.findings)
            return plan
    except SageturnerError as raised:
        error = raised
        if plans and plans[0].ingredients:
            # A step names keys; the configuration knows their lines.
            raised.findings = tuple(map(plans[0].ingredients.config.located, raised.findings))
        raise
    except Exception as raised:
        error = unexpected(raised)
        raise error from raised
    finally:
        tell(Ended(time.monotonic(), deployment, error))


def unexpected(error: BaseException) -> SageturnerError:
    """Describe an exception that no room translated: a bug of ours."""
    where = ""
    if frames := traceback.extract_tb(error.__traceback__):
        where = f"{frames[-1].filename}:{frames[-1].lineno}"
    return SageturnerError(
        f"This is a bug of sageturner_magic: {type(error).__name__}: {error}",
        where=where,
        do="report it with this message; running the same thing again is safe",
        code="ST99",
    )


class Handle:
    """Work in steps that runs in a thread of its own; what everybody who shows it is given.

    Attributes:
        progress: How far it is.
    """

    def __init__(self, progress: Progress, *, left: str, remedy: str = "") -> None:
        """
        Args:
            left: What is said to a user who does not wait for its end.
            remedy: What to do then.
        """
        self.progress = progress
        self._left = left
        self._remedy = remedy
        self._stop = threading.Event()
        self._done = threading.Event()
        self._error: SageturnerError | None = None

    def _start(self, work: Callable[[], None]) -> None:
        """Begin `work`, which keeps what went wrong as `_error`."""

        def run() -> None:
            try:
                work()
            finally:
                self._done.set()

        threading.Thread(target=run, name=f"sageturner-{self.progress.name}", daemon=True).start()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._done.is_set()

    def leave(self) -> None:
        """Continue while nobody watches. SIGTERM cancels it, and then ends the process."""
        cancel_at_sigterm(self)

    def ended(self, timeout_s: float) -> bool:
        """Wait until it has ended, well or not; False when it still runs after `timeout_s`."""
        return self._done.wait(timeout_s)

    def watch(self, redraw: Callable[[], None]) -> None:
        """Call `redraw` at most `REDRAWS` times a second until it has ended.

        The first interrupt cancels it and waits for its clean-up; a second leaves. SIGTERM does
        the same, and then ends the process.

        Raises:
            DeploymentCancelled: It was interrupted a second time.
        """
        with ended_by_sigterm():
            self._watch(redraw)

    def _watch(self, redraw: Callable[[], None]) -> None:
        interrupted = False
        while True:
            try:
                while not self._done.wait(1 / REDRAWS):
                    redraw()
                break
            except KeyboardInterrupt:
                if interrupted:
                    raise DeploymentCancelled(self._left, do=self._remedy) from None
                interrupted = True
                self.cancel()
        redraw()

    def cancel(self) -> None:
        """Ask it to stop; what it started is ended and removed. Safe to call at any time."""
        self._stop.set()

    def logs(self) -> list[str]:
        """The last log lines of all steps, in the order of the steps."""
        return [line for step in self.progress.steps() for line in self.progress.log(step)]


class DeploymentHandle(Handle):
    """A deployment that runs in a thread of its own.

    `await handle` or `handle.wait()` gives the Deployment or raises what went wrong.
    """

    def __init__(
        self,
        name: str,
        make_plan: Callable[[Reporter, Path], Plan],
        listener: Listener | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(
            progress or Progress(name),
            left="The deployment was left before it had cleaned up",
            remedy="run it again to finish, or delete the endpoint",
        )
        self._listener = listener
        self._start(lambda: self._work(make_plan))

    def _work(self, make_plan: Callable[[Reporter, Path], Plan]) -> None:
        try:
            execute(make_plan, self._tell, self._stop)
        except SageturnerError as error:
            self._error = error

    def _tell(self, event: Event) -> None:
        self.progress.apply(event)
        if self._listener:
            self._listener(event)

    @property
    def status(self) -> Literal["running", "done", "failed", "cancelled"]:
        """Where it is."""
        if not self._done.is_set():
            return "running"
        if self._error is None:
            return "done"
        return "cancelled" if isinstance(self._error, DeploymentCancelled) else "failed"

    def wait(self, timeout_s: float | None = None) -> Deployment:
        """Block until it has ended.

        Args:
            timeout_s: Seconds to wait; None waits for ever.

        Raises:
            SageturnerError: What went wrong.
            TimeoutError: It still runs.
        """
        # An interrupt during Thread.join marks a live thread as dead on Python 3.10 to 3.12
        # (gh-90882), and a wait without a time-out cannot be interrupted everywhere.
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._done.wait(0.1):
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"the deployment still runs after {timeout_s:g} s")
        return self.result()

    def result(self) -> Deployment:
        """The deployment that has ended well. Raises what went wrong, or that it still runs."""
        if self._error:
            raise self._error
        if self.progress.deployment is None:
            raise SageturnerError(
                "The deployment still runs", do="call `wait()` on the handle first", code="ST16"
            )
        return self.progress.deployment

    def __await__(self) -> Generator[object, None, Deployment]:
        return self._poll().__await__()

    async def _poll(self) -> Deployment:
        while not self._done.is_set():
            await asyncio.sleep(0.1)
        return self.result()

    def __repr__(self) -> str:
        return f"<DeploymentHandle {self.progress.name}: {self.status}>"
