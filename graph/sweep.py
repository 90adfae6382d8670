"""The region evaluator: needs down, kernels up, over a flat list of nodes. No recursion, no dask, no I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from .block import Block, empty_block, widened
from .flat import topological
from .fuse import OnePass, offers_scalar, pointwise_groups, strip_rows
from .grid import Region
from .node import Meta, Node

# Several requests for one node are answered by one region around them unless that computes over a quarter more pixels.
_WASTE = 1.25


class Piece(NamedTuple):
    """A computed part of a node: ``block`` covers ``region`` of its grid."""

    region: Region
    block: Block


class Program:
    """A graph ready to be evaluated: nodes in topological order, inputs by index.

    Parameters
    ----------
    root : Node
    given : tokens whose values come from outside (barriers, statistics); they are not entered
    fuse : whether pointwise nodes in a row become one, ``Fused``; changes no pixel
    """

    def __init__(self, root: Node, given: frozenset[str] = frozenset(), *, fuse: bool = True) -> None:
        self.given = given
        self.nodes = topological(root, stop=given)
        self.inputs = _indices(self.nodes, given)
        self._unfused = root
        if fuse:
            self._fuse()

    @property
    def root(self) -> Node:
        return self.nodes[-1]

    def __reduce__(self) -> tuple[object, ...]:
        return Program, (_standing_in(self._unfused, self.given), self.given)

    def _fuse(self, eligible: Callable[[Node], bool] | None = None) -> None:
        groups = pointwise_groups(self.nodes, self.inputs, self.given, eligible)
        if not groups:
            return
        inside = {i for lead, members in groups.items() for i in members if i != lead}
        nodes: list[Node] = []
        for i, node in enumerate(self.nodes):
            if i in groups:
                members = set(groups[i])
                edges = dict.fromkeys(child for k in groups[i] for child in self.inputs[k] if child not in members)
                nodes.append(Fused(node, tuple(self.nodes[child] for child in edges)))
            elif i not in inside:
                nodes.append(node)
        self.nodes = nodes
        self.inputs = _indices(nodes, self.given)


@dataclass(frozen=True, eq=False)
class StandIn(Node):
    """A node that is computed elsewhere: its token and meta, without what it is made of. Spares a worker the rest."""

    stands_for: str
    known: Meta

    def __post_init__(self) -> None:
        for name, value in {"inputs": (), "token": self.stands_for, "meta": self.known}.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class Fused(Node):
    """Pointwise nodes as one: ``body`` and what lies between it and ``edges``, computed in one pass or strip by strip.

    In one pass where all of them say what they do to a pixel and the function made of that is worth compiling or on disk
    already; else strip by strip, with such functions for those parts that can have one. Which of it is done changes no bit.
    Stands in a ``Program`` only, in the place of ``body``, whose token it has.
    """

    body: Node
    edges: tuple[Node, ...]

    def __post_init__(self) -> None:
        inner = Program(self.body, frozenset(edge.token for edge in self.edges), fuse=False)
        members = [node for node in inner.nodes if node.token not in inner.given]
        one_pass = None
        if all(map(offers_scalar, members)):
            one_pass = OnePass.of(self.edges, members)
        else:
            inner._fuse(offers_scalar)
        values = {
            "name": self.body.name,
            "inputs": self.edges,
            "token": self.body.token,
            "meta": self.body.meta,
            "program": inner,
            "members": tuple(members),
            "one_pass": one_pass,
            "cost": sum(node.cost for node in members),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    program: ClassVar[Program]
    members: ClassVar[tuple[Node, ...]]
    one_pass: ClassVar[OnePass | None]

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        whole = None if self.one_pass is None else self.one_pass.computed(blocks)
        return self._by_strips(blocks, region) if whole is None else whole

    def _by_strips(self, blocks: tuple[Block, ...], region: Region) -> Block:
        given = {edge.token: Piece(region, block) for edge, block in zip(self.edges, blocks, strict=True)}
        rows = strip_rows(self.members, region.col1 - region.col0)
        starts = range(region.row0, region.row1, rows)
        if len(starts) == 1:
            return evaluate(self.program, region, given)
        data = np.empty((len(self.meta.bands), *region.shape), self.meta.dtype)
        valid: np.ndarray | None = None
        for start in starts:
            strip = Region(start, min(start + rows, region.row1), region.col0, region.col1)
            block = evaluate(self.program, strip, given)
            here, _ = strip.within(region)
            data[:, here] = block.data
            if block.valid is not None:
                valid = widened(valid, len(block.valid), region.shape)
                valid[:, here] = block.valid
        return Block(data, valid)


@dataclass(slots=True)
class Use:
    """One region of one node that will be computed: what it needs of each input, how many uses it has itself."""

    region: Region
    needs: tuple[Region, ...]
    consumers: int = 0


def needs_down(program: Program, region: Region) -> list[list[Use]]:
    """Per node of ``program``, the regions to compute so that the root covers ``region``."""
    wanted: list[list[Region]] = [[] for _ in program.nodes]
    wanted[-1].append(region)
    uses: list[list[Use]] = [[] for _ in program.nodes]
    for i in range(len(program.nodes) - 1, -1, -1):
        node, inputs = program.nodes[i], program.inputs[i]
        for box in merged(wanted[i]):
            use = Use(box, node.need(box) if inputs and not box.is_empty else tuple(box for _ in inputs))
            uses[i].append(use)
            for child, need in zip(inputs, use.needs, strict=True):
                if not need.is_empty:
                    wanted[child].append(need)
    for i in range(len(program.nodes) - 1, -1, -1):
        for use in uses[i]:
            for child, need in zip(program.inputs[i], use.needs, strict=True):
                if not need.is_empty:
                    covering(uses[child], need).consumers += 1
    return uses


def evaluate(program: Program, region: Region, given: Mapping[str, Piece] | None = None) -> Block:
    """The pixels of ``region`` of the program's root.

    Parameters
    ----------
    program : Program
    region : Region of the root's grid
    given : what was computed elsewhere, by the node's token; each piece covers at least what is needed of it

    Returns
    -------
    Block covering exactly ``region``
    """
    if program.root.token in program.given:
        assert given is not None
        piece = given[program.root.token]
        return piece.block.cut(piece.region, region)
    uses = needs_down(program, region)
    blocks: dict[tuple[int, Region], Block] = {}
    for i, node in enumerate(program.nodes):
        if node.token in program.given:
            continue
        inputs = program.inputs[i]
        for use in uses[i]:
            if use.region.is_empty:
                blocks[i, use.region] = empty_block(len(node.meta.bands), node.meta.dtype)
                continue
            arguments: list[Block] = []
            for child, need in zip(inputs, use.needs, strict=True):
                child_meta = program.nodes[child].meta
                if need.is_empty:
                    arguments.append(empty_block(len(child_meta.bands), child_meta.dtype))
                    continue
                supplier = covering(uses[child], need)
                token = program.nodes[child].token
                if token in program.given:
                    assert given is not None
                    arguments.append(given[token].block.cut(given[token].region, need))
                else:
                    arguments.append(blocks[child, supplier.region].cut(supplier.region, need))
                supplier.consumers -= 1
                if supplier.consumers == 0:
                    blocks.pop((child, supplier.region), None)
            blocks[i, use.region] = _computed(node, tuple(arguments), use.region)
    return blocks.popitem()[1]


def _computed(node: Node, blocks: tuple[Block, ...], region: Region) -> Block:
    try:
        return node.kernel(blocks, region)
    except Exception as error:
        error.add_note(f"while computing rows {region.row0}:{region.row1}, columns {region.col0}:{region.col1} of {node!r}")
        raise


def _standing_in(root: Node, given: frozenset[str]) -> Node:
    """The same graph, with the same tokens, ending in stand-ins where values are given."""
    made: dict[str, Node] = {}
    for node in topological(root, stop=given):
        if node.token in given:
            made[node.token] = StandIn(node.token, node.meta)
        elif any(made[child.token] is not child for child in node.inputs):
            made[node.token] = node.with_inputs([made[child.token] for child in node.inputs])
        else:
            made[node.token] = node
    return made[root.token]


def _indices(nodes: Sequence[Node], given: frozenset[str]) -> list[tuple[int, ...]]:
    index = {node.token: i for i, node in enumerate(nodes)}
    return [() if node.token in given else tuple(index[child.token] for child in node.inputs) for node in nodes]


def merged(regions: list[Region]) -> list[Region]:
    """As few boxes as cover all ``regions`` without computing over a quarter more pixels than they hold."""
    boxes: list[Region] = []
    for region in regions:
        joined = True
        while joined:
            joined = False
            for k, box in enumerate(boxes):
                union = box.union(region)
                if union.size <= _WASTE * (box.size + region.size - box.intersect(region).size):
                    region = union
                    del boxes[k]
                    joined = True
                    break
        boxes.append(region)
    return boxes


def covering(uses: list[Use], need: Region) -> Use:
    """The use whose region contains ``need``."""
    for use in uses:
        if use.region.contains(need):
            return use
    raise AssertionError(f"no computed region covers {need}")
