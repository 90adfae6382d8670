"""Which bands are shown, what becomes of them, and that nothing is read before it is wanted."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from weft.graph.block import Block
from weft.graph.errors import ArgumentError, BandError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.graph.sweep import Program, evaluate
from weft.ops.display import DisplayChainFactory, display
from weft.ops.dra import DRAParameters, dra
from weft.ops.histogram import histogram, histogram_of
from weft.ops.image_statistics import compute_image_statistics
from weft.ops.select import select

from .helpers import Pixels, array_source, computed

pytestmark = pytest.mark.filterwarnings("error")

build = DisplayChainFactory.build


def pixels(bands: int, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray:
    scale = np.arange(1, bands + 1)[:, None, None]
    return np.clip(np.random.default_rng(seed).gamma(2, 9, (bands, 12, 13)) * scale, 0, 127).astype(dtype)


def source(bands: int, dtype: Any = np.uint16, names: Any = None, **attrs: Any) -> Pixels:
    return array_source(pixels(bands, dtype), bands=names, attrs=attrs)


def shown(image: Pixels) -> tuple[int, ...]:
    bands = build(image).input_bands
    return tuple(range(len(image.bands))) if bands is None else bands


# Which bands: one test per rule, each against the rule after it.

WAVES = (842.0, 490.0, 560.0, 665.0, 705.0)
NAMES = ("nir", "Blue", "Green", "Red", "edge")


def test_names_come_first() -> None:
    assert shown(source(5, names=NAMES, irepbands=("R", "G", "B", "", ""))) == (3, 2, 1)


def test_irepband_before_photometric() -> None:
    assert shown(source(5, irepbands=("", "B", "G", "R", ""), photometric="rgb")) == (3, 2, 1)


def test_photometric_before_colour_interpretation() -> None:
    kinds = ("undefined", "blue", "green", "red", "undefined")
    assert shown(source(5, photometric="rgb", colorinterp=kinds)) == (0, 1, 2)


def test_colour_interpretation_before_wavelengths() -> None:
    kinds = ("red", "undefined", "green", "undefined", "blue")
    assert shown(source(5, colorinterp=kinds, wavelengths=WAVES)) == (0, 2, 4)


def test_wavelengths_before_isubcat() -> None:
    assert shown(source(5, wavelengths=WAVES, isubcats=("R", "G", "B", "", ""))) == (3, 2, 1)


def test_wavelengths_that_are_not_three_colours_say_nothing() -> None:
    far = (900.0, 1000.0, 1600.0, 2200.0, None)
    assert shown(source(5, wavelengths=far, isubcats=("", "b", "g", "r", None))) == (3, 2, 1)


def test_the_nearest_wavelengths() -> None:
    assert shown(source(6, wavelengths=(None, 443.0, 480.0, 540.0, 655.0, 680.0))) == (4, 3, 2)


def test_isubcat_before_the_first_three() -> None:
    assert shown(source(4, isubcats=("N", "R", "G", "B"))) == (1, 2, 3)


def test_the_first_three_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="which of 5 bands.*showing b0, b1, b2"):
        assert shown(source(5)) == (0, 1, 2)
    assert shown(source(3)) == (0, 1, 2)


def test_alpha_is_no_colour() -> None:
    assert shown(source(4, colorinterp=("alpha", "undefined", "undefined", "undefined"))) == (1, 2, 3)
    assert shown(source(2, colorinterp=("alpha", "gray"))) == (1,)
    assert shown(source(4, colorinterp=("blue", "green", "red", "alpha"))) == (2, 1, 0)


def test_less_than_three_bands_are_grey() -> None:
    assert shown(source(1)) == (0,)
    assert shown(source(2)) == (0,)


def test_attributes_of_other_bands_say_nothing() -> None:
    with pytest.warns(UserWarning, match="showing b0"):
        assert shown(source(4, irepbands=("B", "G", "R"))) == (0, 1, 2)


def test_select_takes_the_attributes_of_its_bands_along() -> None:
    image = select(source(5, wavelengths=WAVES, photometric="rgb"), [1, 2, 3, 0])
    assert image.meta.attrs["wavelengths"] == (490.0, 560.0, 665.0, 842.0)
    assert build(image).input_bands == (2, 1, 0)


def test_a_choice_overrules_everything() -> None:
    image = source(5, names=NAMES, irepbands=("R", "G", "B", "", ""))
    assert build(image, band_selection=(4, 0, 1)).input_bands == (4, 0, 1)
    assert build(image, band_selection=["nir"]).input_bands == (0,)
    with pytest.raises(BandError, match="no band 'swir'"):
        build(image, band_selection=["swir"])


# What becomes of them


@pytest.mark.parametrize("bands", [1, 3])
def test_8_bits_of_one_or_three_bands_stay(bands: int) -> None:
    chain = build(source(bands, np.uint8))
    assert (chain.steps, chain.output_bands, chain.output_dtype, chain.input_bands) == ((), bands, np.dtype(np.uint8), None)


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_8_bits_of_photometric_rgb_or_ycbcr_stay(photometric: str) -> None:
    kinds = ("red", "green", "blue", "undefined")
    chain = build(source(4, np.uint8, photometric=photometric, colorinterp=kinds))
    assert (chain.steps, chain.output_bands, chain.input_bands) == ((), 3, (0, 1, 2))


def test_8_bits_with_alpha_stay() -> None:
    image = source(4, np.uint8, colorinterp=("red", "green", "blue", "alpha"))
    np.testing.assert_array_equal(computed(display(image))[0], pixels(4, np.uint8)[:3])


def test_8_bits_of_many_bands_are_adjusted() -> None:
    image = source(5, np.uint8, irepbands=("", "B", "G", "R", ""))
    assert display(image).token == dra(select(image, [3, 2, 1])).token


def test_8_bits_that_are_signed_or_wanted_otherwise_are_adjusted() -> None:
    assert build(source(3, np.int8), output_dtype=np.int8).steps == ()
    assert display(source(3, np.int8)).token == dra(source(3, np.int8)).token
    assert display(source(1, np.uint8), dtype="uint16").token == dra(source(1, np.uint8), dtype="uint16").token


@pytest.mark.parametrize("mode", ["dra", "minmax"])
@pytest.mark.parametrize("dtype", ["u2", "i2", "f4", "i4"])
def test_all_else_is_adjusted_band_by_band(mode: Any, dtype: str) -> None:
    image = source(4, dtype, names=("n", "red", "green", "blue"))
    node = display(image, mode=mode, approximate=False)
    assert node.token == dra(select(image, [1, 2, 3]), mode=mode, approximate=False).token
    assert (node.meta.dtype, node.meta.bands) == (np.dtype(np.uint8), ("red", "green", "blue"))


def test_minmax_by_hand() -> None:
    image = np.array([[[10, 20, 30, 60]], [[0, 0, 5, 10]], [[7, 7, 7, 7]]], np.uint16)
    data = computed(display(array_source(image), mode="minmax"))[0]
    assert data[:, 0].tolist() == [[0, 51, 102, 255], [0, 0, 127, 255], [127] * 4]


def test_shares_reach_the_rule() -> None:
    image = source(1)
    chain = build(image, min_percentage=0.1, max_percentage=0.9, a=0.0, b=0.1)
    assert chain(image).token == dra(image, min_percentage=0.1, max_percentage=0.9, a=0.0, b=0.1).token


# Arrays and rasters


@pytest.mark.parametrize("mode", ["dra", "minmax"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8", "?"])
def test_arrays_are_shown_as_rasters_are(dtype: str, mode: Any) -> None:
    image = source(5, dtype, irepbands=("", "B", "G", "R", ""))
    chain = build(image, range_adjustment=mode)
    data, valid = computed(chain(image))
    assert valid.all()
    array = pixels(5, dtype)[list(chain.input_bands or ())]
    np.testing.assert_array_equal(chain(array), data)
    # A part of the image has the whole image's range.
    np.testing.assert_array_equal(chain(array[:, 3:9, 5:7]), data[:, 3:9, 5:7])


def test_invalid_pixels_are_not_counted_and_stay_invalid() -> None:
    image = pixels(1)
    image[0, :5] = 60000
    valid = image < 60000
    masked = array_source(image, valid)
    data, found = computed(display(masked))
    np.testing.assert_array_equal(found, valid)
    plain = computed(display(array_source(image[:, 5:])))[0]
    np.testing.assert_array_equal(data[:, 5:], plain)


def test_nan_is_shown_as_0() -> None:
    image = pixels(1, "f4")
    image[0, 0, 0] = np.nan
    chain = build(array_source(image))
    assert chain(image)[0, 0, 0] == 0
    assert not computed(chain(array_source(image)))[1][0, 0, 0]


def test_arrays_of_other_bands_are_refused() -> None:
    chain = build(source(3))
    with pytest.raises(BandError, match="takes 3 bands; the array has 2"):
        chain(pixels(2))
    with pytest.raises(BandError, match="takes 3 bands; the raster has 2"):
        chain(source(2))


def test_the_same_image_always_looks_the_same() -> None:
    assert build(source(3)) == build(source(3))
    first, second = (build(source(3))(pixels(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# Statistics known beforehand


def counted(image: Pixels) -> Any:
    node = histogram(image, approximate=False)
    return histogram_of(evaluate(Program(node), node.meta.grid.region), image.bands)


@dataclass
class Band:
    histogram: Any
    bin_edges: Any
    min: float = 0
    max: float = 0


@dataclass
class Statistics:
    bands: list[Band]


@pytest.mark.parametrize("mode", ["dra", "minmax"])
@pytest.mark.parametrize("form", ["histogram", "statistics", "parameters"])
@pytest.mark.parametrize("of", ["all", "shown"])
def test_given_statistics_are_those_counted(mode: Any, form: str, of: str) -> None:
    image = source(5, irepbands=("", "B", "G", "R", ""))
    of_bands = image if of == "all" else array_source(pixels(5)[[3, 2, 1]])
    found = counted(of_bands)
    stats: Any = found
    if form == "statistics":
        values = of_bands.data.array
        stats = Statistics([Band(c, e, v.min(), v.max()) for c, e, v in zip(found.counts, found.edges, values, strict=True)])
    elif form == "parameters":
        stats = [DRAParameters.from_counts(c, e[0], e[-1]) for c, e in zip(found.counts, found.edges, strict=True)]
    chain = build(image, stats, mode)
    data = computed(chain(image))[0]
    np.testing.assert_array_equal(data, computed(display(image, mode=mode))[0])
    np.testing.assert_array_equal(chain(pixels(5)[[3, 2, 1]]), data)


@pytest.mark.parametrize("mode", ["dra", "minmax"])
def test_given_minimum_and_maximum_are_those_of_floats(mode: Any) -> None:
    image = source(1, "f4")
    found, values = counted(image), pixels(1, "f4")
    stats = Statistics([Band(found.counts[0], found.edges[0], float(values.min()), float(values.max()))])
    np.testing.assert_array_equal(build(image, stats, mode)(values), computed(display(image, mode=mode))[0])


@pytest.mark.parametrize("mode", ["dra", "minmax"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_image_statistics_are_those_counted(dtype: str, mode: Any) -> None:
    image = source(4, dtype, irepbands=("", "B", "G", "R"))
    stats = compute_image_statistics(image, approximate=False)
    np.testing.assert_array_equal(
        build(image, stats, mode)(pixels(4, dtype)[[3, 2, 1]]), computed(display(image, mode=mode))[0]
    )


def test_given_statistics_of_nothing_are_the_middle() -> None:
    stats = Statistics([Band(np.zeros(4), np.arange(5.0), np.nan, np.nan)])
    assert (build(source(1), stats)(pixels(1)) == 127).all()


def test_statistics_that_do_not_fit() -> None:
    image = source(5, irepbands=("", "B", "G", "R", ""))
    with pytest.raises(BandError, match="stats of 2 bands do not fit 5 bands, 3 of them shown"):
        build(image, [DRAParameters(0, 1, 0, 1)] * 2)
    with pytest.raises(ArgumentError, match="these have none"):
        build(source(1), Statistics([Band(None, None)]))
    with pytest.raises(ArgumentError, match="got dict"):
        build(image, {"min": 0})


# Nothing is read


class ReadError(Exception):
    pass


class Unread(Pixels):
    def kernel(self, blocks: Any, region: Any) -> Block:
        raise ReadError


def test_nothing_is_read_before_pixels_are_wanted() -> None:
    plain = source(4, irepbands=("", "R", "G", "B"))
    image = Unread(plain.data, None, None, plain.lies, plain.bands, attrs=plain.attrs)
    chain = build(image)
    lazy = chain(image)
    assert lazy.token == display(image).token
    assert pickle.loads(pickle.dumps(chain)) == chain
    with pytest.raises(ReadError):
        chain(pixels(3))
    known = build(image, [DRAParameters(0, 99, 0, 99)] * 4)
    assert known(pixels(3)).dtype == np.uint8


def test_the_range_of_an_array_is_counted_once() -> None:
    plain, calls = source(1), []

    class Counting(Pixels):
        def kernel(self, blocks: Any, region: Any) -> Block:
            calls.append(region)
            return super().kernel(blocks, region)

    chain = build(Counting(plain.data, None, None, plain.lies, plain.bands))
    first = chain(pixels(1))
    seen = len(calls)
    assert seen
    np.testing.assert_array_equal(chain(pixels(1)), first)
    assert len(calls) == seen


def test_what_is_ready_is_never_counted() -> None:
    plain = source(3, np.uint8)
    image = Unread(plain.data, None, None, plain.lies, plain.bands)
    np.testing.assert_array_equal(build(image)(pixels(3, np.uint8)), pixels(3, np.uint8))
    assert display(image) is image


def test_impossible_arguments() -> None:
    image = source(3)
    with pytest.raises(ArgumentError, match=r"dra, minmax; got 'auto'"):
        build(image, range_adjustment="auto")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="dra, minmax"):
        display(source(3, np.uint8), mode="auto")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="shares"):
        build(image, min_percentage=2)
    with pytest.raises(DtypeError, match="abs"):
        display(source(1, "c8"))
    with pytest.raises(DtypeError, match="32 bits"):
        display(image, dtype="int64")
    with pytest.raises(BandError, match="one band or three, not 2"):
        display(image, bands=[0, 1])


def test_json_round_trip() -> None:
    image = array_source(pixels(2))
    for node in (display(image), build(image, [DRAParameters(0, 99, 0, np.nan)] * 2)(image)):
        assert from_json(to_json(node)).token == node.token


def test_warnings_are_for_guesses_only() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display(source(5, names=NAMES))
        display(source(5), bands=[0])
