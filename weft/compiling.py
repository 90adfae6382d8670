"""Says when kernels are being compiled: the first run on a machine waits for that, later ones find them on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from numba.core import event

_COMPILING = "numba:compile"


@contextmanager
def telling_of_compilation(say: Callable[[str], object]) -> Iterator[None]:
    """While it is open, ``say`` is told when the first kernel is being compiled, and at the end what all of them took.

    Nothing is said where every kernel is found on disk. Kernels compiled in other processes are not seen.
    """
    listener = _Listener(say)
    event.register(_COMPILING, listener)
    try:
        yield
    finally:
        event.unregister(_COMPILING, listener)
        listener.close()


class _Listener(event.Listener):
    """Adds up the time of compilations; one that another one needs is part of it."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._lock = Lock()
        self._open = 0
        self._kernels = 0
        self._since = 0.0
        self._seconds = 0.0

    def on_start(self, _: Any) -> None:
        with self._lock:
            if not self._kernels:
                self._say("compiling kernels for this machine; the next run finds them on disk")
            if not self._open:
                self._since = time.perf_counter()
            self._open += 1
            self._kernels += 1

    def on_end(self, _: Any) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self._seconds += time.perf_counter() - self._since

    def close(self) -> None:
        if self._kernels:
            self._say(f"compiled {self._kernels} kernels in {self._seconds:.1f} s")
