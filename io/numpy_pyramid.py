"""The levels of a pyramid as numpy arrays, computed in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph.node import Node
from ..graph.optimize import Mode
from ..graph.plan import make_plan
from ..graph.run import Progress, run_cascade
from .numpy_sink import Into, check_whole, run_elsewhere, runs_here
from .passes import passes

_PIXELS = 2**21
_MOST_COLS = 8192


def levels_to_numpy(
    levels: Sequence[Node], *, optimize: Mode = "default", memory_limit: int | None = None, progress: Progress | None = None
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Compute all levels of a pyramid.

    Parameters
    ----------
    levels : nodes, finest first
        A level that is made of the one before it is computed in the same pass (where dask's tasks run in other processes,
        each on its own).
    optimize, memory_limit, progress : as in ``to_numpy``

    Returns
    -------
    per level (pixels, where they are invalid), (bands, rows, cols) both; None where all are known to be valid

    Raises
    ------
    MemoryLimitError
        A task, or a whole level, would not fit; before anything is read.
    """
    for level in levels:
        check_whole(level.meta, level.meta.masked)
    if not runs_here():
        return [run_elsewhere(make_plan(level, None, optimize, memory_limit), None, level.meta.masked) for level in levels]
    found = passes(levels, lambda _, node: _strip(node), optimize, memory_limit)
    shapes = [(len(level.meta.bands), *level.meta.grid.shape) for level in levels]
    data = [np.empty(shape, level.meta.dtype) for shape, level in zip(shapes, levels, strict=True)]
    invalid = [np.zeros(shape, bool) if level.meta.masked else None for shape, level in zip(shapes, levels, strict=True)]
    for each in found:
        layers = each.layers(lambda number: Into(data[number], invalid[number], None))
        run_cascade(each.plan, layers, progress=progress, description=f"computing {each.description}")
    return list(zip(data, invalid, strict=True))


def _strip(node: Node) -> tuple[int, int]:
    """(rows, cols) of a task: long lines, which memory likes best and nothing else in the way here minds."""
    rows, cols = node.meta.grid.shape
    width = min(cols, _MOST_COLS)
    return min(rows, max(2, _PIXELS // (width * len(node.meta.bands)) // 2 * 2)), width
