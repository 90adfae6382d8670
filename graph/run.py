"""Running a plan on whatever scheduler dask is set to: threads, the synchronous one, processes, a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any
from uuid import uuid4

import dask.threaded
from dask.base import get_scheduler
from dask.callbacks import Callback

from .locality import strips
from .lower import Finish, lower, lower_tables
from .plan import Plan

Progress = Callable[[int, str], AbstractContextManager[Callable[[], None]]]


def run(plan: Plan, finish: Finish, *, progress: Progress | None = None, description: str = "computing") -> None:
    """Compute every chunk of ``plan`` and hand it to ``finish``, in parallel, in no particular order.

    Parameters
    ----------
    plan : Plan
    finish : callable (Block, Region) -> anything small, picklable
        Called inside the task with all bands of one chunk; regions never overlap and together are the whole result.
    progress : callable (total, description) -> context manager, optional
        Its value is called once for every chunk that is done.
    description : what the progress is of

    Raises
    ------
    MemoryLimitError
        Before anything is read, where a task would not fit.
    """
    plan.check()
    scheduler = get_scheduler() or dask.threaded.get
    client = getattr(scheduler, "__self__", None)
    on_cluster = hasattr(client, "scheduler_info")
    # Statistics first: what they read is not kept, and the order of the chunks is then free to follow the source's tiles.
    tables, table_keys = lower_tables(plan)
    values = scheduler(tables, list(table_keys.values())) if table_keys else []
    known = dict(zip(table_keys, values, strict=True))
    # A run has effects, so its keys are never those of another.
    name = f"weft-run-{uuid4().hex}"
    lowered = lower(plan, finish, name=name, known=known, order=None if on_cluster else strips(plan))
    keys = list(chain.from_iterable(lowered.keys))
    with (progress or _silent)(len(keys), description) as advance:
        if on_cluster:
            _run_on_cluster(client, lowered.graph, keys, advance)
            return
        wanted = set(keys)

        def done(key: Any, *_: Any) -> None:
            if key in wanted:
                advance()

        with Callback(posttask=done):
            scheduler(lowered.graph, keys)


def _run_on_cluster(client: Any, graph: Any, keys: list[Any], advance: Callable[[], None]) -> None:
    from distributed import as_completed

    futures = client.get(graph, keys, sync=False)
    try:
        for future in as_completed(futures):
            future.result()
            advance()
    finally:
        client.cancel(futures)


@contextmanager
def _silent(total: int, description: str) -> Iterator[Callable[[], None]]:
    yield lambda: None
