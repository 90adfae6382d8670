"""Interpolated coordinates against pyproj at every pixel, on kind and on hard projections."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.grid import EMPTY, Grid, Region, transformer
from weft.ops.coordinates import affine_need, affine_patches, local_scale, warp_need, warp_patches
from weft.ops.sampling import RESAMPLINGS, WIDEN_FROM, placed

RADIUS = {name: kind.radius for name, kind in RESAMPLINGS.items() if not kind.footprint}
UTM = Grid((3000, 3000), (20, 0, 500000, 0, -20, 5300000), "EPSG:32633")
GLOBE = Grid((1800, 3600), (0.1, 0, -180, 0, -0.1, 90), "EPSG:4326")
EASTWARD = Grid((900, 1800), (0.2, 0, 0, 0, -0.2, 90), "EPSG:4326")  # longitudes 0 to 360
PACIFIC = Grid((400, 800), (0.05, 0, 160, 0, -0.05, 10), "EPSG:4326")  # longitudes 160 to 200
MERCATOR = Grid((512, 512), (8e4, 0, -2.048e7, 0, -8e4, 2.048e7), "EPSG:3857")

PAIRS = {
    "scene to mercator": (Grid((300, 280), (300, 0, 1.70e6, 0, -300, 6.10e6), "EPSG:3857"), UTM),
    "scene to degrees": (Grid((300, 400), (0.0025, 0, 14.9, 0, -0.002, 47.9), "EPSG:4326"), UTM),
    "around the north pole": (Grid((260, 260), (40000, 0, -5.2e6, 0, -40000, 5.2e6), "EPSG:3413"), GLOBE),
    "around the south pole": (Grid((260, 260), (40000, 0, -5.2e6, 0, -40000, 5.2e6), "EPSG:3031"), GLOBE),
    "globe seen from space": (Grid((200, 200), (70000, 0, -7e6, 0, -70000, 7e6), "+proj=ortho +lat_0=40 +lon_0=10"), GLOBE),
    "0 to 360 in mercator": (MERCATOR, EASTWARD),
    "antimeridian in mercator": (MERCATOR, PACIFIC),
    "degrees beyond 180": (
        Grid((100, 200), (0.2, 0, 160, 0, -0.2, 10), "EPSG:4326"),
        Grid((300, 300), (8000, 0, -4e5, 0, -8000, 1.2e6), "EPSG:32660"),
    ),
    "homolosine, torn": (Grid((180, 360), (1e5, 0, -1.8e7, 0, -1e5, 9e6), "+proj=igh"), GLOBE),
}


def exact(target, source):
    """x and y in source pixels of every pixel centre, from pyproj alone, longitudes turned onto the source."""
    rows, cols = np.mgrid[: target.shape[0], : target.shape[1]] + 0.5
    a, b, c, d, e, f = target.transform[:6]
    east, north = a * cols + b * rows + c, d * cols + e * rows + f
    x, y = transformer(target.crs, source.crs).transform(east, north)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x[lost], y[lost] = np.nan, np.nan
    a, b, c, d, e, f = (~source.transform)[:6]
    x, y = a * x + b * y + c, d * x + e * y + f
    if source.crs == "EPSG:4326":
        period = 360 / source.transform.a
        for turn in (-1, 1):
            moved = x + turn * period
            x = np.where((moved >= 0) & (moved < source.shape[1]), moved, x)
    return x, y


def interpolated(target, source, tolerance, region=None):
    """x and y of every pixel, and how often it lies in a window with coordinates inside the source."""
    region = region or target.region
    x, y = np.full((2, *target.shape), np.nan)
    hits = np.zeros(target.shape, int)
    for windows, maps in warp_patches(target, source, tolerance, region):
        single = (windows[:, 1] - windows[:, 0] == 1) & (windows[:, 3] - windows[:, 2] == 1) & (maps[:, 3:6] == 0).all(axis=1)
        at, px, py = (windows[single, 0], windows[single, 2]), maps[single, 2], maps[single, 6]
        inside = (px >= 0) & (px < source.shape[1]) & (py >= 0) & (py < source.shape[0])
        at = at[0][inside], at[1][inside]
        np.add.at(hits, at, 1)
        x[at], y[at] = px[inside], py[inside]
        for (row0, row1, col0, col1), m in zip(windows[~single], maps[~single], strict=True):
            v, u = np.mgrid[row0:row1, col0:col1] + 0.5
            v, u = v - m[0], u - m[1]
            here = placed(m, 2, 14, u, v), placed(m, 6, 19, u, v)
            box = np.s_[row0:row1, col0:col1]
            inside = (here[0] >= 0) & (here[0] < source.shape[1]) & (here[1] >= 0) & (here[1] < source.shape[0])
            hits[box] += inside
            x[box] = np.where(inside, here[0], x[box])
            y[box] = np.where(inside, here[1], y[box])
    return x, y, hits


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("tolerance", [0.05, 0.2])
def test_wrong_by_at_most_the_tolerance(name, tolerance):
    target, source = PAIRS[name]
    true_x, true_y = exact(target, source)
    x, y, hits = interpolated(target, source, tolerance)
    assert hits.max() == 1
    rows, cols = source.shape
    sampled = np.isfinite(x)
    error = np.hypot(x - true_x, y - true_y)[sampled]
    assert error.max() <= tolerance
    margin = 2 * tolerance
    surely = (true_x > margin) & (true_x < cols - margin) & (true_y > margin) & (true_y < rows - margin)
    assert surely.sum() > 1000
    assert sampled[surely].all()


@pytest.mark.parametrize("name", PAIRS)
def test_a_pixels_coordinates_do_not_depend_on_the_region(name):
    target, source = PAIRS[name]
    full = interpolated(target, source, 0.1)
    rng = np.random.default_rng(0)
    for _ in range(4):
        row, col = (int(rng.integers(0, n - 20)) for n in target.shape)
        region = Region(row, row + int(rng.integers(1, 150)), col, col + int(rng.integers(1, 150))).intersect(target.region)
        part = interpolated(target, source, 0.1, region)
        for mine, all_ in zip(part, full, strict=True):
            assert np.array_equal(mine[region.rows, region.cols], all_[region.rows, region.cols], equal_nan=True)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("resampling", RADIUS)
def test_need_holds_every_tap(name, resampling):
    target, source = PAIRS[name]
    x, y, _ = interpolated(target, source, 0.1)
    rng = np.random.default_rng(1)
    for _ in range(4):
        row, col = (int(rng.integers(0, n - 20)) for n in target.shape)
        region = Region(row, row + 40, col, col + 50).intersect(target.region)
        need = warp_need(target, source, 0.1, region, resampling, False)
        for value, low, high, size in (
            (x, need.col0, need.col1, source.shape[1]),
            (y, need.row0, need.row1, source.shape[0]),
        ):
            here = value[region.rows, region.cols]
            if not np.isfinite(here).any():
                continue
            reach = RADIUS[resampling]
            first, last = np.nanmin(here) - 0.5 - reach, np.nanmax(here) - 0.5 + reach
            assert low <= max(0, math.ceil(first))
            assert high >= min(size, math.floor(last) + 1)
        assert source.region.contains(need)


def test_need_of_a_region_that_sees_nothing_is_empty():
    target = Grid((100, 100), (10, 0, 0, 0, -10, 0), "EPSG:3857")
    assert warp_need(target, UTM, 0.05, target.region, "cubic", True) == EMPTY


def test_need_of_a_small_region_is_small():
    target, source = PAIRS["scene to mercator"]
    need = warp_need(target, source, 0.05, Region(100, 110, 100, 110), "bilinear", False)
    x, y, _ = interpolated(target, source, 0.05)
    box = x[100:110, 100:110], y[100:110, 100:110]
    assert need.shape[1] <= np.ptp(box[0]) + 6
    assert need.shape[0] <= np.ptp(box[1]) + 6


@settings(max_examples=50, deadline=None)
@given(
    matrix=st.tuples(*[st.floats(-4, 4)] * 2, st.floats(-50, 50), *[st.floats(-4, 4)] * 2, st.floats(-50, 50)),
    corner=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    resampling=st.sampled_from(list(RADIUS)),
    antialias=st.booleans(),
)
def test_affine_need_holds_every_tap_and_little_more(matrix, corner, size, resampling, antialias):
    region = Region(corner[0], corner[0] + size[0], corner[1], corner[1] + size[1])
    shape = (60, 70)
    need = affine_need(matrix, region, shape, resampling, antialias)
    a, b, c, d, e, f = matrix
    i, j = np.mgrid[region.rows, region.cols] + 0.5
    x, y = a * j + b * i + c, d * j + e * i + f
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    if not inside.any():
        return
    for value, low, high, count, scale in (
        (x, need.col0, need.col1, shape[1], math.hypot(a, b)),
        (y, need.row0, need.row1, shape[0], math.hypot(d, e)),
    ):
        reach = RADIUS[resampling] * (scale if antialias and scale > WIDEN_FROM else 1)
        first, last = value[inside].min() - 0.5 - reach, value[inside].max() - 0.5 + reach
        assert low <= max(0, math.ceil(first))
        assert high >= min(count, math.floor(last) + 1)
        touched = np.clip(value, 0, count)
        assert low >= math.floor(touched.min() - 0.5 - reach) - 1
        assert high <= math.ceil(touched.max() + 0.5 + reach) + 1


def test_affine_windows_tile_the_region_once():
    region = Region(10, 200, 33, 150)
    seen = np.zeros((300, 300), int)
    for windows, _ in affine_patches((1, 0, 0, 0, 1, 0), region):
        for row0, row1, col0, col1 in windows:
            seen[row0:row1, col0:col1] += 1
    assert seen.sum() == region.size
    assert (seen[region.rows, region.cols] == 1).all()


def test_local_scale_is_source_pixels_per_output_pixel():
    fine = Grid((600, 600), (100, 0, 520000, 0, -100, 5290000), "EPSG:32633")
    assert local_scale(fine, Grid((6000, 6000), (10, 0, 500000, 0, -10, 5300000), "EPSG:32633")) == pytest.approx(10, rel=1e-6)
    target, source = PAIRS["scene to mercator"]
    assert local_scale(target, source) == pytest.approx(300 * math.cos(math.radians(47.5)) / 20, rel=0.03)
    assert local_scale(Grid((10, 10), (10, 0, 0, 0, -10, 0), "EPSG:3857"), source) == 0
