"""Properties that hold for every graph: optimizing exactly, chunking, threads, JSON and pickle never change a pixel."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import dask
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import weft
from weft.graph.flat import topological

DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64")
RESAMPLINGS = st.sampled_from(("nearest", "bilinear", "cubic", "lanczos", "average", "mode", "min", "max", "median"))
TRANSFORM = (10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0)

Step = Callable[[weft.Raster], weft.Raster]


def blurred(block: np.ndarray) -> np.ndarray:
    """A 3 x 3 maximum, whatever the dtype."""
    padded = np.pad(block, ((0, 0), (1, 1), (1, 1)), mode="edge")
    shifted = [padded[:, i : i + block.shape[1], j : j + block.shape[2]] for i in range(3) for j in range(3)]
    return np.maximum.reduce(shifted)


@st.composite
def rasters(draw: st.DrawFn) -> weft.Raster:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    bands, rows, cols = draw(st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    if dtype.kind == "f":
        data = random.normal(0, 1000, (bands, rows, cols)).astype(dtype)
        if draw(st.booleans()):
            data[random.random(data.shape) < 0.1] = np.nan
    elif dtype.kind == "b":
        data = random.random((bands, rows, cols)) < 0.5
    else:
        info = np.iinfo(dtype)
        data = random.integers(max(info.min, -(2**40)), min(info.max, 2**40), (bands, rows, cols), dtype, endpoint=True)
    valid = None
    if draw(st.booleans()):
        mask_shape = (bands, rows, cols) if draw(st.booleans()) else (rows, cols)
        valid = draw(hnp.arrays(bool, mask_shape)) if rows * cols < 200 else random.random(mask_shape) < 0.8
    nodata = draw(st.sampled_from((None, 0, 1))) if dtype.kind != "b" else None
    return weft.from_array(data, transform=TRANSFORM, crs="EPSG:32633", valid=valid, nodata=nodata)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    return draw(draw(st.sampled_from(STEPS)))


@st.composite
def crops(draw: st.DrawFn) -> Step:
    a, b, c, d = (draw(st.floats(0, 1)) for _ in range(4))

    def step(r: weft.Raster) -> weft.Raster:
        _, rows, cols = r.shape
        (row0, row1), (col0, col1) = _span(a, b, rows), _span(c, d, cols)
        return r.crop(window=(row0, row1, col0, col1))

    return step


@st.composite
def slices(draw: st.DrawFn) -> Step:
    steps_ = st.sampled_from((-3, -2, -1, 1, 2, 3))
    row_step, col_step = draw(steps_), draw(steps_)
    return lambda r: r[::row_step, ::col_step]


@st.composite
def pads(draw: st.DrawFn) -> Step:
    width = draw(st.tuples(*[st.integers(0, 5)] * 4))
    value = draw(st.sampled_from((None, 0, 1)))
    return lambda r: r.pad(width, value=value)


@st.composite
def pointwise(draw: st.DrawFn) -> Step:
    number = draw(st.sampled_from((0, 1, 2, 7)))
    dtype = draw(st.sampled_from(DTYPES))
    choices: list[Step] = [
        lambda r: r.select([-1]),
        lambda r: r.select([-1, 0]),
        lambda r: weft.concat([r, r + number]),
        lambda r: r.astype(dtype),
        lambda r: _number(r).rescale((-100, 1000), (0, 255), "uint8"),
        lambda r: _number(r).clip(0, 100),
        lambda r: _number(r) + number,
        lambda r: _number(r) * 2.5,
        lambda r: number - _number(r),
        lambda r: r.where(r > number),
        lambda r: _number(r).where(_number(r) > number, number),
        lambda r: _number(r).fillna(number),
        lambda r: r.mask(r != number),
        lambda r: abs(_number(r)),
        lambda r: r.astype("uint8").lut(np.arange(256, dtype="int16") * 3 - 100),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def resamplings(draw: st.DrawFn) -> Step:
    how = {"resampling": draw(RESAMPLINGS), "antialias": draw(st.booleans())}
    factor = draw(st.sampled_from((0.3, 0.5, 0.8, 1.0, 1.5, 2.0)))
    shape = draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    angle = draw(st.floats(-0.5, 0.5))
    crs = draw(st.sampled_from(("EPSG:3857", "EPSG:4326", "EPSG:32632")))
    matrix = (np.cos(angle), np.sin(angle), 2.0, -np.sin(angle), np.cos(angle), 3.0)
    choices: list[Step] = [
        lambda r: r.scale(factor, **how),
        lambda r: r.resize(shape, **how),
        lambda r: r.affine(matrix, shape=shape, **how),
        lambda r: r.warp(crs, shape=shape, **how),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def statistical(draw: st.DrawFn) -> Step:
    choices: list[Step] = [lambda r: _number(r).stretch((2, 98)), lambda r: _number(r).dra()]
    return draw(st.sampled_from(choices))


@st.composite
def neighbourhoods(draw: st.DrawFn) -> Step:
    halo = draw(st.integers(1, 3))
    return lambda r: r.map(blurred, halo=halo)


STEPS = (crops(), slices(), pads(), pointwise(), resamplings(), statistical(), neighbourhoods())
CHAINS = st.lists(steps(), min_size=1, max_size=8)
COMMON = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def built(raster: weft.Raster, chain: list[Step]) -> weft.Raster:
    for step in chain:
        raster = step(raster)
        rows, cols = raster.shape[1:]
        if max(rows, cols) > 120:
            raster = raster[: min(rows, 120), : min(cols, 120)]
        if raster.shape[0] > 6:
            raster = raster.select(range(6))
    return raster


def pixels(raster: weft.Raster, **how: object) -> tuple[np.ndarray, np.ndarray]:
    result = raster.to_numpy(masked=True, **how)
    return np.ma.getdata(result), np.ma.getmaskarray(result)


def assert_same(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> None:
    assert one[0].dtype == other[0].dtype
    np.testing.assert_array_equal(one[1], other[1], "validity")
    np.testing.assert_array_equal(one[0], other[0], "pixels")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
class TestEveryGraph:
    @COMMON
    @given(rasters(), CHAINS)
    def test_exact_optimizing_keeps_every_bit(self, raster: weft.Raster, chain: list[Step]) -> None:
        r = built(raster, chain)
        assert_same(pixels(r, optimize="exact"), pixels(r, optimize="none"))

    @COMMON
    @given(rasters(), CHAINS, st.integers(1, 50), st.integers(1, 50))
    def test_chunking_keeps_every_bit(self, raster: weft.Raster, chain: list[Step], rows: int, cols: int) -> None:
        r = built(raster, chain)
        whole = r.to_dask(chunks=(-1, -1)).compute(scheduler="sync")
        np.testing.assert_array_equal(r.to_dask(chunks=(rows, cols)).compute(scheduler="sync"), whole)

    @COMMON
    @given(rasters(), CHAINS)
    def test_threads_keep_every_bit(self, raster: weft.Raster, chain: list[Step]) -> None:
        array = built(raster, chain).to_dask(chunks=(7, 11))
        np.testing.assert_array_equal(array.compute(scheduler="threads", num_workers=4), array.compute(scheduler="sync"))

    @COMMON
    @given(rasters(), CHAINS)
    def test_json_round_trip_is_the_same_graph(self, raster: weft.Raster, chain: list[Step]) -> None:
        r = built(raster, chain)
        try:
            text = r.to_json()
        except weft.WeftError:
            assert any(node.name == "map" for node in topological(r.node)), "only a Python function has no JSON form"
            return
        again = weft.from_json(text)
        assert again.token == r.token
        with dask.config.set(scheduler="sync"):
            assert_same(pixels(again), pixels(r))

    @COMMON
    @given(rasters(), CHAINS)
    def test_pickle_round_trip_is_the_same_graph(self, raster: weft.Raster, chain: list[Step]) -> None:
        r = built(raster, chain)
        again = pickle.loads(pickle.dumps(r))
        assert again.token == r.token
        with dask.config.set(scheduler="sync"):
            assert_same(pixels(again), pixels(r))


def _span(a: float, b: float, length: int) -> tuple[int, int]:
    low, high = sorted((int(a * length), int(b * length)))
    return min(low, length - 1), max(high, min(low, length - 1) + 1)


def _number(r: weft.Raster) -> weft.Raster:
    return r.astype("uint8") if r.dtype == bool else r
