"""Colour spaces against the standards' formulas written out pixel by pixel, against SIPS table 2.44, and there and back."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, BandError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.ops.color_loops import power
from weft.ops.color_space import SPACES, color_space, color_space_transform

from .helpers import array_source, computed

pytestmark = pytest.mark.filterwarnings("error")

TABLE = Path(__file__).parents[1] / "data/sips/table_2_44_srgb_to_prophoto.csv"
PAIRS = [*itertools.product(SPACES, SPACES)]

D65, D50 = (0.95047, 1.0, 1.08883), (0.96422, 1.0, 0.82521)
PRIMARIES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "adobe_rgb": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "prophoto_rgb": ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
}
CONES = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def times(matrix, vector):
    return tuple(sum(a * v for a, v in zip(row, vector, strict=True)) for row in matrix)


def solved(matrix, vector):
    """By Cramer's rule."""

    def determinant(m):
        (a, b, c), (d, e, f), (g, h, i) = m
        return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

    whole = determinant(matrix)
    replaced = [[[*row[:k], v, *row[k + 1 :]] for row, v in zip(matrix, vector, strict=True)] for k in range(3)]
    return tuple(determinant(m) / whole for m in replaced)


def rgb_matrix(name, white):
    columns = [(x / y, 1.0, (1 - x - y) / y) for x, y in PRIMARIES[name]]
    rows = [[columns[j][i] for j in range(3)] for i in range(3)]
    strengths = solved(rows, white)
    return [[v * s for v, s in zip(row, strengths, strict=True)] for row in rows]


def adapted(xyz, white, wanted):
    cones = times(CONES, xyz)
    gains = [b / a for a, b in zip(times(CONES, white), times(CONES, wanted), strict=True)]
    return solved(CONES, [c * g for c, g in zip(cones, gains, strict=True)])


def signed(curve, v):
    return math.copysign(curve(abs(v)), v)


def to_xyz(name, pixel):
    """A pixel as XYZ under D65."""
    if name == "ciexyz":
        return pixel
    if name == "cielab":
        lightness, a, b = pixel
        fy = (lightness + 16) / 116
        f = (fy + a / 500, fy, fy - b / 200)
        return tuple(w * (v**3 if v > 6 / 29 else (116 * v - 16) * 27 / 24389) for v, w in zip(f, D65, strict=True))
    if name == "ycrcb":
        y, cr, cb = pixel
        r, b = y + 1.402 * (cr - 0.5), y + 1.772 * (cb - 0.5)
        return to_xyz("srgb", (r, (y - 0.299 * r - 0.114 * b) / 0.587, b))
    if name == "prophoto_rgb":
        light = [signed(lambda v: v**1.8, v) for v in pixel]
        return adapted(times(rgb_matrix(name, D50), light), D50, D65)
    if name == "adobe_rgb":
        return times(rgb_matrix(name, D65), [signed(lambda v: v ** (563 / 256), v) for v in pixel])
    if name == "srgb":
        pixel = [signed(lambda v: v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4, v) for v in pixel]
    return times(rgb_matrix("srgb", D65), pixel)


def from_xyz(name, xyz):
    if name == "ciexyz":
        return xyz
    if name == "cielab":
        ratios = [v / w for v, w in zip(xyz, D65, strict=True)]
        fx, fy, fz = (v ** (1 / 3) if v > 216 / 24389 else (v * 24389 / 27 + 16) / 116 for v in ratios)
        return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
    if name == "ycrcb":
        r, g, b = from_xyz("srgb", xyz)
        y = 0.299 * r + 0.587 * g + 0.114 * b
        return y, (r - y) / 1.402 + 0.5, (b - y) / 1.772 + 0.5
    if name == "prophoto_rgb":
        light = solved(rgb_matrix(name, D50), adapted(xyz, D65, D50))
        return tuple(signed(lambda v: v ** (1 / 1.8), v) for v in light)
    if name == "adobe_rgb":
        return tuple(signed(lambda v: v ** (256 / 563), v) for v in solved(rgb_matrix(name, D65), xyz))
    light = solved(rgb_matrix("srgb", D65), xyz)
    if name == "linear_srgb":
        return light
    return tuple(signed(lambda v: 12.92 * v if v <= 0.0031308061 else 1.055 * v ** (1 / 2.4) - 0.055, v) for v in light)


