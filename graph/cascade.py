"""A cascade: results that are made of each other, computed by one graph in one pass over the first.

Each task of a layer finishes a chunk of its own result and hands on the pixels that the next layer is made of, so that nothing
is read or computed again and nothing but these pixels is held: a chunk's are dropped once the tasks that need them are done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from .chunks import Chunks, chunk_regions
from .lower import Builder, Finish, Kept, Key, paced
from .memory import check_memory
from .node import Node
from .plan import Plan, sample_regions
from .sweep import Program


@dataclass(frozen=True)
class Layer:
    """One result of a cascade.

    Parameters
    ----------
    node : what a task evaluates on its chunk
    chunks : of the result; one task each
    finish : called with the block and its region; its value, a Block, is what the task hands on
    keeps : the node whose pixels are handed on; None in the last layer
    kept_chunks : the chunks of ``keeps`` that lie in ``chunks``, as many of them
    """

    node: Node
    chunks: Chunks
    finish: Finish
    keeps: Node | None = None
    kept_chunks: Chunks | None = None

    @property
    def tasks(self) -> int:
        return len(self.chunks[0]) * len(self.chunks[1])


def programs(plan: Plan, layers: Sequence[Layer]) -> list[Program]:
    """What the tasks of each layer evaluate: the first one that of ``plan``, the others from what is handed on."""
    found = [plan.program]
    for before, layer in pairwise(layers):
        assert before.keeps is not None
        found.append(Program(layer.node, frozenset({before.keeps.token})))
    return found


def check(plan: Plan, layers: Sequence[Layer]) -> None:
    """Refuse to start what would not fit; see ``Plan.check``."""
    plan.check()
    for program, layer in zip(programs(plan, layers)[1:], layers[1:], strict=True):
        check_memory(program, sample_regions(layer.chunks), plan.memory_limit, f"{layer.node.name}, {layer.chunks[0][0]} rows")


def lower_cascade(
    plan: Plan, layers: Sequence[Layer], name: str, builder: Builder, order: Sequence[tuple[int, int]] | None = None
) -> tuple[HighLevelGraph, list[Key], list[Key]]:
    """The dask graph of a cascade.

    Parameters
    ----------
    plan : of the first layer's node, over its chunks
    layers : each made of what the one before hands on
    name : of the layers in dask
    builder : knows the tables of ``plan`` that are computed already
    order : every (i, j) of the first layer's chunks, optional
        Computes them in about this order: dask's own, which would finish one chunk of the last layer after the other, leaves
        and comes back to the tiles of the source.

    Returns
    -------
    the graph, the keys that pull all of it, and the keys of all tasks
    """
    builder.stages(plan)
    every: list[Key] = []
    for number, (program, layer) in enumerate(zip(programs(plan, layers), layers, strict=True)):
        own = f"{name}-{number}"
        keys: list[Key] = [(own, 0, *place) for place, _ in chunk_regions(layer.chunks)]
        every += keys
        if number == 0 and order is not None and len(layers) > 1:
            builder.layer(own, program, layer.finish, layer.chunks, {place: (own, 0, *place) for place in order})
            in_order = [(own, 0, *place) for place in order]
            builder.layers[own] = MaterializedLayer(paced(own, builder.layers[own], in_order, max(1, builder.together)))
        else:
            builder.layer(own, program, layer.finish, layer.chunks)
        if layer.keeps is not None:
            assert layer.kept_chunks is not None
            builder.kept[layer.keeps.token] = Kept(layer.keeps, own, layer.kept_chunks, None)
    return HighLevelGraph(builder.layers, builder.dependencies), keys, every
