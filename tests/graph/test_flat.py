from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from weft.graph.flat import Ref, freeze, thaw, topological
from weft.graph.node import Node


def test_inputs_come_before_their_consumers_each_once(ops: SimpleNamespace) -> None:
    a = ops.Noise()
    left, right = ops.Plus(a, 1), ops.Shift(a, 1, 1)
    root = ops.Add(left, right)
    assert topological(root) == [a, left, right, root]
    assert topological(a) == [a]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12))
def test_any_graph_is_listed_in_order_and_comes_back(ops: SimpleNamespace, pairs: list[tuple[int, int]]) -> None:
    nodes: list[Node] = [ops.Noise(seed=0)]
    for i, j in pairs:
        nodes.append(ops.Sum((nodes[i % len(nodes)], nodes[j % len(nodes)], ops.Plus(nodes[-1], i))))
    order = topological(nodes[-1])
    place = {node.token: k for k, node in enumerate(order)}
    assert len(place) == len(order)
    assert order[-1] is nodes[-1]
    assert all(place[child.token] < place[node.token] for node in order for child in node.inputs)
    assert thaw(freeze(nodes[-1])) == nodes[-1]


def test_equal_nodes_made_twice_are_one(ops: SimpleNamespace) -> None:
    assert len(topological(ops.Add(ops.Plus(ops.Noise(), 1), ops.Plus(ops.Noise(), 1)))) == 3


def test_what_is_given_is_listed_but_not_entered(ops: SimpleNamespace) -> None:
    a, b = ops.Noise(seed=1), ops.Noise(seed=2)
    kept = ops.Plus(a, 1)
    root = ops.Add(kept, b)
    assert topological(root, frozenset([kept.token])) == [kept, b, root]
    assert topological(kept, frozenset([kept.token])) == [kept]
    assert topological(ops.Add(kept, a), frozenset([kept.token])) == [kept, a, ops.Add(kept, a)]


def test_frozen_entries_refer_by_index(ops: SimpleNamespace) -> None:
    a = ops.Noise(seed=3)
    b = ops.Plus(a, 7)
    entries = freeze(ops.Sum((b, a)))
    assert entries == [
        (ops.Noise, ((40, 50), (16, 16), 3, 1, False)),
        (ops.Plus, (Ref(0), 7)),
        (ops.Sum, ((Ref(1), Ref(0)),)),
    ]


def test_depth_is_no_limit(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for k in range(10_000):
        node = ops.Add(node, ops.Plus(node, k))
    assert len(topological(node)) == 20_001
    assert thaw(freeze(node)) == node
