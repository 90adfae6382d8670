from __future__ import annotations

import pickle
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, ClassVar

import dask
import numpy as np
import pytest

from weft.graph.block import Block
from weft.graph.errors import ArgumentError, BandError, PlanError
from weft.graph.grid import Grid, Region
from weft.graph.node import OPERATIONS, Meta, Node, Reduction, Rule, Source, as_dtype, operation, rule, verb

META = Meta(Grid((4, 5)), ("red", "nir", "b3"), np.dtype("u1"))


@operation("test-node-source")
@dataclass(frozen=True, eq=False)
class Blank(Source):
    number: int = 0
    label: str = ""
    pair: tuple[float, float] = (0.0, 0.0)

    def _meta(self) -> Meta:
        return META

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        return Block(np.full((3, *region.shape), self.number, "u1"))


@operation("test-node-many")
@dataclass(frozen=True, eq=False)
class Many(Node):
    first: Node
    weights: tuple[float, ...]
    others: tuple[Node, ...] = ()

    def _meta(self) -> Meta:
        return self.first.meta


def test_the_token_changes_with_each_field_and_with_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = [Blank(), Blank(1), Blank(label="x"), Blank(pair=(0.0, 1.0)), Blank(True), Blank(pair=(0, 0))]  # type: ignore[arg-type]
    assert len({node.token for node in variants}) == len(variants)
    assert Blank().token == Blank(0, "", (0.0, 0.0)).token
    before = Blank().token
    monkeypatch.setattr(Blank, "version", 2)
    assert Blank().token != before


def test_the_token_changes_with_the_inputs_and_their_place() -> None:
    a, b = Blank(1), Blank(2)
    nodes = [
        Many(a, ()),
        Many(b, ()),
        Many(a, (), (b,)),
        Many(b, (), (a,)),
        Many(a, (), (b, a)),
        Many(a, (), (a, b)),
        Many(Many(a, ()), ()),
    ]
    assert len({node.token for node in nodes}) == len(nodes)


def test_two_classes_with_the_same_fields_have_different_tokens(ops: SimpleNamespace) -> None:
    assert ops.Plus(Blank(), 1) != ops.Heavy(Blank(), 1)

    @dataclass(frozen=True, eq=False)
    class Unnamed(Blank):
        """A subclass that is not registered is not its parent."""

    assert Unnamed(1) != Blank(1)
    assert Unnamed.name == ""


def test_a_node_holds_plain_values_only() -> None:
    with pytest.raises(PlanError, match="plain values only"):
        Blank([1, 2])  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Blank().number = 3  # type: ignore[misc]


def test_nodes_are_equal_and_hashed_by_token() -> None:
    assert Blank(1) == Blank(1)
    assert Blank(1) != Blank(2)
    assert Blank(1) != Blank(1).token
    assert len({Blank(1), Blank(1), Blank(2)}) == 2
    assert dask.base.tokenize(Blank(1)) == dask.base.tokenize(Blank(1)) != dask.base.tokenize(Blank(2))


def test_inputs_come_in_field_order() -> None:
    a, b, c = map(Blank, range(3))
    node = Many(a, (1.0, 2.0), (b, c))
    assert node.inputs == (a, b, c)
    assert node.params() == {"weights": (1.0, 2.0)}
    assert Many(a, ()).params() == {"weights": (), "others": ()}
    assert Blank().inputs == ()


def test_with_inputs_keeps_the_rest() -> None:
    a, b, c = map(Blank, range(3))
    node = Many(a, (1.0,), (b,))
    assert node.with_inputs([c, a]) == Many(c, (1.0,), (a,))
    assert node.with_inputs(iter(node.inputs)) == node
    assert type(node.with_inputs([c, a])) is Many
    for wrong in ([], [a], [a, b, c]):
        with pytest.raises(PlanError, match="2 inputs"):
            node.with_inputs(wrong)


def test_a_long_chain_pickles_hashes_and_shows(ops: SimpleNamespace) -> None:
    node = Blank()
    for k in range(10_000):
        node = ops.Plus(node, k)
    again = pickle.loads(pickle.dumps(node))
    assert again == node
    assert again.inputs[0].inputs[0] == node.inputs[0].inputs[0]
    assert repr(node) == "Plus(amount=9999)"
    assert node.describe() == "amount=9999"


