"""How a pyramid is computed in passes: levels that are made of each other in one, each chunk by a task of its own.

A task finishes its chunk of a level and hands on its share of the next. Nothing is read twice, and no more is held than what
the tasks of the next level still wait for: a few rows of chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph.block import Block
from ..graph.cascade import Layer
from ..graph.chunks import Chunks, choose_chunks
from ..graph.grid import Region
from ..graph.lower import Finish
from ..graph.node import Node
from ..graph.optimize import Mode, optimize
from ..graph.plan import Plan, make_plan
from ..ops.pyramid import TwoLevels, cascades, with_coarser


class HandOn:
    """The end of a task: finish its chunk of a level, keep its share of the next one."""

    def __init__(self, finish: Finish) -> None:
        self.finish = finish

    def __call__(self, block: Block, region: Region) -> Block | None:
        self.finish(block, region)
        return block.coarse if isinstance(block, TwoLevels) else None


@dataclass(frozen=True)
class Pass:
    """Levels computed together, from level ``first`` of the pyramid on.

    Parameters
    ----------
    nodes : the levels, the first one optimized
    first : number of the first in the pyramid
    chunks : of each level; all but the last along an axis are even, so that they halve
    plan : of the first level's tasks
    """

    nodes: tuple[Node, ...]
    first: int
    chunks: tuple[Chunks, ...]
    plan: Plan

    def layers(self, finish: Callable[[int], Finish]) -> list[Layer]:
        """The layers of the cascade; ``finish(number)`` ends the tasks of level ``number`` of the pyramid."""
        layers = []
        for k, (node, chunks) in enumerate(zip(self.nodes, self.chunks, strict=True)):
            end = HandOn(finish(self.first + k))
            if k + 1 == len(self.nodes):
                layers.append(Layer(node, chunks, end))
                continue
            root = with_coarser(node, self.nodes[k + 1], chunks)
            layers.append(Layer(root, chunks, end, root.coarse, root.kept_chunks(chunks)))
        return layers

    @property
    def description(self) -> str:
        """What the pass does, for its progress."""
        last = self.first + len(self.nodes) - 1
        return f"level {self.first}" if last == self.first else f"levels {self.first} to {last}"


def passes(levels: Sequence[Node], chunks_of: Callable[[int, Node], Any], mode: Mode, memory_limit: int | None) -> list[Pass]:
    """The passes that compute all of ``levels``, finest first.

    Parameters
    ----------
    chunks_of : (number of a level, its node) -> what ``choose_chunks`` takes
        Sizes of the tasks' chunks; odd ones are doubled, so that they halve.
    mode, memory_limit : as in ``make_plan``
    """
    found: list[Pass] = []
    first = 0
    for cascade in cascades(levels):
        nodes = [optimize(cascade[0], mode).node]
        for node in cascade[1:]:
            nodes.append(node.with_inputs([nodes[-1]]))
        chunks = [_halving(choose_chunks(node.meta, chunks_of(first + k, node)), node) for k, node in enumerate(nodes)]
        root = with_coarser(nodes[0], nodes[1], chunks[0]) if len(nodes) > 1 else nodes[0]
        found.append(Pass(tuple(nodes), first, tuple(chunks), make_plan(root, chunks[0], "none", memory_limit)))
        first += len(nodes)
    return found


def _halving(chunks: Chunks, node: Node) -> Chunks:
    """``chunks`` as they are where they halve, else of twice the first one's length."""
    sizes = [axis[0] if all(n % 2 == 0 for n in axis[:-1]) else 2 * axis[0] for axis in chunks]
    return tuple(  # type: ignore[return-value]
        axis if size == axis[0] else fresh
        for axis, size, fresh in zip(chunks, sizes, choose_chunks(node.meta, tuple(sizes)), strict=True)
    )
