"""The optimizer: bottom-up, memoized by token, each node rewritten until no rule of its own applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .errors import ArgumentError, PlanError
from .flat import topological
from .node import Node

Mode = Literal["default", "exact", "none"]

_STEPS_PER_NODE = 50


@dataclass(frozen=True)
class Firing:
    """One rewrite that took place: the rule's name, whether it is exact, and the node it replaced."""

    rule: str
    exact: bool
    node: str


@dataclass(frozen=True)
class Optimized:
    """A graph after the optimizer: the new root, what fired in order, and the number of nodes before and after."""

    node: Node
    mode: Mode
    fired: tuple[Firing, ...]
    before: int
    after: int


def optimize(root: Node, mode: Mode = "default") -> Optimized:
    """Rewrite a graph.

    Parameters
    ----------
    root : Node
    mode : "default" runs every rule; "exact" only those that keep each pixel bit for bit; "none" runs nothing.

    Raises
    ------
    PlanError
        A rule undoes another (a token comes back), or rewriting does not end.
    """
    if mode not in get_args(Mode):
        raise ArgumentError(f"optimize is one of {', '.join(get_args(Mode))}; got {mode!r}")
    before = len(topological(root))
    if mode == "none":
        return Optimized(root, mode, (), before, before)
    fired: list[Firing] = []
    done: dict[str, Node] = {}
    became: dict[str, Node] = {}
    limit = _STEPS_PER_NODE * (before + 20)
    stack = [root]
    while stack:
        node = stack[-1]
        if node.token in done:
            stack.pop()
            continue
        if node.token in became:
            if became[node.token].token not in done:  # it is an input of what replaces it
                raise PlanError(f"optimizer: {node!r} came back after {fired[-1].rule!r}; a rule wraps what it replaces")
            done[node.token] = done[became[node.token].token]
            stack.pop()
            continue
        waiting = [child for child in node.inputs if child.token not in done]
        if waiting:
            stack.extend(waiting)
            continue
        following = _follow(node, [done[child.token] for child in node.inputs], mode, fired)
        if following is None:
            done[node.token] = node
            stack.pop()
            continue
        if following.token in became and following.token not in done:
            raise PlanError(f"optimizer: {following!r} came back after {fired[-1].rule!r}; two rules undo each other")
        if len(fired) > limit:
            raise PlanError(f"optimizer: more than {limit} rewrites of {before} nodes; last was {fired[-1].rule!r}")
        became[node.token] = following
        stack.append(following)
    result = done[root.token]
    return Optimized(result, mode, tuple(fired), before, len(topological(result)))


def _follow(node: Node, inputs: list[Node], mode: Mode, fired: list[Firing]) -> Node | None:
    """What takes the place of ``node``, whose inputs are optimized; None when it stays."""
    if any(new is not old and new.token != old.token for new, old in zip(inputs, node.inputs, strict=True)):
        return node.with_inputs(inputs)
    rewritten = node.rewrite(exact_only=mode == "exact")
    if rewritten is None:
        return None
    rule, result = rewritten
    fired.append(Firing(rule.name, rule.exact, node.name))
    return result
