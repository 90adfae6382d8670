"""From a plan to dask: one task per chunk in one ``Blockwise`` layer; statistics as small trees beside it.

The plan travels once, as one key that every task refers to. A task is ``Runner``: evaluate the chunk's region, hand the
block to ``finish``. Where pixels come as dask chunks, or a barrier keeps its own, tasks depend on exactly the chunks they
need, so those layers are written out; all others stay symbolic.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import DataNode, List, Task, TaskRef
from dask.base import tokenize
from dask.blockwise import blockwise
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.layers import ArraySliceDep

from .block import Block
from .chunks import Chunks, chunk_edges, chunk_regions
from .grid import Region
from .node import Node, Reduction
from .plan import Plan, Stage
from .source import ChunkedSource
from .sweep import Piece, Program, evaluate, needs_down

Finish = Callable[[Block, Region], Any]
Key = Any

_FAN_IN = 16


@dataclass(frozen=True)
class Lowered:
    """A dask graph, its result in the layer ``name``; ``written_out`` has the key of chunk (i, j) where it is not the usual."""

    graph: HighLevelGraph
    name: str
    chunks: Chunks
    written_out: Mapping[tuple[int, int], Key] | None = None

    @property
    def keys(self) -> list[list[Key]]:
        """``keys[i][j]`` is the task of chunk (i, j). Made when asked for: there may be millions."""
        rows, cols = range(len(self.chunks[0])), range(len(self.chunks[1]))
        at = self.written_out
        return [[(self.name, 0, i, j) if at is None else at[i, j] for j in cols] for i in rows]


class Runner:
    """What every task of a layer does; pickled once per graph.

    Parameters
    ----------
    program : Program
    finish : called with the block, its region and the first ``handed`` tables
    tables : nodes whose tables every task gets
    handed : see ``finish``
    chunked : nodes whose pixels come as chunks
    """

    def __init__(
        self,
        program: Program,
        finish: Callable[..., Any],
        tables: Sequence[Node],
        handed: int = 0,
        chunked: Sequence[Node] = (),
    ) -> None:
        self.program = program
        self.validators = {node.token: node.validator for node in chunked if isinstance(node, ChunkedSource)}
        self.finish = finish
        self.handed = handed
        self.tables = tuple((node.token, node.meta.grid.region) for node in tables)

    def __call__(self, slices: Sequence[slice], *values: Any) -> Any:
        """``values``: the tables, then for each chunked input (token, regions, data chunks, valid chunks)."""
        rows, cols = slices[-2:]
        region = Region(rows.start, rows.stop, cols.start, cols.stop)
        given = {token: Piece(box, block) for (token, box), block in zip(self.tables, values, strict=False)}
        for token, regions, data, valid in values[len(self.tables) :]:
            given[token] = _assembled(self.validators.get(token), regions, data, valid)
        return self.finish(evaluate(self.program, region, given), region, *values[: self.handed])


def lower(
    plan: Plan,
    finish: Finish,
    *,
    name: str | None = None,
    known: Mapping[str, Block] | None = None,
    order: Sequence[tuple[int, int]] | None = None,
) -> Lowered:
    """The dask graph of ``plan``, each task ending in ``finish(block, region)``.

    Parameters
    ----------
    plan : Plan
    finish : callable (Block, Region) -> anything, picklable
        What a task does with its chunk (all bands); the region is in the result's pixels. Its value is the task's.
    name : of the result's layer, optional
        Defaults to one made of the plan and ``finish``, so that equal work has equal keys.
    known : tables of the plan that are computed already, by token, optional
    order : every (i, j) of the chunks in the order to compute them in, optional
        Writes the layer out with keys that dask's own ordering, where it has no other reason, takes in that order.
    """
    known = known or {}
    build = Builder(known)
    build.stages(plan)
    layer = name or f"weft-{plan.root.name}-{tokenize(plan.root, plan.chunks, finish)}"
    at: dict[tuple[int, int], Key] | None = None
    if order is not None:
        # dask takes independent tasks from the last key, as text, to the first.
        at = {place: (layer, f"{len(order) - rank:08d}") for rank, place in enumerate(order)}
    build.layer(layer, plan.program, finish, plan.chunks, at)
    return Lowered(HighLevelGraph(build.layers, build.dependencies), layer, plan.chunks, at)


def lower_tables(plan: Plan, *, together: int = 0) -> tuple[HighLevelGraph, dict[str, Key]]:
    """The dask graph of the tables that the plan's pixels need, and the key of each by token; ``together``: see ``Builder``."""
    build = Builder({}, together)
    programs = [plan.program, *(stage.program for stage in plan.stages if stage.kind == "chunks")]
    used = {node.token for program in programs for node in program.nodes}
    for stage in plan.stages:
        build.stage(stage)
    keys = {token: key for token, key in build.tables.items() if token in used}
    return HighLevelGraph(build.layers, build.dependencies), keys


