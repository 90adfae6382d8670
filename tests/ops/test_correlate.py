"""Correlate and convolve against the array functions, which the standard's tables judge, and sums of valid pixels by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft import ops
from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.jsonio import from_json, to_json

from .helpers import array_source, computed

KERNELS = {
    "mean": np.ones((3, 3)) / 9,
    "even": np.array([[0.1, 0.4, -0.2, 0.3], [0.2, 0.1, 0.05, 0.05]]),
    "row": np.array([[1.0, 2.0, 1.0]]) / 4,
    "edges": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]),
    "antialias": ops.SIPS_ANTIALIAS_KERNEL_7x7,
}


def noise(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    return (random.random(shape) * 250).astype(dtype)


@settings(max_examples=40)
@given(
    rows=st.integers(1, 12),
    cols=st.integers(1, 14),
    name=st.sampled_from(sorted(KERNELS)),
    dtype=st.sampled_from(["uint8", "int16", "uint16", "int32", "float16", "float32", "float64"]),
)
def test_all_valid_is_the_array_function(rows, cols, name, dtype):
    pixels = noise((2, rows, cols), dtype)
    for function, array in ((ops.correlate, ops.sips_correlate), (ops.convolve, ops.sips_convolve)):
        data, valid = computed(function(array_source(pixels), KERNELS[name]))
        np.testing.assert_array_equal(data, array(pixels, KERNELS[name]))
        assert valid.all()


def by_hand(pixels, mask, kernel):
    """Sums of the valid pixels and where there are enough of them, one after the other."""
    m, n = kernel.shape
    (rows, cols), total = pixels.shape, kernel.sum()
    values, valid = np.zeros(pixels.shape), np.zeros(pixels.shape, bool)

    def at(k, size):
        return 0 if size == 1 else abs((k + size - 1) % (2 * size - 2) - (size - 1))

    for i, j in np.ndindex(rows, cols):
        taps = [(kernel[a, b], at(i + a - (m - 1) // 2, rows), at(j + b - (n - 1) // 2, cols)) for a, b in np.ndindex(m, n)]
        good = [(w, pixels[r, c]) for w, r, c in taps if mask[r, c]]
        if all(mask[r, c] for w, r, c in taps if w):
            values[i, j], valid[i, j] = sum(w * float(v) for w, v in good if w), True
        elif total > 0 and (held := sum(w for w, _ in good)) >= total * (0.5 - 1e-9):
            values[i, j], valid[i, j] = sum(w * float(v) for w, v in good) * total / held, True
    return values, valid


@settings(max_examples=30)
@given(
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    name=st.sampled_from(sorted(KERNELS)),
    masks=st.sampled_from([1, 2]),
    seed=st.integers(0, 5),
)
def test_invalid_pixels_take_no_part(rows, cols, name, masks, seed):
    pixels = noise((2, rows, cols), "float64", seed)
    mask = np.random.default_rng(seed).random((masks, rows, cols)) > 0.3
    pixels[~np.broadcast_to(mask, pixels.shape)] = np.nan
    data, valid = computed(ops.correlate(array_source(pixels, mask), KERNELS[name]))
    for band in range(2):
        values, good = by_hand(pixels[band], mask[band % masks], KERNELS[name])
        np.testing.assert_array_equal(valid[band], good)
        np.testing.assert_allclose(data[band][good], values[good], rtol=1e-9, atol=1e-9)
        assert np.isnan(data[band][~good]).all()


def test_integers_are_rounded_half_up_and_saturate():
    pixels = np.array([[[0, 255], [255, 255]]], "uint8")
    data, _ = computed(ops.correlate(array_source(pixels), [[0.5]]))
    np.testing.assert_array_equal(data, [[[0, 128], [128, 128]]])
    data, _ = computed(ops.correlate(array_source(pixels), [[-3.0]]))
    assert not data.any()
    data, _ = computed(ops.correlate(array_source(pixels), [[2.0]]))
    np.testing.assert_array_equal(data, pixels)


def test_a_result_never_falls_onto_nodata():
    pixels = np.full((1, 4, 4), 10, "uint8")
    mask = np.ones((1, 4, 4), bool)
    mask[0, 0, 0] = False
    data, valid = computed(ops.correlate(array_source(pixels, mask, nodata=10), np.ones((3, 3)) / 9))
    assert (data[valid] == 11).all()


@pytest.mark.parametrize("kernel", [np.ones(3), np.ones((0, 3)), [[np.nan]], "no", np.ones((2, 2, 2))])
def test_kernels_that_are_none_are_refused(kernel):
    with pytest.raises(ArgumentError, match="kernel"):
        ops.correlate(array_source(noise((1, 3, 3), "uint8")), kernel)


@pytest.mark.parametrize("dtype", ["bool", "int64", "complex64"])
def test_dtypes_that_no_sum_suits_are_refused(dtype):
    with pytest.raises(DtypeError, match="works on"):
        ops.convolve(array_source(np.ones((1, 3, 3), dtype)), [[1]])


def test_it_travels():
    node = ops.convolve(array_source(noise((2, 5, 5), "uint8")), KERNELS["even"])
    assert pickle.loads(pickle.dumps(node)) == node
    narrow = node.select((1,))
    np.testing.assert_array_equal(computed(narrow)[0], computed(node)[0][1:])
    assert node.describe() == "2 x 4"


def test_it_goes_through_json(tmp_path):
    import weft

    path = weft.from_array(noise((1, 20, 20), "uint8")).to_zarr(tmp_path / "a.zarr")
    node = weft.open(path).convolve(KERNELS["mean"]).node
    assert from_json(to_json(node)).token == node.token
