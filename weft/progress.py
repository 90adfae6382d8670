"""Progress of long work: a bar in a terminal, a few plain lines elsewhere. Both on stderr, so that output stays clean."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[..., None]

_LINES = 10


@contextmanager
def progress(total: int, description: str) -> Iterator[Advance]:
    """Show how far ``total`` steps have come; hand it to any finalizer as ``progress=weft.progress``.

    Parameters
    ----------
    total : int
        Number of steps.
    description : str
        What is being done, a few words.

    Yields
    ------
    advance(n=1), to be called after every step, from any thread
    """
    shown = _bar if sys.stderr.isatty() else _lines
    with shown(total, description) as advance:
        yield advance


@contextmanager
def quiet(total: int, description: str) -> Iterator[Advance]:
    """Shows nothing; takes the place of ``progress``."""
    yield lambda n=1: None


@contextmanager
def _bar(total: int, description: str) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(description, total=total)
        yield lambda n=1: bars.advance(task, n)


@contextmanager
def _lines(total: int, description: str) -> Iterator[Advance]:
    started = time.monotonic()
    done = 0
    said = 0

    def advance(n: int = 1) -> None:
        nonlocal done, said
        done += n
        tenths = done * _LINES // max(1, total)
        if tenths > said:
            said = tenths
            print(f"{description}: {done}/{total}, {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)

    yield advance
