from __future__ import annotations

import pickle
import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.grid import EMPTY, Region
from weft.graph.node import Meta, Node
from weft.graph.sweep import Piece, Program, covering, evaluate, merged, needs_down

SHAPE = (13, 17)
WHOLE = Region(0, *SHAPE[:1], 0, SHAPE[1])


@st.composite
def graphs(draw: st.DrawFn, ops: SimpleNamespace) -> Node:
    """A random graph of up to a dozen nodes over two sources."""
    masked = draw(st.booleans())
    nodes: list[Node] = [ops.Noise(SHAPE, (5, 4), seed, 2, masked) for seed in (1, 2)]
    for _ in range(draw(st.integers(1, 10))):
        a, b = (nodes[-1 - draw(st.integers(0, len(nodes) - 1))] for _ in range(2))
        kind = draw(st.sampled_from(["shift", "stencil", "add", "plus", "sum"]))
        if kind == "shift":
            nodes.append(ops.Shift(a, draw(st.integers(-15, 15)), draw(st.integers(-19, 19))))
        elif kind == "stencil":
            nodes.append(ops.Stencil(a, draw(st.integers(0, 3))))
        elif kind == "add":
            nodes.append(ops.Add(a, b))
        elif kind == "plus":
            nodes.append(ops.Plus(a, draw(st.integers(-5, 5))))
        else:
            nodes.append(ops.Sum((a, b, nodes[0])))
    return nodes[-1]


@st.composite
def regions(draw: st.DrawFn) -> Region:
    rows, cols = (sorted(draw(st.tuples(st.integers(0, side), st.integers(0, side)))) for side in SHAPE)
    return Region(*rows, *cols)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_region_of_any_graph_is_cut_from_the_whole(ops: SimpleNamespace, data: st.DataObject) -> None:
    root, region = data.draw(graphs(ops)), data.draw(regions())
    wanted = ops.whole(root).window(region.rows, region.cols)
    got = evaluate(Program(root), region)
    if region.is_empty:
        assert got.data.size == 0
        assert len(got.data) == 2
    else:
        assert ops.same(got, wanted)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_each_node_is_computed_once_and_pieces_may_be_given(ops: SimpleNamespace, data: st.DataObject) -> None:
    root = data.draw(graphs(ops))
    ops.calls.clear()
    full = evaluate(Program(root), WHOLE)
    sources = {node.token for node in Program(root).nodes if not node.inputs}
    assert all(count == 1 for token, count in ops.calls.count().items() if token not in sources)

    nodes = Program(root).nodes
    kept = nodes[data.draw(st.integers(0, len(nodes) - 1))]
    program = Program(root, frozenset([kept.token]))
    piece = Piece(WHOLE, evaluate(Program(kept), WHOLE))
    ops.calls.clear()
    assert ops.same(evaluate(program, WHOLE, {kept.token: piece}), full)
    assert not ops.calls.regions(kept)


