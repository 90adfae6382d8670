"""``Plan``: an optimized graph cut at its barriers, with the chunks of its result; what ``explain()`` and lowering start from.

A barrier is a node computed on its own, before the tasks that use it: a statistic (a table, once for the whole image),
pixels that come as dask chunks, or a node that would otherwise be computed again and again by neighbouring tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

from .chunks import Chunks, choose_chunks, chunk_edges, even_chunks
from .errors import ArgumentError
from .flat import topological
from .grid import Region
from .memory import check_memory, default_memory_limit, projected_memory
from .node import Node, Reduction
from .optimize import Mode, Optimized
from .optimize import optimize as optimize_graph
from .source import ChunkedSource
from .sweep import Program, needs_down

if TYPE_CHECKING:
    from .explain import Explanation

# Chunks of a statistic's input: large, because a statistic keeps nothing of them.
STATISTIC_SIDE = 2048
# What keeping a node's chunks for others costs, in memory passes: write them, read them.
_KEEP_COST = 2.0
# Below this many times of computing a pixel, recomputing is not worth a barrier.
_MIN_RECOMPUTE = 1.5


@dataclass(frozen=True)
class Stage:
    """One barrier and how it is computed.

    Parameters
    ----------
    node : the barrier
    kind : "statistic" (a tree over chunks), "table" (one task from tables) or "chunks" (kept chunk by chunk)
    program : what a task of the stage evaluates, down to earlier barriers
    chunks : of the statistic's image, or of the kept node; None for a table
    reason : why it is a barrier, for ``explain()``
    """

    node: Node
    kind: str
    program: Program
    chunks: Chunks | None
    reason: str

    @property
    def tasks(self) -> int:
        return 1 if self.chunks is None else len(self.chunks[0]) * len(self.chunks[1])


class Plan:
    """What will be computed, and in which pieces; nothing has been read yet.

    Made by ``make_plan``. Immutable by convention; what is derived is derived once.
    """

    def __init__(self, optimized: Optimized, chunks: Chunks, memory_limit: int) -> None:
        self.optimized = optimized
        self.root = optimized.node
        self.chunks = chunks
        self.memory_limit = memory_limit
        self._checked = False
        self._barriers = _barriers(self.root, chunks)

    @cached_property
    def given(self) -> frozenset[str]:
        """Tokens of all barriers, dask sources among them."""
        return frozenset(self._barriers) | frozenset(node.token for node in self.chunked_sources)

    @cached_property
    def program(self) -> Program:
        """What a task of the result evaluates."""
        return Program(self.root, self.given)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The barriers in the order in which they can be computed."""
        return tuple(self._stage(node) for node in topological(self.root) if node.token in self._barriers)

    @cached_property
    def chunked_sources(self) -> tuple[ChunkedSource, ...]:
        """The sources whose pixels come as dask chunks."""
        return tuple(node for node in topological(self.root) if isinstance(node, ChunkedSource))

    @property
    def tasks(self) -> int:
        """Tasks of the result: one per chunk."""
        return len(self.chunks[0]) * len(self.chunks[1])

    @cached_property
    def memory_per_task(self) -> int:
        """Bytes that the heaviest of some sampled tasks holds at once, the tile cache not counted."""
        programs = [(self.program, self.chunks)]
        programs += [(stage.program, stage.chunks) for stage in self.stages if stage.chunks is not None]
        return max(projected_memory(program, sample_regions(chunks)).bytes for program, chunks in programs)

    def check(self) -> None:
        """Refuse to start what would not fit.

        Raises
        ------
        MemoryLimitError
            A task is projected to need more than ``memory_limit`` bytes; the message says which node and what to change.
        """
        if self._checked:
            return
        check_memory(self.program, sample_regions(self.chunks), self.memory_limit, "the result")
        for stage in self.stages:
            if stage.chunks is not None:
                check_memory(stage.program, sample_regions(stage.chunks), self.memory_limit, f"the barrier {stage.node.name}")
        self._checked = True

    def explain(self) -> Explanation:
        """What the plan does and costs, as text (``str``) and HTML."""
        from .explain import explain

        return explain(self)

    def visualize(self, path: Any) -> str:
        """Draw the optimized graph as SVG (or Graphviz dot, by the file's suffix); returns the path."""
        from .draw import draw

        return draw(self, path)

    def _stage(self, node: Node) -> Stage:
        kind, reason = self._barriers[node.token]
        if kind == "statistic":
            image = node.inputs[0]
            return Stage(node, kind, Program(image, self.given), even_chunks(image.meta, STATISTIC_SIDE), reason)
        chunks = choose_chunks(node.meta) if kind == "chunks" else None
        return Stage(node, kind, Program(node, self.given - {node.token}), chunks, reason)


