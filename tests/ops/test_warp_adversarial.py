"""Warp where it is hard: poles, the antimeridian, the limb of the globe, seams, tiny grids, turned ones, huge pixels.

pyproj at every output pixel is the judge, its samples turned by whole turns of longitude onto sources in degrees.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyproj
import pytest
from affine import Affine as Transform
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from weft.graph.errors import CRSError
from weft.graph.grid import Grid, Region
from weft.graph.sweep import Program, evaluate
from weft.ops import warp
from weft.ops.coordinates import exact_coordinates, warp_patches
from weft.ops.sampling import placed

SINUSOIDAL = "+proj=sinu +R=6371007.181"
MOLLWEIDE = "+proj=moll +datum=WGS84"
ORTHOGRAPHIC = "+proj=ortho +lat_0=40 +lon_0=10 +datum=WGS84"
GEOSTATIONARY = "+proj=geos +h=35785831 +lon_0=-75 +sweep=x +datum=WGS84"
OBLIQUE = "+proj=omerc +lat_0=4 +lonc=115 +alpha=53.3158 +gamma=53.1301 +k=0.99984 +datum=WGS84"
HOMOLOSINE = "+proj=igh +datum=WGS84"
HEALPIX = "+proj=healpix +datum=WGS84"
ICOSAHEDRAL = "+proj=isea"

CRSES = (
    "EPSG:4326", "EPSG:4269", "EPSG:4807", "EPSG:3857", "EPSG:32633", "EPSG:32601", "EPSG:32660", "EPSG:32701", "EPSG:3413",
    "EPSG:3031", "EPSG:3832", "EPSG:3994", "EPSG:5514", "EPSG:2056", "EPSG:3035", SINUSOIDAL, MOLLWEIDE, GEOSTATIONARY, OBLIQUE,
    HOMOLOSINE,
)  # fmt: skip
PLACES = (
    (-75, 0), (10, 40), (15, 50), (180, 0), (179.9, -17), (-179.9, 65), (0, 90), (0, 89.9), (45, -89.99), (0, -90), (115, 4),
    (-75, 70), (-20, 60), (7.4, 46.9),
)  # fmt: skip


def around(crs, place, pixel, shape, turn=0.0, shear=0.0, up=False, at=(0.5, 0.5)):
    """A grid of ``shape`` with ``place`` (longitude, latitude) at the part ``at`` of its rows and columns."""
    x, y = transformer("OGC:CRS84", crs).transform(*place)
    step = Transform.rotation(turn) @ Transform.shear(shear, 0) @ Transform.scale(pixel, pixel if up else -pixel)
    dx, dy = step @ (at[1] * shape[1], at[0] * shape[0])
    return Grid(shape, Transform(step.a, step.b, x - dx, step.d, step.e, y - dy), crs)


def disc(crs, half, size, up=False):
    """A square grid over a projection's middle."""
    pixel = 2 * half / size
    return Grid((size, size), (pixel, 0, -half, 0, pixel if up else -pixel, -half if up else half), crs)


@lru_cache(maxsize=512)
def transformer(source, target):
    return pyproj.Transformer.from_crs(pyproj.CRS(source), pyproj.CRS(target), always_xy=True)


GLOBE = Grid((450, 900), (0.4, 0, -180, 0, -0.4, 90), "EPSG:4326")
EASTWARD = Grid((900, 1800), (0.2, 0, 0, 0, -0.2, 90), "EPSG:4326")
SOUTH_UP = Grid((450, 900), (0.4, 0, -180, 0, 0.4, -90), "EPSG:4326")
PACIFIC = Grid((400, 800), (0.05, 0, 160, 0, -0.05, 10), "EPSG:4326")