def test_a_tower_of_diamonds_costs_its_height(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for _ in range(40):
        node = ops.Add(node, ops.Shift(node, 0, 0))
    got = evaluate(Program(node), Region(3, 4, 5, 6))
    assert set(ops.calls.count().values()) == {1}
    assert len(ops.calls.seen) == 81
    assert got.data[0, 0, 0] == np.int64(ops.whole(ops.Noise()).data[0, 3, 5]) * 2**40


def test_near_regions_of_one_node_become_one_and_far_ones_stay_apart(ops: SimpleNamespace) -> None:
    shared = ops.Plus(ops.Noise((100, 100)), 1)
    near = ops.Add(ops.Shift(shared, 0, 0), ops.Shift(shared, 1, 1))
    evaluate(Program(near), Region(0, 20, 0, 20))
    assert ops.calls.regions(shared) == [Region(0, 21, 0, 21)]

    ops.calls.clear()
    far = ops.Add(ops.Shift(shared, 0, 0), ops.Shift(shared, 70, 70))
    got = evaluate(Program(far), Region(0, 20, 0, 20))
    assert sorted(ops.calls.regions(shared)) == [Region(0, 20, 0, 20), Region(70, 90, 70, 90)]
    assert ops.same(got, ops.whole(far).window(slice(0, 20), slice(0, 20)))


def test_an_empty_need_computes_nothing_beneath(ops: SimpleNamespace) -> None:
    source = ops.Noise()
    beneath = ops.Plus(source, 1)
    got = evaluate(Program(ops.Shift(beneath, 1000, 0)), Region(0, 5, 0, 7))
    assert got.valid is not None
    assert not got.valid.any()
    assert got.data.shape == (1, 5, 7)
    assert not ops.calls.regions(beneath)
    assert not ops.calls.regions(source)


def test_an_empty_region_calls_no_kernel(ops: SimpleNamespace) -> None:
    root = ops.Add(ops.Noise(bands=3), ops.Noise(bands=3, seed=1))
    for region in (EMPTY, Region(3, 3, 0, 5), Region(0, 5, 7, 7)):
        got = evaluate(Program(root), region)
        assert got.data.shape == (3, 0, 0)
        assert got.data.dtype == np.dtype("i8")
    assert not ops.calls.seen


class Tracked(np.ndarray):
    """An array that can be referred to weakly and counted by identity."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return self is other


def test_a_block_is_dropped_after_its_last_use(ops: SimpleNamespace) -> None:
    counts: list[int] = []

    @dataclass(frozen=True, eq=False)
    class Step(Node):
        source: Node
        number: int

        def _meta(self) -> Meta:
            return self.source.meta

        def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
            counts.append(len(alive))
            data = blocks[0].data.copy().view(Tracked)
            alive.add(data)
            return Block(data)

    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    node: Node = ops.Noise()
    for k in range(20):
        node = Step(node, k)
    result = evaluate(Program(node), Region(0, 10, 0, 10))
    assert max(counts) == 1  # only the input of the step at work
    assert len(counts) == 20
    assert len(alive) == 1
    del result
    assert len(alive) == 0


def test_ten_thousand_nodes_in_a_row(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for k in range(10_000):
        node = ops.Plus(node, k)
    program = Program(node)
    got = evaluate(program, Region(2, 4, 3, 5))
    assert np.array_equal(got.data, ops.whole(ops.Noise()).data[:, 2:4, 3:5] + sum(range(10_000)))
    again = pickle.loads(pickle.dumps(program))
    assert again.root == node
    assert again.inputs == program.inputs


def test_ten_thousand_inputs_of_one_node(ops: SimpleNamespace) -> None:
    source = ops.Noise()
    got = evaluate(Program(ops.Sum(tuple(ops.Plus(source, k) for k in range(10_000)))), Region(0, 1, 0, 1))
    assert got.data[0, 0, 0] == 10_000 * ops.whole(source).data[0, 0, 0] + sum(range(10_000))


def test_a_program_knows_its_inputs_by_index(ops: SimpleNamespace) -> None:
    a, b = ops.Noise(seed=1), ops.Noise(seed=2)
    root = ops.Sum((b, a, b))
    program = Program(root)
    assert program.root is root
    assert [program.nodes[i] for i in program.inputs[-1]] == [b, a, b]
    given_root = Program(root, frozenset([root.token]))
    assert given_root.nodes == [root]
    assert given_root.inputs == [()]


def test_a_given_root_is_cut_from_its_piece(ops: SimpleNamespace) -> None:
    root = ops.Noise()
    block = ops.whole(root)
    got = evaluate(Program(root, frozenset([root.token])), Region(3, 5, 4, 9), {root.token: Piece(Region(0, 40, 0, 50), block)})
    assert np.array_equal(got.data, block.data[:, 3:5, 4:9])
    assert not ops.calls.seen


def test_the_same_input_twice(ops: SimpleNamespace) -> None:
    node = ops.Plus(ops.Noise(), 3)
    got = evaluate(Program(ops.Add(node, node)), Region(0, 5, 0, 5))
    assert np.array_equal(got.data, 2 * (ops.whole(ops.Noise()).data[:, :5, :5] + 3))
    assert len(ops.calls.regions(node)) == 1


def test_a_failing_kernel_says_which_node_and_where(ops: SimpleNamespace) -> None:
    with pytest.raises(ZeroDivisionError, match="cannot compute that pixel") as caught:
        evaluate(Program(ops.Plus(ops.Fail(ops.Noise(), 7, 8))), Region(5, 10, 5, 10))
    assert caught.value.__notes__ == ["while computing rows 5:10, columns 5:10 of Fail(row=7, col=8)"]


boxes = st.builds(lambda r, c, h, w: Region(r, r + h, c, c + w), *[st.integers(0, 40)] * 2, *[st.integers(1, 12)] * 2)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_merged_boxes_cover_all_and_lie_apart(wanted: list[Region]) -> None:
    found = merged(wanted)
    assert len(found) <= len(wanted)
    for region in wanted:
        assert any(box.contains(region) for box in found)
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            together = a.size + b.size - a.intersect(b).size
            assert a.union(b).size > 1.25 * together
    assert merged([]) == []


@given(boxes, boxes)
def test_two_boxes_become_one_where_that_wastes_at_most_a_quarter(a: Region, b: Region) -> None:
    together = a.size + b.size - a.intersect(b).size
    assert len(merged([a, b])) == (1 if a.union(b).size <= 1.25 * together else 2)


def test_needs_go_down_with_the_number_of_their_consumers(ops: SimpleNamespace) -> None:
    source = ops.Noise()
    left, right = ops.Stencil(source, 1), ops.Shift(source, 30, 0)
    program = Program(ops.Add(left, right))
    uses = dict(
        zip((node.name + str(k) for k, node in enumerate(program.nodes)), needs_down(program, Region(0, 4, 0, 4)), strict=True)
    )
    assert [(use.region, use.consumers) for use in uses["test-noise0"]] == [(Region(30, 34, 0, 4), 1), (Region(0, 5, 0, 5), 1)]
    assert [use.region for use in uses["test-stencil1"]] == [Region(0, 4, 0, 4)]
    assert uses["test-add3"][0].consumers == 0
    assert covering(uses["test-noise0"], Region(31, 32, 1, 2)).region == Region(30, 34, 0, 4)
    with pytest.raises(AssertionError, match="no computed region covers"):
        covering(uses["test-noise0"], Region(0, 34, 0, 4))
