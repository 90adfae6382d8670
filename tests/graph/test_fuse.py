from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import weft.graph.fuse
from weft.graph import compiled
from weft.graph.block import Block, both_valid
from weft.graph.formula import Formula, Pixel
from weft.graph.fuse import OnePass, offers_scalar, pointwise_groups, strip_rows
from weft.graph.grid import Region
from weft.graph.node import Meta, Node, operation
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


@operation("test-less")
@dataclass(frozen=True, eq=False)
class Less(Node):
    """``left`` less ``right``; 99 beneath invalid pixels. Says what it does to one pixel."""

    left: Node
    right: Node
    is_pointwise = True

    def _meta(self) -> Meta:
        return self.left.meta.having(masked=self.left.meta.masked or self.right.meta.masked)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        valid = both_valid(blocks[0].valid, blocks[1].valid)
        data = blocks[0].data - blocks[1].data
        return Block(data if valid is None else np.where(valid, data, 99), valid)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        left, right = pixels
        return formula.filled(formula.apply("subtract", left.value, right.value), formula.both(left.valid, right.valid), 99)


@pytest.fixture
def _at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_forms", OrderedDict())
    monkeypatch.setattr(compiled, "COMPILE_AFTER", 0)
    monkeypatch.setattr(compiled._settings, "CACHE_DIR", str(tmp_path))


def forms(program: Program) -> set[compiled.Form]:
    return {one.form for node in program.nodes if isinstance(node, Fused) for one in node.one_pass._compiled.values()}


@pytest.mark.usefixtures("_at_once")
def test_nodes_that_say_what_they_do_become_one_pass(ops: SimpleNamespace) -> None:
    a, b, c = (ops.Noise((60, 50), bands=2, masked=seed > 0, seed=seed) for seed in range(3))
    root = Less(Less(a, b), Less(c, Less(a, c)))
    program, plain = Program(root), Program(root, fuse=False)
    assert [type(node) for node in program.nodes] == [ops.Noise] * 3 + [Fused]
    for region in (WHOLE, Region(7, 33, 11, 48)):
        same(evaluate(program, region), evaluate(plain, region))
    (form,) = forms(program)
    assert form.run is not None
    again = pickle.loads(pickle.dumps(program))
    assert len(pickle.dumps(program)) == len(pickle.dumps(Program(root)))
    assert not forms(again)
    same(evaluate(again, WHOLE), evaluate(plain, WHOLE))
    assert forms(again) == {form}


@pytest.mark.usefixtures("_at_once")
def test_masks_that_come_and_go_make_two_functions(ops: SimpleNamespace) -> None:
    a, b, c = (ops.Noise((60, 50), bands=2, masked=True, seed=seed) for seed in range(3))
    (fused,) = [node for node in Program(Less(Less(a, b), c)).nodes if isinstance(node, Fused)]
    blocks = [node.whole() for node in (a, b, c)]
    for kept in np.ndindex(3, 3, 3):
        given = tuple(
            Block(block.data, None if not bands else block.valid[:bands]) for block, bands in zip(blocks, kept, strict=True)
        )
        expected = fused._by_strips(given, WHOLE)
        result = fused.one_pass.computed(given)
        same(result, expected)
        assert result.valid is None or len(result.valid) == max(kept)
    assert len({one.form for one in fused.one_pass._compiled.values()}) == 2


@pytest.mark.usefixtures("_at_once")
def test_only_parts_that_say_it_are_compiled(ops: SimpleNamespace) -> None:
    a, b = (ops.Noise((60, 50), seed=seed) for seed in range(2))
    root = Less(Less(ops.Plus(Less(Less(a, b), b), 5), a), b)
    (fused,) = [node for node in Program(root).nodes if isinstance(node, Fused)]
    assert fused.one_pass is None
    inner = [len(node.members) for node in fused.program.nodes if isinstance(node, Fused)]
    assert inner == [2, 2]
    same(evaluate(Program(root), WHOLE), evaluate(Program(root, fuse=False), WHOLE))
    assert all(form.run is not None for form in forms(fused.program))


def test_what_is_too_long_or_unforeseen_is_not_compiled(ops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (ops.Noise((60, 50), seed=seed) for seed in range(2))
    assert not offers_scalar(ops.Plus(a))
    chain = Less(Less(Less(a, b), b), b)
    members = Program(chain, fuse=False).nodes[2:]
    one_pass = OnePass.of((a, b), members)
    assert one_pass is not None
    whole = a.whole()
    assert one_pass.computed((Block(whole.data.astype("i4")), b.whole())) is None
    assert one_pass.computed((Block(whole.data[:, :0]), Block(whole.data[:, :0]))) is None
    monkeypatch.setattr(weft.graph.fuse, "MOST_STEPS", 4)
    assert OnePass.of((a, b), members) is None
    same(evaluate(Program(chain), WHOLE), evaluate(Program(chain, fuse=False), WHOLE))
