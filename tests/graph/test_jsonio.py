from __future__ import annotations

import base64
import json
import math
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, CRSError, GraphFormatError, WeftError
from weft.graph.grid import Grid, Region
from weft.graph.jsonio import MAX_ARRAY_BYTES, from_json, to_json
from weft.graph.node import Meta, Node, Source, operation
from weft.graph.values import FrozenArray, Function

FLOAT32, IDENTITY, GRID, WINDOW, TABLE = (
    np.dtype("f4"),
    Affine.identity(),
    Grid((2, 3)),
    Region(1, 2, 3, 4),
    FrozenArray([1, 2, 3]),
)
META = Meta(Grid((4, 5)), ("red",), np.dtype("u1"))


@operation("test-json-values")
@dataclass(frozen=True, eq=False)
class Values(Source):
    """Holds one of everything."""

    flag: bool = True
    count: int = 3
    factor: float = 0.1
    wave: complex = 1 + 2j
    label: str = "x"
    dtype: np.dtype = FLOAT32
    transform: Affine = IDENTITY
    grid_: Grid = GRID
    window: Region = WINDOW
    table: FrozenArray = TABLE
    pair: tuple[float, int] = (0.5, 2)
    names: tuple[str, ...] = ("a", "b")
    nested: tuple[tuple[int, ...], ...] = ((1,), (), (2, 3))
    maybe: int | None = None
    number: int | float | complex | None = None
    either: str | tuple[str, ...] | bool = "a"
    boxes: tuple[Region, ...] = ()
    place: Grid | None = None

    def _meta(self) -> Meta:
        if self.count == 13:
            raise ArgumentError("thirteen is refused")
        if self.count == 14:
            raise ZeroDivisionError("a constructor trips")
        return META


@operation("test-json-pair")
@dataclass(frozen=True, eq=False)
class Pair(Node):
    first: Node
    rest: tuple[Node, ...] = ()
    other: Node | None = None

    def _meta(self) -> Meta:
        return self.first.meta


@operation("test-json-call")
@dataclass(frozen=True, eq=False)
class Call(Node):
    source: Node
    function: Function

    def _meta(self) -> Meta:
        return self.source.meta


@operation("test-json-file")
@dataclass(frozen=True, eq=False)
class File(Source):
    """A source that keeps a header and reads it anew."""

    path: str
    header: str = field(metadata={"json": False})

    def _meta(self) -> Meta:
        return META

    @classmethod
    def from_params(cls, path: str) -> File:
        return cls(path, f"header of {path}")


def plain(**changes: Any) -> dict[str, Any]:
    """The JSON fields of a ``Values``, some changed."""
    entry = json.loads(to_json(Values()))["nodes"][0]
    entry.update(changes)
    return entry


def document(*entries: Any) -> str:
    return json.dumps({"weft": 1, "nodes": entries})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"flag": False, "count": -(2**80), "factor": 1e300, "label": "ü\n\ud800\x00"},
        {"flag": np.bool_(False), "count": np.int16(7), "factor": np.float32(0.1), "wave": np.complex64(1 - 1j)},
        *({"factor": value} for value in (math.nan, math.inf, -math.inf, -0.0, 5e-324, 3, 2**60 + 1)),
        *({"wave": value} for value in (complex(math.nan, -math.inf), complex(-0.0, 1), 1.5, 2)),
        *({"number": value} for value in (5, 5.0, -0.0, math.nan, 1j, complex(5, 0), None)),
        *({"dtype": np.dtype(code)} for code in ("?", "u1", ">i2", "c16", "f2")),
        {"transform": Affine(1.5, 2, 3, 4, -5, 1 / 3)},
        {"grid_": Grid((7, 8), (10, 1, 2, 3, -10, 4), "EPSG:32633"), "place": Grid((1, 1), None, "+proj=laea +lat_0=10")},
        {"window": Region(-5, 0, 7, 7), "boxes": (Region(0, 1, 2, 3), Region(4, 5, 6, 7))},
        {"pair": (math.inf, 1), "names": (), "nested": (), "maybe": 0},
        *({"either": value} for value in ("a", ("a", "b"), (), True)),
        *(
            {"table": FrozenArray(array)}
            for array in (
                np.zeros((0, 3), "f4"),
                np.array(5.5),
                np.array([[True, False]]),
                np.array([math.nan, math.inf]),
                np.arange(24, dtype=">i4").reshape(2, 3, 4)[:, ::-1],
                np.array([1 + 1j], "c8"),
                np.array(["2020-02-03"], "M8[D]"),
            )
        ),
    ],
)
def test_every_kind_of_field_comes_back(changes: dict[str, Any]) -> None:
    node = Values(**changes)
    text = to_json(node)
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    again = from_json(text)
    assert again == node
    assert from_json(text.encode()) == node
    assert isinstance(again, Values)
    assert type(again.window) is Region
    assert not again.table.array.flags.writeable


