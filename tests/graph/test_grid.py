from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import rioxarray  # noqa: F401  registers the accessor
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS

from weft.graph.errors import CRSError, GridError, WeftError
from weft.graph.grid import EMPTY, MAX_SIDE, Grid, Region, crs_name, pyproj_crs, short_crs, transformer

UTM = Grid((100, 200), (10, 0, 500_000, 0, -10, 4_000_000), "EPSG:32633")
LAEA = "+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84"
SIDE = 12


def span(low: int = 0, high: int = SIDE) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


boxes = st.builds(lambda r, c: Region(*r, *c), span(), span())
filled = st.builds(
    lambda r, c, h, w: Region(r, r + h, c, c + w), *[st.integers(0, SIDE // 2)] * 2, *[st.integers(1, SIDE // 2)] * 2
)


def mask(region: Region) -> np.ndarray:
    """The pixels of a region in a picture with a margin, so that what moves or grows stays inside."""
    pixels = np.zeros((3 * SIDE, 3 * SIDE), bool)
    pixels[SIDE + region.row0 : max(SIDE + region.row0, SIDE + region.row1), SIDE + region.col0 : SIDE + region.col1] = True
    return pixels


@given(boxes, boxes)
def test_region_algebra_is_that_of_pixel_sets(a: Region, b: Region) -> None:
    assert a.size == mask(a).sum()
    assert a.is_empty == (not mask(a).any())
    assert np.array_equal(mask(a.intersect(b)), mask(a) & mask(b))
    assert a.contains(b) == (not (mask(b) & ~mask(a)).any())
    union = a.union(b)
    assert union.contains(a)
    assert union.contains(b)
    rows, cols = np.nonzero(mask(a) | mask(b))
    if len(rows):
        assert union == Region(*(int(v) - SIDE for v in (rows.min(), rows.max() + 1, cols.min(), cols.max() + 1)))
    else:
        assert union.is_empty


@given(boxes, boxes, boxes)
def test_intersections_are_never_inverted(a: Region, b: Region, c: Region) -> None:
    meet = a.intersect(b).intersect(c)
    assert meet.row1 >= meet.row0
    assert meet.col1 >= meet.col0


@given(boxes, st.integers(-SIDE, SIDE), st.integers(-SIDE, SIDE))
def test_shifted_moves_pixels(a: Region, rows: int, cols: int) -> None:
    assert np.array_equal(mask(a.shifted(rows, cols)), np.roll(mask(a), (rows, cols), (0, 1)))
    assert a.shifted(rows, cols).shape == a.shape


@given(filled, st.integers(0, 5), st.integers(0, 5))
def test_grown_adds_a_margin(a: Region, rows: int, cols: int) -> None:
    grown = a.grown(rows, cols)
    assert grown.shape == (a.shape[0] + 2 * rows, a.shape[1] + 2 * cols)
    assert grown.contains(a)
    assert grown.grown(-rows, -cols) == a


@given(filled, boxes)
def test_within_cuts_the_same_pixels(outer: Region, inner: Region) -> None:
    inner = outer.intersect(inner)
    numbers = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    assert np.array_equal(numbers[outer.rows, outer.cols][inner.within(outer)], numbers[inner.rows, inner.cols])


def test_the_empty_region_is_contained_everywhere_and_has_no_pixels() -> None:
    assert EMPTY.is_empty
    assert EMPTY.size == 0
    assert Region(5, 6, 5, 6).contains(EMPTY)
    assert Region(3, 1, 3, 1).size == 0  # inverted on both axes is not a positive area


@pytest.mark.parametrize(
    "shape",
    [
        (0, 5),
        (5, 0),
        (-1, 5),
        (1.5, 2),
        (math.nan, 2),
        (math.inf, 2),
        5,
        (1, 2, 3),
        (1,),
        "ab",
        "12",
        None,
        (1j, 2),
        (MAX_SIDE + 1, 1),
    ],
)
def test_impossible_shapes_are_refused(shape: object) -> None:
    with pytest.raises(GridError):
        Grid(shape)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 4), [3, 4], (3.0, 4.0), np.array([3, 4]), (np.int16(3), np.uint8(4))])
