"""Which pointwise nodes can run together, strip by strip, so that what lies between them never leaves the CPU's cache."""

from __future__ import annotations

from collections.abc import Sequence

from .node import Node

# Bytes of the widest block of a strip: a few of them fit the second-level cache.
STRIP_BYTES = 256 * 2**10


def pointwise_groups(nodes: Sequence[Node], inputs: Sequence[Sequence[int]], given: frozenset[str]) -> dict[int, list[int]]:
    """Groups of two and more pointwise nodes, by the index of the one whose pixels leave the group; in topological order.

    A node belongs to a group when all that use it do. ``given`` nodes are computed elsewhere and belong to none, nor do those
    whose kernel needs memory beside its pixels.
    """
    leader: dict[int, int] = {}
    users: list[set[int]] = [set() for _ in nodes]
    for i, children in enumerate(inputs):
        for child in children:
            users[child].add(i)
    for i in range(len(nodes) - 1, -1, -1):
        node = nodes[i]
        if node.is_pointwise and not node.workspace and inputs[i] and node.token not in given:
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
