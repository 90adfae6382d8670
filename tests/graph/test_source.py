from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.cache import tile_cache
from weft.graph.grid import Grid, Region
from weft.graph.lower import to_dask, to_dask_pair
from weft.graph.node import Meta
from weft.graph.plan import make_plan
from weft.graph.source import ChunkedSource, TiledSource

sides = st.integers(1, 30)


@settings(deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.booleans(), st.integers(1, 3), st.data())
def test_any_region_of_any_tiling_is_a_slice(
    ops: SimpleNamespace, shape: tuple[int, int], tile: tuple[int, int], masked: bool, bands: int, data: st.DataObject
) -> None:
    source = ops.Noise(shape, tile, 5, bands, masked)
    rows, cols = (sorted(data.draw(st.tuples(st.integers(0, side), st.integers(0, side)))) for side in shape)
    region = Region(*rows, *cols)
    got = source.kernel((), region)
    if region.is_empty:
        assert got.data.shape == (bands, 0, 0)
    else:
        assert ops.same(got, ops.whole(source).window(region.rows, region.cols))
        assert got.valid is None or not got.valid.all()


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.data())
def test_tiles_are_those_that_a_region_touches(
    ops: SimpleNamespace, shape: tuple[int, int], tile: tuple[int, int], data: st.DataObject
) -> None:
    row, col = (data.draw(st.integers(0, side - 1)) for side in shape)
    region = Region(row, data.draw(st.integers(row + 1, shape[0])), col, data.draw(st.integers(col + 1, shape[1])))
    tiles = list(ops.Noise(shape, tile).tiles(region))
    count = np.zeros(shape, int)
    for box in tiles:
        assert not box.intersect(region).is_empty
        assert box.row0 % tile[0] == box.col0 % tile[1] == 0
        count[box.rows, box.cols] += 1
    assert count.max() == 1
    assert (count[region.rows, region.cols] == 1).all()


def test_tiles_are_decoded_once_while_cached(ops: SimpleNamespace) -> None:
    source = ops.Noise((40, 50), (16, 16))
    source.kernel((), Region(0, 20, 0, 20))
    source.kernel((), Region(10, 40, 10, 50))
    reads = ops.calls.regions(source)
    assert len(reads) == len(set(reads)) == 12
    assert Region(32, 40, 48, 50) in reads  # the last tile is clipped to the grid
    assert tile_cache().counts.loads == 12
    ops.Noise((40, 50), (16, 16)).kernel((), Region(0, 1, 0, 1))
    assert tile_cache().counts.loads == 12  # an equal source shares them
    ops.Noise((40, 50), (16, 16), seed=9).kernel((), Region(0, 1, 0, 1))
    assert tile_cache().counts.loads == 13


