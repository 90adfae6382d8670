"""Running a plan on whatever scheduler dask is set to: threads, the synchronous one, processes, a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any
from uuid import uuid4

import dask.local
import dask.threaded
from dask.base import get_scheduler
from dask.callbacks import Callback
from dask.system import CPU_COUNT

from .block import Block
from .cascade import Layer, check, lower_cascade
from .locality import strips
from .lower import Builder, Finish, Key, lower, lower_tables
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
    known = _tables(plan)
    # A run has effects, so its keys are never those of another.
    name = f"weft-run-{uuid4().hex}"
    lowered = lower(plan, finish, name=name, known=known, order=None if _cluster() else strips(plan))
    keys = list(chain.from_iterable(lowered.keys))
    _compute(lowered.graph, keys, keys, progress or _silent, description)


def run_cascade(
    plan: Plan, layers: Sequence[Layer], *, progress: Progress | None = None, description: str = "computing"
) -> None:
    """Compute several results, each made of the one before, in one pass over the first.

    Parameters
    ----------
    plan : of the first layer's node, over its chunks
    layers : see ``Layer``
    progress, description : as in ``run``; a cluster tells of the last layer's chunks only

    Raises
    ------
    MemoryLimitError
        Before anything is read, where a task would not fit.
    """
    check(plan, layers)
    name = f"weft-run-{uuid4().hex}"
    order = None if _cluster() else strips(plan, looking_back=True)
    graph, keys, every = lower_cascade(plan, layers, name, Builder(_tables(plan), _together()), order)
    _compute(graph, keys, every, progress or _silent, description)


def _tables(plan: Plan) -> dict[str, Block]:
    """The statistics of a plan, computed.

    They come first: what they read is not kept, and the order of the chunks is then free to follow the source's tiles.
    """
    graph, keys = lower_tables(plan, together=_together())
    values = _scheduler()(graph, list(keys.values())) if keys else []
    return dict(zip(keys, values, strict=True))


def _compute(graph: Any, keys: list[Key], every: list[Key], progress: Progress, description: str) -> None:
    """Run ``graph`` for ``keys``, telling of ``every`` task that ends."""
    client = _cluster()
    with progress(len(every if client is None else keys), description) as advance:
        if client is not None:
            _run_on_cluster(client, graph, keys, advance)
            return
        wanted = set(every)

        def done(key: Any, *_: Any) -> None:
            if key in wanted:
                advance()

        with Callback(posttask=done):
            _scheduler()(graph, keys)


def _scheduler() -> Any:
    return get_scheduler() or dask.threaded.get


def _together() -> int:
    """How many tasks that read go side by side: as many as there are threads for, where they are this process's; else 0."""
    if _cluster() is not None:
        return 0
    return 1 if _scheduler() is dask.local.get_sync else max(2, CPU_COUNT)


def _cluster() -> Any:
    """The client of the cluster that dask is set to; None where it is not."""
    client = getattr(_scheduler(), "__self__", None)
    return client if hasattr(client, "scheduler_info") else None


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
