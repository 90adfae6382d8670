from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.cache import TileCache, tile_cache

THREADS = 16


def tile(size: int, mark: int = 0) -> Block:
    return Block(np.full((1, 1, size), mark, "u1"))


def loader(size: int, loads: list[object], key: object) -> Callable[[], Block]:
    def load() -> Block:
        loads.append(key)
        return tile(size)

    return load


def test_a_tile_is_loaded_once_while_it_stays() -> None:
    cache, loads = TileCache(100), list[object]()
    first = cache.get("a", loader(10, loads, "a"))
    assert cache.get("a", loader(10, loads, "a")) is first
    assert loads == ["a"]
    assert (cache.counts.hits, cache.counts.loads, cache.counts.evictions) == (1, 1, 0)
    assert cache.current_bytes == 10
    assert cache.max_bytes == 100


def test_the_least_recently_used_goes_first() -> None:
    cache, loads = TileCache(30), list[object]()
    for key in "abcadb":  # a is used again before d comes, so b goes for d, then c for b
        cache.get(key, loader(10, loads, key))
    assert loads == list("abcdb")
    assert cache.counts.evictions == 2
    loads.clear()
    for key in "adb":
        cache.get(key, loader(10, loads, key))
    assert loads == []


@given(st.integers(0, 60), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=40))
def test_the_cache_is_a_bounded_list_in_order_of_use(bound: int, asked: list[tuple[int, int]]) -> None:
    cache = TileCache(bound)
    model: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for key, size in asked:
        size = sizes.setdefault(key, size)
        loads = list[object]()
        assert cache.get(key, loader(size, loads, key)).nbytes == size
        assert bool(loads) == (key not in model)
        model.pop(key, None)
        if size <= bound:
            model[key] = size
        while sum(model.values()) > bound:
            del model[next(iter(model))]
        assert cache.current_bytes == sum(model.values()) <= bound


def test_masks_count() -> None:
    cache = TileCache(100)
    cache.get("a", lambda: Block(np.zeros((1, 2, 3), "f4"), np.ones((1, 2, 3), bool)))
    assert cache.current_bytes == 24 + 6


def test_a_tile_beyond_the_bound_is_handed_out_but_not_kept() -> None:
    cache, loads = TileCache(20), list[object]()
    cache.get("small", loader(10, loads, "small"))
    assert cache.get("big", loader(21, loads, "big")).nbytes == 21
    cache.get("big", loader(21, loads, "big"))
    assert loads == ["small", "big", "big"]
    assert cache.current_bytes == 10  # and it has pushed nothing out
    assert cache.counts.evictions == 0


def test_resize_and_clear() -> None:
    cache, loads = TileCache(100), list[object]()
    for key in range(5):
        cache.get(key, loader(20, loads, key))
    cache.resize(45)
    assert (cache.max_bytes, cache.current_bytes, cache.counts.evictions) == (45, 40, 3)
    cache.get(4, loader(20, loads, 4))
    assert len(loads) == 5
    cache.clear()
    assert (cache.current_bytes, cache.counts.hits, cache.counts.loads, cache.counts.evictions) == (0, 0, 0, 0)
    cache.get(4, loader(20, loads, 4))
    assert len(loads) == 6
    cache.resize(0)
    assert cache.current_bytes == 0


def together(work: Callable[[int], object]) -> list[object]:
    """What ``work(k)`` gives or raises in threads that start at once."""
    barrier = threading.Barrier(THREADS)

    def start(k: int) -> object:
        barrier.wait()
        try:
            return work(k)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


def waited_for(cache: TileCache, hits: int) -> None:
    """Return once so many others wait for the tile being loaded."""
    deadline = time.monotonic() + 10
    while cache.counts.hits < hits:
        assert time.monotonic() < deadline, "the others never came to wait"
        time.sleep(0.001)


def test_threads_that_want_one_tile_decode_it_once() -> None:
    cache, loads = TileCache(100), list[object]()

    def load() -> Block:
        loads.append(None)
        waited_for(cache, THREADS - 1)
        return tile(10)

    results = together(lambda k: cache.get("a", load))
    assert len(loads) == 1
    assert all(result is results[0] for result in results)
    assert (cache.counts.loads, cache.counts.hits) == (1, THREADS - 1)