CASES = {
    "north pole": (disc("EPSG:3413", 4e6, 131), GLOBE),
    "south pole, south up": (disc("EPSG:3031", 4e6, 130, up=True), SOUTH_UP),
    "degrees from the north pole": (
        Grid((60, 160), (2.25, 0, -180, 0, -0.5, 90), "EPSG:4326"),
        disc("EPSG:3413", 4e6, 300),
    ),
    "degrees from the south pole": (
        Grid((60, 160), (2.25, 0, 0, 0, -0.5, -60), "EPSG:4326"),
        disc("EPSG:3031", 4e6, 300, up=True),
    ),
    "pole to pole": (disc("+proj=laea +lat_0=90 +lon_0=77 +datum=WGS84", 2e6, 120), disc("EPSG:3413", 2e6, 333)),
    "from longitudes 0 to 360": (disc("EPSG:3857", 2.0037508342789244e7, 160), EASTWARD),
    "from longitudes 160 to 200": (disc("EPSG:3832", 4e6, 140), PACIFIC),
    "across 180 into degrees": (
        Grid((90, 150), (0.02, 0, 178.5, 0, -0.02, 9), "EPSG:4326"),
        around("EPSG:32660", (180, 8), 800, (300, 300)),
    ),
    "across 180, zone 1, from the other side": (
        Grid((90, 150), (0.02, 0, -181.5, 0, -0.02, 9), "EPSG:4326"),
        around("EPSG:32601", (-180, 8), 800, (300, 300)),
    ),
    "zone 60 to the Pacific": (
        around("EPSG:3994", (180, -20), 900, (120, 130)),
        around("EPSG:32760", (180, -20), 500, (300, 290)),
    ),
    "the Pacific to zone 1": (
        around("EPSG:32601", (180, 40), 700, (120, 130)),
        around("EPSG:3832", (180, 40), 900, (200, 250)),
    ),
    "turned degrees across 180": (
        around("EPSG:32601", (180, 30), 2500, (140, 150), turn=20),
        around("EPSG:4326", (180, 30), 0.02, (230, 260), turn=30, shear=10),
    ),
    "globe to mercator": (disc("EPSG:3857", 2.0037508342789244e7, 200), GLOBE),
    "globe to sinusoidal": (Grid((100, 200), (2e5, 0, -2e7, 0, -2e5, 1e7), SINUSOIDAL), GLOBE),
    "a sinusoidal tile": (
        around("EPSG:32633", (15, 50), 900, (150, 140), turn=-12),
        around(SINUSOIDAL, (15, 50), 926.625433, (400, 400)),
    ),
    "globe to Mollweide": (Grid((100, 190), (2e5, 0, -1.9e7, 0, -2e5, 1e7), MOLLWEIDE), GLOBE),
    "Mollweide to degrees": (Grid((90, 180), (2, 0, -180, 0, -2, 90), "EPSG:4326"), disc(MOLLWEIDE, 1.9e7, 380)),
    "orthographic": (disc(ORTHOGRAPHIC, 6.6e6, 150), GLOBE),
    "from orthographic": (Grid((90, 180), (2, 0, -180, 0, -2, 90), "EPSG:4326"), disc(ORTHOGRAPHIC, 6.6e6, 333)),
    "geostationary": (disc(GEOSTATIONARY, 5.5e6, 160), EASTWARD),
    "from geostationary": (
        Grid((140, 140), (1.2, 0, -160, 0, -1.2, 84), "EPSG:4326"),
        disc(GEOSTATIONARY, 5.5e6, 400, up=True),
    ),
    "the pole, close": (
        around("EPSG:3413", (0, 90), 250, (150, 160), turn=5),
        Grid((100, 3600), (0.1, 0, -180, 0, -0.01, 90), "EPSG:4326"),
    ),
    "the limb, close": (around(GEOSTATIONARY, (-75, 78), 3000, (150, 160)), GLOBE),
    "the limb, closer": (around(ORTHOGRAPHIC, (98, 5), 700, (150, 160), turn=10), EASTWARD),
    "Mollweide's rim, close": (around(MOLLWEIDE, (179, 30), 4000, (150, 160)), GLOBE),
    "a tear, close": (around(HOMOLOSINE, (-101, -5), 8000, (150, 160)), EASTWARD),
    "the equator": (around("EPSG:3857", (0, 0), 40000, (256, 40)), Grid((1800, 200), (0.1, 0, -10, 0, -0.1, 90), "EPSG:4326")),
    "a small disc in space": (disc(GEOSTATIONARY, 6e7, 41), GLOBE),
    "homolosine, torn": (disc(HOMOLOSINE, 2.1e7, 170), EASTWARD),
    "HEALPix, pointed": (disc(HEALPIX, 2.1e7, 150), GLOBE),
    "icosahedron, pointed": (disc(ICOSAHEDRAL, 2.1e7, 150), GLOBE),
    "oblique mercator": (around(OBLIQUE, (115, 4), 1500, (150, 160)), around("EPSG:32650", (115, 4), 700, (330, 340))),
    "Krovak": (around("EPSG:5514", (15.5, 49.8), 3000, (150, 160)), around("EPSG:4326", (15.5, 49.8), 0.02, (240, 330))),
    "from Krovak, turned": (
        around("EPSG:3857", (15.5, 49.8), 4000, (140, 150), turn=30, shear=-10),
        around("EPSG:5514", (15.5, 49.8), 1500, (300, 320), turn=70, up=True),
    ),
    "far closer": (around("EPSG:3857", (15, 50), 0.5, (140, 150)), around("EPSG:32633", (15, 50), 1000, (200, 200))),
    "far coarser": (around("EPSG:3857", (15, 50), 30000, (70, 90)), around("EPSG:32633", (15, 50), 20, (1500, 1500))),
    "one pixel to one": (around("EPSG:3857", (15, 50), 1e5, (1, 1)), around("EPSG:32633", (15, 50), 1e5, (1, 1))),
    "one pixel of all the globe": (disc(GEOSTATIONARY, 5.5e6, 1), GLOBE),
    "three pixels a side of all the globe": (disc(MOLLWEIDE, 2e7, 3), EASTWARD),
    "one row": (around("EPSG:3857", (15, 50), 700, (1, 200)), around("EPSG:32633", (15, 50), 500, (1, 400), turn=3)),
    "one column": (around("EPSG:5514", (15, 50), 700, (200, 1)), around("EPSG:4326", (15, 50), 0.005, (400, 1))),
    "pixels of 45 degrees": (Grid((4, 8), (45, 0, -180, 0, -45, 90), "EPSG:4269"), EASTWARD),
    "pixels of 11.25 degrees": (Grid((16, 32), (11.25, 0, -180, 0, -11.25, 90), "EPSG:4269"), GLOBE),
    "pixels beyond the globe": (Grid((5, 7), (3e7, 0, -1e8, 0, -3e7, 8e7), "EPSG:5514"), GLOBE),
}


