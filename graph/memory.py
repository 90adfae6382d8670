"""How much memory a task will hold, known before it starts: the down-sweep run without pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psutil
from dask.system import CPU_COUNT

from .errors import MemoryLimitError
from .grid import Region
from .node import Node
from .sweep import Program, covering, needs_down

# What tasks may hold together; the rest is for the interpreter, the tile cache and the sink's encoders.
_TASKS_SHARE = 0.6


@dataclass(frozen=True)
class Projection:
    """The most bytes a task holds at once, and the node being computed then."""

    bytes: int
    node: Node


def projected_memory(program: Program, regions: Iterable[Region]) -> Projection:
    """The heaviest moment of the heaviest of the tasks that compute ``regions`` of the program's root."""
    return max((_peak(program, region) for region in regions), key=lambda projection: projection.bytes)


def check_memory(program: Program, regions: Iterable[Region], limit: int, what: str) -> None:
    """Raise ``MemoryLimitError`` where a task of ``program`` would hold more than ``limit`` bytes."""
    projection = projected_memory(program, regions)
    if projection.bytes > limit:
        raise MemoryLimitError(
            f"a task of {what} would hold {projection.bytes / 2**20:,.0f} MiB while computing {projection.node.name!r}, above "
            f"the limit of {limit / 2**20:,.0f} MiB; ask for smaller chunks, persist() before that step, or raise memory_limit"
        )


def total_memory() -> int:
    """Bytes that the machine, or the container around the process, allows."""
    try:
        from distributed.system import MEMORY_LIMIT
    except ImportError:
        return int(psutil.virtual_memory().total)
    return int(MEMORY_LIMIT)


def default_memory_limit() -> int:
    """Bytes that one task may hold: this process's share of memory, split over its threads.

    In a dask worker the worker's limit; elsewhere what the machine, or the container around the process, allows.
    """
    total, threads = None, CPU_COUNT
    try:
        from distributed import get_worker

        worker = get_worker()
        total, threads = worker.memory_manager.memory_limit, worker.state.nthreads
    except (ImportError, ValueError):
        pass
    return int((total or total_memory()) * _TASKS_SHARE / threads)


def _peak(program: Program, region: Region) -> Projection:
    uses = needs_down(program, region)
    held: dict[tuple[int, Region], int] = {}
    live, peak = 0, Projection(0, program.root)
    for i, node in enumerate(program.nodes):
        pixel = _pixel_bytes(node)
        workspace = 0.0 if node.token in program.given else node.workspace
        for use in uses[i]:
            size = use.region.size * pixel
            live += size
            held[i, use.region] = size
            now = live + int(use.region.size * workspace)
            if now > peak.bytes:
                peak = Projection(now, node)
            for child, need in zip(program.inputs[i], use.needs, strict=True):
                if need.is_empty:
                    continue
                supplier = covering(uses[child], need)
                supplier.consumers -= 1
                if supplier.consumers == 0 and program.nodes[child].token not in program.given:
                    live -= held.pop((child, supplier.region))
    return peak


def _pixel_bytes(node: Node) -> int:
    bands = len(node.meta.bands)
    return bands * node.meta.dtype.itemsize + (bands if node.meta.masked else 0)