def test_threads_that_want_different_tiles_do_not_wait_for_each_other() -> None:
    cache = TileCache(10_000)
    all_loading = threading.Barrier(THREADS, timeout=10)

    def load() -> Block:
        all_loading.wait()
        return tile(10)

    assert len(together(lambda k: cache.get(k, load))) == THREADS
    assert not all_loading.broken
    assert cache.current_bytes == 10 * THREADS


def test_waiters_get_a_tile_that_is_too_large_to_keep() -> None:
    cache = TileCache(5)

    def load() -> Block:
        waited_for(cache, THREADS - 1)
        return tile(10)

    results = together(lambda k: cache.get("a", load))
    assert all(result is results[0] for result in results)
    assert cache.counts.loads == 1
    assert cache.current_bytes == 0


def test_an_error_reaches_every_waiter_and_is_not_kept() -> None:
    cache, loads = TileCache(100), list[object]()

    def fail() -> Block:
        loads.append(None)
        waited_for(cache, THREADS - 1)
        raise ValueError("damaged tile")

    results = together(lambda k: cache.get("a", fail))
    assert len(loads) == 1
    assert [str(result) for result in results] == ["damaged tile"] * THREADS
    assert cache.current_bytes == 0
    assert cache.get("a", lambda: tile(10)).nbytes == 10


def test_even_an_interrupt_leaves_the_key_free() -> None:
    cache = TileCache(100)

    def interrupted() -> Block:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("a", interrupted)
    assert cache.get("a", lambda: tile(10, 7)).data[0, 0, 0] == 7


def test_a_crowd_over_a_small_cache_always_gets_the_right_tile() -> None:
    cache = TileCache(35)

    def work(k: int) -> bool:
        rng = np.random.default_rng(k)
        for key in rng.integers(0, 12, 300).tolist():
            block = cache.get(key, lambda key=key: tile(10, key))  # type: ignore[misc]
            if block.data[0, 0, 0] != key:
                return False
        return True

    assert together(work) == [True] * THREADS
    assert cache.current_bytes <= 35
    assert cache.counts.hits + cache.counts.loads == 300 * THREADS


def test_there_is_one_cache_a_process() -> None:
    assert tile_cache() is tile_cache()
    assert tile_cache().max_bytes > 2**20


def test_tiles_decoded_together_stay_and_go_together() -> None:
    cache, loads = TileCache(40), list[object]()
    got = cache.get_together("abc", lambda: {key: tile(10, ord(key)) for key in "abc"})
    assert got is not None
    assert [int(got[key].data[0, 0, 0]) for key in "abc"] == [97, 98, 99]
    assert (cache.counts.loads, cache.current_bytes) == (3, 30)
    cache.get("d", loader(10, loads, "d"))
    cache.get("b", loader(10, loads, "b"))  # so that its company was used last
    cache.get("e", loader(10, loads, "e"))
    assert loads == ["d", "e"]
    cache.get("a", loader(10, loads, "a"))
    assert (loads, cache.counts.evictions) == (["d", "e"], 1)
    cache.get("f", loader(20, loads, "f"))  # e is older than a and its company, and not enough
    assert cache.current_bytes == 20
    assert cache.counts.evictions == 5


def test_what_is_here_or_on_its_way_is_not_decoded_again() -> None:
    cache = TileCache(100)
    cache.get("a", lambda: tile(1))
    assert cache.get_together("ab", lambda: pytest.fail("decoded")) is None
    entered, go = threading.Event(), threading.Event()

    def slow() -> dict[object, Block]:
        entered.set()
        assert go.wait(10)
        return {key: tile(1, ord(key)) for key in "xy"}

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_together, "xy", slow)
        assert entered.wait(10)
        assert cache.get_together("yz", lambda: pytest.fail("decoded")) is None
        second = pool.submit(cache.get, "y", lambda: pytest.fail("decoded"))
        go.set()
        assert second.result(10).data[0, 0, 0] == ord("y")
        assert first.result(10) is not None


def test_an_error_of_several_reaches_all_and_is_not_kept() -> None:
    cache = TileCache(100)

    def fails() -> dict[object, Block]:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        cache.get_together("ab", fails)
    assert cache.get_together("ab", lambda: {key: tile(1) for key in "ab"}) is not None


def test_more_than_the_cache_holds_is_handed_out_and_forgotten() -> None:
    cache = TileCache(15)
    assert cache.get_together("ab", lambda: {key: tile(10) for key in "ab"}) is not None
    assert cache.current_bytes == 0
    assert cache.get_together("ab", lambda: {key: tile(10) for key in "ab"}) is not None
