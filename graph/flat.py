"""A graph as a flat list in topological order: how it is walked, pickled and sent, whatever its depth."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .node import Node


@dataclass(frozen=True)
class Ref:
    """Stands for the node at ``index`` of the list."""

    index: int


Frozen = list[tuple[type[Node], tuple[Any, ...]]]


def topological(root: Node, stop: frozenset[str] = frozenset()) -> list[Node]:
    """Every node that ``root`` is made of, each once, inputs before consumers, ``root`` last.

    Nodes whose token is in ``stop`` are listed but not entered.
    """
    order: list[Node] = []
    done: set[str] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, inputs_done = stack.pop()
        if node.token in done:
            continue
        if inputs_done or not node.inputs or node.token in stop:
            done.add(node.token)
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.inputs) if child.token not in done)
    return order


def freeze(root: Node) -> Frozen:
    """``root`` as (class, field values) entries in topological order, nodes in them replaced by ``Ref``."""
    index: dict[str, int] = {}
    entries: Frozen = []
    for node in topological(root):
        entries.append((type(node), tuple(_refs(getattr(node, f.name), index) for f in fields(node))))  # type: ignore[arg-type]
        index[node.token] = len(index)
    return entries


def thaw(entries: Frozen) -> Node:
    """The node that ``freeze`` took apart."""
    nodes: list[Node] = []
    for cls, values in entries:
        nodes.append(cls(*(_nodes(value, nodes) for value in values)))
    return nodes[-1]


def _refs(value: Any, index: dict[str, int]) -> Any:
    if isinstance(value, Node):
        return Ref(index[value.token])
    if isinstance(value, tuple) and value and isinstance(value[0], Node):
        return tuple(Ref(index[item.token]) for item in value)
    return value


def _nodes(value: Any, nodes: list[Node]) -> Any:
    if isinstance(value, Ref):
        return nodes[value.index]
    if isinstance(value, tuple) and value and isinstance(value[0], Ref):
        return tuple(nodes[item.index] for item in value)
    return value