def to_dask(plan: Plan) -> da.Array:
    """The result as a dask array (band, y, x), bands in one chunk; invalid pixels hold what stands beneath."""
    plan.check()
    return _as_array(plan, lower(plan, block_data), plan.root.meta.dtype, len(plan.root.meta.bands))


def to_dask_pair(plan: Plan) -> tuple[da.Array, da.Array | None]:
    """``to_dask`` with the validity as a second array (1, y, x) or (band, y, x); None where all is known to be valid.

    Both come from one task per chunk.
    """
    if not plan.root.meta.masked:
        return to_dask(plan), None
    plan.check()
    bands = len(plan.root.meta.bands)
    lowered = lower(plan, whole_block)
    return (
        _part(plan, lowered, "data", block_data, plan.root.meta.dtype, bands),
        _part(plan, lowered, "valid", block_valid, np.dtype(bool), bands),
    )


def block_data(block: Block, region: Region) -> np.ndarray:
    """The pixels, safe to write into: a tile of the cache stays as it is."""
    return block.data if block.data.flags.owndata else block.data.copy()


def block_valid(block: Block, region: Region) -> np.ndarray:
    """(bands, rows, cols) bool."""
    shape = block.data.shape
    return np.ones(shape, bool) if block.valid is None else np.broadcast_to(block.valid, shape)


def whole_block(block: Block, region: Region) -> Block:
    return block


class Builder:
    """Collects the layers of one graph; ``kept`` are the nodes, by token, whose pixels later layers find in chunk tasks.

    ``together`` is how many tasks that read go side by side, row by row (see ``paced``); 0 leaves their order to dask.
    """

    def __init__(self, known: Mapping[str, Block], together: int = 0) -> None:
        self.together = together
        self.layers: dict[str, Any] = {}
        self.dependencies: dict[str, set[str]] = {}
        self.tables: dict[str, Key] = {}
        self.kept: dict[str, Kept] = {}
        self._known = known

    def stages(self, plan: Plan) -> None:
        """The barriers that the plan's result cannot do without."""
        wanted = _wanted(plan, self._known)
        for stage in plan.stages:
            if stage.node.token in wanted:
                self.stage(stage)

    def stage(self, stage: Stage) -> None:
        name = f"weft-{stage.node.name}-{tokenize(stage.node, stage.chunks)}"
        if stage.node.token in self._known:
            self._add(name, MaterializedLayer({name: DataNode(name, self._known[stage.node.token])}), set())
            self.tables[stage.node.token] = name
        elif stage.kind == "table":
            self.tables[stage.node.token] = self._table(name, stage)
        elif stage.kind == "statistic":
            self.tables[stage.node.token] = self._statistic(name, stage)
        else:
            assert stage.chunks is not None
            self.layer(name, stage.program, whole_block, stage.chunks)
            self.kept[stage.node.token] = Kept(stage.node, name, stage.chunks, None)

    def layer(
        self,
        name: str,
        program: Program,
        finish: Callable[..., Any],
        chunks: Chunks,
        keys_at: dict[tuple[int, int], Key] | None = None,
        handed: tuple[Node, ...] = (),
    ) -> str:
        """A layer of one task per chunk; its keys are (name, 0, i, j) unless ``keys_at`` names others.

        ``finish`` gets the tables ``handed`` after the block and its region.
        """
        tables = [*handed, *(node for node in program.nodes if node.token in self.tables and node not in handed)]
        chunked = [kept for node in program.nodes if (kept := self._chunks_of(node)) is not None]
        runner = f"{name}-plan"
        task = Runner(program, finish, tables, len(handed), [kept.node for kept in chunked])
        self._add(runner, MaterializedLayer({runner: DataNode(runner, task)}), set())
        keys = [self.tables[node.token] for node in tables]
        depends = {runner, *(_layer_name(key) for key in keys), *(layer for kept in chunked for layer in kept.layers)}
        if chunked or keys_at is not None:
            keys_at = keys_at or {place: (name, 0, *place) for place, _ in chunk_regions(chunks)}
            layer: Any = MaterializedLayer(_written_out(keys_at, runner, keys, program, chunks, chunked))
        else:
            refs = [item for key in keys for item in (TaskRef(key), None)]
            slices = ArraySliceDep(((1,), *chunks))
            layer = blockwise(_run, name, "zyx", TaskRef(runner), None, slices, "zyx", *refs, numblocks={}, _data_producer=True)
        self._add(name, layer, depends)
        return name

    def _table(self, name: str, stage: Stage) -> Key:
        program = stage.program
        tables = [node for node in program.nodes if node.token in self.tables]
        keys = [self.tables[node.token] for node in tables]
        rows, cols = stage.node.meta.grid.shape
        runner = Runner(program, whole_block, tables)
        task = Task(name, runner, (slice(0, rows), slice(0, cols)), *(TaskRef(key) for key in keys))
        self._add(name, MaterializedLayer({name: task}), {_layer_name(key) for key in keys})
        return name

    def _statistic(self, name: str, stage: Stage) -> Key:
        node, chunks = stage.node, stage.chunks
        assert isinstance(node, Reduction)
        assert chunks is not None
        partial = f"{name}-partial"
        at: dict[tuple[int, int], Key] = {place: (partial, 0, *place) for place, _ in chunk_regions(chunks)}
        states = list(at.values())
        self.layer(partial, stage.program, PartialState(node), chunks, at if self.together else None, handed=node.inputs[1:])
        if self.together:
            self.layers[partial] = MaterializedLayer(paced(partial, self.layers[partial], states, self.together))
        owner = f"{name}-node"
        tasks: dict[Key, Any] = {owner: DataNode(owner, node)}
        level = 0
        while len(states) > _FAN_IN:
            groups = [states[k : k + _FAN_IN] for k in range(0, len(states), _FAN_IN)]
            states = [(f"{name}-tree", level, k) for k in range(len(groups))]
            for key, group in zip(states, groups, strict=True):
                tasks[key] = Task(key, _combined, TaskRef(owner), List(*map(TaskRef, group)))
            level += 1
        tasks[name] = Task(name, _finished, TaskRef(owner), List(*map(TaskRef, states)))
        self._add(name, MaterializedLayer(tasks), {partial})
        return name

    def _chunks_of(self, node: Node) -> Kept | None:
        if node.token in self.kept or not isinstance(node, ChunkedSource):
            return self.kept.get(node.token)
        for array in (node.array, node.valid):
            if array is not None:
                graph: Any = array.__dask_graph__()
                self.layers.update(graph.layers)
                self.dependencies.update({layer: set(graph.dependencies[layer]) for layer in graph.layers})
        valid = None if node.valid is None else node.valid.name
        rows, cols = node.array.chunks[-2:]
        return Kept(node, node.array.name, (rows, cols), valid)

    def _add(self, name: str, layer: Any, dependencies: set[str]) -> None:
        self.layers[name] = layer
        self.dependencies[name] = dependencies


