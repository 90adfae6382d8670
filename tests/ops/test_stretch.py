"""The percent stretch against numpy's percentiles and the documented formula, whole and in tiles."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.errors import ArgumentError, DtypeError, PlanError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.graph.node import Node
from weft.graph.optimize import optimize
from weft.graph.sweep import Program, evaluate
from weft.ops.statistics import statistics
from weft.ops.stretch import LinearStretch, PercentRange, stretch

from .helpers import array_source
from .strategies import images

pytestmark = pytest.mark.filterwarnings("error")


def pixels(data: Any, valid: Any = None, coarsest: int = 1) -> Node:
    return array_source(data, valid, nodata=7, coarsest=coarsest, attrs={"scales": (0.1,), "title": "x"})


def whole(node: Node) -> Block:
    return evaluate(Program(node), node.meta.grid.region)


def mapped(values: np.ndarray, lo: float, hi: float, dtype: str) -> np.ndarray:
    """The formula of the module, in numpy."""
    low, high = (0.0, 1.0) if np.dtype(dtype).kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    v = values.astype(np.float64)
    parted = np.where(v < lo, 0.0, np.where(v > hi, 1.0, 0.5))
    share = (np.clip(v, lo, hi) - lo) / (hi - lo) if hi > lo else parted
    out = share * (high - low) + low
    return (out if np.dtype(dtype).kind == "f" else np.floor(out + 0.5)).astype(dtype)


def keep_of(data: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    keep = ~np.isnan(data) if data.dtype.kind == "f" else np.ones(data.shape, bool)
    return keep if valid is None else keep & valid


@settings(max_examples=50, deadline=None)
@given(
    images(("bool", "u1", "i1", "i2", "u2"), 12),
    st.sampled_from(["u1", "i2", "u4", "f4", "f8"]),
    st.sampled_from([(2, 98), (0, 100), (25, 60.5)]),
    st.booleans(),
)
def test_small_integers_equal_numpy_bit_for_bit(
    image: tuple[np.ndarray, np.ndarray | None], dtype: str, percent: tuple[float, float], per_band: bool
) -> None:
    data, valid = image
    keep = keep_of(data, valid)
    block = whole(stretch(pixels(data, valid), percent, dtype=dtype, per_band=per_band))
    assert block.data.dtype == dtype
    for band in range(len(data)):
        measured = data[band][keep[band]] if per_band else data[keep]
        values = data[band][keep[band]]
        if values.size:
            lo, hi = np.percentile(measured.astype(np.int64), percent)
            np.testing.assert_array_equal(block.data[band][keep[band]], mapped(values, lo, hi, dtype))
        beneath = block.data[band][~keep[band]]
        assert np.isnan(beneath).all() if np.dtype(dtype).kind == "f" else (beneath == 0).all()
    assert (block.valid is None) == (valid is None)
    if valid is not None:
        np.testing.assert_array_equal(block.valid, valid)


@settings(max_examples=40, deadline=None)
@given(images(("i4", "u4", "i8", "f2", "f4", "f8"), 12), st.booleans())
def test_other_types_within_a_bin_of_numpy_and_by_the_formula(
    image: tuple[np.ndarray, np.ndarray | None], per_band: bool
) -> None:
    data, valid = image
    node = stretch(pixels(data, valid), (10, 90), per_band=per_band)
    block, spans = whole(node), whole(node.inputs[1]).data
    keep = keep_of(data, valid)
    finite = keep & np.isfinite(data)
    for band in range(len(data)):
        lo, hi = spans[band, 0]
        measured = (data[band][finite[band]] if per_band else data[finite]).astype(np.float64)
        if measured.size:
            width = (measured.max() - measured.min()) / 4096 + 1e-9
            for end, share in ((lo, 0.1), (hi, 0.9)):
                bracket = np.quantile(measured, share, method="lower"), np.quantile(measured, share, method="higher")
                ordered = np.sort(measured)
                step = np.searchsorted(ordered, bracket[0]), np.searchsorted(ordered, bracket[1], side="right")
                assert ordered[max(0, step[0] - 1)] - width <= end <= ordered[min(measured.size - 1, step[1])] + width
        np.testing.assert_array_equal(block.data[band][keep[band]], mapped(data[band][keep[band]], lo, hi, "u1"))
    if keep.all():
        assert block.valid is None or block.valid.all()
    else:
        assert block.valid is not None
        np.testing.assert_array_equal(np.broadcast_to(block.valid, data.shape), keep)


@settings(max_examples=30, deadline=None)
@given(images(("u1", "i2", "f4"), 12), st.integers(1, 12), st.integers(1, 12))
def test_tiles_equal_the_whole(image: tuple[np.ndarray, np.ndarray | None], height: int, width: int) -> None:
    node = stretch(pixels(*image))
    program, region, expected = Program(node), node.meta.grid.region, whole(node)
    for r in range(0, region.row1, height):
        for c in range(0, region.col1, width):
            tile = Region(r, r + height, c, c + width).intersect(region)
            got, want = evaluate(program, tile), expected.cut(region, tile)
            np.testing.assert_array_equal(got.data, want.data)
            ones = np.ones(want.data.shape, bool)
            np.testing.assert_array_equal(
                ones & (True if got.valid is None else got.valid), ones & (True if want.valid is None else want.valid)
            )


def test_percentiles_of_floats_are_close() -> None:
    data = np.random.default_rng(4).gamma(2, 300, (2, 200, 200)).astype(np.float32)
    spans = whole(stretch(pixels(data), (1, 99)).inputs[1]).data[:, 0]
    expected = np.percentile(data, (1, 99), axis=(1, 2)).T
    assert np.abs(spans - expected).max() <= data.max() / 4096


def test_zero_and_hundred_percent_are_minimum_and_maximum() -> None:
    data = np.array([[[-3.5, 0, 8.25, np.nan, np.inf]]])
    assert whole(stretch(pixels(data), (0, 100)).inputs[1]).data.tolist() == [[[-3.5, 8.25]]]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_a_constant_image_is_grey(dtype: str) -> None:
    block = whole(stretch(pixels(np.full((1, 5, 5), 9, dtype))))
    assert (block.data == 128).all()


@pytest.mark.parametrize("dtype", ["u1", "i4"])
def test_what_stands_out_of_a_constant_background_stays_visible(dtype: str) -> None:
    data = np.full((1, 20, 20), 9, dtype)
    data[0, 0, :2] = 1, 50
    block = whole(stretch(pixels(data), (5, 95)))
    if dtype == "u1":
        assert block.data[0, 0, :3].tolist() == [0, 255, 128]
    assert block.data[0, 0, 0] < block.data[0, 0, 2] < block.data[0, 0, 1]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
@pytest.mark.parametrize("per_band", [True, False])
def test_nothing_valid_stays_invalid(dtype: str, per_band: bool) -> None:
    block = whole(stretch(pixels(np.ones((2, 3, 3), dtype), np.zeros((1, 3, 3), bool)), per_band=per_band))
    assert block.valid is not None
    assert not block.valid.any()
    assert (block.data == 0).all()


def test_where_nothing_was_measured_pixels_are_grey() -> None:
    span = PercentRange(
        stretch(pixels(np.ones((1, 2, 2), "u1"), np.zeros((1, 2, 2), bool))).inputs[1].inputs[0], 2, 98, True, True
    )
    block = whole(LinearStretch(pixels(np.array([[[3, 200]]], "u1")), span, np.dtype("u1"), (0.0, 255.0)))
    assert block.data.tolist() == [[[128, 128]]]


def test_meta() -> None:
    meta = stretch(pixels(np.ones((2, 3, 3), "i2"))).meta
    assert (meta.dtype, meta.nodata, meta.masked, meta.bands, dict(meta.attrs)) == (
        np.uint8,
        None,
        False,
        ("b0", "b1"),
        {"title": "x"},
    )
    assert stretch(pixels(np.ones((2, 3, 3), "f4"))).meta.masked


@pytest.mark.parametrize("percent", [(98, 2), (5, 5), (-1, 50), (2, 101), (2,), 3, (np.nan, 5)])
def test_impossible_percent(percent: Any) -> None:
    with pytest.raises(ArgumentError, match="percent"):
        stretch(pixels(np.ones((1, 2, 2), "u1")), percent)


@pytest.mark.parametrize("dtype", ["bool", "i8", "u8", "f2", "c8"])
def test_impossible_dtype(dtype: str) -> None:
    with pytest.raises(DtypeError, match="32 bits"):
        stretch(pixels(np.ones((1, 2, 2), "u1")), dtype=dtype)


def test_what_cannot_be_stretched() -> None:
    with pytest.raises(DtypeError, match="abs"):
        stretch(pixels(np.ones((1, 2, 2), "c8")))
    one, span = pixels(np.ones((1, 2, 2), "u1")), stretch(pixels(np.ones((2, 2, 2), "u1"))).inputs[1]
    with pytest.raises(PlanError, match="as many"):
        LinearStretch(one, span, np.dtype("u1"), (0.0, 255.0))
    own = stretch(one).inputs[1]
    with pytest.raises(ArgumentError, match="within"):
        LinearStretch(one, own, np.dtype("u1"), (0.0, 256.0))
    with pytest.raises(ArgumentError, match="rounds"):
        LinearStretch(one, own, np.dtype("u1"), (0.0, 255.0), "up")
    assert statistics(one).meta.grid.shape != own.meta.grid.shape
    with pytest.raises(PlanError, match="ranges"):
        LinearStretch(one, statistics(one), np.dtype("u1"), (0.0, 255.0))


def test_the_range_comes_from_an_overview_and_pixels_from_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("weft.ops.statistics"), "MIN_PIXELS", 100)
    data = np.random.default_rng(5).integers(-500, 1000, (1, 50, 50)).astype(np.int16)
    plan = optimize(stretch(pixels(data, coarsest=8)))
    lo, hi = np.percentile(data[:, ::5, ::5], (2, 98))
    np.testing.assert_array_equal(whole(plan.node).data, mapped(data, lo, hi, "u1"))
    exact = optimize(stretch(pixels(data, coarsest=8)), mode="exact")
    np.testing.assert_array_equal(whole(exact.node).data, mapped(data, *np.percentile(data, (2, 98)), "u1"))


def test_reduced_keeps_the_range() -> None:
    data = np.random.default_rng(6).integers(0, 1000, (1, 40, 40)).astype(np.uint16)
    node = stretch(pixels(data, coarsest=4))
    coarse = node.reduced(4)
    assert coarse is not None
    np.testing.assert_array_equal(whole(coarse).data, whole(node).data[:, ::4, ::4])
    assert stretch(pixels(data)).reduced(4) is None


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_json_round_trip(dtype: str) -> None:
    node = stretch(pixels(np.arange(12, dtype=dtype).reshape(1, 3, 4)))
    assert from_json(to_json(node)).token == node.token


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "f4", "f8"])
@pytest.mark.parametrize("per_band", [True, False])
def test_the_ends_of_any_type_are_minimum_and_maximum(dtype: str, per_band: bool) -> None:
    data = (np.random.default_rng(7).gamma(2, 30000, (2, 50, 60)) + np.array([0, 1e5])[:, None, None]).astype(dtype)
    found = whole(stretch(pixels(data), (0, 100), per_band=per_band).inputs[1]).data[:, 0].tolist()
    if per_band:
        assert found == [[float(band.min()), float(band.max())] for band in data]
    else:
        assert found == [[float(data.min()), float(data.max())]] * 2


def test_wide_integers_of_a_small_range_are_counted_value_by_value() -> None:
    data = np.random.default_rng(8).integers(10**6, 10**6 + 4000, (1, 101, 101)).astype(np.int32)
    found = whole(stretch(pixels(data), (10, 90)).inputs[1]).data[0, 0]
    lower, higher = (np.percentile(data, (10, 90), method=method) for method in ("lower", "higher"))
    assert (lower <= found).all()
    assert (found <= higher).all()


@pytest.mark.parametrize("dtype", ["i4", "f4"])
def test_the_range_of_floats_is_the_same_for_every_partition(dtype: str) -> None:
    data = (np.random.default_rng(9).gamma(2, 300, (2, 64, 65))).astype(dtype)
    source = pixels(data)
    counted = stretch(source).inputs[1].inputs[0]
    states = [counted.partial((source.kernel((), Region(r, r + 16, 0, 65)),)) for r in range(0, 64, 16)]  # type: ignore[attr-defined]
    parted = counted.finish(counted.combine(states[::-1]))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(parted.data, whole(counted).data)