def exact(target, source):
    """x and y in source pixels of every pixel centre, by pyproj alone; NaN where there is none."""
    rows, cols = np.mgrid[: target.shape[0], : target.shape[1]] + 0.5
    east, north = target.transform @ (cols, rows)
    east, north = transformer(target.crs, source.crs).transform(east, north)
    lost = ~(np.isfinite(east) & np.isfinite(north))
    x, y = ~source.transform @ (np.where(lost, np.nan, east), np.where(lost, np.nan, north))
    crs = pyproj.CRS(source.crs)
    if not crs.is_geographic:
        return x, y
    turn = 2 * math.pi / crs.axis_info[0].unit_conversion_factor
    inside = np.zeros(x.shape, bool)
    at = x, y
    for number in range(-3, 4):
        moved = x + number * turn * (~source.transform).a, y + number * turn * (~source.transform).d
        here = within(*moved, source, 0) & ~inside
        inside |= here
        at = np.where(here, moved[0], at[0]), np.where(here, moved[1], at[1])
    return at


def within(x, y, source, margin):
    """Whether points are inside the image by more than ``margin`` pixels; a negative one lets them be outside by less."""
    with np.errstate(invalid="ignore"):
        return (x >= margin) & (x < source.shape[1] - margin) & (y >= margin) & (y < source.shape[0] - margin)


def unsettled(x):
    """Single pixels that PROJ's iterations do not converge for, while all around them have a place: it says nothing of them."""
    finite = np.pad(np.isfinite(x), 1, constant_values=True)
    windows = np.lib.stride_tricks.sliding_window_view(finite, (3, 3))
    return np.isnan(x) & (windows.sum(axis=(2, 3)) >= 6)