def test_any_two_whole_numbers_are_a_shape(shape: object) -> None:
    grid = Grid(shape)  # type: ignore[arg-type]
    assert grid.shape == (3, 4)
    assert [type(side) for side in grid.shape] == [int, int]


@pytest.mark.parametrize(
    "transform",
    [
        (1, 0, 0, 0, 0, 0),
        (1, 2, 0, 2, 4, 0),
        (1, 0, math.nan, 0, 1, 0),
        (math.inf, 0, 0, 0, 1, 0),
        (1, 0, 0, 0, 1),
        "abcdef",
        5,
        ("a",) * 6,
        np.eye(3),
        (1e-200, 0, 0, 0, 1e-200, 0),
    ],
)
def test_impossible_transforms_are_refused(transform: object) -> None:
    with pytest.raises(GridError):
        Grid((2, 2), transform)


def test_a_transform_is_an_affine_or_its_numbers() -> None:
    numbers = (10.0, 1.0, 2.0, 3.0, -10.0, 4.0)
    given_forms = [Affine(*numbers), numbers, list(numbers), np.array(numbers), (*numbers, 0, 0, 1)]
    assert {Grid((2, 3), form) for form in given_forms} == {Grid((2, 3), Affine(*numbers))}
    assert Grid((2, 3)).transform == Affine.identity()


@pytest.mark.parametrize("crs", ["", "EPSG:0", "nonsense", "EPSG\x00:4326", "\ud800", [1], True, object(), -5, b"EPSG:4326"])
def test_unknown_crs_is_refused(crs: object) -> None:
    with pytest.raises(CRSError, match="unknown CRS"):
        Grid((2, 2), None, crs)


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:32633",
        "epsg:32633",
        32633,
        np.int32(32633),
        CRS(32633),
        CRS(32633).to_wkt(),
        UTM.geobox.crs,
        CRS(32633).to_wkt("WKT1_GDAL"),
    ],
)
def test_every_way_to_say_a_crs_has_the_same_name(crs: object) -> None:
    assert crs_name(crs) == "EPSG:32633"
    assert Grid(UTM.shape, UTM.transform, crs) == UTM


def test_crs_names_keep_the_authority_and_fall_back_to_wkt() -> None:
    assert crs_name("OGC:CRS84") == "OGC:CRS84"
    assert crs_name("ESRI:102001") == "ESRI:102001"
    custom = crs_name(LAEA)
    assert custom.startswith("PROJCRS[")
    assert crs_name(custom) == custom
    assert pyproj_crs(custom) == CRS(LAEA)
    assert crs_name({"proj": "laea", "lat_0": 10, "lon_0": 20, "datum": "WGS84"}) == custom


def test_short_crs_is_short() -> None:
    assert short_crs("EPSG:4326") == "EPSG:4326"
    assert len(short_crs(crs_name(LAEA))) < 40


def test_transformer_is_longitude_first_and_names_what_it_cannot_do() -> None:
    x, y = transformer("EPSG:4326", "EPSG:32633").transform(15.0, 45.0)
    assert x == pytest.approx(500_000)
    assert y == pytest.approx(4_982_950, abs=1)
    site = crs_name('ENGCRS["site",EDATUM["pillar"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]')
    with pytest.raises(CRSError, match="no transformation"):
        transformer(site, "EPSG:32633")


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32633", "OGC:CRS84", LAEA, "ESRI:102001", None])
def test_geobox_and_back(crs: str | None) -> None:
    grid = Grid((3, 4), (10, 1, 5, 2, -10, 7), crs)
    assert isinstance(grid.geobox, GeoBox)
    assert grid.geobox.shape == (3, 4)
    assert Grid.of(grid.geobox) == grid