def colours(seed=0, count=40, low=0.02):
    """(3, 1, count) of sRGB, with black, white, greys and the primaries among them."""
    some = np.random.default_rng(seed).uniform(low, 1, (3, count))
    some[:, :8] = np.array([*itertools.product((low, 1.0), repeat=3)]).T
    some[:, 8:12] = (0.04, 0.0405, 0.18, 0.5)
    return some[:, None, :]


def test_table_2_44() -> None:
    with TABLE.open() as file:
        rows = np.array([[float(v) for v in row] for row in itertools.islice(csv.reader(file), 1, None)])
    assert rows.shape == (12, 6)
    found = color_space_transform(rows[:, :3].T[:, None, :].copy(), "srgb", "prophoto_rgb")
    assert np.abs(found[:, 0, :].T - rows[:, 3:]).max() < 0.001


@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_every_pair_follows_the_formulas(source: str, destination: str) -> None:
    image = color_space_transform(colours(), "srgb", source)
    found = color_space_transform(image, source, destination)
    for k in range(image.shape[2]):
        expected = from_xyz(destination, to_xyz(source, tuple(image[:, 0, k].tolist())))
        np.testing.assert_allclose(found[:, 0, k], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("source", "pixel", "destination", "expected", "within"),
    [
        # B. Lindbloom's tables of matrices, and CIE L*a*b* of the sRGB primaries as textbooks print them.
        ("srgb", (1, 0, 0), "ciexyz", (0.4124564, 0.2126729, 0.0193339), 1e-7),
        ("srgb", (0, 0, 1), "ciexyz", (0.1804375, 0.0721750, 0.9503041), 1e-7),
        ("adobe_rgb", (0, 1, 0), "ciexyz", (0.1855540, 0.6273491, 0.0706872), 1e-7),
        ("srgb", (1, 0, 0), "cielab", (53.2408, 80.0925, 67.2032), 1e-4),
        ("srgb", (0, 1, 0), "cielab", (87.7347, -86.1827, 83.1793), 1e-4),
        ("srgb", (0, 0, 1), "cielab", (32.2970, 79.1875, -107.8602), 1e-4),
        ("srgb", (0.5, 0.5, 0.5), "linear_srgb", (0.2140411,) * 3, 1e-7),
        ("srgb", (1, 0, 0), "ycrcb", (0.299, 1.0, 0.5 - 0.299 / 1.772), 1e-12),
        ("srgb", (0, 0, 1), "ycrcb", (0.114, 0.5 - 0.114 / 1.402, 1.0), 1e-12),
    ],
)
def test_numbers_in_print(source, pixel, destination, expected, within) -> None:
    found = color_space_transform(np.array(pixel, float).reshape(3, 1, 1), source, destination)
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=0, atol=within)


