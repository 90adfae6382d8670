"""Graphs as JSON: a flat, versioned list of whitelisted operations with validated fields. Data only, never code.

A graph from a stranger can name files to open, and nothing else: it is checked field by field against the operation's
own declaration, then built by the operation's own constructor, which validates as it does for everybody.
"""

from __future__ import annotations

import base64
import json
import math
import types
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from affine import Affine

from .errors import GraphFormatError, WeftError
from .flat import topological
from .grid import Grid, Region
from .node import OPERATIONS, Node, Source
from .values import FrozenArray, Function

VERSION = 1
MAX_NODES = 1_000_000
MAX_ARRAY_BYTES = 64 * 2**20

_ARRAY_KINDS = "biufcmM"
_SPECIAL_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_json(root: Node) -> str:
    """A graph as one JSON text.

    Raises
    ------
    GraphFormatError
        A node holds what has no JSON form: a Python function, a dask array, an array beyond 64 MiB.
    """
    index: dict[str, int] = {}
    nodes: list[dict[str, Any]] = []
    for node in topological(root):
        entry: dict[str, Any] = {"op": _registered(node)}
        for f in fields(node):  # type: ignore[arg-type]
            if f.metadata.get("json", True):
                entry[f.name] = _encode(getattr(node, f.name), index, f"{node.name}.{f.name}")
        index[node.token] = len(nodes)
        nodes.append(entry)
    return json.dumps({"weft": VERSION, "nodes": nodes}, allow_nan=False)


def from_json(text: str | bytes) -> Node:
    """The graph that ``to_json`` wrote. Sources read their file's header anew; no pixel is read.

    Raises
    ------
    GraphFormatError
        Not JSON, another version, an unknown operation or field, a value of the wrong type; the message names the node.
    WeftError
        What the operations themselves refuse.
    """
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise GraphFormatError(f"not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("weft") != VERSION or not isinstance(document.get("nodes"), list):
        raise GraphFormatError(f'not a weft graph of version {VERSION}: expected {{"weft": {VERSION}, "nodes": [...]}}')
    entries = document["nodes"]
    if not 1 <= len(entries) <= MAX_NODES:
        raise GraphFormatError(f"a graph has 1 to {MAX_NODES} nodes; this has {len(entries)}")
    nodes: list[Node] = []
    for position, entry in enumerate(entries):
        try:
            nodes.append(_node(entry, nodes))
        except GraphFormatError as error:
            raise GraphFormatError(f"node {position}: {error}") from error
        except WeftError:
            raise
        except Exception as error:  # an operation met a stranger's values: whatever it trips over, the graph is at fault
            raise GraphFormatError(f"node {position}: {type(error).__name__}: {error}") from error
    return nodes[-1]


def _registered(node: Node) -> str:
    if OPERATIONS.get(node.name) is not type(node):
        raise GraphFormatError(f"{type(node).__name__} is not a registered operation, so it has no JSON form")
    return node.name


def _encode(value: Any, index: dict[str, int], where: str) -> Any:
    if isinstance(value, Node):
        return {"node": index[value.token]}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {"float": repr(number)}
    if isinstance(value, (complex, np.complexfloating)):
        return {"complex": [_encode(value.real, index, where), _encode(value.imag, index, where)]}
    if isinstance(value, np.dtype):
        return value.str
    if isinstance(value, Affine):
        return list(value[:6])
    if isinstance(value, Grid):
        return {"shape": list(value.shape), "transform": list(value.transform[:6]), "crs": value.crs}
    if isinstance(value, FrozenArray):
        return _encode_array(value.array, where)
    if isinstance(value, tuple):
        return [_encode(item, index, where) for item in value]
    kind = "a Python function" if isinstance(value, Function) else f"a {type(value).__name__}"
    raise GraphFormatError(f"{where} holds {kind}, which has no JSON form")


def _encode_array(array: np.ndarray, where: str) -> dict[str, Any]:
    if array.dtype.kind not in _ARRAY_KINDS:
        raise GraphFormatError(f"{where} holds an array of {array.dtype}, which has no JSON form")
    if array.nbytes > MAX_ARRAY_BYTES:
        raise GraphFormatError(f"{where} holds {array.nbytes / 2**20:.0f} MiB of pixels; write them to a store and open that")
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def _node(entry: Any, nodes: list[Node]) -> Node:
    if not isinstance(entry, dict) or not isinstance(entry.get("op"), str):
        raise GraphFormatError('expected an object with "op"')
    cls = OPERATIONS.get(entry["op"])
    if cls is None:
        raise GraphFormatError(f"unknown operation {entry['op'][:60]!r}")
    types_ = _field_types(cls)  # type: ignore[arg-type]  # mypy takes a class for its instances here
    given = {name: value for name, value in entry.items() if name != "op"}
    unknown, missing = given.keys() - types_.keys(), types_.keys() - given.keys()
    if unknown or missing:
        raise GraphFormatError(f"{cls.name}: unknown fields {sorted(unknown)}, missing fields {sorted(missing)}"[:300])
    values = {name: _decode(value, types_[name], nodes, f"{cls.name}.{name}") for name, value in given.items()}
    if issubclass(cls, Source):
        return cls.from_params(**values)
    return cls(**values)


@cache
def _field_types(cls: type[Node]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls) if f.metadata.get("json", True)}  # type: ignore[arg-type]


