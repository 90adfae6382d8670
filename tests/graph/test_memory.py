from __future__ import annotations

from types import SimpleNamespace

import pytest

from weft.graph.errors import MemoryLimitError
from weft.graph.grid import Region
from weft.graph.memory import check_memory, default_memory_limit, projected_memory
from weft.graph.sweep import Program

TILE = [Region(0, 10, 0, 10)]
PIXELS = 100


def test_a_chain_holds_two_steps_at_once(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for k in range(20):
        node = ops.Plus(node, k)
    assert projected_memory(Program(node), TILE).bytes == 2 * PIXELS * 8
    assert projected_memory(Program(ops.Noise()), TILE).bytes == PIXELS * 8


def test_bands_and_masks_count(ops: SimpleNamespace) -> None:
    source = ops.Noise(bands=3, masked=True)
    assert projected_memory(Program(source), TILE).bytes == PIXELS * 3 * (8 + 1)
    assert projected_memory(Program(ops.Stencil(source, 0)), TILE).bytes == PIXELS * 3 * (8 + 1) + PIXELS * 3 * 8


def test_a_diamond_by_hand(ops: SimpleNamespace) -> None:
    source = ops.Noise((100, 100))
    left = ops.Stencil(source, 2)  # of the source it needs 12 x 12 pixels: the tile lies in the image's corner
    right = ops.Plus(source, 1)
    projection = projected_memory(Program(ops.Add(left, right), fuse=False), TILE)
    # While right is made: the source's larger region, left and right; while the sum is made: left, right and the sum.
    assert projection.bytes == 8 * max(144 + PIXELS + PIXELS, 3 * PIXELS)
    assert projection.node == right


def test_far_apart_regions_are_held_apart(ops: SimpleNamespace) -> None:
    source = ops.Noise((100, 100))
    root = ops.Add(ops.Plus(source, 1), ops.Shift(source, 80, 80))
    held = projected_memory(Program(root), TILE)
    # Two parts of the source first; then plus, shift (with its mask) and the sum (with its own) at the end.
    assert held.bytes == max(2 * 800 + 800, 800 + 800 + 900, 800 + 900 + 900)


def test_workspace_counts_while_its_node_is_computed(ops: SimpleNamespace) -> None:
    greedy = ops.Greedy(ops.Noise(), 1)
    projection = projected_memory(Program(ops.Plus(greedy, 2)), TILE)
    assert projection.bytes == PIXELS * (8 + 8 + 1000)
    assert projection.node == greedy


def test_the_heaviest_region_tells(ops: SimpleNamespace) -> None:
    program = Program(ops.Stencil(ops.Noise((100, 100)), 5))
    corner, middle = Region(0, 10, 0, 10), Region(40, 50, 40, 50)
    assert projected_memory(program, [corner]).bytes == 8 * (225 + 100)
    assert projected_memory(program, [corner, middle]).bytes == 8 * (400 + 100)
    assert projected_memory(program, [middle, corner]).bytes == 8 * (400 + 100)


def test_what_is_given_is_held_but_not_what_is_beneath(ops: SimpleNamespace) -> None:
    greedy = ops.Greedy(ops.Noise(), 1)
    program = Program(ops.Plus(greedy, 2), frozenset([greedy.token]))
    assert projected_memory(program, TILE).bytes == 2 * PIXELS * 8
    longer = Program(ops.Plus(ops.Plus(greedy, 2), 3), frozenset([greedy.token]))
    assert projected_memory(longer, TILE).bytes == 2 * PIXELS * 8  # what lies between fused nodes is never held whole
    apart = Program(longer.root.body, frozenset([greedy.token]), fuse=False)
    assert projected_memory(apart, TILE).bytes == 3 * PIXELS * 8  # whoever gave it keeps it while the task runs


def test_too_much_is_refused_with_the_node_and_the_mend(ops: SimpleNamespace) -> None:
    program = Program(ops.Plus(ops.Greedy(ops.Noise((4000, 4000)), 1), 2))
    region = Region(0, 2048, 0, 2048)
    exactly = projected_memory(program, [region]).bytes
    check_memory(program, [region], exactly, "the result")
    with pytest.raises(MemoryLimitError) as caught:
        check_memory(program, [region], exactly - 1, "the result")
    message = str(caught.value)
    assert "a task of the result would hold 4,064 MiB while computing 'test-greedy'" in message
    assert "smaller chunks" in message
    assert "memory_limit" in message


def test_the_default_limit_is_a_share_of_memory() -> None:
    assert 2**24 < default_memory_limit() < 2**50