def found(target, source, tolerance):
    """x and y by weft of every pixel and how many samples inside the image it has."""
    x, y, hits = np.full(target.shape, np.nan), np.full(target.shape, np.nan), np.zeros(target.shape, int)
    for windows, maps in warp_patches(target, source, tolerance, target.region):
        sizes = (windows[:, 1] - windows[:, 0]) * (windows[:, 3] - windows[:, 2])
        which = np.repeat(np.arange(len(windows)), sizes)
        at = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        down, across = np.divmod(at, (windows[:, 3] - windows[:, 2])[which])
        rows, cols, maps = windows[which, 0] + down, windows[which, 2] + across, maps[which]
        u, v = cols + 0.5 - maps[:, 1], rows + 0.5 - maps[:, 0]
        here = placed(maps, 2, 14, u, v), placed(maps, 6, 19, u, v)
        inside = within(*here, source, 0)
        rows, cols = rows[inside], cols[inside]
        x[rows, cols], y[rows, cols] = here[0][inside], here[1][inside]
        np.add.at(hits, (rows, cols), 1)
    return x, y, hits


def assert_coordinates(target, source, tolerance):
    """Samples are wrong by at most ``tolerance`` source pixels; those surely inside are there, those surely outside not."""
    true_x, true_y = exact(target, source)
    x, y, hits = found(target, source, tolerance)
    assert hits.max(initial=0) <= 1
    judged = ~unsettled(true_x)
    assert not (within(true_x, true_y, source, tolerance) & (hits == 0)).any()
    assert not (~within(true_x, true_y, source, -tolerance) & (hits > 0) & judged).any()
    there = (hits > 0) & np.isfinite(true_x)
    error = np.hypot(x - true_x, y - true_y)[there]
    # At the image's border a turn further is as good.
    at_border = ~within(true_x, true_y, source, tolerance)[there]
    assert error[~at_border].max(initial=0) <= tolerance


def smooth(source, dtype):
    """Waves, two bands, between 1000 and 3000: 100 pixels long for floats; integers change by half a DN a pixel at most."""
    rows, cols = np.mgrid[: source.shape[0], : source.shape[1]] / (1 if np.dtype(dtype).kind == "f" else 100)
    bands = [2000 + 500 * np.sin(rows / 17 + k) + 450 * np.cos(cols / 19 - k) for k in range(2)]
    return np.stack(bands).astype(dtype)


def interpolated(pixels, x, y):
    """Bilinear sums in float64 over the taps inside the image, their weights made to sum to one."""
    _, height, width = pixels.shape
    col, row = np.floor(x - 0.5), np.floor(y - 0.5)
    total, weights = np.zeros((len(pixels), *x.shape)), np.zeros(x.shape)
    for i in (0, 1):
        for j in (0, 1):
            r, c = row + i, col + j
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            weight = inside * (1 - np.abs(x - 0.5 - c)) * (1 - np.abs(y - 0.5 - r))
            total += weight * pixels[:, np.where(inside, r, 0).astype(int), np.where(inside, c, 0).astype(int)]
            weights += weight
    return total / weights


def mask_of(block):
    return np.broadcast_to(True if block.valid is None else block.valid, block.data.shape)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tolerance", [0.5, 0.05, 0.001])
def test_coordinates_are_wrong_by_at_most_the_tolerance(name, tolerance):
    target, source = CASES[name]
    assert_coordinates(target, source, tolerance)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_bilinear_is_the_exact_sum_and_valid_where_it_is(image, whole, name, dtype):
    target, source = CASES[name]
    pixels = smooth(source, dtype)
    block = whole(warp(image(pixels, source), like=target, antialias=False))
    x, y = exact(target, source)
    judged = ~unsettled(x)
    valid = mask_of(block)
    assert valid[:, within(x, y, source, 1e-3)].all()
    assert not valid[:, ~within(x, y, source, -1e-3) & judged].any()
    sure = within(x, y, source, 1e-3)
    assert sure.any()
    wanted = interpolated(pixels.astype(float), x[sure], y[sure])
    error = np.abs(block.data[:, sure].astype(float) - wanted)
    if dtype == "uint16":
        assert error.max() <= 0.5 + 0.01  # where the exact sum lies as close to a half, a coordinate decides how it is rounded
    else:
        assert (error / wanted).max() <= 1e-4


