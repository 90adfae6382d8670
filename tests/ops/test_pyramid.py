"""Pyramids as chains of nodes: which levels there are, and that shares of blocks make up the next level."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft import ops
from weft.graph.block import Block
from weft.graph.chunks import choose_chunks, chunk_regions
from weft.graph.errors import ArgumentError, DtypeError, PlanError
from weft.graph.grid import Region
from weft.graph.sweep import Program, evaluate
from weft.ops.pyramid import METHODS, TwoLevels, WithCoarser, cascades, halved, pyramid_levels, with_coarser

from .helpers import array_source


def image(rows, cols, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(0, 4000, (2, rows, cols)).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "min_size", "shapes"),
    [
        ((1000, 700), 256, [(1000, 700), (500, 350), (250, 175)]),
        ((1026, 1026), 256, [(1026, 1026), (513, 513), (257, 257), (129, 129)]),
        ((255, 2000), 256, [(255, 2000)]),
        ((256, 256), 256, [(256, 256), (128, 128)]),
        ((5, 3), 1, [(5, 3), (3, 2), (2, 1), (1, 1)]),
        ((1, 1), 1, [(1, 1)]),
    ],
)
def test_levels_halve_until_one_is_smaller_than_asked(shape, min_size, shapes):
    base = array_source(np.zeros((1, *shape), "uint8"), transform=(10, 0, 500, 0, -10, 900), crs="EPSG:32633")
    levels = pyramid_levels(base, "average", min_size)
    assert [level.meta.grid.shape for level in levels] == shapes
    for k, level in enumerate(levels):
        assert level.meta.grid.transform[:6] == (10 * 2**k, 0, 500, 0, -10 * 2**k, 900)
        assert level.meta.grid.crs == base.meta.grid.crs


def test_the_function_gives_what_it_is_given():
    base = array_source(image(300, 300))
    levels = ops.build_pyramid_levels(base, 100, method="mode")
    assert [level.token for level in levels] == [level.token for level in pyramid_levels(base, "mode", 100)]


@pytest.mark.parametrize("method", METHODS)
def test_a_level_is_the_one_before_halved(method):
    base = array_source(image(37, 50))
    levels = pyramid_levels(base, method, 8)
    for finer, level in pairwise(levels):
        assert level.token == halved(finer, method).token


def test_the_bit_depth_reaches_every_level():
    levels = pyramid_levels(array_source(image(64, 64)), "sips", 8, bit_depth=11)
    assert [level.bit_depth for level in levels[1:]] == [11] * 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("wavelet", 256), ArgumentError, "sips, nearest, average"),
        (("average", 0), ArgumentError, "min_size"),
        (("average", 2.5), ArgumentError, "min_size"),
        (("average", 256, False, 11), ArgumentError, "bit_depth"),
        (("sips", 256, False, 99), ArgumentError, "bit_depth"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pyramid_levels(array_source(image(30, 30)), *arguments)


def test_a_dtype_that_a_method_does_not_take_is_refused_however_small_the_image():
    with pytest.raises(DtypeError):
        pyramid_levels(array_source(np.zeros((1, 3, 3), "complex64")), "median", 256)


def test_other_factors_than_two_are_refused():
    with pytest.raises(ArgumentError, match="factor of 2"):
        ops.build_pyramid_levels(array_source(image(30, 30)), scale_factor=4)


def test_levels_that_are_made_of_each_other_are_one_cascade():
    base, other = array_source(image(64, 64)), array_source(image(32, 32, seed=1))
    first = pyramid_levels(base, "average", 20)
    second = pyramid_levels(other, "average", 10)
    assert cascades([*first, *second]) == [list(first), list(second)]
    assert cascades(first[1:]) == [list(first[1:])]


@settings(max_examples=60)
@given(
    rows=st.integers(1, 70),
    cols=st.integers(1, 70),
    height=st.integers(1, 20),
    width=st.integers(1, 40),
    method=st.sampled_from(METHODS),
    masked=st.booleans(),
)
def test_shares_of_blocks_are_the_next_level(rows, cols, height, width, method, masked):
    pixels = image(rows, cols)
    valid = pixels[:1] % 5 > 0 if masked else None
    fine = array_source(pixels, valid)
    coarse = halved(fine, method)
    chunks = choose_chunks(fine.meta, (2 * height, 2 * width))
    both = with_coarser(fine, coarse, chunks)
    whole = evaluate(Program(coarse), coarse.meta.grid.region)
    kept = [region for _, region in chunk_regions(both.kept_chunks(chunks))]
    seen = np.zeros(coarse.meta.grid.shape, int)
    for (_, region), share in zip(chunk_regions(chunks), kept, strict=True):
        block = evaluate(Program(both), region)
        assert isinstance(block, TwoLevels)
        assert isinstance(block.coarse, Block)
        np.testing.assert_array_equal(block.data, pixels[:, region.rows, region.cols])
        np.testing.assert_array_equal(block.coarse.data, whole.data[:, share.rows, share.cols])
        expected = np.broadcast_to(True if whole.valid is None else whole.valid, whole.data.shape)[:, share.rows, share.cols]
        found = np.broadcast_to(True if block.coarse.valid is None else block.coarse.valid, block.coarse.data.shape)
        np.testing.assert_array_equal(found, expected)
        assert not share.is_empty, "every task hands something on, or nobody would wait for it"
        seen[share.rows, share.cols] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("method", METHODS)
def test_shares_need_no_pixels_after_their_block(method):
    fine = array_source(image(256, 256))
    coarse = halved(fine, method)
    both = with_coarser(fine, coarse, choose_chunks(fine.meta, (64, 64)))
    region = Region(64, 128, 64, 128)
    needed = coarse.need(both.need(region)[1])[0]
    assert needed.row1 <= 128
    assert needed.col1 <= 128


def test_an_odd_block_in_the_middle_is_a_defect():
    fine = array_source(image(20, 20))
    both = with_coarser(fine, halved(fine, "average"), ((20,), (20,)))
    with pytest.raises(PlanError, match="cannot be halved"):
        both.need(Region(0, 7, 0, 20))
    with pytest.raises(PlanError, match="not half"):
        WithCoarser(fine, fine)
