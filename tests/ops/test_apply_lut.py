"""Look-up tables over arrays against numpy's indexing, and DRA of arrays against DRA of rasters, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import weft
from weft.graph.errors import ArgumentError, BandError, DtypeError
from weft.graph.sweep import Program, evaluate
from weft.ops import apply_lut, dynamic_range_adjust
from weft.ops.dra import DRAParameters, dra

from .helpers import array_source

pytestmark = pytest.mark.filterwarnings("error")


def test_golden() -> None:
    table = np.arange(10, dtype=np.uint8) * 25
    assert apply_lut(np.array([[0, 5, 9, 255]], np.uint8), table).tolist() == [[0, 125, 225, 225]]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["bool", "u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]))
def test_equals_numpy(draws: st.DataObject, dtype: str) -> None:
    shape = draws.draw(st.tuples(st.integers(1, 4), st.integers(1, 5)) | st.tuples(*[st.integers(1, 4)] * 3))
    image = draws.draw(arrays(dtype, shape))
    length = draws.draw(st.integers(1, 300) | st.sampled_from([65536, 70000]))
    table = draws.draw(st.sampled_from(["u1", "i2", "f4"]).map(lambda kind: (np.arange(length) * 7).astype(kind)))
    found = apply_lut(image, table)
    assert (found.shape, found.dtype) == (image.shape, table.dtype)
    number = image.dtype
    signed_whole = number.kind == "i" and number.itemsize < 3 and length == 2 ** (8 * number.itemsize)
    first = int(np.iinfo(number).min) if signed_whole else 0
    values = [0 if v != v else v for v in image.ravel().tolist()]
    places = [int(min(max(v, first), length - 1 + first)) - first for v in values]
    np.testing.assert_array_equal(found.ravel(), table[places])


def test_strided_and_foreign_images() -> None:
    image = np.arange(24, dtype=">u2").reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(apply_lut(image, np.arange(100)), image)


@pytest.mark.parametrize(("image", "table"), [(np.ones(3, int), [1]), (np.ones((1, 1, 1, 1), int), [1])])
def test_impossible_images(image: Any, table: Any) -> None:
    with pytest.raises(ArgumentError, match="rows, cols"):
        apply_lut(image, table)


def test_impossible_tables() -> None:
    for table in ([], [[1, 2]], 5):
        with pytest.raises(ArgumentError, match="entries"):
            apply_lut(np.ones((2, 2), int), table)
    with pytest.raises(DtypeError, match="abs"):
        apply_lut(np.ones((2, 2), complex), [1, 2])


# Dynamic range adjustment


def test_signed_pixels_come_out_in_order() -> None:
    image = np.array([[-100, 0, 100, 200]], np.int16)
    found = DRAParameters(-100, 200, -100, 200)
    for luts in ([found.build_lut("int16")], [found]):
        assert dynamic_range_adjust(image, luts).tolist() == [[0, 85, 170, 255]]


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.sampled_from(["bool", "u1", "i1", "i2", "u2"]),
    st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    st.sampled_from(["dra", "minmax"]),
)
def test_arrays_and_rasters_become_the_same(draws: st.DataObject, dtype: str, target: str, mode: Any) -> None:
    shape = draws.draw(st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)))
    image = draws.draw(arrays(dtype, shape))
    lazy = dra(array_source(image), dtype=target, mode=mode)
    expected = evaluate(Program(lazy), lazy.meta.grid.region).data
    stats = weft.ops.compute_statistics(image)
    found = [DRAParameters.from_counts(band.histogram, band.bin_edges[0], band.bin_edges[-1]) for band in stats.bands]
    tables = [own.build_lut(dtype, target, mode) for own in found]
    for luts in (tables, np.stack(tables)):
        np.testing.assert_array_equal(dynamic_range_adjust(image, luts), expected)
    np.testing.assert_array_equal(dynamic_range_adjust(image, found, dtype=target, range_adjustment=mode), expected)
    flat = dynamic_range_adjust(image[0], found[:1], dtype=target, range_adjustment=mode)
    np.testing.assert_array_equal(flat, expected[0])
    assert flat.dtype == target


@pytest.mark.parametrize("dtype", ["i4", "f4", "f8"])
@pytest.mark.parametrize("mode", ["dra", "minmax"])
def test_other_types_become_what_rasters_become(dtype: str, mode: Any) -> None:
    image = (np.random.default_rng(1).normal(size=(2, 60, 70)) * 500).astype(dtype)
    if image.dtype.kind == "f":
        image[0, 3, 5] = np.nan
    lazy = dra(array_source(image), mode=mode)
    ranges = evaluate(Program(lazy.inputs[1]), lazy.inputs[1].meta.grid.region).data[:, 0].tolist()
    found = [DRAParameters(*own, *own) for own in ranges]
    block = evaluate(Program(lazy), lazy.meta.grid.region)
    np.testing.assert_array_equal(dynamic_range_adjust(image, found, range_adjustment=mode), block.data)


def test_build_lut_is_the_formula() -> None:
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        info = np.iinfo(dtype)
        values = np.arange(info.min, info.max + 1, dtype=np.float64)
        lo, hi = info.min + 20.5, info.max - 40.25
        found = DRAParameters(lo, hi, info.min, info.max)
        share = np.clip((values - lo) / (hi - lo), 0, 1)
        np.testing.assert_array_equal(found.build_lut(dtype), np.trunc(share * 255).astype(np.uint8))
        np.testing.assert_array_equal(found.build_lut(dtype, "float64"), share)
        whole = np.trunc((values - info.min) / (info.max - info.min) * 65535).astype(np.uint16)
        np.testing.assert_array_equal(found.build_lut(dtype, np.uint16, "minmax"), whole)


def test_no_width_is_half_the_maximum() -> None:
    found = DRAParameters(7, 7, 3, 3)
    assert (found.build_lut("uint8") == 127).all()
    assert (found.build_lut("uint8", "uint16", "minmax") == 32767).all()
    assert (found.build_lut("uint8", "float32") == 0.5).all()


def test_a_table_can_be_written_into() -> None:
    found = DRAParameters(0, 255, 0, 255)
    found.build_lut("uint8")[:] = 9
    assert found.build_lut("uint8")[255] == 255


def test_impossible_adjustments() -> None:
    found, image = DRAParameters(0, 9, 0, 9), np.ones((2, 3, 3), np.uint8)
    with pytest.raises(DtypeError, match="16 bits"):
        found.build_lut("float32")
    with pytest.raises(DtypeError, match="16 bits"):
        found.build_lut("int32")
    with pytest.raises(DtypeError, match="32 bits"):
        found.build_lut("uint8", "int64")
    with pytest.raises(ArgumentError, match="minmax"):
        found.build_lut("uint8", range_adjustment="auto")
    with pytest.raises(BandError, match="2 bands"):
        dynamic_range_adjust(image, [found])
    with pytest.raises(BandError, match="2 bands"):
        dynamic_range_adjust(image, [])
    with pytest.raises(ArgumentError, match="one dtype"):
        dynamic_range_adjust(image, [np.zeros(256, "u1"), np.zeros(256, "f4")])
    with pytest.raises(ArgumentError, match="rows, cols"):
        dynamic_range_adjust(np.ones(3), [found])
    with pytest.raises(ArgumentError, match="minmax"):
        dynamic_range_adjust(image.astype("f4"), [found, found], range_adjustment="auto")