def _decode(value: Any, wanted: Any, nodes: list[Node], where: str) -> Any:
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _decode_union(value, get_args(wanted), nodes, where)
    if origin is tuple:
        return _decode_tuple(value, get_args(wanted), nodes, where)
    if isinstance(wanted, type) and issubclass(wanted, Node):
        if not isinstance(value, dict) or type(value.get("node")) is not int or not 0 <= value["node"] < len(nodes):
            raise GraphFormatError(f'{where} is not a reference {{"node": index}} to an earlier node')
        return nodes[value["node"]]
    decode = _DECODERS.get(wanted)
    if decode is None:
        raise GraphFormatError(f"{where} has no JSON form")
    try:
        return decode(value)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise GraphFormatError(f"{where} is not a valid {getattr(wanted, '__name__', wanted)}: {error}") from error


def _decode_union(value: Any, choices: tuple[Any, ...], nodes: list[Node], where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    problems = []
    for choice in choices:
        if choice is not type(None):
            try:
                return _decode(value, choice, nodes, where)
            except GraphFormatError as error:
                problems.append(str(error))
    raise GraphFormatError("; ".join(problems))


def _decode_tuple(value: Any, items: tuple[Any, ...], nodes: list[Node], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise GraphFormatError(f"{where} is not a list")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(item, items[0], nodes, where) for item in value)
    if len(items) != len(value):
        raise GraphFormatError(f"{where} has {len(value)} items, not {len(items)}")
    return tuple(_decode(item, wanted, nodes, where) for item, wanted in zip(value, items, strict=True))


def _exactly(kind: type) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"got {type(value).__name__}")
        return value

    return decode


def _float(value: Any) -> float:
    if isinstance(value, dict) and set(value) == {"float"}:
        return _SPECIAL_FLOATS[value["float"]]
    if type(value) is not float and type(value) is not int:
        raise TypeError(f"got {type(value).__name__}")
    float(value)  # a number that is too large for one is refused
    return value  # a whole number stays one: the node's token is made of it


def _complex(value: Any) -> complex:
    if not isinstance(value, dict) or "float" in value:
        return _float(value)
    real, imag = _mapping(value, {"complex"})["complex"]
    return complex(_float(real), _float(imag))


def _dtype(value: Any) -> np.dtype:
    dtype: np.dtype = np.dtype(_exactly(str)(value))
    if dtype.kind not in "biufc":
        raise ValueError(f"{dtype} is not a pixel type")
    return dtype


def _affine(value: Any) -> Affine:
    return Affine(*map(_float, value))


def _grid(value: Any) -> Grid:
    entries = _mapping(value, {"shape", "transform", "crs"})
    rows, cols = map(_exactly(int), entries["shape"])
    crs = entries["crs"]
    return Grid((rows, cols), _affine(entries["transform"]), None if crs is None else _exactly(str)(crs))


def _array(value: Any) -> FrozenArray:
    entries = _mapping(value, {"dtype", "shape", "data"})
    encoded = _exactly(str)(entries["data"])
    if len(encoded) > MAX_ARRAY_BYTES * 1.4:
        raise ValueError("the array is too large")
    dtype: np.dtype = np.dtype(_exactly(str)(entries["dtype"]))
    shape = tuple(map(_exactly(int), entries["shape"]))
    raw = base64.b64decode(encoded, validate=True)
    if dtype.kind not in _ARRAY_KINDS or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype} and shape {shape}"[:200])
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes are not an array of {dtype} and shape {shape}"[:200])
    return FrozenArray(np.ndarray(shape, dtype, raw))


def _mapping(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        raise TypeError(f"expected an object with {', '.join(sorted(keys))}")
    return value


_DECODERS: dict[Any, Callable[[Any], Any]] = {
    bool: _exactly(bool),
    int: _exactly(int),
    str: _exactly(str),
    float: _float,
    complex: _complex,
    np.dtype: _dtype,
    Affine: _affine,
    Grid: _grid,
    Region: lambda value: Region(*map(_exactly(int), value)),
    FrozenArray: _array,
}
