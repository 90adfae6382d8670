"""DRA against the standard's rule, the golden numbers of the reference, and signed and float pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.block import Block
from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.graph.node import Node
from weft.graph.sweep import Program, evaluate
from weft.ops.dra import DRAParameters, dra

from .helpers import array_source

pytestmark = pytest.mark.filterwarnings("error")


def whole(node: Node) -> Block:
    return evaluate(Program(node), node.meta.grid.region)


def rule(counts: np.ndarray) -> tuple[float, float, int, int]:
    """Bin by bin, as the standard's text goes: low, high, first, last, in bins."""
    total = sum(counts.tolist())
    filled = [i for i, n in enumerate(counts) if n]
    first, last = filled[0], filled[-1]
    seen, e_min, e_max = 0, None, 0
    for i, n in enumerate(counts.tolist()):
        seen += n
        if e_min is None and seen >= 0.02 * total:
            e_min = i
        if seen <= 0.98 * total:
            e_max = i
    assert e_min is not None
    return max(first, e_min - 0.2 * (e_max - e_min)), min(last, e_max + 0.4 * (e_max - e_min)), first, last


def stretched(values: np.ndarray, lo: float, hi: float) -> np.ndarray:
    if hi <= lo:
        return np.full(values.shape, 127, np.uint8)
    return np.trunc((np.clip(values.astype(np.float64), lo, hi) - lo) / (hi - lo) * 255).astype(np.uint8)


def test_golden_sparse_tails() -> None:
    counts = np.zeros(1024)
    counts[1:99], counts[100:400], counts[1022] = 1, 200, 1
    found = DRAParameters.from_counts(counts)
    assert (found.actual_min_value, found.actual_max_value) == (1, 1022)
    assert found.suggested_min_value == pytest.approx(47.6)
    assert found.suggested_max_value == pytest.approx(506.8)


def test_golden_plateau() -> None:
    counts = np.zeros(256, int)
    counts[50:201] = 100
    assert DRAParameters.from_counts(counts) == DRAParameters(50, 200, 50, 200)


def test_buckets_are_lower_edges_in_data_units() -> None:
    counts = np.zeros(256, int)
    counts[50:201] = 100
    found = DRAParameters.from_counts(counts.tolist(), first_bucket_value=-128, last_bucket_value=0)
    assert found == DRAParameters(-103, -28, -103, -28)


def test_no_counts_are_the_whole_range() -> None:
    assert DRAParameters.from_counts([0, 0, 0, 0]) == DRAParameters(0, 3, 0, 3)


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 100) | st.just(0)).filter(lambda c: c.any()))
def test_parameters_follow_the_rule(counts: np.ndarray) -> None:
    low, high, first, last = rule(counts)
    found = DRAParameters.from_counts(counts)
    assert (found.suggested_min_value, found.suggested_max_value) == pytest.approx((low, high))
    assert (found.actual_min_value, found.actual_max_value) == (first, last)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["bool", "u1", "i1", "i2", "u2"]), st.booleans())
def test_small_integers_follow_the_rule(draws: st.DataObject, dtype: str, masked: bool) -> None:
    shape = draws.draw(st.tuples(st.integers(1, 2), st.integers(1, 12), st.integers(1, 12)))
    data = draws.draw(arrays(dtype, shape))
    valid = draws.draw(arrays(bool, shape)) if masked else None
    block = whole(dra(array_source(data, valid)))
    for band in range(shape[0]):
        keep = np.ones(shape[1:], bool) if valid is None else valid[band]
        values = data[band][keep]
        if values.size:
            # Bins before the first value count only in that Emax may fall into the last of them.
            origin = max(int(values.min()) - 1, 0 if dtype == "bool" else int(np.iinfo(dtype).min))
            bins = values.astype(np.int64) - origin
            low, high, _, _ = rule(np.bincount(bins))
            assert np.abs(block.data[band][keep].astype(int) - stretched(bins, low, high)).max() <= 1
        assert (block.data[band][~keep] == 0).all()


def test_signed_pixels_come_out_in_order() -> None:
    block = whole(dra(array_source(np.array([[[-100, 0, 100, 200]]], np.int16))))
    assert block.data[0, 0].tolist() == [0, 85, 170, 255]


def test_formula_cuts_off() -> None:
    data = np.repeat(np.arange(1000, dtype=np.uint16), 3).reshape(1, 60, 50)
    node = dra(array_source(data))
    lo, hi = whole(node.inputs[1]).data[0, 0]
    low, high, _, _ = rule(np.bincount(data.ravel()))
    assert (lo, hi) == pytest.approx((low, high))
    np.testing.assert_array_equal(whole(node).data, stretched(data, lo, hi))


