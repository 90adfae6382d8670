from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest
from dask._task_spec import DataNode
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.errors import MemoryLimitError
from weft.graph.grid import Region
from weft.graph.lower import (
    Runner,
    block_data,
    block_valid,
    lower,
    lower_tables,
    to_dask,
    to_dask_pair,
    tree_tasks,
    whole_block,
)
from weft.graph.plan import make_plan


def tasks_of(graph: Any) -> dict[Any, Any]:
    """The keys that compute something."""
    return {key: task for key, task in dict(graph).items() if not isinstance(task, DataNode)}


def computed(node: Any, chunks: Any = None, scheduler: str = "sync", **options: Any) -> Block:
    with dask.config.set(scheduler=scheduler, **options):
        data, valid = dask.compute(*to_dask_pair(make_plan(node, chunks)))
    return Block(data, valid)


def graph_of_everything(ops: SimpleNamespace) -> Any:
    image = ops.Noise((60, 70), (16, 16), 3, 2, True)
    total = ops.Total(image)
    return ops.Add(
        ops.Centre(ops.Shift(image, 5, -3), ops.Half(total)),
        ops.Centre(ops.Stencil(image, 2), ops.Above(image, ops.Half(total))),
    )


def test_one_task_a_chunk(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Plus(ops.Shift(ops.Noise((100, 120)), 5, 5), 1), 30)
    lowered = lower(plan, block_data)
    assert len(tasks_of(lowered.graph)) == plan.tasks == 16
    assert set(tasks_of(lowered.graph)) == {key for row in lowered.keys for key in row}
    assert [len(row) for row in lowered.keys] == [4, 4, 4, 4]
    array = to_dask(plan)
    assert (array.shape, array.chunks) == ((1, 100, 120), ((1,), *plan.chunks))
    assert array.dtype == np.dtype("i8")


def test_statistics_add_a_small_tree(ops: SimpleNamespace) -> None:
    image = ops.Noise((10_000, 10_000), (2048, 2048))
    first = ops.Total(image)
    table = ops.Half(first)
    second = ops.Above(image, table)
    plan = make_plan(ops.Centre(ops.Centre(image, table), second), 2500)
    # 25 chunks each: 25 partials, two groups of at most sixteen, one end; and the table between.
    assert tree_tasks(25) == 25 + 2 + 1
    assert len(tasks_of(lower(plan, block_data).graph)) == plan.tasks + 2 * tree_tasks(25) + 1


@pytest.mark.parametrize(
    ("chunks", "tasks"), [(1, 2), (16, 17), (17, 17 + 2 + 1), (256, 256 + 16 + 1), (257, 257 + 17 + 2 + 1)]
)
def test_tree_tasks(chunks: int, tasks: int) -> None:
    assert tree_tasks(chunks) == tasks


def test_a_million_chunks_pickle_small_for_the_plan_travels_once(ops: SimpleNamespace) -> None:
    node = ops.Flat(1_000_000)
    for k in range(1000):
        node = ops.Plus(node, k)
    array = to_dask(make_plan(node, 1000))
    assert array.npartitions == 1_000_000
    assert len(pickle.dumps(array)) < 1_000_000
    lowered = lower(make_plan(node, 250_000), block_data)
    task = dict(lowered.graph)[lowered.keys[0][0]]
    assert len(cloudpickle.dumps(task)) < 4000 < len(cloudpickle.dumps(node))


def test_no_task_of_a_statistic_carries_the_graph(ops: SimpleNamespace) -> None:
    image = ops.Noise((10_000, 10_000), (2048, 2048))
    node = image
    for k in range(1000):
        node = ops.Plus(node, k)
    plan = make_plan(ops.Centre(image, ops.Above(node, ops.Total(node))), 2500)
    for task in tasks_of(lower(plan, block_data).graph).values():
        assert len(cloudpickle.dumps(task)) < 4000 < len(cloudpickle.dumps(node))


def test_nor_does_one_that_is_written_out(ops: SimpleNamespace) -> None:
    node = ops.Chunked(ops.Arrays(da.ones((1, 50, 60), chunks=(1, 10, 10), dtype="i8"), None))
    for k in range(1000):
        node = ops.Plus(node, k)
    lowered = lower(make_plan(node, 10), block_data)
    tasks = dict(lowered.graph)
    for row in lowered.keys:
        for key in row:
            assert len(cloudpickle.dumps(tasks[key])) < 4000 < len(cloudpickle.dumps(node))


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_results_equal_the_whole(ops: SimpleNamespace, scheduler: str) -> None:
    root = graph_of_everything(ops)
    assert ops.same(computed(root, (25, 30), scheduler), ops.whole(root))


def test_results_equal_the_whole_in_other_processes(ops: SimpleNamespace) -> None:
    root = graph_of_everything(ops)
    module = sys.modules[ops.Noise.__module__]
    cloudpickle.register_pickle_by_value(module)  # a worker cannot import this test's operations
    try:
        got = computed(root, (25, 40), "processes", num_workers=2)
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    assert ops.same(got, ops.whole(root))
    assert not ops.calls.seen  # it was computed elsewhere