@dataclass(frozen=True)
class Kept:
    """A node whose pixels lie in chunk tasks (name, 0, i, j): blocks of a barrier, or a dask source's data and valid."""

    node: Node
    name: str
    chunks: Chunks
    valid: str | None

    @property
    def layers(self) -> list[str]:
        return [self.name] if self.valid is None else [self.name, self.valid]

    @cached_property
    def edges(self) -> tuple[list[int], list[int]]:
        return chunk_edges(self.chunks[0]), chunk_edges(self.chunks[1])

    def touching(self, region: Region) -> Iterator[tuple[tuple[int, int], Region]]:
        """((i, j), region) of the chunks that ``region`` touches."""
        spans = []
        for edges, start, stop in zip(self.edges, (region.row0, region.col0), (region.row1, region.col1), strict=True):
            first = bisect_right(edges, start) - 1
            last = bisect_right(edges, stop - 1) - 1
            spans.append([(k, edges[k], edges[k + 1]) for k in range(first, last + 1)])
        for i, row0, row1 in spans[0]:
            for j, col0, col1 in spans[1]:
                yield (i, j), Region(row0, row1, col0, col1)


def _wanted(plan: Plan, known: Mapping[str, Block]) -> set[str]:
    """Tokens of the stages that the result cannot do without, those beneath known tables left out."""
    programs = {stage.node.token: [stage.program, *map(Program, stage.node.inputs[1:])] for stage in plan.stages}
    wanted: set[str] = set()
    waiting = [plan.program]
    while waiting:
        for node in waiting.pop().nodes:
            if node.token in programs and node.token not in wanted:
                wanted.add(node.token)
                waiting += [] if node.token in known else programs[node.token]
    return wanted


def _written_out(
    keys_at: dict[tuple[int, int], Key],
    runner: str,
    tables: list[Key],
    program: Program,
    chunks: Chunks,
    chunked: list[Kept],
) -> dict[Key, Task]:
    index = {node.token: i for i, node in enumerate(program.nodes)}
    tasks: dict[Key, Task] = {}
    for place, region in chunk_regions(chunks):
        uses = needs_down(program, region) if chunked else []
        pieces = []
        for kept in chunked:
            wanted = Region(0, 0, 0, 0)
            for use in uses[index[kept.node.token]]:
                wanted = wanted.union(use.region)
            if wanted.is_empty:
                continue
            touched = list(kept.touching(wanted))
            regions = tuple(box for _, box in touched)
            data = List(*(TaskRef((kept.name, 0, *at)) for at, _ in touched))
            valid = None if kept.valid is None else List(*(TaskRef((kept.valid, 0, *at)) for at, _ in touched))
            pieces.append(List(kept.node.token, regions, data, valid))
        key = keys_at[place]
        slices = (slice(region.row0, region.row1), slice(region.col0, region.col1))
        tasks[key] = Task(key, _run, TaskRef(runner), slices, *map(TaskRef, tables), *pieces)
    return tasks


