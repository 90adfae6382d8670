from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, PlanError
from weft.graph.flat import topological
from weft.graph.grid import Region
from weft.graph.node import Meta, Node, operation, rule
from weft.graph.optimize import Firing, optimize
from weft.graph.sweep import Program, evaluate


@dataclass(frozen=True, eq=False)
class Unary(Node):
    """Something with one input and a number."""

    source: Node
    number: int = 0
    asked: ClassVar[list[str]] = []

    def _meta(self) -> Meta:
        return self.source.meta


@operation("test-opt-step")
@dataclass(frozen=True, eq=False)
class Step(Unary):
    """Adds a number; two in a row are one, zero is none; and counts how often a rule was asked."""

    @rule("drop zero", exact=True)
    def drop_zero(self) -> Node | None:
        Unary.asked.append(self.token)
        return self.source if self.number == 0 else None

    @rule("join steps", exact=True)
    def join(self) -> Node | None:
        inner = self.source
        return Step(inner.source, inner.number + self.number) if isinstance(inner, Step) else None


@operation("test-opt-blur")
@dataclass(frozen=True, eq=False)
class Blur(Unary):
    @rule("blur less", exact=False)
    def less(self) -> Node | None:
        return Blur(self.source, self.number - 1) if self.number > 0 else None


@operation("test-opt-there")
@dataclass(frozen=True, eq=False)
class There(Unary):
    @rule("there", exact=True)
    def there(self) -> Node | None:
        return Back(self.source, self.number)


@operation("test-opt-back")
@dataclass(frozen=True, eq=False)
class Back(Unary):
    @rule("and back", exact=True)
    def back(self) -> Node | None:
        return There(self.source, self.number)


@operation("test-opt-wrap")
@dataclass(frozen=True, eq=False)
class Wrap(Unary):
    @rule("wrap", exact=True)
    def wrap(self) -> Node | None:
        return Unary(self)


@operation("test-opt-grow")
@dataclass(frozen=True, eq=False)
class Grow(Unary):
    @rule("grow", exact=True)
    def grow(self) -> Node | None:
        return Grow(self.source, self.number + 1)


@operation("test-opt-breed")
@dataclass(frozen=True, eq=False)
class Breed(Unary):
    @rule("breed", exact=True)
    def breed(self) -> Node | None:
        return Unary(Breed(self.source, self.number + 1))


def test_rules_run_to_the_end_inputs_first(ops: SimpleNamespace) -> None:
    source = ops.Noise()
    result = optimize(Step(Step(Step(source, 1), 0), 2))
    assert result.node == Step(source, 3)
    assert result.fired == (Firing("drop zero", True, "test-opt-step"), Firing("join steps", True, "test-opt-step"))
    assert (result.mode, result.before, result.after) == ("default", 4, 2)
    assert optimize(Step(Step(source, 1), -1)).node == source  # a rule's result is rewritten too


def test_none_touches_nothing(ops: SimpleNamespace) -> None:
    root = Step(Step(ops.Noise(), 1), 0)
    result = optimize(root, "none")
    assert result.node is root
    assert (result.fired, result.before, result.after) == ((), 3, 3)


def test_exact_leaves_out_what_is_bounded(ops: SimpleNamespace) -> None:
    root = Step(Blur(Step(ops.Noise(), 0), 3), 0)
    exact = optimize(root, "exact")
    assert exact.node == Blur(ops.Noise(), 3)
    assert {firing.rule for firing in exact.fired} == {"drop zero"}
    default = optimize(root)
    assert default.node == Blur(ops.Noise(), 0)
    assert [(firing.rule, firing.exact) for firing in default.fired].count(("blur less", False)) == 3


@pytest.mark.parametrize("mode", ["fast", "", None, "Default", True])
def test_an_unknown_mode_is_refused(ops: SimpleNamespace, mode: object) -> None:
    with pytest.raises(ArgumentError, match="default, exact, none"):
        optimize(ops.Noise(), mode)  # type: ignore[arg-type]


def test_shared_nodes_are_rewritten_once(ops: SimpleNamespace) -> None:
    node: Node = ops.Noise()
    for k in range(40):
        shared = Step(node, 0)
        node = ops.Sum((shared, Unary(shared, k), shared))
    Unary.asked.clear()
    result = optimize(node)
    assert len(result.fired) == 40
    assert len(Unary.asked) == 40
    assert result.after == 81


def test_sharing_survives(ops: SimpleNamespace) -> None:
    shared = Step(ops.Noise(), 0)
    result = optimize(ops.Add(Unary(shared, 1), Unary(Step(shared, 0), 1)))
    assert result.node == ops.Add(Unary(ops.Noise(), 1), Unary(ops.Noise(), 1))
    assert result.after == 3


@pytest.mark.parametrize("kind", [There, Back])
def test_rules_that_undo_each_other_are_named(ops: SimpleNamespace, kind: type[Unary]) -> None:
    with pytest.raises(PlanError, match=r"came back after '(there|and back)'"):
        optimize(Step(kind(ops.Noise()), 0))


@pytest.mark.parametrize(("kind", "name"), [(Grow, "grow"), (Breed, "breed")])
def test_growth_without_end_is_stopped(ops: SimpleNamespace, kind: type[Unary], name: str) -> None:
    with pytest.raises(PlanError, match=rf"rewrites of 2 nodes; last was '{name}'"):
        optimize(kind(ops.Noise()))


def test_a_rule_that_wraps_its_own_node_is_named(ops: SimpleNamespace) -> None:
    with pytest.raises(PlanError, match="wrap"):
        optimize(Unary(Wrap(ops.Noise())))


def test_ten_thousand_steps_become_one(ops: SimpleNamespace) -> None:
    node: Node = ops.Noise()
    for k in range(10_000):
        node = Step(node, k)
    result = optimize(node)
    assert result.node == Step(ops.Noise(), sum(range(10_000)))
    assert (result.before, result.after) == (10_001, 2)
    node = ops.Noise()
    for k in range(10_000):
        node = Unary(node, k)
    assert optimize(node).node is node


@operation("test-opt-plus")
@dataclass(frozen=True, eq=False)
class Plus(Unary):
    """Adds a number, with a kernel, to judge rewritten graphs by their pixels."""

    def kernel(self, blocks, region):  # type: ignore[no-untyped-def]
        return type(blocks[0])(blocks[0].data + self.number, blocks[0].valid)

    @rule("nothing to add", exact=True)
    def idle(self) -> Node | None:
        return self.source if self.number == 0 else None

    @rule("add at once", exact=True)
    def join(self) -> Node | None:
        inner = self.source
        return Plus(inner.source, inner.number + self.number) if isinstance(inner, Plus) else None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(-2, 2)), min_size=1, max_size=12))
def test_optimizing_changes_no_pixel_and_twice_changes_nothing(ops: SimpleNamespace, steps: list[tuple[int, int, int]]) -> None:
    nodes: list[Node] = [ops.Noise((9, 11), (4, 4))]
    for i, j, number in steps:
        a, b = nodes[-1 - i % len(nodes)], nodes[-1 - j % len(nodes)]
        nodes.append(Plus(a, number) if number else ops.Add(a, Plus(b, number)))
    root = nodes[-1]
    result = optimize(root)
    region = Region(2, 8, 1, 10)
    assert ops.same(evaluate(Program(result.node), region), evaluate(Program(root), region))
    again = optimize(result.node)
    assert again.node == result.node
    assert again.fired == ()
    assert result.after == len(topological(result.node)) == again.before
