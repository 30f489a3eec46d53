"""Run a form's work in the background, so that the kernel stays free."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sageturner_magic.errors import SageturnerError

Made = TypeVar("Made")


class Background:
    """Runs work in threads; of several of one kind, only the last one's result is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, int] = {}

    def start(
        self,
        kind: str,
        work: Callable[[], Made],
        done: Callable[[Made], None],
        failed: Callable[[SageturnerError], None],
        pause_s: float = 0,
    ) -> None:
        """Begin `work` after a pause; `done` or `failed` is called on its thread, one at a time.

        Work of the same kind that is started within the pause takes its place.
        """
        with self._lock:
            number = self._latest[kind] = self._latest.get(kind, 0) + 1

        def run() -> None:
            if pause_s and self._is_outdated(kind, number, pause_s):
                return
            result: Made | None = None
            problem: SageturnerError | None = None
            try:
                result = work()
            except SageturnerError as error:
                problem = error
            except Exception as error:
                from sageturner_magic.deployment import unexpected

                problem = unexpected(error)
            with self._lock:
                if self._latest[kind] != number:
                    return
                if problem is not None:
                    failed(problem)
                else:
                    done(result)  # type: ignore[arg-type]

        threading.Thread(target=run, name=f"sageturner-{kind}", daemon=True).start()

    def _is_outdated(self, kind: str, number: int, pause_s: float) -> bool:
        time.sleep(pause_s)
        with self._lock:
            return self._latest[kind] != number