def test_results_equal_the_whole_on_a_cluster(ops: SimpleNamespace) -> None:
    from distributed import Client, LocalCluster

    root = graph_of_everything(ops)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        data, valid = client.compute(to_dask_pair(make_plan(root, 25)), sync=True)
    assert ops.same(Block(data, valid), ops.whole(root))


lengths = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)


@settings(max_examples=25, deadline=None)
@given(
    lengths,
    lengths,
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(-4, 4),
    st.integers(-9, 9),
    st.sampled_from([None, 1, 2]),
)
def test_dask_chunks_of_any_lengths_are_a_source(
    ops: SimpleNamespace,
    rows: tuple[int, ...],
    cols: tuple[int, ...],
    height: int,
    width: int,
    down: int,
    right: int,
    mask_bands: int | None,
) -> None:
    rng = np.random.default_rng(1)
    shape = (2, sum(rows), sum(cols))
    data = da.from_array(rng.choice([-999, 1, 2, 3], shape), chunks=((2,), rows, cols))
    valid = None
    if mask_bands is not None:
        valid = da.from_array(rng.random((mask_bands, *shape[1:])) < 0.7, chunks=((mask_bands,), rows, cols))
    source = ops.Chunked(ops.Arrays(data, valid))
    root = ops.Add(ops.Stencil(source, 1), ops.Shift(source, down, right))
    assert ops.same(computed(root, (height, width)), ops.whole(root))
    assert ops.same(computed(source, (height, width)), ops.whole(source))


def test_tasks_depend_on_the_dask_chunks_they_need_only(ops: SimpleNamespace) -> None:
    made = []

    def make(block_info: Any = None) -> np.ndarray:
        made.append(block_info[None]["chunk-location"])
        return np.ones((1, 10, 10), "i8")

    data = da.map_blocks(make, chunks=((1,), (10,) * 5, (10,) * 5), dtype="i8", meta=np.empty((0, 0, 0), "i8"))
    array = to_dask(make_plan(ops.Plus(ops.Chunked(ops.Arrays(data, None)), 1), 10))
    assert array[:, 10:20, 30:40].compute(scheduler="sync").sum() == 200
    assert made == [(0, 1, 3)]


def test_kept_chunks_are_computed_once(ops: SimpleNamespace) -> None:
    heavy = ops.Heavy(ops.Noise((200, 210), (64, 64), masked=True), 1)
    root = ops.Add(ops.Stencil(heavy, 20), ops.Shift(heavy, 3, 4))
    plan = make_plan(root, 20)
    assert [stage.kind for stage in plan.stages] == ["chunks"]
    assert ops.same(computed(root, 20), ops.whole(root))
    regions = ops.calls.regions(heavy)
    assert sum(region.size for region in regions) == 200 * 210
    assert len(regions) == plan.stages[0].tasks


def test_statistics_on_statistics_by_hand(ops: SimpleNamespace) -> None:
    image = ops.Noise((90, 80), (16, 16), 5, 2, True)
    table = ops.Half(ops.Half(ops.Total(image)))
    above = ops.Above(image, table)
    # The table serves the statistic alone: no image asks for it.
    root = ops.Centre(image, above)
    assert ops.same(computed(root, 32), ops.whole(root))
    again = ops.Above(ops.Centre(image, above), ops.Total(ops.Centre(image, above)))
    assert ops.same(computed(ops.Centre(image, again), 32), ops.whole(ops.Centre(image, again)))
    for node in (above, again, table, ops.Total(ops.Half(ops.Total(image)))):
        assert ops.same(computed(node), ops.whole(node))


def test_a_tree_of_more_than_sixteen_chunks_sums_everything(ops: SimpleNamespace) -> None:
    image = ops.Noise((5000, 5000), (1000, 1000))
    total = ops.Total(image)
    plan = make_plan(total)
    object.__setattr__(plan.stages[0], "chunks", ((300,) * 16 + (200,), (300,) * 16 + (200,)))
    with dask.config.set(scheduler="threads"):
        got = to_dask(plan).compute()
    assert np.array_equal(got, ops.whole(total).data)
    assert len(tasks_of(lower(plan, block_data).graph)) == 1 + tree_tasks(289)


def test_statistics_are_computed_once_for_all_tasks(ops: SimpleNamespace) -> None:
    image = ops.Plus(ops.Noise((60, 60)), 2)
    table = ops.Half(ops.Total(image))
    computed(ops.Centre(ops.Noise((60, 60)), table), 10)
    assert len(ops.calls.regions(table)) == 1
    assert ops.calls.regions(image) == [Region(0, 60, 0, 60)]


def test_the_pair_comes_from_one_task_a_chunk(ops: SimpleNamespace) -> None:
    root = ops.Plus(ops.Noise((40, 50), bands=2, masked=True), 1)
    data, valid = to_dask_pair(make_plan(root, 20))
    assert valid is not None
    assert (data.shape, data.dtype, valid.shape, valid.dtype) == ((2, 40, 50), np.dtype("i8"), (2, 40, 50), np.dtype(bool))
    assert valid.chunks == data.chunks
    got = dask.compute(data, valid, scheduler="sync")
    assert ops.same(Block(*got), ops.whole(root))
    assert len(ops.calls.regions(root)) == 6