def test_pickling_keeps_shared_nodes_shared(ops: SimpleNamespace) -> None:
    node = Blank()
    for _ in range(200):
        node = ops.Add(node, node)
    again = pickle.loads(pickle.dumps(node))
    assert again == node
    assert again.left is again.right


def test_repr_is_short_and_shows_no_inputs() -> None:
    assert repr(Many(Blank(), (1.5,), (Blank(),))) == "Many(weights=(1.5,))"
    assert len(repr(Blank(label="x" * 1000))) <= 200
    assert Blank(label="x" * 1000).describe() == "number=0, pair=(0.0, 0.0)"


def test_two_operations_of_one_name_are_refused() -> None:
    with pytest.raises(PlanError, match="two operations are named 'test-node-many'"):

        @operation("test-node-many")
        @dataclass(frozen=True, eq=False)
        class Another(Node):
            pass

    assert OPERATIONS["test-node-many"] is Many
    assert operation("test-node-many")(Many) is Many


def test_an_operation_without_methods_says_so() -> None:
    @dataclass(frozen=True, eq=False)
    class Idle(Node):
        pass

    @dataclass(frozen=True, eq=False)
    class Idler(Reduction):
        source: Node

        def _meta(self) -> Meta:
            return META

    with pytest.raises(NotImplementedError, match="Idle"):
        Idle()
    idler = Idler(Blank())
    for call in (idler.partial, idler.combine, idler.finish):
        with pytest.raises(NotImplementedError, match="Idler"):
            call(())
    with pytest.raises(NotImplementedError, match="Many"):
        Many(Blank(), ()).kernel((), Region(0, 1, 0, 1))


def test_defaults_of_a_node() -> None:
    region = Region(1, 2, 1, 3)
    node = Many(Blank(), (), (Blank(1),))
    assert node.need(region) == (region, region)
    assert Blank().need(region) == ()
    assert node.as_crop() is None
    assert node.select((0,)) is None
    assert node.reduced(4) is None
    assert node.node is node
    assert node.with_node(Blank()) == Blank()
    assert node.grid == META.grid
    assert Blank.from_params(number=3, label="x", pair=(1.0, 2.0)) == Blank(3, "x", (1.0, 2.0))


@dataclass(frozen=True, eq=False)
class Coarse(Blank):
    """A source that has an overview where ``number`` allows it."""

    def reduced(self, factor: float) -> Node | None:
        return Half(self.number) if self.number and factor >= 2 else None


@dataclass(frozen=True, eq=False)
class Half(Blank):
    def _meta(self) -> Meta:
        return META.with_grid(META.grid.resized((2, 2 + (self.number == 3))))


def test_pointwise_nodes_are_reduced_where_all_inputs_are(ops: SimpleNamespace) -> None:
    assert ops.Plus(Coarse(1), 5).reduced(2) == ops.Plus(Half(1), 5)
    assert ops.Plus(Coarse(1), 5).reduced(1.5) is None
    assert ops.Add(Coarse(1), Coarse(2)).reduced(2) == ops.Add(Half(1), Half(2))
    assert ops.Add(Coarse(1), Coarse(0)).reduced(2) is None
    assert ops.Add(Coarse(1), Coarse(3)).reduced(2) is None  # the overviews do not lie on one another
    assert ops.Stencil(Coarse(1), 1).reduced(2) is None


def test_rules_are_collected_own_first_and_tried_in_order() -> None:
    class Base(Blank):
        @rule("to one", exact=False)
        def to_one(self) -> Node | None:
            return Blank(1) if self.number > 1 else None

        @rule("to itself", exact=True)
        def to_itself(self) -> Node | None:
            return self

    class Derived(Base):
        @rule("to two", exact=True)
        def to_two(self) -> Node | None:
            return Blank(2) if self.number > 2 else None

    assert [r.name for r in Base.rules] == ["to one", "to itself"]
    assert [r.name for r in Derived.rules] == ["to two", "to one", "to itself"]
    assert all(isinstance(r, Rule) for r in Derived.rules)
    assert Base(1).rewrite() is None  # to itself is no rewrite
    found = Derived(3).rewrite()
    assert found is not None
    assert (found[0].name, found[1]) == ("to two", Blank(2))
    found = Derived(2).rewrite()
    assert found is not None
    assert (found[0].name, found[0].exact, found[1]) == ("to one", False, Blank(1))
    assert Derived(2).rewrite(exact_only=True) is None


