"""Which pointwise nodes can run together, so that what lies between them never leaves the CPU's cache or its registers.

Strip by strip any of them can; those that say what they do to one pixel (``Node.scalar``) can be compiled into one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .block import Block
from .compiled import MOST_STEPS, Compiled
from .formula import Formula, Pixel, computable
from .node import Node

# Bytes of the widest block of a strip: a few of them fit the second-level cache.
STRIP_BYTES = 256 * 2**10


def pointwise_groups(
    nodes: Sequence[Node],
    inputs: Sequence[Sequence[int]],
    given: frozenset[str],
    eligible: Callable[[Node], bool] | None = None,
) -> dict[int, list[int]]:
    """Groups of two and more pointwise nodes, by the index of the one whose pixels leave the group; in topological order.

    A node belongs to a group when all that use it do. ``given`` nodes are computed elsewhere and belong to none, nor do those
    whose kernel needs memory beside its pixels, or that are not ``eligible``.
    """
    leader: dict[int, int] = {}
    users: list[set[int]] = [set() for _ in nodes]
    for i, children in enumerate(inputs):
        for child in children:
            users[child].add(i)
    for i in range(len(nodes) - 1, -1, -1):
        node = nodes[i]
        fits = node.is_pointwise and not node.workspace and inputs[i] and node.token not in given
        if fits and (eligible is None or eligible(node)):
            leaders = {leader.get(user, -1) for user in users[i]}
            leader[i] = leaders.pop() if len(leaders) == 1 and -1 not in leaders else i
    groups: dict[int, list[int]] = {}
    for i in sorted(leader):
        groups.setdefault(leader[i], []).append(i)
    return {lead: members for lead, members in groups.items() if len(members) > 1}


def strip_rows(nodes: Sequence[Node], cols: int) -> int:
    """Rows of a strip ``cols`` pixels wide, by the heaviest of ``nodes``."""
    pixel = max(len(node.meta.bands) * node.meta.dtype.itemsize for node in nodes)
    return max(1, STRIP_BYTES // (pixel * cols))


def offers_scalar(node: Node) -> bool:
    """Whether the node says what it does to one pixel."""
    if type(node).scalar is Node.scalar or not computable(*(child.meta.dtype for child in node.inputs)):
        return False
    formula = Formula()
    pixels = (formula.given(k, child.meta.dtype, len(child.meta.bands)) for k, child in enumerate(node.inputs))
    return node.scalar(formula, tuple(pixels)) is not None


class OnePass:
    """``members``, the last of which is their result, compiled for blocks of ``edges``, which feed them.

    One function for blocks without masks, which then cost nothing, and one for those where any has one.
    """

    def __init__(self, edges: Sequence[Node], members: Sequence[Node]) -> None:
        self.edges, self.members = edges, members
        self._compiled: dict[tuple[int, ...], Compiled] = {}

    @classmethod
    def of(cls, edges: Sequence[Node], members: Sequence[Node]) -> OnePass | None:
        """None where the members are too many to compile."""
        if len(members) > MOST_STEPS:
            return None
        one_pass = cls(edges, members)
        return one_pass if len(one_pass._formula((1,) * len(edges))[0].steps) <= MOST_STEPS else None

    def computed(self, blocks: tuple[Block, ...]) -> Block | None:
        """The result's pixels; None where the function is not worth compiling yet, or blocks are not what was announced."""
        if not all(
            block.data.size and (block.data.dtype, len(block.data)) == (edge.meta.dtype, len(edge.meta.bands))
            for block, edge in zip(blocks, self.edges, strict=True)
        ):
            return None
        if any(block.valid is not None for block in blocks):
            blocks = tuple(
                _with_mask(block) if edge.meta.masked else block for block, edge in zip(blocks, self.edges, strict=True)
            )
        masks = tuple(0 if block.valid is None else len(block.valid) for block in blocks)
        compiled = self._compiled.get(masks)
        if compiled is None:
            compiled = self._compiled[masks] = self._compile(masks)
        return compiled(blocks)

    def _compile(self, masks: tuple[int, ...]) -> Compiled:
        formula, result = self._formula(masks)
        dtypes = tuple(edge.meta.dtype for edge in self.edges)
        return Compiled(formula, result, dtypes, tuple(map(bool, masks)), len(self.members[-1].meta.bands))

    def _formula(self, masks: tuple[int, ...]) -> tuple[Formula, Pixel]:
        formula = Formula()
        pixels: dict[str, Pixel] = {}
        for k, (edge, mask_bands) in enumerate(zip(self.edges, masks, strict=True)):
            pixels[edge.token] = formula.given(k, edge.meta.dtype, len(edge.meta.bands), mask_bands)
        for node in self.members:
            pixel = node.scalar(formula, tuple(pixels[child.token] for child in node.inputs))
            assert pixel is not None
            pixels[node.token] = pixel
        return formula, pixels[self.members[-1].token]


def _with_mask(block: Block) -> Block:
    """The block with a mask even if all is valid: one line of memory that stands for all rows."""
    if block.valid is not None:
        return block
    _, rows, cols = block.data.shape
    return Block(block.data, np.broadcast_to(np.ones((1, 1, cols), bool), (1, rows, cols)))