scalars = st.one_of(st.none(), st.integers(), st.floats(), st.complex_numbers())


@settings(deadline=None)
@given(scalars, st.text(), st.lists(st.lists(st.integers())), st.floats())
def test_any_value_comes_back(number: Any, label: str, nested: list[list[int]], factor: float) -> None:
    node = Values(number=number, label=label, nested=tuple(map(tuple, nested)), factor=factor)
    assert from_json(to_json(node)) == node


def test_graphs_come_back_with_their_sharing(ops: SimpleNamespace) -> None:
    a, b = Values(), Values(count=4)
    shared = Pair(a, (b, a))
    root = Pair(shared, (shared, Pair(b)), shared)
    text = to_json(root)
    assert len(json.loads(text)["nodes"]) == 5
    again = from_json(text)
    assert again == root
    assert isinstance(again, Pair)
    assert again.first is again.other is again.rest[0]
    everything = ops.Centre(ops.Stencil(ops.Noise(masked=True), 2), ops.Half(ops.Total(ops.Noise())))
    assert from_json(to_json(everything)) == everything


def test_ten_thousand_nodes(ops: SimpleNamespace) -> None:
    node = ops.Noise()
    for k in range(10_000):
        node = ops.Plus(node, k)
    assert from_json(to_json(node)) == node


def test_a_source_reads_its_header_anew() -> None:
    text = to_json(File("a.tif", "an old header"))
    assert "header" not in text
    assert from_json(text) == File("a.tif", "header of a.tif")


def test_what_has_no_json_form_says_which_field(ops: SimpleNamespace) -> None:
    with pytest.raises(GraphFormatError, match=r"test-json-call\.function holds a Python function, which has no JSON form"):
        to_json(Call(Values(), Function(len)))
    with pytest.raises(GraphFormatError, match=r"test-json-call\.function has no JSON form"):
        from_json(document(plain(), {"op": "test-json-call", "source": {"node": 0}, "function": "len"}))
    big = FrozenArray(np.broadcast_to(np.uint8(0), (MAX_ARRAY_BYTES + 1,)))
    with pytest.raises(GraphFormatError, match="holds 64 MiB of pixels; write them to a store"):
        to_json(Values(table=big))
    with pytest.raises(GraphFormatError, match=r"array of <U1, which has no JSON form"):
        to_json(Values(table=FrozenArray(["a"])))
    with pytest.raises(GraphFormatError, match=r"test-json-values\.label holds a bytes"):
        to_json(Values(label=b"x"))  # type: ignore[arg-type]

    @dataclass(frozen=True, eq=False)
    class Unregistered(Pair):
        pass

    with pytest.raises(GraphFormatError, match="Unregistered is not a registered operation"):
        to_json(Unregistered(Values()))