def test_of_an_image_without_invalid_pixels_the_pair_has_one(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Noise(), 20)
    data, valid = to_dask_pair(plan)
    assert valid is None
    assert data.name == to_dask(plan).name


def test_equal_work_has_equal_keys_and_other_work_other_keys(ops: SimpleNamespace) -> None:
    def keys(node: Any, chunks: Any = 20, finish: Any = block_data) -> list[Any]:
        return lower(make_plan(node, chunks), finish).keys[0]

    base = keys(ops.Plus(ops.Noise(), 1))
    assert keys(ops.Plus(ops.Noise(), 1)) == base
    others = [
        keys(ops.Plus(ops.Noise(), 2)),
        keys(ops.Plus(ops.Noise(seed=1), 1)),
        keys(ops.Plus(ops.Noise(), 1), 10),
        keys(ops.Plus(ops.Noise(), 1), finish=whole_block),
    ]
    assert len({tuple(found) for found in [base, *others]}) == 5
    assert lower(make_plan(ops.Noise(), 20), block_data, name="mine").keys[1][0] == ("mine", 0, 1, 0)


def test_statistics_of_two_graphs_share_their_keys(ops: SimpleNamespace) -> None:
    image = ops.Noise()
    graphs = [lower(make_plan(ops.Centre(ops.Plus(image, k), ops.Total(image)), 20), block_data).graph for k in range(2)]
    shared = set(tasks_of(graphs[0])) & set(tasks_of(graphs[1]))
    assert len(shared) == tree_tasks(1)


def test_known_tables_are_not_computed_again(ops: SimpleNamespace) -> None:
    image = ops.Noise()
    first = ops.Total(image)
    second = ops.Above(image, first)
    plan = make_plan(ops.Centre(image, second), 20)
    graph, keys = lower_tables(plan)
    assert set(keys) == {second.token}
    (value,) = dask.threaded.get(graph, list(keys.values()))
    assert ops.same(value, ops.whole(second))
    lowered = lower(plan, block_data, known={second.token: value})
    assert len(tasks_of(lowered.graph)) == plan.tasks
    rows = dask.threaded.get(lowered.graph, lowered.keys)
    assert np.array_equal(join(rows), ops.whole(plan.root).data)


def join(rows: Any) -> np.ndarray:
    """Chunks as they lie, into one array."""
    return np.concatenate([np.concatenate(list(row), axis=2) for row in rows], axis=1)


def test_an_order_changes_keys_but_no_result(ops: SimpleNamespace) -> None:
    plan = make_plan(graph_of_everything(ops), 25)
    order = [(i, j) for j in range(3) for i in range(3)]
    lowered = lower(plan, block_data, name="ordered", order=order)
    keys = {(i, j): key for i, row in enumerate(lowered.keys) for j, key in enumerate(row)}
    assert sorted(keys, key=lambda place: keys[place], reverse=True) == order
    assert np.array_equal(join(dask.local.get_sync(lowered.graph, lowered.keys)), ops.whole(plan.root).data)


def test_too_heavy_a_plan_is_refused_when_lowered_to_dask(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Greedy(ops.Noise(masked=True), 1), memory_limit=1000)
    for build in (to_dask, to_dask_pair):
        with pytest.raises(MemoryLimitError):
            build(plan)


def test_what_finish_returns_is_what_the_task_gives(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Noise((40, 50)), 25)
    lowered = lower(plan, lambda block, region: (block.data.shape, region))
    got = dask.threaded.get(lowered.graph, lowered.keys)
    assert got[1][1] == ((1, 15, 25), Region(25, 40, 25, 50))


def test_ends_of_a_task() -> None:
    region = Region(0, 2, 0, 2)
    block = Block(np.zeros((3, 2, 2)), np.eye(2, dtype=bool)[None])
    assert block_data(block, region) is block.data
    assert whole_block(block, region) is block
    assert block_valid(block, region).shape == (3, 2, 2)
    assert np.array_equal(block_valid(block, region)[2], np.eye(2, dtype=bool))
    assert block_valid(Block(block.data), region).all()


def test_a_runner_pickles_with_a_long_plan(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for k in range(10_000):
        node = ops.Plus(node, k)
    runner = pickle.loads(pickle.dumps(Runner(make_plan(node).program, block_data, ())))
    got = runner((slice(0, 1), slice(0, 2), slice(0, 3)))
    assert np.array_equal(got, ops.whole(ops.Noise()).data[:, :2, :3] + sum(range(10_000)))


def test_xarray_and_dask_may_slice_and_fuse_what_they_like(ops: SimpleNamespace) -> None:
    root = graph_of_everything(ops)
    array = to_dask(make_plan(root, 16))
    wanted = ops.whole(root).data
    assert np.array_equal((array[:, 7:33, ::3] * 2 + 1).compute(scheduler="sync"), wanted[:, 7:33, ::3] * 2 + 1)
    assert np.array_equal(array.rechunk((1, 50, 13)).sum(axis=0).compute(scheduler="sync"), wanted.sum(axis=0))
