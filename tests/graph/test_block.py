from __future__ import annotations

import numpy as np
import pytest

from weft.graph.block import Block, both_valid, empty_block
from weft.graph.grid import Region

DATA = np.arange(24).reshape(2, 3, 4)
VALID = DATA % 5 > 0


def test_nbytes_counts_both_arrays() -> None:
    assert Block(DATA).nbytes == 24 * 8
    assert Block(DATA, VALID).nbytes == 24 * 8 + 24
    assert Block(DATA, VALID[:1]).nbytes == 24 * 8 + 12


def test_cut_is_a_view_of_what_is_wanted() -> None:
    covered = Region(10, 13, 20, 24)
    block = Block(DATA, VALID[:1])
    part = block.cut(covered, Region(11, 13, 21, 22))
    assert np.array_equal(part.data, DATA[:, 1:3, 1:2])
    assert part.valid is not None
    assert np.array_equal(part.valid, VALID[:1, 1:3, 1:2])
    assert np.shares_memory(part.data, DATA)
    assert block.cut(covered, covered) is block
    assert Block(DATA).cut(covered, Region(10, 11, 20, 21)).valid is None


def test_compact_forgets_a_mask_that_says_nothing() -> None:
    assert Block(DATA, np.ones((1, 3, 4), bool)).compact().valid is None
    assert Block(DATA, VALID).compact().valid is VALID
    block = Block(DATA)
    assert block.compact() is block


def test_filled_overwrites_invalid_pixels_only_in_a_copy() -> None:
    assert Block(DATA).filled(-1) is DATA
    filled = Block(DATA, VALID).filled(-1)
    assert np.array_equal(filled, np.where(VALID, DATA, -1))
    assert filled.dtype == DATA.dtype
    assert DATA.min() == 0
    spread = Block(DATA, VALID[:1]).filled(-1)
    assert np.array_equal(spread[1], np.where(VALID[0], DATA[1], -1))


def test_filled_keeps_the_dtype() -> None:
    small = Block(np.zeros((1, 1, 1), "f4"), np.zeros((1, 1, 1), bool)).filled(0.1)
    assert small.dtype == np.dtype("f4")
    with pytest.raises(OverflowError):
        Block(np.zeros((1, 1, 1), "u1"), np.zeros((1, 1, 1), bool)).filled(300)


def test_both_valid_spreads_one_mask_over_bands() -> None:
    assert both_valid(None, None) is None
    assert both_valid(VALID, None) is VALID
    assert both_valid(None, VALID) is VALID
    both = both_valid(VALID, ~VALID[:1])
    assert both is not None
    assert np.array_equal(both, VALID & ~VALID[:1])


def test_empty_block() -> None:
    block = empty_block(3, np.dtype("f4"))
    assert block.data.shape == (3, 0, 0)
    assert block.data.dtype == np.dtype("f4")
    assert block.valid is None
