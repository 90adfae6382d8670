"""Halve against sums and sorted lists by hand, pixel by pixel, and against itself in tiles."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from weft import ops
from weft.graph.block import Block
from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.graph.sweep import Program, evaluate
from weft.ops import halve
from weft.ops.halve import METHODS, Halve

from .helpers import array_source, computed

BOXES = ("average", "min", "max", "median", "mode")
KERNELS = ("bilinear", "cubic", "lanczos")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
REALS = ("bool", *INTEGERS, "float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
ORDERED = ("min", "max", "median", "mode")


def keys(t):
    t = abs(t)
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def weights_by_hand(method):
    """The kernel at the distances of the taps, two source pixels wide per output pixel, from 1 - n to n."""
    radius, kernel = {
        "bilinear": (1, lambda t: max(0.0, 1 - abs(t))),
        "cubic": (2, keys),
        "lanczos": (3, lambda t: np.sinc(t) * np.sinc(t / 3)),
    }[method]
    taps = range(1 - 2 * radius, 2 * radius + 1)
    weights = np.array([kernel((k - 0.5) / 2) for k in taps])
    return list(taps), weights / weights.sum()


def box_by_hand(values, method):
    """What ``method`` makes of some valid pixels: exact, not rounded."""
    if method == "min":
        return min(values)
    if method == "max":
        return max(values)
    if method == "mode":
        return min(values, key=lambda v: (-values.count(v), v))
    if method == "median":
        ordered, n = sorted(values), len(values)
        values = ordered[(n - 1) // 2 : n // 2 + 1]
    return Fraction(sum(map(Fraction, values))) / len(values)


def whole_number(value, dtype):
    if dtype.kind == "b":
        return value >= Fraction(1, 2)
    info = np.iinfo(dtype)
    return min(max(math.floor(value + Fraction(1, 2)), int(info.min)), int(info.max))


def by_hand(data, valid, method):
    """(values, valid) as the docstring of the module says; bools and integers rounded, floats as float64."""
    bands, rows, cols = data.shape
    shape = bands, (rows + 1) // 2, (cols + 1) // 2
    values = np.zeros(shape, data.dtype if data.dtype.kind in "biu" else np.result_type(data.dtype, np.float64))
    ok = np.zeros(shape, bool)
    for b, i, j in np.ndindex(*shape):
        if method == "nearest":
            values[b, i, j], ok[b, i, j] = data[b, 2 * i, 2 * j], valid[b, 2 * i, 2 * j]
        elif method in BOXES:
            window = np.s_[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            taken = data[window][valid[window]]
            ok[b, i, j] = taken.size > 0 and 2 * taken.size >= data[window].size
            if ok[b, i, j] and data.dtype.kind == "c":
                values[b, i, j] = taken.astype(complex).mean()
            elif ok[b, i, j]:
                value = box_by_hand(taken.astype(object).tolist(), method)
                values[b, i, j] = float(value) if data.dtype.kind == "f" else whole_number(value, data.dtype)
        else:
            taps, w = weights_by_hand(method)
            r, c = 2 * i + np.array(taps), 2 * j + np.array(taps)
            in_r, in_c = (r >= 0) & (r < rows), (c >= 0) & (c < cols)
            there = np.ix_(r[in_r], c[in_c])
            weights = np.outer(w[in_r], w[in_c])
            used = valid[b][there]
            total = weights[used].sum()
            ok[b, i, j] = total > 0 and total >= (0.5 - 1e-12) * weights.sum()
            if ok[b, i, j]:
                taken = data[b][there][used]
                if data.dtype.kind in "fc":
                    values[b, i, j] = (weights[used] * taken).sum() / total
                else:
                    exact = sum(Fraction(float(x)) * int(v) for x, v in zip(weights[used], taken, strict=True))
                    values[b, i, j] = whole_number(exact / Fraction(float(total)), data.dtype)
    return values, ok


def pixels_of(dtype, shape, seed=0):
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "c":
        return (100 * (rng.normal(size=shape) + 1j * rng.normal(size=shape))).astype(dtype)
    values = np.round(100 * rng.normal(size=shape))  # whole, so that some occur more than once
    if dtype.kind == "f":
        return (values / 4).astype(dtype)
    info = np.iinfo(dtype)
    wide = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    few = rng.integers(0, 4, shape).astype(dtype)
    return np.where(rng.random(shape) < 0.5, few, wide)


def mask_of(kind, shape, seed=0):
    if kind == "none":
        return None
    rng = np.random.default_rng(seed + 1)
    flags = rng.random((shape[0] if kind == "per band" else 1, *shape[1:])) < 0.7
    flags[:, shape[1] // 2 :, : shape[2] // 2] = True
    flags[:, : shape[1] // 3, shape[2] // 2 :] = False
    return flags


def assert_like_hand(node, data, flags):
    got, got_valid = computed(node)
    valid = np.broadcast_to(True if flags is None else flags, data.shape)
    values, ok = by_hand(data, valid, node.method)
    np.testing.assert_array_equal(got_valid, ok)
    np.testing.assert_array_equal(got[~ok], np.full((~ok).sum(), node.meta.fill, data.dtype))
    got, values = got[ok], values[ok]
    if data.dtype.kind in "fc" and node.method not in ("nearest", "min", "max", "mode"):
        digits = {"float16": 1e-3, "float32": 3e-7, "complex64": 3e-7}.get(data.dtype.name, 1e-12)
        slack = max(digits, 2e-7 if node.method == "lanczos" else 0) * (1 + np.abs(data[valid]).max(initial=0))
        np.testing.assert_allclose(got, values, rtol=0, atol=slack)
    elif data.dtype.kind in "iu" and node.method in KERNELS and (data.dtype.itemsize == 8 or node.method == "lanczos"):
        apart = [abs(int(a) - int(b)) for a, b in zip(got, values, strict=True)]
        # 64 bits go through float64, and Lanczos' weights are rounded to 2**-26.
        slack = max(1, 2.0 ** (8 * data.dtype.itemsize - 22)) if data.dtype.itemsize > 2 else 1
        assert max(apart, default=0) <= slack
        if data.dtype.itemsize <= 2:
            assert sum(apart) <= 0.01 * len(apart)
    else:
        np.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("masks", ["none", "shared", "per band"])
@pytest.mark.parametrize(
    ("dtype", "method"), [(d, m) for d in REALS + COMPLEX for m in METHODS if not (d in COMPLEX and m in ORDERED)]
)
def test_every_dtype_and_method_equals_the_work_by_hand(dtype, method, masks):
    data = pixels_of(dtype, (2, 17, 15))
    flags = mask_of(masks, data.shape)
    assert_like_hand(halve(array_source(data, flags), method), data, flags)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 9), (4, 3), (5, 6), (7, 7), (8, 13), (14, 12)])
def test_every_small_size(shape, method):
    data = pixels_of("int16", (1, *shape))
    for flags in (None, mask_of("shared", data.shape), np.zeros((1, *shape), bool)):
        assert_like_hand(halve(array_source(data, flags), method), data, flags)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 70)),
    tile=st.tuples(st.integers(1, 36), st.integers(1, 36)),
    method=st.sampled_from(METHODS),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]),
    masks=st.sampled_from(["none", "shared", "per band"]),
    seed=st.integers(0, 1000),
)
def test_tiles_are_bit_equal_to_the_whole(image, whole, in_tiles, shape, tile, method, dtype, masks, seed):
    data = pixels_of(dtype, shape, seed)
    if dtype[0] == "f":
        data = data * np.pi
    node = halve(image(data, valid=mask_of(masks, shape, seed), nodata=7), method)
    full, tiled = whole(node), in_tiles(node, *tile)
    np.testing.assert_array_equal(tiled.data, full.data)
    spread = [np.broadcast_to(True if block.valid is None else block.valid, full.data.shape) for block in (full, tiled)]
    np.testing.assert_array_equal(*spread)


@pytest.mark.parametrize("method", METHODS)
def test_a_mask_elsewhere_changes_nothing(image, whole, method):
    data = np.pi * pixels_of("float64", (1, 60, 70))
    flags = np.ones((1, 60, 70), bool)
    flags[0, 40:, 50:] = False
    plain, masked = (whole(halve(image(data, valid=valid), method)) for valid in (None, flags))
    np.testing.assert_array_equal(masked.data[0, :16, :], plain.data[0, :16, :])
    np.testing.assert_array_equal(masked.data[0, :, :21], plain.data[0, :, :21])
    assert plain.valid is None


@pytest.mark.parametrize("method", METHODS)
def test_regions_of_all_sizes_need_the_taps_and_nothing_else(method):
    reach = {"bilinear": 1, "cubic": 3, "lanczos": 5}.get(method, 0)
    node = halve(array_source(np.zeros((1, 21, 30))), method)
    last = 2 if method == "nearest" else 1
    assert node.need(Region(4, 7, 3, 9)) == (
        Region(max(0, 8 - reach), 15 - last + reach, max(0, 6 - reach), 19 - last + reach),
    )
    assert node.need(Region(10, 11, 14, 15)) == (Region(20 - reach, 21, 28 - reach, 29 if method == "nearest" else 30),)
    assert node.need(Region(0, 11, 0, 15)) == (Region(0, 21, 0, 29 if method == "nearest" else 30),)


@pytest.mark.parametrize("method", BOXES + KERNELS)
def test_blocks_may_be_windows_of_others_in_any_layout(method):
    data = pixels_of("uint16", (2, 12, 14))
    flags = mask_of("per band", data.shape)
    node = halve(array_source(data, flags), method)
    region = node.meta.grid.region
    expected = node.kernel((Block(data, flags),), region)
    wide = np.zeros((4, 30, 29), np.uint16)
    wide[::2, 3:27:2, 5:19] = data
    odd = np.zeros(data.nbytes + 1, np.uint8)[1:].view(np.uint16).reshape(data.shape)
    odd[...] = data
    assert not odd.flags.aligned
    layouts = [
        wide[::2, 3:27:2, 5:19],
        np.asfortranarray(data),
        np.ascontiguousarray(data[:, ::-1, ::-1])[:, ::-1, ::-1],
        np.ascontiguousarray(data[::-1])[::-1],
        odd,
    ]
    masks = [flags, np.asfortranarray(flags), np.ascontiguousarray(flags[:, ::-1])[:, ::-1], flags, flags]
    for pixels, mask in zip(layouts, masks, strict=True):
        pixels.flags.writeable = False
        got = node.kernel((Block(pixels, mask),), region)
        np.testing.assert_array_equal(got.data, expected.data)
        np.testing.assert_array_equal(got.valid, expected.valid)
    for spread in (np.broadcast_to(data[:1], data.shape), np.broadcast_to(data[:, :1], data.shape)):
        got = node.kernel((Block(spread, flags),), region)
        np.testing.assert_array_equal(got.data, node.kernel((Block(spread.copy(), flags),), region).data)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_means_of_integers_are_exact_and_half_up(dtype, count):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(count)
    extreme = np.array([info.min, info.min + 1, info.max - 1, info.max, 0, 1, 2, 3], dtype)
    data = np.concatenate([rng.choice(extreme, 4000), rng.integers(info.min, info.max, 4000, dtype, endpoint=True)])
    data = data.reshape(1, 40, 200)
    if count == 1:  # alone in the corner of an odd size
        data, flags = data[:, :1, :1], None
    else:
        flags = np.zeros((20, 100, 4), bool)
        order = rng.permuted(np.broadcast_to(np.arange(4), flags.shape), axis=2)
        flags = (order < count).reshape(20, 100, 2, 2).swapaxes(1, 2).reshape(1, 40, 200)
    for method in ("average", "median"):
        assert_like_hand(halve(array_source(data, flags), method), data, flags)


def test_rounding_is_half_up_below_zero_too():
    for values, mean in (([-1, -2], -1), ([-1, -1, -1, 0], -1), ([-1, -1, 0, 0], 0), ([-3, -2], -2), ([1, 2], 2), ([-7], -7)):
        data = np.resize(np.array(values, np.int16), (1, 2, 2) if len(values) > 1 else (1, 1, 1))
        assert computed(halve(array_source(data)))[0].item() == mean


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "int64"])
def test_the_ends_of_a_type_stay(dtype, method):
    info = np.iinfo(dtype)
    for value in (info.min, info.max):
        data, _ = computed(halve(array_source(np.full((1, 9, 8), value, dtype)), method))
        assert set(data.ravel().tolist()) == {value}


@pytest.mark.parametrize("method", ["cubic", "lanczos"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64"])
def test_overshoot_saturates(dtype, method):
    info = np.iinfo(dtype)
    data = np.full((1, 30, 40), info.min, dtype)
    data[:, :, 20:] = info.max
    got, _ = computed(halve(array_source(data), method))
    assert (got[0, :, 11] == info.max).all()
    assert (got[0, :, 8] == info.min).all()


@pytest.mark.parametrize("method", KERNELS)
def test_just_half_of_the_weight_is_enough(method):
    data = np.ones((1, 40, 40), np.float32)
    flags = np.zeros((1, 40, 40), bool)
    flags[:, :, 1::2] = True
    flags[:, :, :20] = False
    flags[:, :, 21] = flags[:, :, 20] = True
    taps, w = weights_by_hand(method)
    got, valid = computed(halve(array_source(data, flags), method))
    shares = [sum(x for x, k in zip(w, taps, strict=True) if 0 <= 2 * j + k < 40 and flags[0, 0, 2 * j + k]) for j in range(20)]
    assert sum(abs(share - 0.5) < 1e-12 for share in shares) >= 5
    for j, share in enumerate(shares[:17]):
        assert valid[0, :, j].tolist() == [share > 0.5 - 1e-12] * 20
    np.testing.assert_allclose(got[valid], 1, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_what_stands_beneath_a_mask_never_shows(method):
    data = pixels_of("float32", (1, 24, 26))
    flags = mask_of("shared", data.shape)
    results = []
    for beneath in (0, np.nan, np.inf, 3e38):
        hidden = np.where(flags, data, np.float32(beneath))
        results.append(computed(halve(array_source(hidden, flags), method)))
    for values, valid in results[1:]:
        np.testing.assert_array_equal(valid, results[0][1])
        np.testing.assert_array_equal(values, results[0][0])
    assert np.isnan(results[0][0][~results[0][1]]).all()


@pytest.mark.parametrize("method", METHODS)
def test_infinity_stays_where_its_taps_reach(method):
    data = np.zeros((1, 40, 40))
    data[0, 21, 21] = np.inf
    got, _ = computed(halve(array_source(data), method))
    reach = {"bilinear": 1, "cubic": 3, "lanczos": 5}.get(method, 0)
    touched = {k for k in range(20) if 2 * k - reach <= 21 <= 2 * k + 1 + reach}
    rows, cols = np.nonzero(~np.isfinite(got[0]))
    assert {*rows, *cols} == (touched if method in ("average", "max", *KERNELS) else set())


def test_bools_are_true_from_half_on():
    data = np.array([[1, 0, 1, 0, 1, 1], [0, 0, 0, 1, 1, 0]], bool)[None]
    got = {method: computed(halve(array_source(data), method))[0].ravel().tolist() for method in BOXES}
    assert got["average"] == got["median"] == [False, True, True]
    assert got["mode"] == [False, False, True]
    assert got["min"] == [False, False, False]
    assert got["max"] == [True, True, True]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("method", METHODS)
def test_new_values_stand_aside_of_nodata(dtype, method):
    rng = np.random.default_rng(4)
    data = rng.choice(np.array([9, 11], dtype), (1, 40, 40))
    flags = rng.random((1, 40, 40)) < 0.9
    data[~flags] = 10
    got, valid = computed(halve(array_source(data, flags, nodata=10), method))
    assert (got[~valid] == 10).all()
    assert not (got[valid] == 10).any()
    if method in ("average", "median", "bilinear"):
        got, valid = computed(halve(array_source(data, flags), method))
        assert (got[valid] == 10).any()


def test_the_grid_has_pixels_twice_as_large():
    transform = Affine(2, 0.5, 100, 0.25, -3, 200)
    source = array_source(np.zeros((1, 7, 10)), transform=transform, crs="EPSG:32633")
    grid = halve(source).meta.grid
    assert grid.shape == (4, 5)
    assert grid.transform == transform @ Affine.scale(2)
    assert grid.crs == "EPSG:32633"
    assert halve(halve(halve(source))).meta.grid.shape == (1, 2)


def test_meta_follows_the_source():
    source = array_source(np.zeros((2, 7, 10), np.uint8), nodata=3, bands=["red", "nir"], attrs={"scale": (1.0, 2.0)})
    meta = halve(source).meta
    assert (meta.bands, meta.dtype, meta.nodata, meta.masked) == (("red", "nir"), np.dtype(np.uint8), 3, False)
    assert meta.attrs == source.meta.attrs
    assert halve(array_source(np.zeros((2, 2)), np.ones((2, 2), bool))).meta.masked
    assert math.isnan(halve(array_source(np.zeros((2, 2)))).meta.nodata)
    assert halve(array_source(np.zeros((2, 2), np.int8))).meta.nodata is None


def test_a_mask_of_valid_pixels_is_dropped(whole):
    node = halve(array_source(np.zeros((1, 6, 6)), np.ones((1, 6, 6), bool)))
    assert whole(node).valid is None


def test_impossible_requests_are_refused():
    source = array_source(np.zeros((1, 4, 4)))
    with pytest.raises(ArgumentError, match="nearest, average, min, max, median, mode, bilinear, cubic, lanczos"):
        halve(source, "sinc")
    wavy = array_source(np.zeros((1, 4, 4), complex))
    for method in ORDERED:
        with pytest.raises(DtypeError, match=method):
            halve(wavy, method)


@pytest.mark.parametrize("method", ["nearest", "average", "cubic"])
def test_bands_go_into_the_source(method):
    data = pixels_of("uint8", (4, 9, 8))
    node = halve(array_source(data, mask_of("per band", data.shape)), method)
    values, valid = computed(node)
    few = ops.select(node, [2, 0])
    best = optimize(few, "exact").node
    assert type(best) is Halve
    for form in (few, best):
        got, ok = computed(form)
        np.testing.assert_array_equal(got, values[[2, 0]])
        np.testing.assert_array_equal(ok, valid[[2, 0]])


@pytest.mark.parametrize("method", METHODS)
def test_nodes_are_data(method):
    node = halve(array_source(np.zeros((1, 4, 5))), method)
    assert from_json(to_json(node)) == node
    again = pickle.loads(pickle.dumps(node))
    assert again == node
    assert again.meta == node.meta or math.isnan(node.meta.nodata)


def test_a_chain_of_halves_in_one_sweep(image, whole):
    data = pixels_of("uint16", (1, 133, 97))
    levels = [image(data)]
    node = levels[0]
    for _ in range(5):
        node = halve(node)
        levels.append(image(whole(halve(levels[-1])).data, grid=node.meta.grid))
    np.testing.assert_array_equal(evaluate(Program(node), node.meta.grid.region).data, levels[-1].pixels.array)
