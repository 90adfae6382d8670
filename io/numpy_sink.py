"""Pixels as one numpy array in memory."""

from __future__ import annotations

import math
from typing import Any

import dask.local
import dask.threaded
import numpy as np
from dask.base import get_scheduler

from ..graph import lower
from ..graph.block import Block
from ..graph.errors import MemoryLimitError
from ..graph.grid import Region
from ..graph.memory import total_memory
from ..graph.node import Meta, Node
from ..graph.optimize import Mode
from ..graph.plan import Plan, make_plan
from ..graph.run import Progress, run
from ..ops.common import fitting

__all__ = ["to_numpy"]


def to_numpy(
    node: Node,
    *,
    masked: bool = False,
    fill: Any = None,
    optimize: Mode = "default",
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Compute all pixels.

    Parameters
    ----------
    node : Node
    masked : bool
        Give a ``numpy.ma.MaskedArray``, masked where invalid.
    fill : number, optional
        Stands in every invalid pixel; left out, these hold what the source stored or the operation wrote.
    optimize : "default", "exact" or "none"
    memory_limit : bytes one task may hold, optional
    progress : see ``run``

    Returns
    -------
    (bands, rows, cols) array of the raster's dtype

    Raises
    ------
    ArgumentError
        ``fill`` does not fit the dtype.
    SourceError
        A source cannot be read.
    MemoryLimitError
        A task, or the whole array, would not fit; before anything is read.
    """
    meta = node.meta
    value = None if fill is None else np.asarray(fitting(fill, meta.dtype, "fill"), meta.dtype)
    plan = make_plan(node, None, optimize, memory_limit)
    invalid_wanted = masked and plan.root.meta.masked
    check_whole(plan.root.meta, invalid_wanted)
    if runs_here():
        data, invalid = _run_here(plan, value, invalid_wanted, progress)
    else:
        data, invalid = run_elsewhere(plan, value, invalid_wanted)
    if not masked:
        return data
    mask = np.zeros(data.shape, bool) if invalid is None else invalid
    return np.ma.MaskedArray(data, mask=mask, fill_value=meta.fill if fill is None else fill)


def check_whole(meta: Meta, invalid_wanted: bool) -> None:
    """Refuse an array that is larger than all memory."""
    shape, total = (len(meta.bands), *meta.grid.shape), total_memory()
    needed = math.prod(shape) * (meta.dtype.itemsize + invalid_wanted)
    if needed > total:
        raise MemoryLimitError(
            f"the whole array, {' x '.join(map(str, shape))} of {meta.dtype}, takes {needed / 2**30:,.1f} GiB of the "
            f"{total / 2**30:,.1f} GiB there are; crop() it first, or use to_dask() or to_zarr()"
        )


class Into:
    """The end of a task that shares this process's memory: put the chunk where it belongs."""

    def __init__(self, data: np.ndarray, invalid: np.ndarray | None, fill: np.ndarray | None) -> None:
        self.data = data
        self.invalid = invalid
        self.fill = fill

    def __call__(self, block: Block, region: Region) -> None:
        part = self.data[:, region.rows, region.cols]
        part[...] = block.data
        if block.valid is None:
            return
        if self.fill is not None:
            np.copyto(part, self.fill, where=~block.valid)
        if self.invalid is not None:
            self.invalid[:, region.rows, region.cols] = ~block.valid


def _run_here(
    plan: Plan, fill: np.ndarray | None, invalid_wanted: bool, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray | None]:
    meta = plan.root.meta
    shape = (len(meta.bands), *meta.grid.shape)
    plan.check()
    data = np.empty(shape, meta.dtype)
    invalid = np.zeros(shape, bool) if invalid_wanted else None
    run(plan, Into(data, invalid, fill), progress=progress)
    return data, invalid


def run_elsewhere(plan: Plan, fill: np.ndarray | None, invalid_wanted: bool) -> tuple[np.ndarray, np.ndarray | None]:
    import dask

    lazy_data, lazy_valid = lower.to_dask_pair(plan)
    data, valid = dask.compute(lazy_data, lazy_valid)
    data = np.ascontiguousarray(data)
    if valid is None:
        return data, None
    if fill is not None:
        data = np.where(valid, data, fill)
    return data, ~valid if invalid_wanted else None


def runs_here() -> bool:
    """Whether dask's scheduler runs tasks in this process, so that they can write into its memory."""
    return get_scheduler() in (None, dask.threaded.get, dask.local.get_sync)
