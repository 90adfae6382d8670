"""The per-process cache of decoded source tiles: bounded in bytes, least recently used out first, one decode per tile.

Tiles that were decoded together are views of one array: they stay and go together, so that what is counted is what is held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

from .block import Block

DEFAULT_BYTES = 128 * 2**20


@dataclass
class CacheCounts:
    """How often tiles were asked for: ``hits`` found ready or being decoded, ``loads`` decoded here, ``evictions``."""

    hits: int = 0
    loads: int = 0
    evictions: int = 0


class TileCache:
    """Decoded tiles by key, at most ``max_bytes`` of them, safe for any number of threads.

    Two threads that want the same tile at once decode it once: the second waits for the first. An error while decoding
    reaches every waiter and is not kept.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.counts = CacheCounts()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._tiles: dict[Hashable, tuple[Block, _Together]] = {}
        self._kept: OrderedDict[_Together, None] = OrderedDict()
        self._loading: dict[Hashable, Future[Block]] = {}
        self._lock = Lock()

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    @property
    def current_bytes(self) -> int:
        return self._bytes

    def resize(self, max_bytes: int) -> None:
        """Change the bound; tiles beyond it go at once."""
        with self._lock:
            self._max_bytes = max_bytes
            self._evict()

    def clear(self) -> None:
        """Forget every tile and every count."""
        with self._lock:
            self._tiles.clear()
            self._kept.clear()
            self._bytes = 0
            self.counts = CacheCounts()

    def get(self, key: Hashable, load: Callable[[], Block]) -> Block:
        """The tile under ``key``, from ``load()`` if it is not here. Nobody may write into what comes back."""
        with self._lock:
            found = self._tiles.get(key)
            if found is not None:
                self._kept.move_to_end(found[1])
                self.counts.hits += 1
                return found[0]
            waiting = self._loading.get(key)
            if waiting is None:
                mine: Future[Block] = Future()
                self._loading[key] = mine
                self.counts.loads += 1
            else:
                self.counts.hits += 1
        if waiting is not None:
            return waiting.result()
        return self._loaded({key: mine}, lambda: {key: load()})[key]

    def get_together(
        self, keys: Iterable[Hashable], load: Callable[[], Mapping[Hashable, Block]]
    ) -> Mapping[Hashable, Block] | None:
        """The tiles of ``load()``, one per key, decoded together; None if any of them is here or being decoded already."""
        with self._lock:
            keys = list(keys)
            if any(key in self._tiles or key in self._loading for key in keys):
                return None
            mine: dict[Hashable, Future[Block]] = {key: Future() for key in keys}
            self._loading.update(mine)
            self.counts.loads += len(mine)
        return self._loaded(mine, load)

    def _loaded(
        self, mine: Mapping[Hashable, Future[Block]], load: Callable[[], Mapping[Hashable, Block]]
    ) -> Mapping[Hashable, Block]:
        """Decode, keep and hand out what this thread said it would."""
        try:
            tiles = load()
        except BaseException as error:
            with self._lock:
                for key in mine:
                    del self._loading[key]
            for future in mine.values():
                future.set_exception(error)
            raise
        together = _Together(tuple(mine), sum(tile.nbytes for tile in tiles.values()))
        with self._lock:
            for key in mine:
                del self._loading[key]
            if together.nbytes <= self._max_bytes:
                self._tiles.update((key, (tiles[key], together)) for key in mine)
                self._kept[together] = None
                self._bytes += together.nbytes
                self._evict()
        for key, future in mine.items():
            future.set_result(tiles[key])
        return tiles

    def _evict(self) -> None:
        while self._bytes > self._max_bytes:
            old, _ = self._kept.popitem(last=False)
            for key in old.keys:
                del self._tiles[key]
            self._bytes -= old.nbytes
            self.counts.evictions += len(old.keys)


@dataclass(frozen=True, eq=False)
class _Together:
    """Tiles that were decoded together, and the bytes of all."""

    keys: tuple[Hashable, ...]
    nbytes: int


_tiles = TileCache()


def tile_cache() -> TileCache:
    """The one cache of this process."""
    return _tiles