def test_a_reduction_evaluates_whole_and_cuts(ops: SimpleNamespace) -> None:
    node = ops.Total(ops.Noise(bands=2))
    assert node.need(node.meta.grid.region) == (Region(0, 40, 0, 50),)
    block = Block(np.ones((2, 40, 50), "i8"))
    assert node.kernel((block,), Region(0, 1, 0, 1)).data.tolist() == [[[2000]], [[2000]]]
    assert node.kernel((block,), Region(0, 1, 0, 0)).data.shape == (2, 1, 0)


@pytest.mark.parametrize(
    ("bands", "indices"),
    [
        ("nir", (1,)),
        (0, (0,)),
        (-1, (2,)),
        (np.int16(1), (1,)),
        (["b3", 0, "nir"], (2, 0, 1)),
        (("red", "red"), (0, 0)),
        (iter([1, 2]), (1, 2)),
        (np.array([2, 0]), (2, 0)),
        (slice(None), (0, 1, 2)),
        (slice(None, None, -1), (2, 1, 0)),
        (slice(5, 9), ()),
        ([], ()),
    ],
)
def test_band_indices(bands: Any, indices: tuple[int, ...]) -> None:
    assert META.band_indices(bands) == indices


@pytest.mark.parametrize("bands", ["blue", 3, -4, True, 1.0, None, [None], ["red", "blue"], [[0]], "r", "", b"red", object()])
def test_bands_that_are_not_there_are_refused_by_name(bands: Any) -> None:
    with pytest.raises(BandError, match="the raster has 3: red, nir, b3"):
        META.band_indices(bands)


def test_a_band_error_lists_no_more_than_twenty() -> None:
    meta = META.having(bands=tuple(f"b{k}" for k in range(500)))
    with pytest.raises(BandError, match=r"has 500: b0, .* b19, \.\.\.$"):
        meta.band_indices("x")


@pytest.mark.parametrize(("dtype", "nodata", "fill"), [("u1", None, 0), ("u1", 7, 7), ("f4", -1.0, -1.0), ("?", None, 0)])
def test_fill(dtype: str, nodata: float | None, fill: float) -> None:
    assert META.having(dtype=np.dtype(dtype), nodata=nodata).fill == fill


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
def test_fill_of_floats_is_nan(dtype: str) -> None:
    assert np.isnan(META.having(dtype=np.dtype(dtype)).fill)


def test_meta_copies() -> None:
    grid = Grid((1, 2))
    assert META.with_grid(grid) == META.having(grid=grid)
    assert META.with_grid(grid).bands == META.bands
    assert META.grid == Grid((4, 5))
    assert {f.name for f in fields(META)} == {"grid", "bands", "dtype", "nodata", "masked", "tile", "attrs"}


@pytest.mark.parametrize(
    ("dtype", "wanted"), [("u1", "u1"), (float, "f8"), (bool, "?"), (">i2", "i2"), (np.complex64, "c8"), ("half", "f2")]
)
def test_as_dtype(dtype: Any, wanted: str) -> None:
    assert as_dtype(dtype) == np.dtype(wanted)
    assert as_dtype(dtype).isnative


@pytest.mark.parametrize("dtype", ["nonsense", "O", "U5", "M8[s]", "V4", [("a", "i4")], object(), 5])
def test_what_pixels_cannot_be_is_refused(dtype: Any) -> None:
    with pytest.raises(ArgumentError):
        as_dtype(dtype)


class Holder:
    """What a Raster is to a verb."""

    kind: ClassVar[str] = "holder"

    def __init__(self, node: Node) -> None:
        self.node = node

    def with_node(self, node: Node) -> Holder:
        return type(self)(node)


def test_a_verb_gives_back_what_it_was_given() -> None:
    @verb
    def renumber(node: Node, number: int, *, label: str = "") -> Node:
        """Another source."""
        return Blank(number, label)

    assert renumber(Blank(), 3, label="x") == Blank(3, "x")
    held = renumber(Holder(Blank()), 4)
    assert isinstance(held, Holder)
    assert held.node == Blank(4)
    assert renumber.__doc__ == "Another source."