def _assembled(
    validator: Callable[[np.ndarray, np.ndarray | None], Block] | None,
    regions: Sequence[Region],
    data: Sequence[Any],
    valid: Sequence[np.ndarray] | None,
) -> Piece:
    """The chunks of one node as one piece around them: a dask source's arrays, or without ``validator`` a barrier's blocks."""
    around = regions[0]
    for region in regions[1:]:
        around = around.union(region)
    if validator is not None:
        whole_valid = None if valid is None else _joined(regions, list(valid), around)
        return Piece(around, validator(_joined(regions, list(data), around), whole_valid))
    masked = any(block.valid is not None for block in data)
    whole = _joined(regions, [block.data for block in data], around)
    return Piece(around, Block(whole, _joined(regions, [block_valid(b, around) for b in data], around) if masked else None))


def _joined(regions: Sequence[Region], parts: list[np.ndarray], around: Region) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    whole = np.empty((parts[0].shape[0], *around.shape), parts[0].dtype)
    for region, part in zip(regions, parts, strict=True):
        rows, cols = region.within(around)
        whole[:, rows, cols] = part
    return whole


@dataclass(frozen=True)
class PartialState:
    """The end of a task that yields a statistic's state of its chunk."""

    node: Node

    def __call__(self, block: Block, region: Region, *tables: Block) -> Any:
        assert isinstance(self.node, Reduction)
        return self.node.partial((block, *tables))

    def __dask_tokenize__(self) -> Any:
        return "PartialState", self.node.token


def _run(runner: Runner, slices: Sequence[slice], *values: Any) -> Any:
    return runner(slices, *values)


def _combined(node: Reduction, states: list[Any]) -> Any:
    return node.combine(states)


def _finished(node: Reduction, states: list[Any]) -> Block:
    return node.finish(node.combine(states))


def paced(name: str, tasks: Mapping[Key, Task], order: Sequence[Key], together: int) -> dict[Key, Task]:
    """``tasks`` in groups of ``together``: one begins when the last but one is done, so that there is always enough to do.

    dask's own order would leave the tiles of the source and come back to them.
    """
    groups = [order[k : k + together] for k in range(0, len(order), together)]
    held: dict[Key, Task] = {}
    for number, group in enumerate(groups):
        if number < 2:
            held.update((key, tasks[key]) for key in group)
            continue
        gate, before = (f"{name}-gate", number), (f"{name}-gate", number - 1)
        closed = [*groups[number - 2], *([before] if before in held else [])]
        held[gate] = Task(gate, _opened, *map(TaskRef, closed))
        held.update((key, Task(key, _after, TaskRef(gate), tasks[key].func, *tasks[key].args)) for key in group)
    return held


def _opened(*done: Any) -> None:
    """What a gate does once the tasks before it are done: nothing."""


def _after(gate: None, function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _layer_name(key: Key) -> str:
    return str(key[0] if isinstance(key, tuple) else key)


def _as_array(plan: Plan, lowered: Lowered, dtype: np.dtype, bands: int) -> da.Array:
    chunks = ((bands,), *plan.chunks)
    return da.Array(lowered.graph, lowered.name, chunks, dtype=dtype, meta=np.empty((0, 0, 0), dtype))


def _part(plan: Plan, lowered: Lowered, what: str, take: Finish, dtype: np.dtype, bands: int) -> da.Array:
    name = f"{lowered.name}-{what}"
    layer = blockwise(_taken, name, "zyx", take, None, lowered.name, "zyx", numblocks={lowered.name: _numblocks(plan)})
    graph = HighLevelGraph({**lowered.graph.layers, name: layer}, {**lowered.graph.dependencies, name: {lowered.name}})
    return _as_array(plan, Lowered(graph, name, plan.chunks), dtype, bands)


def _taken(take: Finish, block: Block) -> Any:
    return take(block, Region(0, 0, 0, 0))


def _numblocks(plan: Plan) -> tuple[int, int, int]:
    return 1, len(plan.chunks[0]), len(plan.chunks[1])


def tree_tasks(chunks: int) -> int:
    """How many tasks a statistic over ``chunks`` chunks adds."""
    tasks = chunks
    while chunks > _FAN_IN:
        chunks = math.ceil(chunks / _FAN_IN)
        tasks += chunks
    return tasks + 1