def array(xs: object, ys: object, **more: object) -> xr.DataArray:
    return xr.DataArray(np.zeros((len(ys), len(xs))), dims=("y", "x"), coords={"x": xs, "y": ys}, **more)  # type: ignore[arg-type]


def test_grid_of_a_dataarray_follows_its_coordinates() -> None:
    da = array(np.arange(8) * 10 + 505.0, 995.0 - np.arange(6) * 10).rio.write_crs("EPSG:32633").rio.write_transform()
    grid = Grid.of(da)
    assert grid == Grid((6, 8), (10, 0, 500, 0, -10, 1000), "EPSG:32633")
    assert Grid.of(da[2:, 3:]) == grid.crop(Region(2, 6, 3, 8))
    assert Grid.of(da[::2, ::2]).transform == Affine(20, 0, 495, 0, -20, 1005)
    assert Grid.of(da[::-1]).transform == Affine(10, 0, 500, 0, 10, 940)
    assert Grid.of(da[3:4, 2:3]) == grid.crop(Region(3, 4, 2, 3))
    assert Grid.of(da.to_dataset(name="red")) == grid


def test_grid_of_a_dataarray_without_coordinates_or_rotated_is_its_transform() -> None:
    bare = xr.DataArray(np.zeros((3, 4)), dims=("y", "x"))
    assert Grid.of(bare) == Grid((3, 4))
    rotated = Affine(10, 3, 5, 2, -10, 7)
    assert Grid.of(bare.rio.write_transform(rotated)).transform == rotated
    assert Grid.of(array([5.0, 15.0], [25.0, 15.0]).rio.write_transform(rotated)).transform == rotated


def test_grid_of_what_has_none_is_refused() -> None:
    with pytest.raises(GridError, match="evenly spaced"):
        Grid.of(array([1.0, 2.0, 7.0], [1.0, 2.0]))
    with pytest.raises(GridError, match="no grid"):
        Grid.of(xr.DataArray(np.zeros((3, 4)), dims=("a", "b")))
    for other in (None, 5, np.zeros((3, 3)), "EPSG:4326"):
        with pytest.raises(GridError, match="has no grid"):
            Grid.of(other)


def test_grid_of_a_holder_is_its_grid() -> None:
    class Holder:
        grid = UTM

    assert Grid.of(UTM) is UTM
    assert Grid.of(Holder()) is UTM


@pytest.mark.parametrize(
    ("transform", "bounds", "resolution", "rectilinear"),
    [
        ((10, 0, 500, 0, -10, 1000), (500, 970, 540, 1000), (10, 10), True),
        ((10, 0, 500, 0, 20, 1000), (500, 1000, 540, 1060), (10, 20), True),
        ((-10, 0, 500, 0, -10, 1000), (460, 970, 500, 1000), (10, 10), True),
        ((0, 10, 0, 10, 0, 0), (0, 0, 30, 40), (10, 10), False),
        ((3, 4, 0, 4, -3, 0), (0, -9, 24, 16), (5, 5), False),
    ],
)
def test_bounds_and_resolution(transform: tuple[float, ...], bounds: object, resolution: object, rectilinear: bool) -> None:
    grid = Grid((3, 4), transform)
    assert grid.bounds == bounds
    assert grid.resolution == resolution
    assert grid.is_rectilinear is rectilinear


def test_coords_are_pixel_centres() -> None:
    x, y = Grid((2, 3), (10, 0, 500, 0, -20, 1000)).coords()
    assert x.tolist() == [505, 515, 525]
    assert y.tolist() == [990, 970]
    with pytest.raises(GridError, match="rotated"):
        Grid((2, 3), (3, 4, 0, 4, -3, 0)).coords()


