"""``Plan.explain()``: what will be done and what it costs, found by running the down-sweep without pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape

from .chunks import Chunks, chunk_regions
from .grid import Region, short_crs
from .locality import source_needs
from .lower import tree_tasks
from .node import Node
from .plan import Plan, sample_regions
from .source import TiledSource
from .sweep import Fused, Program

# Above this many tasks the uses of tiles are counted on a sample of tasks and scaled, and the tiles are all that lie in
# what the whole result needs.
_COUNTED_TASKS = 2000
# Steps deeper than this are indented no further.
_MOST_INDENT = 20


@dataclass(frozen=True)
class Reads:
    """What one source is asked for: different ``tiles``, ``uses`` of them by tasks, decoded ``bytes`` (each tile once)."""

    source: str
    tiles: int
    uses: int
    bytes: int


@dataclass(frozen=True)
class Explanation:
    """The answer of ``explain()``: every figure as a field, ``str()`` for reading, HTML in notebooks.

    ``estimated`` tells that the reads were counted on a sample of the tasks.
    """

    nodes_before: int
    nodes_after: int
    mode: str
    rules: tuple[tuple[str, bool, int], ...]
    fused: int
    barriers: tuple[tuple[str, str, int, str], ...]
    steps: tuple[tuple[int, str, str], ...]
    chunks: Chunks
    tasks: int
    statistic_tasks: int
    reads: tuple[Reads, ...]
    bytes_out: int
    memory_per_task: int
    memory_limit: int
    estimated: bool

    def rows(self) -> list[tuple[str, str]]:
        """(label, text) pairs, in the order in which they are shown."""
        rows = [("nodes", f"{self.nodes_before} built, {self.nodes_after} after the optimizer ({self.mode})")]
        for name, exact, times in self.rules:
            rows.append(("rule", f"{name}{f' x {times}' if times > 1 else ''}{'' if exact else '   [bounded, not bit-exact]'}"))
        if self.fused:
            rows.append(("fused", f"{_plural(self.fused, 'pointwise node')} into others, one pass per block"))
        for name, kind, tasks, reason in self.barriers:
            rows.append(("barrier", f"{name}: {kind}, {_plural(tasks, 'task')}; {reason}"))
        height, width = self.chunks[0][0], self.chunks[1][0]
        extra = f" + {self.statistic_tasks} for barriers" if self.statistic_tasks else ""
        rows.append(("chunks", f"{len(self.chunks[0])} x {len(self.chunks[1])} of {height} x {width} px"))
        rows.append(("tasks", f"{self.tasks}{extra}"))
        about = "about " if self.estimated else ""
        for read in self.reads:
            often = read.uses / read.tiles if read.tiles else 0.0
            tiles = f"{about}{_plural(read.tiles, 'tile')}"
            rows.append(("reads", f"{read.source}: {tiles}, {size(read.bytes)} decoded, each used by {often:.2f} tasks"))
        rows.append(("writes", f"{size(self.bytes_out)} before compression"))
        rows.append(("memory", f"{size(self.memory_per_task)} per task, limit {size(self.memory_limit)}"))
        return rows

    def __str__(self) -> str:
        lines = ["plan"]
        lines += [f"  {label:<8} {text}" for label, text in self.rows()]
        lines.append("graph")
        digits = len(str(len(self.steps)))
        width = max(2 * depth + len(name) for depth, name, _ in self.steps)
        for number, (depth, name, text) in enumerate(self.steps, 1):
            lines.append(f"  {number:>{digits}}  {'  ' * depth + name:<{width}}  {text}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;padding-right:1em'>{escape(label)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for label, text in self.rows()
        )
        steps = "".join(
            f"<tr><td style='text-align:right'>{number}</td>"
            f"<td style='text-align:left;padding-left:{depth * 1.2 + 0.4:.1f}em'><b>{escape(name)}</b></td>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for number, (depth, name, text) in enumerate(self.steps, 1)
        )
        return f"<table>{rows}</table><details><summary>graph</summary><table>{steps}</table></details>"


def explain(plan: Plan) -> Explanation:
    """See ``Plan.explain``."""
    meta = plan.root.meta
    counted = Counter((firing.rule, firing.exact) for firing in plan.optimized.fired)
    barrier_tasks = [_stage_tasks(stage.kind, stage.tasks) for stage in plan.stages]
    reads, estimated = _reads(plan)
    return Explanation(
        nodes_before=plan.optimized.before,
        nodes_after=plan.optimized.after,
        mode=plan.optimized.mode,
        rules=tuple((name, exact, times) for (name, exact), times in counted.items()),
        fused=sum(len(node.members) - 1 for node in plan.program.nodes if isinstance(node, Fused)),
        barriers=tuple(
            (stage.node.name, stage.kind, tasks, stage.reason) for stage, tasks in zip(plan.stages, barrier_tasks, strict=True)
        ),
        steps=tuple(_steps(plan)),
        chunks=plan.chunks,
        tasks=plan.tasks,
        statistic_tasks=sum(barrier_tasks),
        reads=reads,
        bytes_out=len(meta.bands) * meta.grid.region.size * meta.dtype.itemsize,
        memory_per_task=plan.memory_per_task,
        memory_limit=plan.memory_limit,
        estimated=estimated,
    )


def size(count: float) -> str:
    """Bytes in the unit that reads best."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def _reads(plan: Plan) -> tuple[tuple[Reads, ...], bool]:
    nodes: dict[str, TiledSource] = {}
    uses: Counter[str] = Counter()
    tiles: dict[str, set[Region]] = {}
    reach: dict[str, Region] = {}
    programs = [(plan.program, plan.chunks)]
    programs += [(stage.program, stage.chunks) for stage in plan.stages if stage.chunks is not None]
    for program, chunks in programs:
        tasks = len(chunks[0]) * len(chunks[1])
        sampled = tasks > _COUNTED_TASKS
        regions = sample_regions(chunks, most=400) if sampled else [region for _, region in chunk_regions(chunks)]
        met = _tiles_used(program, regions)
        for node, tile in met:
            nodes[node.token] = node
            tiles.setdefault(node.token, set()).add(tile)
        counted = Counter(node.token for node, _ in met)
        for token, count in counted.items():
            uses[token] += round(count * tasks / len(regions))
        if sampled:
            for node, needed in source_needs(program, program.root.meta.grid.region):
                reach[node.token] = needed.union(reach.get(node.token, needed))
    reads = []
    for token, node in nodes.items():
        pixel = len(node.meta.bands) * node.meta.dtype.itemsize
        count, pixels = len(tiles[token]), sum(tile.size for tile in tiles[token])
        if token in reach:
            count, pixels = _tiling(node, reach[token])
        reads.append(Reads(describe(node), count, uses[token], pixels * pixel))
    return tuple(reads), bool(reach)


