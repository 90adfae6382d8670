"""Chains of array functions against the same functions called by hand, and against themselves on rasters."""

from __future__ import annotations

import dataclasses
import functools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, BandError
from weft.graph.node import Node, Source, operation
from weft.ops.chain import ProcessingChain, band_select, compose
from weft.ops.color_space import color_space_transform

from .helpers import Pixels, array_source, computed

pytestmark = pytest.mark.filterwarnings("error")


def halved(image: np.ndarray) -> np.ndarray:
    return (image / 2).astype(np.float32)


def doubled(image: np.ndarray) -> np.ndarray:
    return image * 2


def shares(image: np.ndarray) -> np.ndarray:
    return np.clip(image.astype(np.float64) / 255, 0, 1)


def brightest(image: np.ndarray) -> np.ndarray:
    return image.max(axis=0, keepdims=True)


def image(bands: int = 4, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (bands, 9, 11)).astype(dtype)


@operation("test_unread")
@dataclasses.dataclass(frozen=True, eq=False)
class Unread(Pixels):
    """Pixels that nobody may read."""

    def kernel(self, blocks: Any, region: Any) -> Any:
        raise AssertionError("read")


def unread(bands: int) -> Source:
    source = array_source(image(bands))
    return Unread(source.data, None, None, source.lies, source.bands)


def test_steps_in_order() -> None:
    chain = ProcessingChain([halved, doubled, brightest], 1, np.float32)
    pixels = image()
    np.testing.assert_array_equal(chain(pixels), brightest(doubled(halved(pixels))))


def test_no_steps_give_back_the_image() -> None:
    pixels = image()
    assert ProcessingChain([], 4)(pixels) is pixels
    source = array_source(pixels)
    assert ProcessingChain([], 4)(source) is source


def test_what_a_chain_says_of_itself() -> None:
    chain = ProcessingChain([doubled], 3, "uint16", [2, 1, 0])
    assert chain.steps == (doubled,)
    assert (chain.output_bands, chain.output_dtype, chain.input_bands) == (3, np.dtype(np.uint16), (2, 1, 0))
    assert ProcessingChain([], 1).output_dtype == np.uint8
    assert ProcessingChain([], 1).input_bands is None
    assert chain == ProcessingChain((doubled,), 3, np.uint16, (2, 1, 0))


def test_a_chain_does_not_change() -> None:
    steps = [doubled]
    chain = ProcessingChain(steps, 4)
    steps.append(halved)
    assert chain.steps == (doubled,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        chain.output_bands = 2  # type: ignore[misc]


def test_a_flat_image_is_one_band() -> None:
    pixels = image(1)
    chain = ProcessingChain([doubled], 1)
    np.testing.assert_array_equal(chain(pixels[0]), chain(pixels))
    np.testing.assert_array_equal(ProcessingChain([lambda a: a[0]], 1)(pixels), pixels)


def test_the_number_of_bands_is_held_to() -> None:
    with pytest.raises(BandError, match="made 4 bands, not the 3"):
        ProcessingChain([doubled], 3)(image())
    with pytest.raises(BandError, match="made 4 bands, not the 3"):
        ProcessingChain([doubled], 3)(array_source(image()))
    with pytest.raises(BandError, match=r"takes 2 bands.*image\[\[3, 0\]\]"):
        ProcessingChain([], 2, input_bands=(3, 0))(image())


def test_input_bands_are_what_an_array_holds_and_what_a_raster_is_asked_for() -> None:
    chain = ProcessingChain([doubled], 2, input_bands=(3, 0))
    pixels = image()
    np.testing.assert_array_equal(chain(pixels[[3, 0]]), pixels[[3, 0]] * 2)
    lazy = chain(array_source(pixels))
    assert lazy.meta.bands == ("b3", "b0")
    np.testing.assert_array_equal(computed(lazy)[0], pixels[[3, 0]] * 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-4, 3), min_size=1, max_size=6))
def test_band_select(bands: list[int]) -> None:
    step, pixels = band_select(bands), image()
    np.testing.assert_array_equal(step(pixels), pixels[bands])
    np.testing.assert_array_equal(computed(step(array_source(pixels)))[0], pixels[bands])


def test_band_select_of_what_is_not_there() -> None:
    with pytest.raises(BandError, match="no band 4; the image has bands 0 to 3"):
        band_select([0, 4])(image())
    with pytest.raises(BandError, match="no band 4"):
        band_select(4)(array_source(image()))
    with pytest.raises(BandError, match="no band 1"):
        band_select([1])(image(1)[0])
    for wrong in (["red"], [], [1.5], None):
        with pytest.raises(ArgumentError, match=r"position|whole number"):
            band_select(wrong)  # type: ignore[arg-type]


def test_compose_picks_the_bands_of_the_second() -> None:
    first = ProcessingChain([doubled], 3, np.uint8, (3, 1, 0))
    second = ProcessingChain([halved, brightest], 1, np.float32, (2, 0))
    both = compose(first, second)
    assert (both.output_bands, both.output_dtype, both.input_bands) == (1, np.dtype(np.float32), (3, 1, 0))
    pixels = image()
    expected = second(first(pixels[[3, 1, 0]])[[2, 0]])
    np.testing.assert_array_equal(both(pixels[[3, 1, 0]]), expected)
    np.testing.assert_array_equal(computed(both(array_source(pixels)))[0], expected)


