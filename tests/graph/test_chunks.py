from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.graph.chunks import TARGET_BYTES, choose_chunks, chunk_regions
from weft.graph.errors import ArgumentError
from weft.graph.grid import Grid
from weft.graph.node import Meta


def meta(rows: int, cols: int, tile: tuple[int, int] = (512, 512), bands: int = 1, dtype: str = "u1") -> Meta:
    return Meta(Grid((rows, cols)), tuple(f"b{k}" for k in range(bands)), np.dtype(dtype), tile=tile)


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        (40, ((40, 40, 20), (40, 30))),
        (np.int64(40), ((40, 40, 20), (40, 30))),
        (-1, ((100,), (70,))),
        (1000, ((100,), (70,))),
        ((50, 70), ((50, 50), (70,))),
        ([50, np.uint8(70)], ((50, 50), (70,))),
        ((50, -1), ((50, 50), (70,))),
        ((3, 50, -1), ((50, 50), (70,))),
        (((30, 70), (1, 69)), ((30, 70), (1, 69))),
        (((1,), (30, 70), 35), ((30, 70), (35, 35))),
        (([np.int64(30), 70], 35), ((30, 70), (35, 35))),
    ],
)
def test_forms_of_chunks(chunks: Any, wanted: Any) -> None:
    found = choose_chunks(meta(100, 70), chunks)
    assert found == wanted
    assert all(type(length) is int for axis in found for length in axis)


@pytest.mark.parametrize(
    "chunks",
    [
        0,
        -2,
        1.5,
        True,
        "big",
        "100",
        (),
        (50,),
        (1, 2, 3, 4),
        (0, 5),
        (50, -3),
        (50.0, 35),
        (50, None),
        ((50, 49), 35),
        ((50, 51), 35),
        ((100, 0), 35),
        ((150, -50), 35),
        ((50.5, 49.5), 35),
        (("50", "50"), 35),
        ((True,) * 100, 35),
        {"y": 50, "x": 35},
        {50, 35},
    ],
)
def test_chunks_that_do_not_describe_the_grid_are_refused(chunks: Any) -> None:
    with pytest.raises(ArgumentError, match="chunk"):
        choose_chunks(meta(100, 70), chunks)


def test_left_out_they_are_whole_tiles_of_about_a_thousand_pixels() -> None:
    assert choose_chunks(meta(5000, 5000)) == ((1024,) * 4 + (904,),) * 2
    assert choose_chunks(meta(5000, 5000), "auto") == choose_chunks(meta(5000, 5000))
    assert choose_chunks(meta(2000, 2000, (300, 400))) == ((900, 900, 200), (800, 800, 400))
    assert choose_chunks(meta(3000, 3000, (2000, 1500))) == ((2000, 1000), (1500, 1500))
    assert choose_chunks(meta(100, 100)) == ((100,), (100,))
    assert choose_chunks(meta(5000, 5000), side=2048)[0] == (2048, 2048, 904)


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.integers(1, 600), st.booleans(), st.sampled_from([1, 3, 12, 200]))
def test_chunks_of_small_or_strip_tiles_are_not_too_heavy(rows: int, cols: int, side: int, strips: bool, bands: int) -> None:
    tile = (min(side, 8), cols) if strips else (side, side)
    heights, widths = choose_chunks(meta(rows, cols, tile, bands, "f4"))
    assert sum(heights) == rows
    assert sum(widths) == cols
    pixels = max(heights) * max(widths)
    assert pixels * bands * 4 <= TARGET_BYTES or pixels <= tile[0] * tile[1] or max(heights) == max(widths) == 64 // side * side
    assert len(heights) == 1 or heights[0] % tile[0] == 0
    assert len(widths) == 1 or widths[0] % tile[1] == 0


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=6)))


@given(lengths(), lengths())
def test_regions_of_chunks_are_a_partition(rows: tuple[int, ...], cols: tuple[int, ...]) -> None:
    count = np.zeros((sum(rows), sum(cols)), int)
    places = []
    for (i, j), region in chunk_regions((rows, cols)):
        assert region.shape == (rows[i], cols[j])
        count[region.rows, region.cols] += 1
        places.append((i, j))
    assert (count == 1).all()
    assert places == [(i, j) for i in range(len(rows)) for j in range(len(cols))]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 400), st.integers(1, 400))
def test_regular_chunks_cover_every_pixel(rows: int, cols: int, height: int, width: int) -> None:
    found = choose_chunks(meta(rows, cols), (height, width))
    for axis, length, size in zip(found, (rows, cols), (height, width), strict=True):
        assert sum(axis) == length
        assert all(part == size for part in axis[:-1])
        assert 1 <= axis[-1] <= size
