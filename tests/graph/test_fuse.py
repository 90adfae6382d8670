from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import weft.graph.fuse
from weft.graph.fuse import pointwise_groups, strip_rows
from weft.graph.grid import Region
from weft.graph.sweep import Fused, Program, evaluate

WHOLE = Region(0, 60, 0, 50)


@pytest.fixture(params=[1, 400, 10**9], ids=["rows", "strips", "whole"])
def _strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weft.graph.fuse, "STRIP_BYTES", request.param)


def same(one, other) -> None:
    np.testing.assert_array_equal(one.data, other.data)
    assert one.data.dtype == other.data.dtype
    masks = [np.broadcast_to(True if b.valid is None else b.valid, b.data.shape) for b in (one, other)]
    np.testing.assert_array_equal(*masks)


def test_a_chain_is_one_node(ops: SimpleNamespace) -> None:
    node = ops.Plus(ops.Plus(ops.Plus(ops.Noise(), 1), 2), 3)
    program = Program(node)
    assert [type(n) for n in program.nodes] == [ops.Noise, Fused]
    assert program.root.token == node.token
    assert [n.token for n in pickle.loads(pickle.dumps(program)).nodes] == [n.token for n in program.nodes]


def test_what_others_use_ends_a_group(ops: SimpleNamespace) -> None:
    shared = ops.Plus(ops.Plus(ops.Noise(), 1), 2)
    root = ops.Add(ops.Stencil(shared, 1), ops.Plus(ops.Plus(shared, 3), 4))
    program = Program(root)
    kinds = [type(n) for n in program.nodes]
    assert kinds == [ops.Noise, Fused, ops.Stencil, Fused]
    assert program.nodes[1].token == shared.token


def test_given_nodes_are_left_out(ops: SimpleNamespace) -> None:
    below = ops.Plus(ops.Noise(), 1)
    root = ops.Plus(ops.Plus(below, 2), 3)
    program = Program(root, frozenset([below.token]))
    assert [n.token for n in program.nodes] == [below.token, root.token]
    assert pointwise_groups([below], [()], frozenset()) == {}


@pytest.mark.usefixtures("_strips")
@pytest.mark.parametrize("masked", [False, True])
def test_no_pixel_changes(ops: SimpleNamespace, masked: bool) -> None:
    source = ops.Noise((60, 50), bands=2, masked=masked)
    shared = ops.Plus(ops.Plus(source, 1), 2)
    root = ops.Add(ops.Stencil(shared, 2), ops.Plus(ops.Add(shared, ops.Plus(source, 5)), 4))
    same(evaluate(Program(root), WHOLE), evaluate(Program(root, fuse=False), WHOLE))
    part = Region(7, 33, 11, 48)
    same(evaluate(Program(root), part), evaluate(Program(root, fuse=False), part))


def test_strips_fit_the_cache(ops: SimpleNamespace) -> None:
    node = ops.Noise(bands=2)
    assert strip_rows([node], 1024) == weft.graph.fuse.STRIP_BYTES // (2 * 8 * 1024)
    assert strip_rows([node], 10**9) == 1
