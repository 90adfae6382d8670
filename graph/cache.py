"""The per-process cache of decoded source tiles: bounded in bytes, least recently used out first, one decode per tile."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
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
        self._tiles: OrderedDict[Hashable, Block] = OrderedDict()
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
            self._bytes = 0
            self.counts = CacheCounts()

    def get(self, key: Hashable, load: Callable[[], Block]) -> Block:
        """The tile under ``key``, from ``load()`` if it is not here. Nobody may write into what comes back."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
                self.counts.hits += 1
                return tile
            waiting = self._loading.get(key)
            if waiting is None:
                mine: Future[Block] = Future()
                self._loading[key] = mine
                self.counts.loads += 1
            else:
                self.counts.hits += 1
        if waiting is not None:
            return waiting.result()
        try:
            tile = load()
        except BaseException as error:
            with self._lock:
                del self._loading[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._loading[key]
            if tile.nbytes <= self._max_bytes:
                self._tiles[key] = tile
                self._bytes += tile.nbytes
                self._evict()
        mine.set_result(tile)
        return tile

    def _evict(self) -> None:
        while self._bytes > self._max_bytes:
            _, old = self._tiles.popitem(last=False)
            self._bytes -= old.nbytes
            self.counts.evictions += 1


_tiles = TileCache()


def tile_cache() -> TileCache:
    """The one cache of this process."""
    return _tiles