def test_floats_are_within_a_bin_of_the_rule() -> None:
    data = np.random.default_rng(7).gamma(2, 300, (1, 120, 130)).astype(np.float32)
    node = dra(array_source(data))
    lo, hi = whole(node.inputs[1]).data[0, 0]
    p2, p98 = np.percentile(data, (2, 98))
    width = float(data.max() - data.min()) / 4096
    assert lo == pytest.approx(max(data.min(), p2 - 0.2 * (p98 - p2)), abs=3 * width)
    assert hi == pytest.approx(min(data.max(), p98 + 0.4 * (p98 - p2)), abs=3 * width)
    np.testing.assert_array_equal(whole(node).data, stretched(data, lo, hi))


def test_minmax_shows_all_that_occurs() -> None:
    data = np.array([[[10, 20, 30, 60]], [[-5, -5, -5, 5]]], np.int16)
    assert whole(dra(array_source(data), mode="minmax")).data[:, 0].tolist() == [[0, 51, 102, 255], [0, 0, 0, 255]]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
@pytest.mark.parametrize("mode", ["dra", "minmax"])
def test_no_width_is_half_the_maximum(dtype: str, mode: Any) -> None:
    assert (whole(dra(array_source(np.full((1, 5, 5), 9, dtype)), mode=mode)).data == 127).all()


def test_no_width_is_constant_whatever_stands_out() -> None:
    data = np.full((1, 20, 20), 0, np.uint8)
    data[0, 0, 0] = 200
    assert (whole(dra(array_source(data))).data == 127).all()


def test_output_types() -> None:
    data = np.arange(101, dtype=np.uint8).reshape(1, 1, 101)
    assert whole(dra(array_source(data), dtype="int16", mode="minmax")).data[0, 0, [0, 50, 100]].tolist() == [0, 16383, 32767]
    assert whole(dra(array_source(data), dtype="float32", mode="minmax")).data[0, 0, [0, 50, 100]].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_nothing_valid_stays_invalid(dtype: str) -> None:
    block = whole(dra(array_source(np.ones((2, 3, 3), dtype), np.zeros((1, 3, 3), bool))))
    assert block.valid is not None
    assert not block.valid.any()
    assert (block.data == 0).all()


def test_nan_is_invalid_and_infinity_an_end() -> None:
    block = whole(dra(array_source(np.array([[[np.nan, -np.inf, 1.0, 2.0, 3.0, np.inf]]])), mode="minmax"))
    assert block.valid is not None
    assert block.valid[0, 0].tolist() == [False, True, True, True, True, True]
    assert block.data[0, 0, [0, 1, 2, 5]].tolist() == [0, 0, 0, 255]


def test_impossible_arguments() -> None:
    image = array_source(np.ones((1, 2, 2), "u1"))
    with pytest.raises(ArgumentError, match="minmax"):
        dra(image, mode="auto")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="shares"):
        dra(image, min_percentage=2, max_percentage=98)
    with pytest.raises(ArgumentError, match="finite"):
        dra(image, a=np.nan)
    with pytest.raises(ArgumentError, match="bin"):
        DRAParameters.from_counts([])
    with pytest.raises(DtypeError, match="32 bits"):
        dra(image, dtype="int64")
    with pytest.raises(DtypeError, match="abs"):
        dra(array_source(np.ones((1, 2, 2), "c8")))


def test_json_round_trip() -> None:
    node = dra(array_source(np.arange(12, dtype="i2").reshape(1, 3, 4)))
    assert from_json(to_json(node)).token == node.token


def test_the_whole_range_of_floats_goes_from_minimum_to_maximum() -> None:
    data = np.random.default_rng(8).normal(size=(2, 60, 70))
    node = dra(array_source(data), mode="minmax")
    expected = [[[band.min(), band.max()]] for band in data]
    assert whole(node.inputs[1]).data.tolist() == expected
    suggested = whole(dra(array_source(data)).inputs[1]).data[:, 0]
    assert (suggested[:, 0] >= data.min(axis=(1, 2))).all()
    assert (suggested[:, 1] <= data.max(axis=(1, 2))).all()


@pytest.mark.parametrize("values", [[-1.7e308, 0, 1.7e308], [1e-300, 1e300], [5e-324, 1e-323], [2**53, 2**53 + 2]])
def test_ranges_at_the_ends_of_what_floats_hold(values: list[float]) -> None:
    node = dra(array_source(np.array([[values]], np.float64)), mode="minmax")
    assert whole(node.inputs[1]).data.tolist() == [[[values[0], values[-1]]]]
    assert np.isfinite(whole(dra(array_source(np.array([[values]], np.float64))).inputs[1]).data).all()