@given(filled, filled)
def test_crop_of_crop_is_one_crop(a: Region, b: Region) -> None:
    once = UTM.crop(a).crop(b)
    assert once == UTM.crop(Region(*b.shifted(a.row0, a.col0)))
    assert once.transform @ (0.5, 0.5) == UTM.transform @ (a.col0 + b.col0 + 0.5, a.row0 + b.row0 + 0.5)


def test_crop_reaches_outside_but_not_to_nothing() -> None:
    assert UTM.crop(Region(-2, 3, -1, 4)).bounds == (499_990, 3_999_970, 500_040, 4_000_020)
    with pytest.raises(GridError, match="at least 1 x 1"):
        UTM.crop(EMPTY)


@given(st.integers(1, 500), st.integers(1, 500))
def test_resized_covers_the_same_ground(rows: int, cols: int) -> None:
    resized = UTM.resized((rows, cols))
    assert resized.shape == (rows, cols)
    assert resized.bounds == pytest.approx(UTM.bounds, abs=1e-6)
    assert resized.same_pixels(Grid((rows, cols), (2000 / cols, 0, 500_000, 0, -1000 / rows, 4_000_000), UTM.crs))


def test_resized_to_nothing_is_refused() -> None:
    with pytest.raises(GridError):
        UTM.resized((0, 5))


def test_same_pixels_tolerates_a_thousandth_of_a_pixel() -> None:
    def moved(by: float) -> Grid:
        return Grid(UTM.shape, UTM.transform @ Affine.translation(by, 0), UTM.crs)

    assert UTM.same_pixels(moved(0.0009))
    assert not UTM.same_pixels(moved(0.0011))
    assert UTM.same_pixels(moved(0.4), tolerance=0.5)
    assert not UTM.same_pixels(Grid(UTM.shape, UTM.transform @ Affine.scale(1.0001), UTM.crs))  # 0.02 px at the far corner
    assert not UTM.same_pixels(Grid(UTM.shape, UTM.transform, "EPSG:32634"))
    assert not UTM.same_pixels(Grid((100, 201), UTM.transform, UTM.crs))


def test_window_on_pixel_edges_is_exact() -> None:
    assert UTM.window(UTM.bounds) == UTM.region
    assert UTM.window((500_010, 3_999_960, 500_030, 3_999_990)) == Region(1, 4, 1, 3)
    assert UTM.window((500_010 + 1e-7, 3_999_960, 500_030 - 1e-7, 3_999_990)) == Region(1, 4, 1, 3)
    assert UTM.window((500_010.1, 3_999_960, 500_030.1, 3_999_990)) == Region(1, 4, 1, 4)
    assert UTM.window((500_014, 3_999_984, 500_015, 3_999_985)) == Region(1, 2, 1, 2)


@given(filled, st.integers(-20, 20), st.integers(-20, 20), st.sampled_from([1 / 3, 0.1, 7e-5, 30.0, 1e5]))
def test_window_of_the_bounds_of_a_crop_is_the_crop_despite_float_noise(box: Region, x: int, y: int, size: float) -> None:
    for south in (-1, 1):
        grid = Grid((SIDE, SIDE), (size, 0, x * 0.1, 0, south * size, y * 0.7), "EPSG:4326")
        assert grid.window(grid.crop(box).bounds) == box


@given(filled, st.floats(0, 360))
def test_window_of_a_rotated_grid_loses_no_pixel(box: Region, angle: float) -> None:
    grid = Grid((SIDE, SIDE), Affine.translation(100, 200) @ Affine.rotation(angle) @ Affine.scale(2, -2))
    assert grid.window(grid.crop(box).bounds).contains(box)


def test_window_clips_and_is_empty_outside() -> None:
    assert UTM.window((0, 0, 500_015, 3_999_995)) == Region(0, 100, 0, 2)
    assert UTM.window((0, 0, 100, 100)).is_empty
    assert UTM.window((502_000, 3_999_000, 502_100, 4_000_000)).is_empty  # it touches the right edge only
    assert UTM.window((-1e308, -1e308, 1e308, 1e308)) == UTM.region