def test_a_dask_array_has_no_json_form(ops: SimpleNamespace) -> None:
    @operation("test-json-dask")
    @dataclass(frozen=True, eq=False)
    class Lazy(Source):
        arrays: Any

        def _meta(self) -> Meta:
            return META

    with pytest.raises(GraphFormatError, match=r"test-json-dask\.arrays holds a Arrays"):
        to_json(Lazy(ops.Arrays(da.zeros((1, 4, 5)), None)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        (None, "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe\x00garbage", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("9" * 10_000, "not JSON"),
        ("[]", "version 1"),
        ("null", "version 1"),
        ('{"nodes": []}', "version 1"),
        ('{"weft": 2, "nodes": []}', "version 1"),
        ('{"weft": "1", "nodes": []}', "version 1"),
        ('{"weft": 1}', "version 1"),
        ('{"weft": 1, "nodes": {}}', "version 1"),
        ('{"weft": 1, "nodes": []}', "1 to 1000000 nodes"),
        ('{"weft": 1, "nodes": [5]}', 'node 0: expected an object with "op"'),
        ('{"weft": 1, "nodes": [{}]}', 'node 0: expected an object with "op"'),
        ('{"weft": 1, "nodes": [{"op": 5}]}', 'node 0: expected an object with "op"'),
        ('{"weft": 1, "nodes": [{"op": "no-such-thing"}]}', "unknown operation 'no-such-thing'"),
        ('{"weft": 1, "nodes": [{"op": ""}]}', "unknown operation ''"),
        ('{"weft": 1, "nodes": [{"op": "os.system", "command": "x"}]}', "unknown operation"),
    ],
)
def test_malformed_documents_are_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(GraphFormatError, match=message):
        from_json(text)


def encoded(array: np.ndarray, **changes: Any) -> dict[str, Any]:
    array = np.asarray(array)
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data} | changes


ONE = np.array([1.0])

WRONG = [
    *(("flag", value) for value in (1, 0, "true", None, [])),
    *(("count", value) for value in (True, 1.0, "1", None, [1], {"float": "nan"})),
    *(("factor", value) for value in (True, "0.1", None, {"float": "1.5"}, {"float": ["nan"]}, {"double": 1}, 10**400)),
    *(
        ("wave", value)
        for value in ("1j", None, {"complex": [1]}, {"complex": [1, "2"]}, {"complex": 5}, {"complex": [1, 2, 3]}, True)
    ),
    *(("label", value) for value in (1, None, ["x"], True)),
    *(("dtype", value) for value in ("nonsense", "O", "U5", "V8", 5, None, ["f4"], "f4,i4", "M8[s]")),
    *(("transform", value) for value in ([1, 2, 3], [1, 0, 0, 0, 1, "0"], "abcdef", None, 5, [1, 0, 0, 0, 1, True])),
    *(
        ("grid_", value)
        for value in (None, {}, [], {"shape": [2, 3]}, {"shape": [2.0, 3], "transform": [1, 0, 0, 0, 1, 0], "crs": None})
    ),
    ("grid_", {"shape": [2, 3], "transform": [1, 0, 0, 0, 1, 0], "crs": 4326}),
    ("grid_", {"shape": [2, 3], "transform": [1, 0, 0, 0, 1, 0], "crs": None, "more": 1}),
    *(("window", value) for value in ([1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4.0], [True, 2, 3, 4], None, "1234", {"a": 1})),
    *(("pair", value) for value in ([1.0], [1.0, 2, 3], [1.0, 2.0], None, "ab", {"0": 1})),
    *(("names", value) for value in ("ab", ["a", 1], [None], {"a": "b"})),
    *(("nested", value) for value in ([1], [[1.0]], [[True]], [["1"]])),
    *(("maybe", value) for value in (1.0, True, "1", [])),
    *(("number", value) for value in ("5", True, [], {"complex": "1"})),
    *(("either", value) for value in (5, None, ["a", 5], {})),
    *(("boxes", value) for value in ([1, 2, 3, 4], [[1, 2, 3]], "x")),
    *(("table", value) for value in ([1, 2], None, "x", {}, {"data": ""}, encoded(ONE, more=1))),
    *(("table", encoded(ONE, data=value)) for value in (5, None, "!!!", "AA", base64.b64encode(b"1234567").decode())),
    *(
        ("table", encoded(ONE, shape=value))
        for value in (5, [2], [-1], [1.0], [True], [1] * 70, [-1, -1], [0], [10**30, 0], "1")
    ),
    *(
        ("table", encoded(ONE, dtype=value))
        for value in ("O", "|O8", "<f4", "V0", "U0", "S0", "<U2", "nonsense", 5, "f4,f4", "(2,)<f4")
    ),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}-{k}" for k, (name, _) in enumerate(WRONG)])
