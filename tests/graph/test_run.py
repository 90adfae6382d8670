from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest

from weft.graph.block import Block
from weft.graph.chunks import chunk_regions
from weft.graph.errors import MemoryLimitError
from weft.graph.grid import Region
from weft.graph.plan import make_plan
from weft.graph.run import run


class Canvas:
    """Collects blocks, whichever thread they come from."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.data = np.zeros(shape, "i8")
        self.times = np.zeros(shape, "i8")
        self.regions: list[Region] = []
        self.lock = threading.Lock()

    def __call__(self, block: Block, region: Region) -> None:
        with self.lock:
            self.regions.append(region)
            self.data[:, region.rows, region.cols] = block.data
            self.times[:, region.rows, region.cols] += 1


class Bar:
    """A progress bar that counts."""

    def __init__(self) -> None:
        self.total, self.done, self.description, self.open = 0, 0, "", False

    @contextmanager
    def __call__(self, total: int, description: str) -> Iterator[Callable[[], None]]:
        self.total, self.description, self.open = total, description, True

        def advance() -> None:
            assert self.open
            self.done += 1

        try:
            yield advance
        finally:
            self.open = False


def graph(ops: SimpleNamespace) -> Any:
    image = ops.Noise((60, 70), (16, 16))
    return ops.Centre(ops.Shift(image, 5, -3), ops.Half(ops.Above(image, ops.Total(image))))


@pytest.mark.parametrize("scheduler", ["sync", "threads", None])
def test_every_chunk_is_handed_over_once_and_counted_once(ops: SimpleNamespace, scheduler: str | None) -> None:
    root = graph(ops)
    canvas, bar = Canvas((1, 60, 70)), Bar()
    plan = make_plan(root, (25, 30))
    with dask.config.set(scheduler=scheduler):
        run(plan, canvas, progress=bar, description="writing")
    assert np.array_equal(canvas.data, ops.whole(root).data)
    assert (canvas.times == 1).all()
    assert set(canvas.regions) == {region for _, region in chunk_regions(plan.chunks)}
    assert (bar.total, bar.done, bar.description, bar.open) == (9, 9, "writing", False)


def test_it_runs_without_a_bar(ops: SimpleNamespace) -> None:
    canvas = Canvas((1, 40, 50))
    run(make_plan(ops.Noise(), 20), canvas)
    assert (canvas.times == 1).all()


def test_a_run_has_effects_every_time(ops: SimpleNamespace) -> None:
    canvas = Canvas((1, 40, 50))
    for _ in range(2):
        run(make_plan(ops.Noise(), 20), canvas)
    assert (canvas.times == 2).all()


class Files:
    """Writes each block to a file: what a process shows of its work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, block: Block, region: Region) -> None:
        np.save(self.folder / "-".join(map(str, region)), block.data)


def test_it_runs_in_other_processes(ops: SimpleNamespace, tmp_path: Path) -> None:
    root, bar = graph(ops), Bar()
    modules = [sys.modules[name] for name in (ops.Noise.__module__, __name__)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)  # a worker cannot import this test
    try:
        with dask.config.set(scheduler="processes", num_workers=2):
            run(make_plan(root, (25, 40)), Files(tmp_path), progress=bar)
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    whole = ops.whole(root).data
    files = list(tmp_path.iterdir())
    assert len(files) == bar.done == bar.total == 6
    for file in files:
        region = Region(*map(int, file.stem.split("-")))
        assert np.array_equal(np.load(file), whole[:, region.rows, region.cols])


CANVASES: dict[str, Canvas] = {}


def to_canvas(block: Block, region: Region) -> None:
    """Pickled by its name, so that a worker in this process draws on the test's own canvas."""
    CANVASES["cluster"](block, region)


def to_nowhere(block: Block, region: Region) -> None:
    pass


def test_it_runs_on_a_cluster(ops: SimpleNamespace) -> None:
    from distributed import Client, LocalCluster

    root, bar = graph(ops), Bar()
    CANVASES["cluster"] = canvas = Canvas((1, 60, 70))
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        run(make_plan(root, 25), to_canvas, progress=bar)
        with pytest.raises(ZeroDivisionError, match="cannot compute") as caught:
            run(make_plan(ops.Fail(ops.Noise(), 1, 2), 20), to_nowhere)
    assert np.array_equal(canvas.data, ops.whole(root).data)
    assert (canvas.times == 1).all()
    assert bar.done == bar.total == 9
    assert caught.value.__notes__ == ["while computing rows 0:20, columns 0:20 of Fail(row=1, col=2)"]


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_an_error_says_which_node_and_where_and_closes_the_bar(ops: SimpleNamespace, scheduler: str) -> None:
    bar = Bar()
    plan = make_plan(ops.Plus(ops.Fail(ops.Noise(), 25, 30), 1), 20)
    with dask.config.set(scheduler=scheduler), pytest.raises(ZeroDivisionError, match="cannot compute that pixel") as caught:
        run(plan, lambda block, region: None, progress=bar)
    assert caught.value.__notes__ == ["while computing rows 20:40, columns 20:40 of Fail(row=25, col=30)"]
    assert not bar.open
    assert bar.done < bar.total == 6


def test_nothing_starts_that_would_not_fit(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Greedy(ops.Noise(), 1), memory_limit=1000)
    with pytest.raises(MemoryLimitError):
        run(plan, lambda block, region: pytest.fail("it ran"))
    assert not ops.calls.seen


def test_statistics_and_kept_chunks_are_computed_once(ops: SimpleNamespace) -> None:
    source = ops.Noise((200, 200), (64, 64))
    heavy = ops.Heavy(source, 1)
    image = ops.Plus(source, 5)
    root = ops.Centre(ops.Stencil(heavy, 20), ops.Half(ops.Total(image)))
    plan = make_plan(root, 20)
    assert [stage.kind for stage in plan.stages] == ["chunks", "statistic", "table"]
    canvas = Canvas((1, 200, 200))
    run(plan, canvas)
    assert np.array_equal(canvas.data, ops.whole(root).data)
    assert sum(region.size for region in ops.calls.regions(heavy)) == 200 * 200
    assert sum(region.size for region in ops.calls.regions(image)) == 200 * 200


def test_a_statistic_of_kept_or_dask_chunks(ops: SimpleNamespace) -> None:
    data = da.from_array(np.arange(40 * 50).reshape(1, 40, 50), chunks=(1, (7, 33), (20, 30)))
    source = ops.Chunked(ops.Arrays(data, None))
    root = ops.Centre(source, ops.Above(source, ops.Half(ops.Total(ops.Stencil(source, 1)))))
    canvas = Canvas((1, 40, 50))
    run(make_plan(root, (9, 50)), canvas)
    assert np.array_equal(canvas.data, ops.whole(root).data)


def test_tiles_that_neighbours_share_are_decoded_once_though_the_cache_is_small(ops: SimpleNamespace) -> None:
    from weft.graph.cache import DEFAULT_BYTES, tile_cache

    source = ops.Noise((256, 1024), (64, 64))
    tile_cache().resize(20 * 64 * 64 * 8)  # a row of tiles of the image does not fit beside the next
    try:
        with dask.config.set(scheduler="sync"):
            run(make_plan(ops.Stencil(source, 2), 64), lambda block, region: None)
    finally:
        tile_cache().resize(DEFAULT_BYTES)
    reads = len(ops.calls.regions(source))
    assert 64 <= reads <= 64 * 2.5