def test_compose_without_input_bands() -> None:
    both = compose(ProcessingChain([doubled], 4), ProcessingChain([halved], 4, np.float32))
    assert both.steps == (doubled, halved)
    assert both.input_bands is None


def test_compose_of_what_does_not_fit() -> None:
    first = ProcessingChain([doubled], 3)
    assert compose(first, ProcessingChain([], 1, input_bands=(2,))).output_bands == 1
    with pytest.raises(ArgumentError, match="takes band 3 and the first makes only bands 0 to 2"):
        compose(first, ProcessingChain([], 2, input_bands=(0, 3)))


def test_a_chain_is_a_step() -> None:
    inner = ProcessingChain([halved], 2, np.float32, (1, 0))
    outer = ProcessingChain([doubled, inner], 2, np.float32)
    pixels = image(2)
    expected = halved(doubled(pixels)[[1, 0]])
    np.testing.assert_array_equal(outer(pixels), expected)
    np.testing.assert_array_equal(computed(outer(array_source(pixels)))[0], expected)


TO_LAB = functools.partial(color_space_transform, source="srgb", destination="cielab")
CHAINS = {
    "functions": ProcessingChain([halved, doubled], 4, np.float32),
    "fewer bands": ProcessingChain([doubled, brightest], 1),
    "bands between functions": ProcessingChain([doubled, band_select([2, 0, 3]), shares], 3, np.float64),
    "colours": ProcessingChain([shares, TO_LAB], 3, np.float64, (0, 1, 3)),
    "colours between functions": ProcessingChain([band_select([0, 1, 3]), shares, TO_LAB, halved], 3, np.float32),
    "nothing but bands": ProcessingChain([band_select([3, 3])], 2),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_rasters_give_the_pixels_of_arrays(chain: ProcessingChain) -> None:
    pixels = image()
    lazy = chain(array_source(pixels))
    assert isinstance(lazy, Node)
    data, valid = computed(lazy)
    assert valid.all()
    np.testing.assert_array_equal(data, chain(pixels if chain.input_bands is None else pixels[list(chain.input_bands)]))


def test_rasters_become_nodes_where_steps_know_them() -> None:
    lazy = ProcessingChain([band_select([2, 0, 1]), shares, TO_LAB], 3, np.float64)(unread(3))
    names = []
    while lazy.inputs:
        names.append(lazy.name)
        lazy = lazy.inputs[0]
    assert names == ["color_space", "map", "select"]


def test_invalid_pixels_stay_invalid() -> None:
    pixels, valid = image(), np.random.default_rng(1).random((4, 9, 11)) > 0.3
    data, found = computed(ProcessingChain([halved], 4, np.float32)(array_source(pixels, valid)))
    np.testing.assert_array_equal(found, np.broadcast_to(valid.all(axis=0), found.shape))
    np.testing.assert_array_equal(data[found], halved(pixels)[found])


def test_bands_keep_their_names_where_there_are_as_many() -> None:
    source = array_source(image(), bands=("blue", "green", "red", "nir"))
    assert ProcessingChain([doubled], 4)(source).meta.bands == source.meta.bands
    assert ProcessingChain([brightest], 1)(source).meta.bands == ("b1",)


def test_impossible_chains() -> None:
    with pytest.raises(ArgumentError, match="callable"):
        ProcessingChain([3], 1)  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="at least 1"):
        ProcessingChain([], 0)
    with pytest.raises(ArgumentError, match="whole number"):
        ProcessingChain([], 1.5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="from 0 on"):
        ProcessingChain([], 1, input_bands=(-1,))
    with pytest.raises(ArgumentError, match="one position at least"):
        ProcessingChain([], 1, input_bands=())
    with pytest.raises(ArgumentError, match="dtype"):
        ProcessingChain([], 1, "nothing")


def test_steps_that_fail_say_so() -> None:
    with pytest.raises(ArgumentError, match="takes an array"):
        ProcessingChain([], 1)("image")
    with pytest.raises(ArgumentError, match=r"returns an array.*NoneType"):
        ProcessingChain([lambda a: None], 1)(image())
    with pytest.raises(ArgumentError, match=r"returns an array.*NoneType"):
        ProcessingChain([lambda a: None], 1)(unread(1))
    with pytest.raises(ArgumentError, match=r"fail on an image of 2 bands.*IndexError"):
        ProcessingChain([lambda a: a[[3]]], 1)(unread(2))
    with pytest.raises(ArgumentError, match="a step keeps them"):
        ProcessingChain([lambda a: a[:, ::2]], 2)(unread(2))


def test_chains_are_pickled() -> None:
    chain = CHAINS["bands between functions"]
    again = pickle.loads(pickle.dumps(chain))
    assert again == chain
    np.testing.assert_array_equal(again(image()), chain(image()))
