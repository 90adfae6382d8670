"""Crop and indexing against plain numpy slicing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, BandError, CRSError, GridError
from weft.graph.jsonio import from_json, to_json
from weft.graph.node import Node
from weft.graph.optimize import optimize
from weft.ops.crop import Crop, crop, index
from weft.ops.scale import scale
from weft.ops.warp import warp

from .helpers import array_source, computed

NORTH_UP = Affine(0.1, 0, 7.3, 0, -0.3, 52.7)
DATA = np.arange(3 * 11 * 13, dtype=np.int16).reshape(3, 11, 13)
VALID = DATA % 7 != 0


def slices(length: int) -> st.SearchStrategy[slice]:
    return st.slices(length).filter(lambda s: len(range(*s.indices(length))) > 0)


@given(steps=st.integers(1, 3), draw=st.data())
@settings(max_examples=40, deadline=None)
def test_chains_of_slices_are_numpy_slices_and_become_one_crop(steps: int, draw: Any) -> None:
    node = source = array_source(DATA, VALID, transform=NORTH_UP)
    expected, expected_valid = DATA, VALID
    for _ in range(steps):
        rows, cols = draw.draw(slices(expected.shape[1])), draw.draw(slices(expected.shape[2]))
        node = index(node, (rows, cols))
        expected, expected_valid = expected[:, rows, cols], expected_valid[:, rows, cols]
    data, valid = computed(node)
    np.testing.assert_array_equal(data, expected)
    np.testing.assert_array_equal(valid, expected_valid)
    best = optimize(node, "exact").node
    assert best == source or best.inputs == (source,)


@given(draw=st.data())
@settings(max_examples=40, deadline=None)
def test_a_new_pixel_has_the_centre_of_the_picked_one_and_the_size_of_the_step(draw: Any) -> None:
    source = array_source(DATA, transform=Affine(2, 0.5, 100, 0.25, -3, 50))
    rows, cols = draw.draw(slices(11)), draw.draw(slices(13))
    node = index(source, (rows, cols))
    for i, row in enumerate(range(11)[rows]):
        for j, col in enumerate(range(13)[cols]):
            there = source.grid.transform @ (col + 0.5, row + 0.5)
            assert node.grid.transform @ (j + 0.5, i + 0.5) == pytest.approx(there)
    x, y = source.grid.resolution
    row_step, col_step = range(11)[rows].step, range(13)[cols].step
    assert node.grid.resolution == pytest.approx((x * abs(col_step), y * abs(row_step)))
    a = source.grid.transform
    assert node.grid.transform[:6:3] == pytest.approx((a.a * col_step, a.d * col_step))


@pytest.mark.parametrize(
    "key",
    [
        np.s_[:], np.s_[2:5], np.s_[4], np.s_[-1], np.s_[2:5, 3:], np.s_[::-1, ::-2], np.s_[1, 2, 3], np.s_[:2, 3, ::4],
        np.s_[..., 4], np.s_[..., 1:3, 4], np.s_[0, ...], np.s_[0, 1:4, ...], np.s_[...], np.s_[::-1, :, :],
        np.s_[[2, 0], 1:, 2], np.s_[np.int64(3), np.uint8(2)],
    ],
)  # fmt: skip
def test_keys_mean_what_numpy_means(key: Any) -> None:
    entries = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in entries:
        dots = entries.index(...)
        entries[dots : dots + 1] = [slice(None)] * (4 - len(entries))
    elif len(entries) < 3:
        entries = [slice(None), *entries, *[slice(None)] * (2 - len(entries))]
    expected = DATA
    for axis, entry in enumerate(entries):
        picked = np.arange(DATA.shape[axis])[entry]
        expected = expected.take(np.atleast_1d(picked), axis=axis)
    data, _ = computed(index(array_source(DATA), key))
    np.testing.assert_array_equal(data, expected)


def test_bands_by_name() -> None:
    source = array_source(DATA, bands=["red", "green", "nir"])
    assert index(source, "nir").meta.bands == ("nir",)
    node = index(source, (["nir", "red"], slice(2, 4), -1))
    np.testing.assert_array_equal(computed(node)[0], DATA[[2, 0], 2:4, -1:])
    assert index(source, np.s_[:, :]) == source


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (np.s_[11], GridError), (np.s_[:, -14], GridError), (np.s_[5:5], GridError), (np.s_[3:1, :], GridError),
        (np.s_[3, :, :], BandError), (np.s_[3:, :, :], BandError), ("blue", BandError), (np.s_[0, 0, 0, 0], ArgumentError),
        (np.s_[..., ...], ArgumentError), (None, ArgumentError), (True, ArgumentError), (1.5, ArgumentError),
        (np.s_[::0], ArgumentError), (np.s_[0.5:2], ArgumentError), (np.s_[[1, 2], :], ArgumentError),
    ],
)  # fmt: skip
def test_keys_that_make_no_sense(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        index(array_source(DATA), key)


def test_crop_by_bounds_keeps_every_pixel_they_touch() -> None:
    source = array_source(DATA, transform=Affine(10, 0, 500, 0, -10, 900), crs="EPSG:32631")
    np.testing.assert_array_equal(computed(crop(source, (521, 845, 549, 870)))[0], DATA[:, 3:6, 2:5])
    np.testing.assert_array_equal(computed(crop(source, (-1e6, 875, 520, 1e6)))[0], DATA[:, :3, :2])
    with pytest.raises(GridError, match="do not touch"):
        crop(source, (0, 0, 400, 10))


def test_crop_by_bounds_in_another_crs() -> None:
    source = array_source(DATA, transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), crs="EPSG:32631")
    from weft.graph.grid import transformer

    left, bottom = transformer("EPSG:32631", "EPSG:4326").transform(500_032, 4_999_942)
    right, top = transformer("EPSG:32631", "EPSG:4326").transform(500_058, 4_999_968)
    assert crop(source, (left, bottom, right, top), "EPSG:4326") == crop(source, window=(3, 6, 3, 6))
    with pytest.raises(CRSError):
        crop(array_source(DATA), (0, 0, 1, 1), "EPSG:4326")


@pytest.mark.parametrize(
    ("window", "error", "words"),
    [
        ((-1, 3, 0, 2), GridError, "pad"), ((0, 12, 0, 2), GridError, "pad"), ((3, 3, 0, 2), GridError, "empty"),
        ((0, 1, 0), ArgumentError, "four"), ((0, 1.5, 0, 1), ArgumentError, "four"), (None, ArgumentError, "either"),
    ],
)  # fmt: skip
def test_windows_that_make_no_sense(window: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        crop(array_source(DATA), window=window)
    with pytest.raises(ArgumentError):
        crop(array_source(DATA), (0, 0, 1, 1), window=(0, 1, 0, 1))
    with pytest.raises(ArgumentError):
        crop(array_source(DATA), crs="EPSG:4326", window=(0, 1, 0, 1))


@pytest.mark.parametrize("picks", [(0, 0, 1), (0, 1, 0), (-1, 1, 2), (10, 1, 2), (1, -1, 3)])
def test_the_node_itself_refuses_what_lies_outside(picks: Any) -> None:
    with pytest.raises(GridError):
        Crop(array_source(DATA), picks, (0, 1, 1))


def test_a_window_on_coarse_pixel_edges_is_read_from_the_coarse_image() -> None:
    data = np.arange(12 * 18).reshape(1, 12, 18)
    source = array_source(data, transform=NORTH_UP, coarsest=3)
    coarse = crop(source, window=(3, 9, 6, 18)).reduced(4)
    assert coarse is not None
    np.testing.assert_array_equal(computed(coarse)[0], data[:, 3:9:3, 6:18:3])
    assert coarse.grid.bounds == pytest.approx(
        source.grid.crop(crop(source, window=(3, 9, 6, 18)).grid.region.shifted(3, 6)).bounds
    )
    assert crop(source, window=(3, 8, 6, 18)).reduced(4) is None
    assert index(source, np.s_[::2]).reduced(4) is None
    assert crop(array_source(data), window=(3, 9, 6, 18)).reduced(4) is None


def test_a_statistic_takes_the_coarse_pixels_nearest_to_the_window() -> None:
    data = np.arange(12 * 18).reshape(1, 12, 18)
    source = array_source(data, transform=NORTH_UP, crs="EPSG:4326", coarsest=3)
    window = crop(source, window=(2, 8, 7, 18))
    coarse = window.sampled(4)
    assert window.reduced(4) is None
    assert coarse is not None
    np.testing.assert_array_equal(computed(coarse)[0], data[:, 3:9:3, 6:18:3])
    thin = crop(source, window=(11, 12, 16, 17)).sampled(4)
    assert thin is not None
    np.testing.assert_array_equal(computed(thin)[0], data[:, 9:10:3, 15:16:3])
    for resampled in (warp(window, "EPSG:3857"), scale(window, 0.9)):
        sampled = resampled.sampled(4)
        assert sampled is not None
        picked = sampled.inputs[0].as_crop()
        assert picked is not None
        assert picked[0].grid.region.size < source.grid.region.size


def test_two_flips_are_none_and_a_crop_is_data() -> None:
    source = array_source(DATA)
    node = index(index(source, np.s_[::-1]), np.s_[::-1])
    assert optimize(node, "exact").node == source
    nested: Node = index(index(source, np.s_[2:9:2, ::-3]), np.s_[1:, :2])
    best = optimize(nested, "exact").node
    assert from_json(to_json(best)) == best
    assert from_json(to_json(nested)) == nested