def _tiling(node: TiledSource, region: Region) -> tuple[int, int]:
    """How many tiles ``region`` touches, and their pixels."""
    (height, width), whole = node.meta.tile, node.meta.grid.region
    row0, row1 = region.row0 // height, -(-region.row1 // height)
    col0, col1 = region.col0 // width, -(-region.col1 // width)
    area = Region(row0 * height, row1 * height, col0 * width, col1 * width).intersect(whole)
    return (row1 - row0) * (col1 - col0), area.size


def _tiles_used(program: Program, regions: list[Region]) -> list[tuple[TiledSource, Region]]:
    return [(node, tile) for region in regions for node, needed in source_needs(program, region) for tile in node.tiles(needed)]


def _stage_tasks(kind: str, tasks: int) -> int:
    return tree_tasks(tasks) if kind == "statistic" else tasks


def _steps(plan: Plan) -> list[tuple[int, str, str]]:
    """(depth, operation, text) of the graph, result first; a node met before is named and not entered again."""
    kinds = {stage.node.token: f"  [{stage.kind}]" for stage in plan.stages}
    steps: list[tuple[int, str, str]] = []
    met: dict[str, int] = {}
    stack = [(plan.root, 0)]
    while stack:
        node, depth = stack.pop()
        if node.token in met:
            steps.append((depth, node.name, f"(the same as step {met[node.token]})"))
            continue
        met[node.token] = len(steps) + 1
        steps.append((depth, node.name, describe(node) + kinds.get(node.token, "")))
        inner = min(depth + 1, _MOST_INDENT) if len(node.inputs) > 1 else depth
        stack.extend((child, inner) for child in reversed(node.inputs))
    return steps


def describe(node: Node) -> str:
    """A node in one line: what it was told, and what comes out."""
    told = node.describe()
    meta = node.meta
    where = f" {short_crs(meta.grid.crs)}" if meta.grid.crs else ""
    bands = f"{len(meta.bands)} x " if len(meta.bands) > 1 else ""
    return f"{told + ' ' if told else ''}-> {bands}{meta.grid.shape[0]} x {meta.grid.shape[1]} {meta.dtype}{where}"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