def test_values_of_the_wrong_type_are_refused(name: str, value: Any) -> None:
    with pytest.raises(GraphFormatError, match=rf"node 1: .*test-json-values\.{name}"):
        from_json(document(plain(), plain(**{name: value})))


@pytest.mark.parametrize(
    "reference",
    [1, 2, -1, True, 0.0, "0", None, [0]],
    ids=["itself", "later", "negative", "bool", "float", "text", "none", "list"],
)
def test_a_reference_points_to_an_earlier_node(reference: Any) -> None:
    with pytest.raises(GraphFormatError, match="reference"):
        from_json(document(plain(), {"op": "test-json-pair", "first": {"node": reference}, "rest": [], "other": None}))
    with pytest.raises(GraphFormatError, match="reference"):
        from_json(
            document(plain(), {"op": "test-json-pair", "first": {"node": 0}, "rest": [{"node": reference}], "other": None})
        )


def test_fields_are_those_declared_no_more_no_less() -> None:
    with pytest.raises(GraphFormatError, match=r"test-json-values: unknown fields \['evil'\], missing fields \[\]"):
        from_json(document(plain(evil=1)))
    for name in ("meta", "token", "inputs", "__class__", "self", "version"):
        with pytest.raises(GraphFormatError, match="unknown fields"):
            from_json(document(plain(**{name: 1})))
    entry = plain()
    del entry["count"]
    with pytest.raises(GraphFormatError, match=r"missing fields \['count'\]"):
        from_json(document(entry))
    with pytest.raises(GraphFormatError, match="unknown fields"):
        from_json(document({"op": "test-json-file", "path": "a", "header": "forged"}))
    with pytest.raises(GraphFormatError) as caught:
        from_json(document(plain(**{"x" * 100_000: 1})))
    assert len(str(caught.value)) < 500


def test_what_operations_refuse_or_trip_over_is_a_weft_error() -> None:
    with pytest.raises(ArgumentError, match="thirteen"):
        from_json(document(plain(count=13)))
    with pytest.raises(GraphFormatError, match="node 0: ZeroDivisionError: a constructor trips"):
        from_json(document(plain(count=14)))
    with pytest.raises((GraphFormatError, CRSError), match="nowhere"):
        from_json(document(plain(place={"shape": [1, 1], "transform": [1, 0, 0, 0, 1, 0], "crs": "nowhere"})))


def test_nothing_is_imported_for_a_graph() -> None:
    before = set(sys.modules)
    with pytest.raises(GraphFormatError):
        from_json(document({"op": "antigravity.Node"}))
    assert "antigravity" not in set(sys.modules) - before


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["float", "nan", "<f4", "node"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(st.sampled_from(["float", "complex", "node", "shape", "transform", "crs", "data", "dtype"]), inner),
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON document something stands."""
    found = [path]
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(item, (*path, key))
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_changed_in_a_graph_it_is_read_or_refused(data: st.DataObject) -> None:
    tree = Pair(Values(table=FrozenArray(ONE), place=Grid((2, 2)), boxes=(Region(1, 2, 3, 4),)), (Values(), Pair(Values())))
    graph = json.loads(to_json(tree))
    for path in data.draw(
        st.lists(st.sampled_from(places(graph)[1:]), min_size=1, max_size=3, unique_by=lambda path: path[:3])
    ):
        inner = graph
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken this place away
        if data.draw(st.booleans()) or not isinstance(inner, dict):
            inner[path[-1]] = data.draw(json_values)
        else:
            del inner[path[-1]]
    try:
        node = from_json(json.dumps(graph))
    except WeftError:
        return
    assert from_json(to_json(node)) == node


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_bytes_are_changed_they_are_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(to_json(Pair(Values(table=FrozenArray(ONE)), (Values(),))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        node = from_json(bytes(text))
    except WeftError:
        return
    assert isinstance(node, Node)


@given(st.one_of(st.binary(), st.text()))
def test_garbage_is_refused(text: str | bytes) -> None:
    with pytest.raises(GraphFormatError):
        from_json(text)