@pytest.mark.parametrize("space", SPACES)
def test_white_and_black(space: str) -> None:
    whites = {"ciexyz": D65, "cielab": (100, 0, 0), "ycrcb": (1, 0.5, 0.5)}
    blacks = {"ycrcb": (0, 0.5, 0.5)}
    ends = np.array([[0.0, 1.0]] * 3)[:, None, :]
    found = color_space_transform(ends, "srgb", space)[:, 0, :]
    np.testing.assert_allclose(found[:, 1], whites.get(space, (1, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(found[:, 0], blacks.get(space, (0, 0, 0)), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PAIRS),
    arrays(np.float64, (3, 3, 5), elements=st.floats(1e-3, 1).filter(lambda v: abs(v - 0.04045) > 1e-6)),
)
def test_there_and_back(pair: tuple[str, str], image: np.ndarray) -> None:
    source, between = pair
    there = image if source not in ("ciexyz", "cielab", "ycrcb") else color_space_transform(image, "srgb", source)
    back = color_space_transform(color_space_transform(there, source, between), between, source)
    np.testing.assert_allclose(back, there, rtol=0, atol=1e-10)


@pytest.mark.parametrize("between", SPACES)
def test_there_and_back_where_the_pieces_of_srgb_meet(between: str) -> None:
    joint = np.array([0.04045, np.nextafter(0.04045, 1), np.nextafter(0.04045, 0)])
    image = np.stack([joint, joint, joint])[:, None, :]
    back = color_space_transform(color_space_transform(image, "srgb", between), between, "srgb")
    # Each value goes back by its own piece; next to it, through L*a*b*, it may come by the other, 2e-9 of light away.
    np.testing.assert_allclose(back, image, rtol=0, atol=4e-8)
    if between == "linear_srgb":
        np.testing.assert_allclose(back, image, rtol=0, atol=1e-16)
        light = color_space_transform(image, "srgb", between)[0, 0]
        assert light[0] == 0.04045 / 12.92
        assert light[1] == pytest.approx((0.09545 / 1.055) ** 2.4, rel=1e-13)


@pytest.mark.parametrize(("source", "between"), PAIRS)
def test_there_and_back_in_single_precision(source: str, between: str) -> None:
    image = color_space_transform(colours(low=0.2), "srgb", source).astype(np.float32)
    back = color_space_transform(color_space_transform(image, source, between), between, source)
    assert back.dtype == np.float32
    scale = 100 if source == "cielab" else 1
    np.testing.assert_allclose(back / scale, image / scale, rtol=0, atol=1e-6)


@pytest.mark.parametrize("between", ["adobe_rgb", "linear_srgb", "cielab"])
def test_colours_out_of_gamut_are_kept(between: str) -> None:
    vivid = color_space_transform(np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1), "prophoto_rgb", between)
    assert np.isfinite(vivid).all()
    if between != "cielab":
        assert vivid.min() < 0
    back = color_space_transform(vivid, between, "prophoto_rgb")
    np.testing.assert_allclose(back[:, 0, 0], (0, 1, 0), atol=1e-8)  # the power of 1.8 is steep next to 0


@pytest.mark.parametrize("space", ["linear_srgb", "prophoto_rgb", "adobe_rgb"])
def test_negative_values_mirror_positive_ones(space: str) -> None:
    image = colours(3)
    same_primaries = {"linear_srgb": "srgb", "prophoto_rgb": "prophoto_rgb", "adobe_rgb": "adobe_rgb"}[space]
    forth = color_space_transform(image, same_primaries, "ciexyz")
    np.testing.assert_array_equal(color_space_transform(-image, same_primaries, "ciexyz"), -forth)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from([1, 2, 7, 255, 511, 512, 513, 600]),
    st.sampled_from([("srgb", "prophoto_rgb"), ("adobe_rgb", "cielab"), ("cielab", "ycrcb")]),
    st.sampled_from(["f4", "f8"]),
    st.integers(0, 9),
)
def test_a_pixel_does_not_depend_on_its_place(rows, cols, pair, dtype, seed) -> None:
    image = np.random.default_rng(seed).random((3, rows, cols)).astype(dtype)
    whole = color_space_transform(image, *pair)
    for row, col in {(0, 0), (rows - 1, cols - 1), (rows // 2, cols // 2)}:
        alone = color_space_transform(image[:, row : row + 1, col : col + 1], *pair)
        np.testing.assert_array_equal(alone[:, 0, 0], whole[:, row, col])
    np.testing.assert_array_equal(color_space_transform(image[:, ::-1, ::-1], *pair), whole[:, ::-1, ::-1])


def test_the_image_is_left_alone() -> None:
    image = colours().astype(np.float32)
    image.flags.writeable = False
    same = color_space_transform(image, "srgb", "srgb")
    assert same is not image
    same[:] = 0
    np.testing.assert_array_equal(image, colours().astype(np.float32))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_dtype_stays(dtype: str) -> None:
    image = colours().astype(dtype)
    found = color_space_transform(image, "srgb", "adobe_rgb")
    assert found.dtype == dtype
    expected = color_space_transform(image.astype(float), "srgb", "adobe_rgb")
    np.testing.assert_allclose(found, expected, rtol=np.finfo(dtype).eps)


def test_impossible_images_and_spaces() -> None:
    image = np.ones((3, 2, 2))
    with pytest.raises(BandError, match=r"\(4, 2, 2\)"):
        color_space_transform(np.ones((4, 2, 2)), "srgb", "cielab")
    with pytest.raises(BandError, match="rows, cols"):
        color_space_transform(np.ones((3, 2)), "srgb", "cielab")
    with pytest.raises(ArgumentError, match=r"source.*linear_srgb, prophoto_rgb.*'rgb'"):
        color_space_transform(image, "rgb", "cielab")
    with pytest.raises(ArgumentError, match=r"destination.*ycrcb"):
        color_space_transform(image, "srgb", "hsv")
    for dtype in ("u1", "i4", "c8", "?"):
        with pytest.raises(DtypeError, match="divide by the maximum"):
            color_space_transform(image.astype(dtype), "srgb", "cielab")
    with pytest.raises(BandError, match="select"):
        color_space(array_source(np.ones((2, 2, 2))), "srgb", "cielab")
    with pytest.raises(DtypeError, match="divide by the maximum"):
        color_space(array_source(np.ones((3, 2, 2), "u1")), "srgb", "cielab")
    with pytest.raises(ArgumentError, match="colour spaces"):
        color_space(array_source(image), "srgb", "lab")


@pytest.mark.parametrize(("source", "destination"), [("srgb", "cielab"), ("ycrcb", "srgb"), ("prophoto_rgb", "srgb")])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_node_is_the_function(source: str, destination: str, dtype: str) -> None:
    image = np.random.default_rng(5).random((3, 11, 13)).astype(dtype)
    node = color_space(array_source(image, nodata=-1), source, destination)
    data, valid = computed(node)
    assert valid.all()
    assert node.meta.nodata is not None
    assert math.isnan(node.meta.nodata)
    np.testing.assert_array_equal(data, color_space_transform(image, source, destination))


def test_a_pixel_is_valid_where_all_bands_are() -> None:
    image = np.random.default_rng(6).random((3, 6, 7)).astype(np.float32)
    valid = np.random.default_rng(7).random((3, 6, 7)) > 0.2
    image[1, 2, 3] = np.nan
    data, found = computed(color_space(array_source(image, valid), "srgb", "linear_srgb"))
    expected = valid.all(axis=0) & ~np.isnan(image).any(axis=0)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(found, np.broadcast_to(expected, image.shape))
    np.testing.assert_array_equal(np.isnan(data), ~found)
    np.testing.assert_array_equal(data[found], color_space_transform(image, "srgb", "linear_srgb")[found])


@pytest.mark.parametrize(("space", "bands"), [("srgb", "red green blue"), ("cielab", "L a b"), ("ycrcb", "Y Cr Cb")])
def test_bands_are_named_after_the_space(space: str, bands: str) -> None:
    node = color_space(array_source(np.ones((3, 2, 2))), "linear_srgb", space)
    assert node.meta.bands == tuple(bands.split())


def test_the_function_takes_rasters() -> None:
    source = array_source(colours())
    assert color_space_transform(source, "srgb", "cielab").token == color_space(source, "srgb", "cielab").token


def test_json_round_trip() -> None:
    node = color_space(array_source(colours()), "srgb", "cielab")
    assert from_json(to_json(node)).token == node.token


@settings(max_examples=60, deadline=None)
@given(
    st.floats(2.3e-308, 1e30) | st.floats(0.001, 2), st.sampled_from([1.8, 1 / 1.8, 2.4, 1 / 2.4, 563 / 256, 256 / 563, 1 / 3])
)
def test_powers(x: float, exponent: float) -> None:
    # The error of the logarithm grows with it.
    assert power(x, exponent) == pytest.approx(
        math.pow(x, exponent), rel=1e-15 + 4e-16 * abs(math.log(x)) * exponent, abs=1e-300
    )


def test_powers_of_special_values() -> None:
    for exponent in (1 / 3, 2.4):
        assert [power(x, exponent) for x in (0.0, 1.0, math.inf)] == [0.0, 1.0, math.inf]
        assert math.isnan(power(math.nan, exponent))
    assert power(1e300, 2.4) == math.inf
    assert power(1e-300, 2.4) == 0.0
