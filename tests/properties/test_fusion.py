"""Compiled chains of pointwise operations give the bits of numpy: data, validity, and what lies beneath invalid pixels."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import weft
import weft.graph.compiled
from weft.graph.block import Block
from weft.graph.compiled import Compiled
from weft.graph.formula import BOOL, Formula, Pixel, Term
from weft.graph.fuse import offers_scalar
from weft.graph.grid import Grid, Region
from weft.graph.node import Meta, Node
from weft.graph.sweep import Fused, Program, StandIn, evaluate
from weft.ops.arithmetic import Arithmetic, apply_ufunc
from weft.ops.astype import AsType
from weft.ops.clip import clip
from weft.ops.common import spread
from weft.ops.fillna import FillNa
from weft.ops.lut import lut
from weft.ops.mask import mask
from weft.ops.rescale import rescale
from weft.ops.where import where

NAMES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
BANDS = 2
MASKS = ("none", "shared", "per band")
TOGETHER = 8  # nodes that one function judges: compiling takes longer than in proportion to their number
UNARY = (
    "negative", "positive", "absolute", "fabs", "invert", "logical_not", "sqrt", "square", "reciprocal", "floor", "ceil",
    "trunc", "rint", "sign", "conjugate", "isnan", "isfinite", "isinf",
)  # fmt: skip
BINARY = (
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "equal", "not_equal", "less", "less_equal",
    "greater", "greater_equal", "bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or", "logical_xor",
    "maximum", "minimum",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _compile_at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weft.graph.compiled, "COMPILE_AFTER", 0)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(weft.graph.compiled, "_forms", OrderedDict())
        patch.setattr(weft.graph.compiled, "_taken", set())
        patch.setattr(weft.graph.compiled, "MOST_FORMS", 10**6)
        yield


def extremes(dtype: np.dtype) -> np.ndarray:
    """Values at which casts, clips, roundings and divisions turn, those of every other type among them."""
    numbers: list[float] = [0, 1, 2, 3, 5, 7, 10, 100, 1000, 65535, 2**24 + 1, 2**53 + 1]
    for size in (8, 16, 32, 64):
        numbers += [2 ** (size - 1) - 1, 2 ** (size - 1), 2**size - 1, 2**size]
    numbers += [-number for number in numbers]
    if dtype.kind == "f":
        part = np.finfo(dtype)
        halves = [0.5, 1.5, 2.5, 0.49999997, 254.5, 255.5, 32767.5, 0.1, 1e-3, part.tiny, part.smallest_subnormal]
        numbers += [float(x) for x in (*halves, *(-np.array(halves)), part.max, part.min)]
        return np.array([*numbers, -0.0, np.inf, -np.inf, np.nan, np.nan], dtype)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.unique(np.array([min(max(number, low), high) for number in numbers], dtype))


def pairs(one: np.dtype, other: np.dtype) -> list[np.ndarray]:
    """Every extreme of one type beside every one of the other, each (1, rows, cols)."""
    return [grid[None].copy() for grid in np.meshgrid(extremes(one), extremes(other), indexing="ij")]


def masked_as(kind: str, data: np.ndarray, seed: int) -> Block:
    bands = {"none": 0, "shared": 1, "per band": len(data)}[kind]
    return Block(data, np.random.default_rng(seed).random((bands, *data.shape[1:])) < 0.7 if bands else None)


def source(number: int, block: Block, nodata: float | None = None) -> Node:
    names = tuple(f"b{band}" for band in range(len(block.data)))
    meta = Meta(Grid(block.data.shape[1:]), names, block.data.dtype, nodata, masked=True)
    return StandIn(f"source-{number}", meta)


def bits(data: np.ndarray) -> np.ndarray:
    """What two arrays must agree in; all NaN are one."""
    if data.dtype.kind != "f":
        return data
    return np.where(np.isnan(data), data.dtype.type(np.nan), data).view(f"u{data.itemsize}")


def assert_same(one: Block, other: Block, what: object = "") -> None:
    assert one.data.dtype == other.data.dtype, what
    np.testing.assert_array_equal(*(spread(block.valid, block.data.shape) for block in (one, other)), f"validity {what}")
    np.testing.assert_array_equal(bits(one.data), bits(other.data), str(what))


def agrees(formula: Formula, one: Pixel, other: Pixel) -> Term:
    """Whether two pixels are the same, signs of zeros and validity included."""
    same = formula.apply("equal", one.value, other.value)
    if one.value.dtype.kind == "f":
        unit = formula.constant(1, one.value.dtype)
        inverse = [formula.apply("divide", unit, pixel.value) for pixel in (one, other)]
        nan = formula.both(*(formula.apply("isnan", pixel.value) for pixel in (one, other)))
        same = formula.both(same, formula.apply("equal", *inverse))
        same = formula.apply("bitwise_or", same, nan)
    true = formula.constant(True, BOOL)
    flags = [true if pixel.valid is None else pixel.valid for pixel in (one, other)]
    return formula.both(same, formula.apply("equal", *flags))


def judge(nodes: Sequence[Node], sources: Sequence[Node], blocks: Sequence[Block]) -> None:
    """Compare the formulas of many nodes with their kernels, a few in one compiled function: band k of its result is node k's.

    The inputs, and what the kernels made of them, are fed in as one band.
    """
    for start in range(0, len(nodes), TOGETHER):
        _judge(nodes[start : start + TOGETHER], sources, blocks)


def _judge(nodes: Sequence[Node], sources: Sequence[Node], blocks: Sequence[Block]) -> None:
    region = sources[0].meta.grid.region
    expected = [node.kernel(tuple(blocks[sources.index(child)] for child in node.inputs), region) for node in nodes]
    inputs = (*blocks, *expected)
    formula = Formula()
    pixels = [formula.given(k, block.data.dtype, 1, block.valid is not None) for k, block in enumerate(inputs)]
    number = formula.constant(np.arange(len(nodes)), np.dtype(np.int64))
    result = formula.constant(True, BOOL)
    for k, node in enumerate(nodes):
        pixel = node.scalar(formula, tuple(pixels[sources.index(child)] for child in node.inputs))
        here = formula.apply("equal", number, formula.constant(k, number.dtype))
        result = formula.select(here, agrees(formula, pixel, pixels[len(blocks) + k]), result)
    dtypes, masked = (tuple(block.data.dtype for block in inputs), tuple(block.valid is not None for block in inputs))
    same = Compiled(formula, Pixel(result), dtypes, masked, len(nodes))(inputs)
    assert same is not None
    for k, node in enumerate(nodes):
        wrong = np.flatnonzero(~same.data[k])[:3]
        shown = [(block.data.ravel()[wrong], spread(block.valid, block.data.shape).ravel()[wrong]) for block in blocks]
        assert not wrong.size, f"{node!r} of {shown} is {expected[k].data.ravel()[wrong]} in numpy"


def constants_for(dtype: np.dtype) -> list[object]:
    if dtype.kind == "b":
        return [True, False]
    return [0, -2.5 if dtype.kind == "f" else 7] if dtype.kind in "fu" else [-1, 2.5]


def unary_nodes(x: Node) -> list[Node]:
    """Every way to write a node of one input in which it offers a formula."""
    dtype = x.meta.dtype
    made: list[Node] = []
    for call in [
        *(lambda name=name: Arithmetic(name, (x,), (None,)) for name in UNARY),
        *(lambda name=name, c=c: apply_ufunc(name, x, c) for name, c in itertools.product(BINARY, constants_for(dtype))),
        *(lambda name=name: AsType(x, np.dtype(name)) for name in NAMES),
        *(lambda name=name: AsType(x, np.dtype(name), "wrap") for name in NAMES),
        *(
            lambda a=a, b=b, name=name: rescale(x, a, b, name)
            for a, b in (((0, 100), (0, 255)), ((1000, -7.25), (3, 101.5)))
            for name in ("uint8", "int16", "uint64", "float32", "float64")
        ),
        *(lambda a=a, b=b: clip(x, a, b) for a, b in ((0, 10), (None, 0), (0, None), (-1e30, 99.5), (2, 2), (-0.0, 7))),
        lambda: lut(x, np.arange(50, dtype="int16")[::-1], first=-20),
        lambda: lut(x, np.where(np.arange(300) % 7, np.sqrt(np.arange(300)), np.nan).astype("float32")),
        *(lambda v=v: FillNa(x, (v,)) for v in (0, 1)),
    ]:
        try:
            node = call()
        except weft.WeftError:
            continue
        if all(child is x for child in node.inputs) and offers_scalar(node):
            made.append(node)
    return made


def binary_nodes(x: Node, y: Node) -> list[Node]:
    made: list[Node] = []
    for call in [
        *(lambda name=name: Arithmetic(name, (x, y), (None, None)) for name in BINARY),
        *(lambda name=name: Arithmetic(name, (y, x), (None, None)) for name in ("subtract", "divide", "floor_divide", "less")),
        lambda: mask(x, y),
        lambda: where(x, y),
        lambda: where(x, y, 1),
        lambda: where(x, y, x),
    ]:
        try:
            node = call()
        except weft.WeftError:
            continue
        if offers_scalar(node):
            made.append(node)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_operation_on_one_raster(name: str) -> None:
    dtype = np.dtype(name)
    data = extremes(dtype)[None, None]
    block = masked_as(MASKS[NAMES.index(name) % 2], data, seed=1)
    x = source(0, block, nodata=None if dtype.kind == "b" else 3)
    nodes = unary_nodes(x)
    assert len(nodes) > 20
    judge(nodes, [x], [block])


PAIRS = (
    ("bool", "uint8"), ("uint8", "int8"), ("int16", "uint16"), ("int16", "bool"), ("uint32", "int32"), ("int64", "int64"),
    ("uint64", "int64"), ("uint64", "uint64"), ("int8", "int8"), ("float32", "float32"), ("float64", "float64"),
    ("uint16", "float32"), ("float32", "bool"), ("int64", "float64"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_every_operation_on_two_rasters(names: tuple[str, str]) -> None:
    data = pairs(*map(np.dtype, names))
    number = PAIRS.index(names)
    blocks = [masked_as(MASKS[(number + k) % 2], data[k], seed=k) for k in range(2)]
    sources = [source(k, block) for k, block in enumerate(blocks)]
    nodes = binary_nodes(*sources)
    assert len(nodes) > 4
    judge(nodes, sources, blocks)


def raster(number: int, dtype: str, mask: str, nodata: float | None = None, cols: int = 37) -> weft.Raster:
    """(2, 5, cols) pixels, extremes and ordinary ones mixed."""
    random = np.random.default_rng(number)
    own = np.dtype(dtype)
    shape = (BANDS, 5, cols)
    data = random.choice(extremes(own), shape)
    if own.kind != "b":
        small = random.integers(0, 100, shape)
        data = np.where(random.random(shape) < 0.6, (small * 1.37 if own.kind == "f" else small).astype(own), data)
    block = masked_as(mask, data, number)
    valid = None if block.valid is None else block.valid if len(block.valid) > 1 else block.valid[0]
    return weft.from_array(data, transform=(10.0, 0.0, 5e5, 0.0, -10.0, 5e6), crs="EPSG:32633", valid=valid, nodata=nodata)


def assert_fusing_keeps_every_bit(result: weft.Raster, *, whole: bool) -> None:
    """``whole`` says that all of it is one pass."""
    program = Program(result.node)
    if whole:
        assert isinstance(program.root, Fused)
        assert program.root.one_pass is not None
    for region in (result.node.grid.region, Region(1, 4, 2, result.shape[2] - 3)):
        expected = evaluate(Program(result.node, fuse=False), region)
        assert_same(evaluate(program, region), expected, result.node)
    if whole:
        assert all(compiled.form.run is not None for compiled in program.root.one_pass._compiled.values())


def ndvi(nir: weft.Raster, red: weft.Raster) -> weft.Raster:
    return (nir - red) / (nir + red)


CHAINS = {
    "NDVI of floats": lambda a, b: ndvi(a.astype("float32"), b.astype("float32")),
    "NDVI of integers": ndvi,
    "scaled to bytes": lambda a, b: a.rescale((3, 90.5), (0, 255)).clip(10, 200).astype("uint8"),
    "promotion": lambda a, b: ((a + b) * 2).astype("int16") - 3,
    "thresholds": lambda a, b: ((a > 20) & (b <= 50)) | (a == b),
    "where, number": lambda a, b: (a * 3).where(b > 30, 7).astype("float32"),
    "where, invalid": lambda a, b: (a + 1).where(b > 30).fillna(1),
    "where, raster": lambda a, b: a.where(b > 30, b).clip(2, 60),
    "masked": lambda a, b: (a + b).mask(b > 30).fillna((1, 0)),
    "table": lambda a, b: a.astype("uint8").lut(np.sqrt(np.arange(256, dtype="float32")[None] * [[1], [2]])) * np.float32(1.5),
    "constants per band": lambda a, b: (a * np.array([2, 3], "uint8") + [1, 2]) / [3.5, 0],
    "one band meets two": lambda a, b: (a + b.select([1])).mask(b.select([0]) > 30) * 2,
    "to and fro": lambda a, b: abs(a.astype("float64").astype("int64") - 5).astype("uint16").astype("float32"),
}
SOURCES = (
    ("uint16", "none", "uint16", "none"), ("uint16", "shared", "int16", "none"), ("uint8", "per band", "int8", "shared"),
    ("float32", "none", "float32", "per band"), ("float64", "shared", "int64", "shared"), ("int32", "none", "uint32", "none"),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning:weft.ops")  # overflow of casts, in numpy's way
@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str) -> None:
    kinds = SOURCES[list(CHAINS).index(name) % len(SOURCES)]
    a, b = raster(1, *kinds[:2], nodata=0), raster(2, *kinds[2:])
    assert_fusing_keeps_every_bit(CHAINS[name](a, b), whole="meets" not in name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning:weft.ops")
@pytest.mark.parametrize("kinds", SOURCES, ids=" ".join)
@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_every_type(name: str, kinds: tuple[str, str, str, str]) -> None:
    a, b = raster(3, *kinds[:2]), raster(4, *kinds[2:], nodata=1)
    assert_fusing_keeps_every_bit(CHAINS[name](a, b), whole=False)


def test_what_lies_between_may_be_uncompiled() -> None:
    a = raster(5, "float32", "shared")
    node = (np.exp((a * 2 + 1).clip(-20, 20)) * 3 - 1).astype("uint8").node
    (fused,) = [node for node in Program(node).nodes if isinstance(node, Fused)]
    assert fused.one_pass is None
    parts = [part for part in fused.program.nodes if isinstance(part, Fused)]
    assert [len(part.members) for part in parts] == [3, 3]
    assert all(part.one_pass is not None for part in parts)
    assert_fusing_keeps_every_bit(weft.Raster(node), whole=False)


@st.composite
def chains(draw: st.DrawFn) -> weft.Raster:
    rasters = [
        raster(draw(st.integers(0, 99)), draw(st.sampled_from(NAMES)), draw(st.sampled_from(MASKS)), cols=17) for _ in range(3)
    ]
    result, kinds = rasters[0], st.sampled_from(NAMES)
    for _ in range(draw(st.integers(2, 6))):
        other, number = draw(st.sampled_from(rasters)), draw(st.sampled_from((0, 1, 3, 2.5, -1)))
        word = draw(
            st.sampled_from((*UNARY, *BINARY, "astype", "rescale", "clip", "where", "where not", "fillna", "mask", "lut"))
        )
        try:
            if word in UNARY:
                result = apply_ufunc(word, result)
            elif word in BINARY:
                result = apply_ufunc(word, result, draw(st.sampled_from((other, number))))
            elif word == "astype":
                result = result.astype(draw(kinds))
            elif word == "rescale":
                result = result.rescale((number, 60), ((0, 200), (250, 10)), draw(st.sampled_from(("uint8", "float32"))))
            elif word == "clip":
                result = result.clip(number, draw(st.sampled_from((None, 77))))
            elif word == "where":
                result = result.where(other > number, draw(st.sampled_from((None, number, other))))
            elif word == "where not":
                result = other.where(result == number, result)
            elif word == "fillna":
                result = result.fillna(number)
            elif word == "mask":
                result = result.mask(other != number)
            else:
                result = result.lut(np.linspace(-300, 300, 99).astype(draw(kinds)), first=-10)
        except weft.WeftError:
            continue
    return result


COMMON = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(COMMON, max_examples=6)
@given(chains())
def test_a_few_random_chains(result: weft.Raster) -> None:
    assert_fusing_keeps_every_bit(result, whole=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(COMMON, max_examples=100)
@given(chains())
def test_many_random_chains(result: weft.Raster) -> None:
    assert_fusing_keeps_every_bit(result, whole=False)
