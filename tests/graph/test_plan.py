from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.graph.chunks import chunk_regions
from weft.graph.errors import ArgumentError, MemoryLimitError
from weft.graph.grid import Region
from weft.graph.memory import projected_memory
from weft.graph.plan import make_plan, sample_regions


def kinds(plan: object) -> list[tuple[str, str]]:
    return [(stage.node.name, stage.kind) for stage in plan.stages]  # type: ignore[attr-defined]


def test_a_plain_graph_has_no_barriers(ops: SimpleNamespace) -> None:
    root = ops.Plus(ops.Noise((100, 120)), 1)
    plan = make_plan(root, 50)
    assert plan.root == root
    assert plan.chunks == ((50, 50), (50, 50, 20))
    assert plan.tasks == 6
    assert plan.stages == ()
    assert plan.given == frozenset()
    assert plan.program.root == root
    assert plan.chunked_sources == ()
    assert plan.memory_per_task == 2 * 50 * 50 * 8


def test_a_statistic_is_a_barrier_and_what_is_made_of_it_a_table(ops: SimpleNamespace) -> None:
    image = ops.Noise((3000, 100))
    total = ops.Total(image)
    root = ops.Centre(image, ops.Half(ops.Half(total)))
    plan = make_plan(root)
    assert kinds(plan) == [("test-total", "statistic"), ("test-half", "table")]
    statistic, table = plan.stages
    assert table.node == ops.Half(ops.Half(total))  # the table between is a step on the way, not a barrier
    assert (statistic.tasks, table.tasks) == (2, 1)
    assert statistic.program.root == image
    assert table.program.root == table.node
    assert plan.given == {total.token, table.node.token}
    assert image.token not in plan.given


def test_statistics_on_statistics_come_in_order(ops: SimpleNamespace) -> None:
    image = ops.Noise((100, 120))
    first = ops.Total(image)
    second = ops.Above(image, ops.Half(first))
    third = ops.Total(ops.Centre(image, second))
    root = ops.Centre(ops.Centre(image, third), first)
    assert kinds(make_plan(root)) == [
        ("test-total", "statistic"),
        ("test-half", "table"),
        ("test-above", "statistic"),
        ("test-total", "statistic"),
    ]


def test_a_statistic_may_be_the_result(ops: SimpleNamespace) -> None:
    total = ops.Total(ops.Noise())
    plan = make_plan(total)
    assert kinds(plan) == [("test-total", "statistic")]
    assert plan.tasks == 1
    half = make_plan(ops.Half(total))
    assert kinds(half) == [("test-total", "statistic")]
    assert half.chunks == ((1,), (1,))


def test_what_neighbours_would_compute_again_is_kept(ops: SimpleNamespace) -> None:
    heavy = ops.Heavy(ops.Noise((200, 200)), 1)
    plan = make_plan(ops.Stencil(heavy, 20), 20)
    assert kinds(plan) == [("test-heavy", "chunks")]
    (stage,) = plan.stages
    assert stage.node == heavy
    assert stage.reason.startswith("neighbouring tasks would compute it ")
    assert float(stage.reason.split()[-2]) == pytest.approx(9 * 60 * 60 / 100 / 100, abs=0.05)
    assert stage.tasks == 1
    assert plan.given == {heavy.token}


@pytest.mark.parametrize("chunk", [100, -1])
def test_what_few_compute_again_is_not_kept(ops: SimpleNamespace, chunk: int) -> None:
    assert make_plan(ops.Stencil(ops.Heavy(ops.Noise((200, 200)), 1), 3), chunk).stages == ()


def test_cheap_nodes_and_sources_are_computed_again(ops: SimpleNamespace) -> None:
    assert make_plan(ops.Stencil(ops.Plus(ops.Noise((200, 200)), 1), 20), 20).stages == ()
    assert make_plan(ops.Heavy(ops.Stencil(ops.Noise((200, 200)), 20), 1), 20).stages == ()


def test_only_the_upper_of_two_heavy_nodes_is_kept(ops: SimpleNamespace) -> None:
    heavy = ops.Heavy(ops.Heavy(ops.Noise((200, 200)), 1), 2)
    plan = make_plan(ops.Stencil(heavy, 20), 20)
    assert [stage.node for stage in plan.stages] == [heavy]


def test_dask_chunks_are_given(ops: SimpleNamespace) -> None:
    import dask.array as da

    source = ops.Chunked(ops.Arrays(da.zeros((1, 20, 30), chunks=(1, 7, 9), dtype="i8"), None))
    plan = make_plan(ops.Plus(source, 1))
    assert plan.given == {source.token}
    assert plan.chunked_sources == (source,)
    assert plan.stages == ()


lengths = st.lists(st.integers(1, 5), min_size=1, max_size=30).map(tuple)


@given(lengths, lengths, st.integers(1, 40))
def test_samples_are_chunks_with_corners_and_centre(rows: tuple[int, ...], cols: tuple[int, ...], most: int) -> None:
    regions = sample_regions((rows, cols), most)
    assert 1 <= len(regions) <= most
    assert len(set(regions)) == len(regions)
    every = dict(chunk_regions((rows, cols)))
    assert set(regions) <= set(every.values())
    if most >= 4:
        corners = {(i, j) for i in (0, len(rows) - 1) for j in (0, len(cols) - 1)}
        assert {every[corner] for corner in corners} <= set(regions)
    if len(rows) * len(cols) <= most and max(len(rows), len(cols)) <= most**0.5:
        assert set(regions) == set(every.values())


def test_too_heavy_a_plan_is_refused_before_anything_is_read(ops: SimpleNamespace) -> None:
    greedy = ops.Greedy(ops.Noise((100, 100)), 1)
    with pytest.raises(MemoryLimitError, match=r"a task of the result .* 'test-greedy'.*memory_limit"):
        make_plan(ops.Plus(greedy, 1), memory_limit=10**6).check()
    make_plan(ops.Plus(greedy, 1), 10, memory_limit=10**6).check()
    with pytest.raises(MemoryLimitError, match=r"a task of the barrier test-total .* 'test-greedy'"):
        make_plan(ops.Centre(ops.Noise((100, 100)), ops.Total(greedy)), 10, memory_limit=10**6).check()
    assert not ops.calls.seen


def test_memory_per_task_is_that_of_the_heaviest_stage(ops: SimpleNamespace) -> None:
    greedy = ops.Greedy(ops.Noise((100, 100)), 1)
    plan = make_plan(ops.Centre(ops.Noise((100, 100)), ops.Total(greedy)), 10)
    assert plan.memory_per_task == projected_memory(plan.stages[0].program, [Region(0, 100, 0, 100)]).bytes == 10_000 * 1016


def test_arguments_are_checked(ops: SimpleNamespace) -> None:
    with pytest.raises(ArgumentError, match="chunks"):
        make_plan(ops.Noise(), (1, 2, 3, 4))
    with pytest.raises(ArgumentError, match="optimize"):
        make_plan(ops.Noise(), optimize="all")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="memory_limit is a number of bytes"):
        make_plan(ops.Noise(), memory_limit="1 GiB")  # type: ignore[arg-type]


def test_a_plan_of_a_long_chain(ops: SimpleNamespace) -> None:
    node = ops.Noise((100, 100))
    for k in range(10_000):
        node = ops.Plus(node, k)
    plan = make_plan(node, 50)
    plan.check()
    assert plan.memory_per_task == 2 * 50 * 50 * 8
