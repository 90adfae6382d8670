"""Cascades: several results, each made of the one before, in one pass."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
import pytest

from weft.graph.block import Block
from weft.graph.cascade import Layer
from weft.graph.chunks import Chunks, choose_chunks
from weft.graph.errors import MemoryLimitError
from weft.graph.grid import Region
from weft.graph.node import Meta, Node
from weft.graph.plan import make_plan
from weft.graph.run import run_cascade


@dataclass(frozen=True)
class Carrying(Block):
    other: Block | None = None


@dataclass(frozen=True, eq=False)
class Both(Node):
    """``first``, whose blocks carry those of ``second`` along."""

    first: Node
    second: Node

    def _meta(self) -> Meta:
        return self.first.meta

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        first, second = blocks
        return Carrying(first.data, first.valid, second)


class Keep:
    """Collects blocks of one layer, hands on what they carry."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.data = np.full(shape, -(10**6))
        self.times = np.zeros(shape, int)
        self.lock = threading.Lock()

    def __call__(self, block: Block, region: Region) -> Block | None:
        with self.lock:
            self.data[:, region.rows, region.cols] = block.data
            self.times[:, region.rows, region.cols] += 1
        return getattr(block, "other", None)


def chain(ops: Any, chunks: Any) -> tuple[list[Node], list[Layer], list[Keep]]:
    """A source and two shifts of it, one made of the other, as a cascade."""
    source = ops.Noise((37, 53), (8, 8))
    first = ops.Shift(source, 3, -2)
    second = ops.Shift(first, -4, 5)
    nodes = [source, first, second]
    keeps = [Keep((1, 37, 53)) for _ in nodes]
    cut: Chunks = choose_chunks(source.meta, chunks)
    layers = [
        Layer(Both(source, first), cut, keeps[0], first, cut),
        Layer(Both(first, second), cut, keeps[1], second, cut),
        Layer(second, cut, keeps[2]),
    ]
    return nodes, layers, keeps


def alone(node: Node) -> np.ndarray:
    from weft.graph.sweep import Program, evaluate

    return evaluate(Program(node), node.meta.grid.region).data


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
@pytest.mark.parametrize("chunks", [(8, 8), (16, 10), (37, 53), (5, 53)])
def test_every_layer_is_what_it_is_alone(ops, chunks, scheduler):
    nodes, layers, keeps = chain(ops, chunks)
    with dask.config.set(scheduler=scheduler):
        run_cascade(make_plan(layers[0].node, chunks, "none"), layers)
    for node, keep in zip(nodes, keeps, strict=True):
        assert (keep.times == 1).all()
        np.testing.assert_array_equal(keep.data, alone(node))


def test_what_is_handed_on_is_not_computed_again(ops):
    nodes, layers, _ = chain(ops, (8, 8))
    run_cascade(make_plan(layers[0].node, (8, 8), "none"), layers)
    for node in nodes[1:]:
        regions = ops.calls.regions(node)
        assert sum(region.size for region in regions) == 37 * 53
        assert len(set(regions)) == len(regions)


def test_all_tasks_are_told_of(ops):
    _, layers, _ = chain(ops, (16, 16))
    totals, done = [], []

    class Bar:
        def __init__(self, total: int, description: str) -> None:
            totals.append((total, description))

        def __enter__(self) -> Any:
            return lambda: done.append(1)

        def __exit__(self, *_: object) -> None:
            pass

    run_cascade(make_plan(layers[0].node, (16, 16), "none"), layers, progress=Bar, description="all")
    assert totals == [(3 * 3 * 4, "all")]
    assert len(done) == 36


def test_a_layer_that_does_not_fit_is_refused_before_anything_is_read(ops):
    source = ops.Noise((64, 64), (16, 16))
    greedy = ops.Greedy(source)
    cut = choose_chunks(source.meta, (16, 16))
    end = choose_chunks(source.meta, (64, 64))
    layers = [Layer(Both(source, source), cut, Keep((1, 64, 64)), source, cut), Layer(greedy, end, Keep((1, 64, 64)))]
    with pytest.raises(MemoryLimitError, match="64 rows"):
        run_cascade(make_plan(layers[0].node, (16, 16), "none", memory_limit=2**20), layers)
    assert not ops.calls.seen


def test_an_error_in_a_later_layer_arrives(ops):
    _, layers, _ = chain(ops, (16, 16))

    def fails(block: Block, region: Region) -> None:
        raise OSError("no room")

    layers[2] = Layer(layers[2].node, layers[2].chunks, fails)
    with pytest.raises(OSError, match="no room"):
        run_cascade(make_plan(layers[0].node, (16, 16), "none"), layers)
