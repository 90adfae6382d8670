"""What every part of ``Raster`` stands on: the node that is held, and nothing else."""

from __future__ import annotations

from typing import Any, Self

from .graph.errors import ArgumentError
from .graph.node import Node
from .graph.optimize import Mode


class NodeHolder:
    """Holds one Node. Immutable, hashed and tokenized by the node, pickled as a flat graph.

    Parameters
    ----------
    node : Node
    final : bool
        The graph was optimized already and is to be taken as it is.
    """

    __slots__ = ("_final", "_node")

    _node: Node
    _final: bool

    def __init__(self, node: Node, *, final: bool = False) -> None:
        if not isinstance(node, Node):
            raise ArgumentError(
                f"a Raster holds a Node, not {type(node).__name__}; use weft.open, weft.from_array or weft.from_xarray"
            )
        self._node = node
        self._final = final

    @property
    def node(self) -> Node:
        """The operation whose pixels these are."""
        return self._node

    def with_node(self, node: Node) -> Self:
        """The same kind of object around another node."""
        return type(self)(node)

    def __hash__(self) -> int:
        return hash(self._node.token)

    def __dask_tokenize__(self) -> Any:
        return type(self).__name__, self._node.token, self._final

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._node, self._final)

    def _mode(self, mode: Mode) -> Mode:
        """The optimizer's mode for a finalizer: a graph that is final stays as it is."""
        return "none" if self._final else mode


def _rebuild(cls: type[NodeHolder], node: Node, final: bool) -> NodeHolder:
    return cls(node, final=final)