@pytest.mark.parametrize("name", CASES)
def test_nearest_is_the_exact_pixel_outside_ties(image, whole, name):
    target, source = CASES[name]
    pixels = np.arange(math.prod(source.shape), dtype=np.int32).reshape(1, *source.shape)
    block = whole(warp(image(pixels, source), like=target, resampling="nearest"))
    x, y = exact(target, source)
    settled = (np.abs(x - np.round(x)) > 1e-3) & (np.abs(y - np.round(y)) > 1e-3)
    sure = within(x, y, source, 1e-3) & settled
    assert mask_of(block)[0, sure].all()
    assert np.array_equal(block.data[0, sure], pixels[0, y[sure].astype(int), x[sure].astype(int)])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_any_tiles_are_bit_equal_to_the_whole(image, whole, in_tiles, name, resampling):
    target, source = CASES[name]
    node = warp(image(smooth(source, np.float32), source), like=target, resampling=resampling)
    full, tiled = whole(node), in_tiles(node, *((37, 53) if resampling == "nearest" else (64, 41)))
    assert np.array_equal(full.data, tiled.data, equal_nan=True)
    assert np.array_equal(mask_of(full), mask_of(tiled))


@settings(max_examples=60, deadline=None)
@given(
    crses=st.tuples(st.sampled_from(CRSES), st.sampled_from(CRSES)),
    place=st.sampled_from(PLACES) | st.tuples(st.floats(-180, 180), st.floats(-85, 85)),
    shapes=st.tuples(*[st.tuples(st.integers(1, 120), st.integers(1, 120))] * 2),
    ground=st.floats(0, 5.5),
    zoom=st.floats(-2, 2),
    turns=st.tuples(*[st.just(0.0) | st.floats(-180, 180)] * 2),
    shears=st.tuples(*[st.just(0.0) | st.floats(-30, 30)] * 2),
    ups=st.tuples(st.booleans(), st.booleans()),
    at=st.tuples(*[st.tuples(st.floats(0, 1), st.floats(0, 1))] * 2),
    tolerance=st.sampled_from([0.5, 0.05, 0.001]),
)
def test_coordinates_of_any_two_grids(crses, place, shapes, ground, zoom, turns, shears, ups, at, tolerance):
    pixels = 10**ground, 10 ** (ground + zoom)
    grids = []
    for k in range(2):
        crs = pyproj.CRS(crses[k])
        degrees = 1 / 111320 * (math.pi / 180) / crs.axis_info[0].unit_conversion_factor if crs.is_geographic else 1
        assume(np.isfinite(transformer("OGC:CRS84", crses[k]).transform(*place)).all())
        grids.append(around(crses[k], place, pixels[k] * degrees, shapes[k], turns[k], shears[k], ups[k], at[k]))
    source, target = grids
    assume(source.crs != target.crs)
    if pyproj.CRS(source.crs).is_geographic:  # a source that meets itself after a turn has two places for a pixel
        corners = [(source.transform @ (j, i))[0] for j in (0, source.shape[1]) for i in (0, source.shape[0])]
        assume(np.ptp(corners) * pyproj.CRS(source.crs).axis_info[0].unit_conversion_factor < 2 * math.pi)
    try:
        exact_coordinates(target, source, np.zeros(1), np.zeros(1))
    except CRSError:
        assume(False)
    assert_coordinates(target, source, tolerance)


def test_a_full_disc_file_puts_its_limb_where_it_is(image_file):
    source = image_file("geotiff/rasterio/goes.tif")
    target = Grid((200, 240), (0.6, 0, -160, 0, -0.7, 75), "EPSG:4326")
    block = evaluate(Program(warp(source, like=target, resampling="nearest")), Region(0, 200, 0, 240))
    x, y = exact(target, source.grid)
    settled = (np.abs(x - np.round(x)) > 1e-3) & (np.abs(y - np.round(y)) > 1e-3)
    sure = within(x, y, source.grid, 1e-3) & settled
    assert 0.3 < sure.mean() < 0.95
    at = y[sure].astype(int), x[sure].astype(int)
    known = np.ones(block.data.shape[:1] + source.grid.shape, bool) if source.valid is None else source.valid.array
    known = np.broadcast_to(known, block.data.shape[:1] + source.grid.shape)[:, *at]
    assert np.array_equal(mask_of(block)[:, sure], known)
    assert np.array_equal(block.data[:, sure][known], source.pixels.array[:, *at][known])