@pytest.mark.parametrize(
    "bounds", [(0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 1, 1), (0, math.nan, 1, 1), (0, 0, math.inf, 1), (0, 0, 1), 5, "abcd", None]
)
def test_impossible_bounds_are_refused(bounds: object) -> None:
    with pytest.raises(GridError, match="bounds"):
        UTM.window(bounds)  # type: ignore[arg-type]


def test_window_in_another_crs_loses_no_pixel() -> None:
    """The southern edge of ten degrees of longitude bulges by kilometres between its ends and middle."""
    europe = Grid((210_000, 200_000), (10, 0, -500_000, 0, -10, 6_500_000), "EPSG:32633")
    window = europe.window((10, 40, 20, 50), "EPSG:4326")
    u = np.linspace(0, 1, 50_001)
    xs = np.concatenate([10 + 10 * u, 10 + 10 * u, 0 * u + 10, 0 * u + 20])
    ys = np.concatenate([0 * u + 40, 0 * u + 50, 40 + 10 * u, 40 + 10 * u])
    cols, rows = ~europe.transform @ np.array(transformer("EPSG:4326", "EPSG:32633").transform(xs, ys))
    assert window == Region(math.floor(rows.min()), math.ceil(rows.max()), math.floor(cols.min()), math.ceil(cols.max()))


def test_window_around_a_pole_holds_the_pole() -> None:
    polar = Grid((100, 100), (100_000, 0, -5_000_000, 0, -100_000, 5_000_000), "EPSG:3995")
    window = polar.window((-180, 80, 180, 90), "EPSG:4326")
    assert window.contains(Region(49, 51, 49, 51))
    assert 20 <= window.shape[0] <= 24


def test_window_refuses_a_crs_that_does_not_serve() -> None:
    with pytest.raises(CRSError, match="the raster has none"):
        Grid((5, 5)).window((0, 0, 1, 1), "EPSG:4326")
    with pytest.raises(CRSError, match="no place"):
        UTM.window((1000, 1000, 2000, 2000), "EPSG:4326")
    assert UTM.window((500_010, 3_999_960, 500_030, 3_999_990), 32633) == Region(1, 4, 1, 3)


def test_grids_are_values() -> None:
    twin = Grid([100, 200], list(UTM.transform[:6]), CRS(32633))  # type: ignore[arg-type]
    assert twin == UTM
    assert hash(twin) == hash(UTM)
    assert pickle.loads(pickle.dumps(UTM)) == UTM
    assert (
        len({UTM, Grid((100, 201), UTM.transform, UTM.crs), Grid(UTM.shape, None, UTM.crs), Grid(UTM.shape, UTM.transform)})
        == 4
    )
    with pytest.raises(AttributeError):
        UTM.shape = (1, 1)  # type: ignore[misc]


def test_a_grid_has_no_negative_zero() -> None:
    grid = Grid((2, 2), (1, -0.0, -0.0, -0.0, -1, -0.0))
    assert all(math.copysign(1, value) == 1 for value in grid.transform[:6] if value == 0)


def test_str_is_a_line_to_read() -> None:
    assert str(UTM) == "100 x 200 px, EPSG:32633, 10 x 10 units/px"
    assert "no CRS" in str(Grid((2, 3)))
    assert len(str(Grid((2, 3), None, LAEA))) < 100


@given(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 6), st.tuples(*[st.floats()] * 4))
def test_numbers_of_any_kind_are_a_grid_or_a_weft_error(numbers: tuple[float, ...], bounds: tuple[float, ...]) -> None:
    try:
        with np.errstate(all="ignore"):
            window = Grid((5, 5), numbers).window(bounds)  # type: ignore[arg-type]
    except WeftError:
        return
    assert Region(0, 5, 0, 5).contains(window)