def make_plan(node: Node, chunks: Any = None, optimize: Mode = "default", memory_limit: int | None = None) -> Plan:
    """Optimize a graph, choose its chunks and barriers.

    Parameters
    ----------
    node : Node
    chunks : see ``choose_chunks``
        The chunks of the result along rows and columns: a sink gives its write unit here.
    optimize : "default", "exact" or "none"
    memory_limit : bytes one task may hold, optional
        Defaults to a fair share of the machine's (or the dask worker's) memory.

    Raises
    ------
    ArgumentError
        An unknown mode, impossible chunks, or a limit that is no number.
    """
    optimized = optimize_graph(node, optimize)
    limit = default_memory_limit() if memory_limit is None else memory_limit
    if isinstance(limit, bool) or not isinstance(limit, Real):
        raise ArgumentError(f"memory_limit is a number of bytes; got {limit!r}")
    return Plan(optimized, choose_chunks(optimized.node.meta, chunks), limit)


def sample_regions(chunks: Chunks, most: int = 9) -> list[Region]:
    """Up to ``most`` chunks spread over the image, corners and centre among them."""
    rows = _spread(len(chunks[0]), math.isqrt(most))
    cols = _spread(len(chunks[1]), math.isqrt(most))
    row_edges, col_edges = chunk_edges(chunks[0]), chunk_edges(chunks[1])
    return [Region(row_edges[i], row_edges[i + 1], col_edges[j], col_edges[j + 1]) for i in rows for j in cols]


def _barriers(root: Node, chunks: Chunks) -> dict[str, tuple[str, str]]:
    """Barriers by token: (kind, reason)."""
    order = topological(root)
    tables = {node.token for node in order if isinstance(node, Reduction)}
    for node in order:
        if node.inputs and node.token not in tables and all(child.token in tables for child in node.inputs):
            tables.add(node.token)
    # An image's task and a statistic's partial are handed their tables; other tables compute what they need of each other.
    handed = {child.token for node in order if node.token not in tables for child in node.inputs}
    handed |= {child.token for node in order if isinstance(node, Reduction) for child in node.inputs[1:]}
    barriers: dict[str, tuple[str, str]] = {}
    for node in order:
        if isinstance(node, Reduction):
            barriers[node.token] = ("statistic", "needs the whole image")
        elif node.token in tables and node.token in handed:
            barriers[node.token] = ("table", "the same for every task")
    for node, times in _recomputed(root, chunks, frozenset(barriers)):
        barriers[node.token] = ("chunks", f"neighbouring tasks would compute it {times:.1f} times")
    return barriers


def _recomputed(root: Node, chunks: Chunks, given: frozenset[str]) -> Iterator[tuple[Node, float]]:
    """Nodes that tasks would compute so often again that keeping their chunks is cheaper."""
    program = Program(root, given, fuse=False)
    if root.token in given or not any(node.cost > 1 and node.inputs for node in program.nodes):
        return
    block = _middle(chunks)
    total = [0] * len(program.nodes)
    for region in block:
        for i, uses in enumerate(needs_down(program, region)):
            total[i] += sum(use.region.size for use in uses)
    around = block[0]
    for region in block[1:]:
        around = around.union(region)
    once = [sum(use.region.size for use in uses) for uses in needs_down(program, around)]
    weight = _subtree_costs(program)
    shadowed: set[int] = set()
    for i in range(len(program.nodes) - 2, -1, -1):
        node = program.nodes[i]
        if i in shadowed:
            shadowed.update(program.inputs[i])
            continue
        if not node.inputs or node.token in given or not once[i]:
            continue
        times = total[i] / once[i]
        if times >= _MIN_RECOMPUTE and (times - 1) * weight[i] > _KEEP_COST:
            yield node, times
            shadowed.update(program.inputs[i])


def _subtree_costs(program: Program) -> list[float]:
    """Per node, what one pixel of it costs with everything beneath, counted once per path at most."""
    costs: list[float] = []
    for node, inputs in zip(program.nodes, program.inputs, strict=True):
        costs.append(min(1e6, node.cost + sum(costs[child] for child in inputs)) if inputs else 0.0)
    return costs


def _middle(chunks: Chunks, side: int = 3) -> list[Region]:
    """A square of neighbouring chunks from the middle of the image."""
    rows, cols = chunk_edges(chunks[0]), chunk_edges(chunks[1])
    first_row, first_col = max(0, (len(rows) - 1 - side) // 2), max(0, (len(cols) - 1 - side) // 2)
    return [
        Region(rows[i], rows[i + 1], cols[j], cols[j + 1])
        for i in range(first_row, min(first_row + side, len(rows) - 1))
        for j in range(first_col, min(first_col + side, len(cols) - 1))
    ]


def _spread(count: int, most: int) -> list[int]:
    return sorted({round(k * (count - 1) / max(1, most - 1)) for k in range(most)})
