from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from weft.graph.explain import Reads, describe, size
from weft.graph.optimize import optimize
from weft.graph.plan import make_plan


def test_figures_counted_by_hand(ops: SimpleNamespace) -> None:
    told = make_plan(ops.Plus(ops.Noise((40, 50), (16, 16)), 1), 20, memory_limit=10**6).explain()
    assert (told.nodes_before, told.nodes_after, told.mode) == (2, 2, "default")
    assert told.chunks == ((20, 20), (20, 20, 10))
    assert told.tasks == 6
    assert told.statistic_tasks == 0
    assert told.bytes_out == 40 * 50 * 8
    assert told.memory_per_task == 2 * 20 * 20 * 8
    assert told.memory_limit == 10**6
    assert told.barriers == ()
    assert told.rules == ()
    assert not told.estimated
    # Three rows of four tiles; the two rows of chunks touch 2 + 2 rows of tiles, the three columns 2 + 2 + 2.
    (reads,) = told.reads
    assert reads == Reads(describe(ops.Noise((40, 50), (16, 16))), 12, 24, 40 * 50 * 8)


def test_the_figures_are_what_happens(ops: SimpleNamespace) -> None:
    from weft.graph.cache import tile_cache
    from weft.graph.run import run

    image = ops.Noise((100, 110), (32, 32), bands=2)
    plan = make_plan(ops.Centre(ops.Stencil(image, 3), ops.Half(ops.Total(image))), 30)
    told = plan.explain()
    run(plan, lambda block, region: None)
    counts = tile_cache().counts
    (reads,) = told.reads
    assert counts.loads == reads.tiles == 16
    assert counts.loads + counts.hits == reads.uses
    assert reads.bytes == tile_cache().current_bytes
    assert told.tasks == 16
    assert told.statistic_tasks == 2 + 1  # one partial and the end; the table


def test_barriers_and_their_tasks(ops: SimpleNamespace) -> None:
    heavy = ops.Heavy(ops.Noise((200, 200)), 1)
    told = make_plan(ops.Centre(ops.Stencil(heavy, 20), ops.Half(ops.Total(heavy))), 20).explain()
    assert [(name, kind, tasks) for name, kind, tasks, _ in told.barriers] == [
        ("test-heavy", "chunks", 1),
        ("test-total", "statistic", 2),
        ("test-half", "table", 1),
    ]
    assert told.statistic_tasks == 4
    assert "100 + 4 for barriers" in str(told)


def test_crops_read_only_their_tiles(ops: SimpleNamespace) -> None:
    far = ops.Shift(ops.Noise((1000, 1000), (10, 10)), 990, 990)
    (reads,) = make_plan(far, 100).explain().reads
    assert (reads.tiles, reads.uses, reads.bytes) == (1, 1, 800)
    assert make_plan(ops.Shift(ops.Noise(), 1000, 0)).explain().reads == ()


@pytest.mark.parametrize(("tile", "chunk"), [(4096, 256), (256, 4096), (1000, 1000), (1000, 300)])
def test_of_many_tasks_a_sample_is_counted(ops: SimpleNamespace, tile: int, chunk: int) -> None:
    side = 300_000
    told = make_plan(ops.Plus(ops.Flat(side, (tile, tile)), 1), chunk).explain()
    (reads,) = told.reads
    across = -(-side // tile)
    assert told.estimated
    assert reads.tiles == across**2
    assert reads.bytes == side**2
    # Along an axis, chunks and tiles meet as often as either starts, less where both start together.
    edges = set(range(0, side, tile)) | set(range(0, side, chunk))
    assert reads.uses == pytest.approx(len(edges) ** 2, rel=0.25)
    assert f"about {reads.tiles} tiles" in str(told)


def test_of_many_tasks_on_a_corner_the_tiles_of_the_corner_are_counted(ops: SimpleNamespace) -> None:
    corner = ops.Shift(ops.Flat(200_000, (4096, 4096)), 200_000 - 4096, 200_000 - 4096)
    told = make_plan(corner, 1000).explain()
    (reads,) = told.reads
    assert reads.tiles <= 4
    assert reads.bytes <= 4 * 4096**2


def test_rules_are_counted(ops: SimpleNamespace) -> None:
    plan = make_plan(ops.Noise())
    fired = optimize(ops.Noise())
    assert plan.explain().rules == tuple(fired.fired)
    from dataclasses import replace

    from weft.graph.optimize import Firing

    plan.optimized = replace(plan.optimized, fired=(Firing("a", True, "x"), Firing("b", False, "x"), Firing("a", True, "y")))
    told = plan.explain()
    assert told.rules == (("a", True, 2), ("b", False, 1))
    assert "  rule     a x 2\n" in str(told)
    assert "  rule     b   [bounded, not bit-exact]\n" in str(told)


def test_the_text_reads_well(ops: SimpleNamespace) -> None:
    image = ops.Noise((60, 70), bands=3)
    root = ops.Centre(ops.Shift(image, 5, -3), ops.Half(ops.Total(image)))
    assert (
        str(make_plan(root, 40, memory_limit=2**30).explain())
        == """\
plan
  nodes    5 built, 5 after the optimizer (default)
  barrier  test-total: statistic, 2 tasks; needs the whole image
  barrier  test-half: table, 1 task; the same for every task
  chunks   2 x 2 of 40 x 40 px
  tasks    4 + 3 for barriers
  reads    shape=(60, 70), tile=(16, 16), seed=0, bands=3, masked=False -> 3 x 60 x 70 int64: 20 tiles, 98.4 KiB decoded, \
each used by 2.50 tasks
  writes   98.4 KiB before compression
  memory   98.4 KiB per task, limit 1.0 GiB
graph
  1  test-centre   -> 3 x 60 x 70 int64
  2    test-shift  rows=5, cols=-3 -> 3 x 60 x 70 int64
  3    test-noise  shape=(60, 70), tile=(16, 16), seed=0, bands=3, masked=False -> 3 x 60 x 70 int64
  4    test-half   -> 3 x 1 x 1 int64  [table]
  5    test-total  -> 3 x 1 x 1 int64  [statistic]
  6    test-noise  (the same as step 3)"""
    )


def test_the_notebook_shows_the_same_and_escapes_it(ops: SimpleNamespace) -> None:
    told = make_plan(ops.Plus(ops.Noise(), 1)).explain()
    html = told._repr_html_()
    tree = ElementTree.fromstring(f"<div>{html}</div>")
    cells = ["".join(cell.itertext()) for cell in tree.iter() if cell.tag in ("td", "th")]
    for label, text in told.rows():
        assert label in cells
        assert text in cells
    for _, name, text in told.steps:
        assert name in cells
        assert text in cells
    assert "-&gt; " in html


def test_a_deep_graph_is_told_in_reasonable_length(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for k in range(3000):
        node = ops.Add(ops.Plus(node, k), node)
    told = make_plan(node).explain()
    assert told.nodes_before == 6001
    assert max(map(len, str(told).splitlines())) < 250
    assert told._repr_html_().count("<tr>") > 6001


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (2**30, "1.0 GiB"),
        (5 * 2**40, "5.0 TiB"),
        (2**52, "4096.0 TiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_describe_tells_what_comes_out(ops: SimpleNamespace) -> None:
    assert describe(ops.Plus(ops.Noise(bands=2), 3)) == "amount=3 -> 2 x 40 x 50 int64"
    assert describe(ops.Half(ops.Total(ops.Noise()))) == "-> 1 x 1 int64"
