from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.graph.cache import DEFAULT_BYTES, tile_cache
from weft.graph.locality import strips
from weft.graph.plan import make_plan


@pytest.fixture
def _small_cache() -> Iterator[None]:
    tile_cache().resize(50 * 1024)
    yield
    tile_cache().resize(DEFAULT_BYTES)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_strips_hold_every_chunk_once(ops: SimpleNamespace, rows: int, cols: int, height: int, width: int) -> None:
    plan = make_plan(ops.Stencil(ops.Noise((rows, cols)), 1), (height, width))
    order = strips(plan)
    assert len(order) == plan.tasks
    assert set(order) == {(i, j) for i in range(len(plan.chunks[0])) for j in range(len(plan.chunks[1]))}


def test_chunks_that_fit_go_row_by_row(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Noise((40, 50)), 10)
    assert strips(plan) == [(i, j) for i in range(4) for j in range(5)]


@pytest.mark.usefixtures("_small_cache")
def test_strips_are_as_narrow_as_the_cache_asks(ops: SimpleNamespace) -> None:
    # A task uses one tile of 32 x 32 x 8 bytes; two thirds of the cache hold four of them, four fifths five.
    plan = make_plan(ops.Noise((64, 320), (32, 32)), 32)
    assert strips(plan)[:8] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (0, 4)]
    assert strips(plan, looking_back=True)[:6] == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
    # Tiles that neighbours share count once.
    plan = make_plan(ops.Noise((64, 128), (32, 32)), 16)
    assert strips(plan)[:9] == [*((0, j) for j in range(8)), (1, 0)]
    # A chunk that uses more than the whole cache makes strips one chunk wide.
    plan = make_plan(ops.Noise((256, 384), (128, 128)), 128)
    assert strips(plan) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


def test_a_plan_without_tiles_is_one_strip(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Plus(ops.Half(ops.Total(ops.Noise())), 1))
    assert strips(plan) == [(0, 0)]