@dataclass(frozen=True, eq=False)
class Patchwork(TiledSource):
    """Tiles without mask, with one mask for all bands, and with one a band, in turn."""

    first: int = 0

    def _meta(self) -> Meta:
        return Meta(Grid((4, 24)), ("a", "b"), np.dtype("u1"), masked=True, tile=(4, 4))

    def mask(self, region: Region) -> np.ndarray | None:
        kind = (region.col0 // 4 + self.first) % 3
        if kind == 0:
            return None
        mask = np.ones((kind, *region.shape), bool)
        mask[-1, 0, 0] = False
        return mask

    def read(self, region: Region) -> Block:
        return Block(np.full((2, *region.shape), region.col0, "u1"), self.mask(region))


@pytest.mark.parametrize("first", [0, 1, 2])
def test_masks_of_one_and_of_all_bands_join(first: int) -> None:
    source = Patchwork(first)
    source.kernel((), Region(0, 4, 0, 4))  # with one of them in the cache, the tiles come one by one
    got = source.kernel((), Region(0, 4, 0, 24))
    wanted = np.ones((2, 4, 24), bool)
    for tile in source.tiles(Region(0, 4, 0, 24)):
        mask = source.mask(tile)
        if mask is not None:
            wanted[:, tile.rows, tile.cols] = mask
    assert got.valid is not None
    assert np.array_equal(np.broadcast_to(got.valid, wanted.shape), wanted)
    assert np.array_equal(got.data[:, 0], np.broadcast_to(np.arange(24) // 4 * 4, (2, 24)))
    unmasked = next(tile for tile in source.tiles(Region(0, 4, 0, 24)) if source.mask(tile) is None)
    assert source.kernel((), unmasked).valid is None


def test_a_mask_that_says_nothing_is_forgotten_in_the_cache() -> None:
    @dataclass(frozen=True, eq=False)
    class Sure(Patchwork):
        def mask(self, region: Region) -> np.ndarray | None:
            return np.ones((1, *region.shape), bool)

    assert Sure().kernel((), Region(0, 4, 0, 4)).valid is None
    assert tile_cache().current_bytes == 32


def test_what_a_source_must_define() -> None:
    @dataclass(frozen=True, eq=False)
    class Vague(TiledSource):
        def _meta(self) -> Meta:
            return Meta(Grid((4, 4)), ("a",), np.dtype("u1"))

    @dataclass(frozen=True, eq=False)
    class VagueChunks(ChunkedSource):
        def _meta(self) -> Meta:
            return Meta(Grid((4, 4)), ("a",), np.dtype("u1"))

    with pytest.raises(NotImplementedError, match="Vague"):
        Vague().kernel((), Region(0, 1, 0, 1))
    with pytest.raises(NotImplementedError):
        VagueChunks().array  # noqa: B018
    with pytest.raises(NotImplementedError):
        VagueChunks().valid  # noqa: B018
    with pytest.raises(NotImplementedError):
        VagueChunks().validator  # noqa: B018


def test_what_users_get_of_a_tile_is_theirs(ops):
    """A chunk that is one tile is not copied within the graph, so it is where it leaves it."""
    node = ops.Noise((32, 32), (16, 16), masked=True)
    plan = make_plan(node, (16, 16), "none")
    before = to_dask(plan).compute()
    for array in to_dask_pair(plan):
        assert array is not None
        chunk = array.blocks[0, 0, 0].compute()
        if chunk.flags.writeable:
            chunk[...] = 0
    np.testing.assert_array_equal(to_dask(plan).compute(), before)
    assert before.any()


def test_whole_tiles_that_nobody_has_read_are_read_at_once(ops: SimpleNamespace) -> None:
    source = ops.Noise((40, 50), (16, 16), masked=True)
    box = Region(16, 40, 16, 50)
    got = source.kernel((), box)
    assert ops.calls.regions(source) == [box]
    assert tile_cache().counts.loads == 6
    expected = source.whole().cut(source.meta.grid.region, box)
    np.testing.assert_array_equal(got.data, expected.data)
    np.testing.assert_array_equal(got.valid, expected.valid)
    for tile in source.tiles(box):
        part = source.kernel((), tile)
        np.testing.assert_array_equal(part.data, source.whole().cut(source.meta.grid.region, tile).data)
    assert ops.calls.regions(source) == [box]


def test_tiles_are_not_read_twice_to_be_read_at_once(ops: SimpleNamespace) -> None:
    source = ops.Noise((32, 48), (16, 16))
    source.kernel((), Region(0, 16, 16, 32))
    source.kernel((), Region(0, 32, 0, 48))
    reads = ops.calls.regions(source)
    assert len(reads) == len(set(reads)) == 6


def test_what_is_read_at_once_is_not_too_much(ops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.graph.source._MOST_TOGETHER", 16 * 16 * 8 * 3)
    source = ops.Noise((32, 64), (16, 16))
    source.kernel((), Region(0, 16, 0, 48))
    source.kernel((), Region(16, 32, 0, 64))
    assert [region.size for region in ops.calls.regions(source)] == [16 * 48, *[256] * 4]
