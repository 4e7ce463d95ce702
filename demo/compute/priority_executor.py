"""One thread for work that takes all cores, with a lane for what may not wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Lanes(Executor):
    """Runs one piece of work at a time, in the order of submission; urgent work before other."""

    def __init__(self, name: str) -> None:
        self._urgent: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._usual: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._some = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name=name).start()

    def submit(  # type: ignore[override]  # without arguments for the work
        self, work: Callable[[], T], *, urgent: bool = False
    ) -> Future[T]:
        future: Future[T] = Future()
        with self._some:
            (self._urgent if urgent else self._usual).append((future, work))
            self._some.notify()
        return future

    def _run(self) -> None:
        while True:
            self._run_next()

    def _run_next(self) -> None:  # a call of its own, so that no result outlives it here
        with self._some:
            self._some.wait_for(lambda: self._urgent or self._usual)
            future, work = (self._urgent or self._usual).popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
