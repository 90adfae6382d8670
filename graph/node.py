"""``Node``: one operation of the graph. An operation is a frozen dataclass with four methods; see CONTRIBUTING.md."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from .block import Block
from .errors import ArgumentError, BandError, PlanError
from .formula import Formula, Pixel
from .grid import Grid, Region
from .values import digest

OPERATIONS: dict[str, type[Node]] = {}

P = ParamSpec("P")
N = TypeVar("N", bound="type[Node]")
H = TypeVar("H", bound="HasNode")


@dataclass(frozen=True)
class Meta:
    """What is known of a node's pixels before any is read.

    Parameters
    ----------
    grid : Grid
    bands : names, unique, one per band
    dtype : numpy dtype of the data
    nodata : the value that stands beneath invalid pixels, or None
    masked : whether a block may have invalid pixels; False promises that ``Block.valid`` is always None
    tile : (rows, cols) that are cheap to ask for together: a file's block, a store's chunk
    attrs : what the source said beyond that (scales, offsets, units, GCPs, ...); carried along, never computed with
    """

    grid: Grid
    bands: tuple[str, ...]
    dtype: np.dtype
    nodata: float | int | complex | None = None
    masked: bool = False
    tile: tuple[int, int] = (512, 512)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fill(self) -> Any:
        """What an operation writes beneath invalid pixels: nodata, else NaN for floats, else 0."""
        if self.nodata is not None:
            return self.nodata
        return np.nan if self.dtype.kind in "fc" else 0

    def having(self, **changes: Any) -> Meta:
        """A copy with some entries changed."""
        return replace(self, **changes)

    def with_grid(self, grid: Grid) -> Meta:
        return replace(self, grid=grid)

    def band_indices(self, bands: Any) -> tuple[int, ...]:
        """Positions of ``bands``: one or several names or 0-based (or negative) positions, or a slice.

        Raises
        ------
        BandError
            A band is not there; the message lists those that are.
        """
        if isinstance(bands, slice):
            return tuple(range(len(self.bands))[bands])
        wanted = list(bands) if isinstance(bands, Iterable) and not isinstance(bands, str) else [bands]
        return tuple(self._band_index(band) for band in wanted)

    def _band_index(self, band: Any) -> int:
        if isinstance(band, str) and band in self.bands:
            return self.bands.index(band)
        if isinstance(band, (int, np.integer)) and not isinstance(band, bool) and -len(self.bands) <= band < len(self.bands):
            return int(band) % len(self.bands)
        shown = ", ".join(self.bands[:20]) + (", ..." if len(self.bands) > 20 else "")
        raise BandError(f"no band {band!r}; the raster has {len(self.bands)}: {shown}")


@dataclass(frozen=True)
class Rule:
    """A rewrite that a node offers: its name as ``explain()`` shows it, and whether it keeps every pixel bit for bit."""

    name: str
    exact: bool
    apply: Callable[[Any], Node | None]


def rule(name: str, *, exact: bool) -> Callable[[Callable[[Any], Node | None]], Rule]:
    """Make a method of a node one of its rewrite rules.

    The method returns the node that replaces this one, or None where the rule does not apply. It asks children for
    capabilities (``as_crop()``, ``reduced()``, ...), never for their class. Only ``exact`` rules run in ``mode="exact"``.
    """
    return lambda method: Rule(name, exact, method)


def operation(name: str) -> Callable[[N], N]:
    """Class decorator: register a node under ``name``, the word it has in JSON and in ``explain()``."""

    def register(cls: N) -> N:
        if OPERATIONS.setdefault(name, cls) is not cls:
            raise PlanError(f"two operations are named {name!r}")
        cls.name = name
        cls.__repr__ = Node.__repr__  # type: ignore[method-assign]  # dataclass gave one that would recurse into the inputs
        return cls

    return register


class Node:
    """One operation, immutable. Subclasses are ``@dataclass(frozen=True, eq=False)``; fields are plain values or Nodes.

    An operation defines ``_meta`` (validate, describe the result), ``need`` (which input region an output region
    needs), ``kernel`` (compute) and, where it has any, ``@rule`` methods and capabilities.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1  # bumped when the kernel's numbers change
    rules: ClassVar[tuple[Rule, ...]] = ()

    # A pointwise node's pixel depends on the same pixel of its inputs only, all on the same grid.
    is_pointwise: ClassVar[bool] = False
    # Work per output pixel and band in units of one memory pass; what the plan weighs recomputing by.
    cost: ClassVar[float] = 1.0
    # Bytes per output pixel that the kernel holds beyond its inputs and its result.
    workspace: ClassVar[float] = 0.0

    meta: Meta
    token: str
    inputs: tuple[Node, ...]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = vars(cls).get("name", "")  # an operation's name is its own: tokens are made of it
        own = tuple(value for value in vars(cls).values() if isinstance(value, Rule))
        cls.rules = own + tuple(r for r in cls.rules if r not in own)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "inputs", tuple(self._field_nodes()))
        h = blake2b(f"{self.name or type(self).__qualname__}/{self.version}".encode(), digest_size=16)
        for f in fields(self):  # type: ignore[arg-type]
            digest(getattr(self, f.name), h)
        set_(self, "token", h.hexdigest())
        set_(self, "meta", self._meta())

    # What an operation defines

    def _meta(self) -> Meta:
        """Describe the result; raise a clear WeftError where the fields make no sense."""
        raise NotImplementedError(type(self).__name__)

    def need(self, region: Region) -> tuple[Region, ...]:
        """Per input, the region that ``region`` of the output is made of, clipped to the input's grid; maybe empty."""
        return tuple(region for _ in self.inputs)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        """The pixels of ``region``. ``blocks[i]`` covers exactly ``need(region)[i]`` and must not be written into."""
        raise NotImplementedError(type(self).__name__)

    # Capabilities that a parent's rule may ask for; None means "no"

    def as_crop(self) -> tuple[Node, tuple[int, int, int], tuple[int, int, int]] | None:
        """(source, rows, cols) if this node only picks pixels, rows and cols each (start, step, count)."""
        return None

    def as_affine(self) -> tuple[Node, tuple[float, float, float, float, float, float], str, bool] | None:
        """(source, matrix, resampling, antialias) if this node samples by one affine matrix, output pixels to the source's."""
        return None

    def select(self, bands: tuple[int, ...]) -> Node | None:
        """A cheaper node that yields just these bands of this one (positions), bit for bit."""
        return None

    def reduced(self, factor: float) -> Node | None:
        """This image on a cheaper grid over the same ground, at most ``factor`` times coarser on either axis."""
        coarse: dict[str, Node | None] = {}
        for node in _pointwise_part(self):
            inputs = [coarse.get(child.token) for child in node.inputs]
            nodes = [child for child in inputs if child is not None]
            if type(node).reduced is not Node.reduced or not (node.is_pointwise and inputs):
                coarse[node.token] = None if node is self else node.reduced(factor)
            elif len(nodes) < len(inputs) or any(not child.grid.same_pixels(nodes[0].grid) for child in nodes):
                coarse[node.token] = None
            else:
                coarse[node.token] = node.with_inputs(nodes)
        return coarse[self.token]

    def sampled(self, factor: float) -> Node | None:
        """``reduced`` for a statistic, which does not mind if pixels are picked where a picture would have them averaged."""
        return self.reduced(factor)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        """For a pointwise node, what its kernel does to one pixel of one band, given the inputs' pixels, as further steps of
        ``formula``: the same bits, those beneath invalid pixels included. Whether it is None depends on no mask."""
        return None

    def overview_levels(self) -> tuple[Node, ...]:
        """The reduced copies of this image that its file holds, finest first, each on its own grid over the same ground."""
        return ()

    # What the engine does with every node

    def rewrite(self, *, exact_only: bool = False) -> tuple[Rule, Node] | None:
        """The first rule that applies, with what it makes of this node."""
        for candidate in self.rules:
            if candidate.exact or not exact_only:
                result = candidate.apply(self)
                if result is not None and result.token != self.token:
                    return candidate, result
        return None

    def with_inputs(self, nodes: Iterable[Node]) -> Self:
        """The same operation on other inputs, as many as it has."""
        nodes = tuple(nodes)
        if len(nodes) != len(self.inputs):
            raise PlanError(f"{self!r} has {len(self.inputs)} inputs; {len(nodes)} were given")
        given = iter(nodes)
        values: dict[str, Any] = {}
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if isinstance(value, Node):
                value = next(given)
            elif _is_nodes(value):
                value = tuple(next(given) for _ in value)
            values[f.name] = value
        return type(self)(**values)

    def params(self) -> dict[str, Any]:
        """The fields that are not nodes, by name; without those whose metadata has ``json`` False."""
        shown = (f for f in fields(self) if f.metadata.get("json", True))  # type: ignore[arg-type]
        pairs = ((f.name, getattr(self, f.name)) for f in shown)
        return {name: value for name, value in pairs if not isinstance(value, Node) and not _is_nodes(value)}

    def describe(self) -> str:
        """The node's parameters in a few words, for ``explain()``; override where the fields do not read well."""
        words = []
        for name, value in self.params().items():
            text = str(value)
            if value is not None and len(text) <= 60:
                words.append(f"{name}={text}")
        return ", ".join(words)

    @property
    def node(self) -> Node:
        return self

    def with_node(self, node: Node) -> Node:
        return node

    @property
    def grid(self) -> Grid:
        return self.meta.grid

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __dask_tokenize__(self) -> str:
        return self.token

    def __reduce__(self) -> tuple[Any, ...]:
        from .flat import freeze, thaw

        return thaw, (freeze(self),)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.params().items())
        return f"{type(self).__name__}({shown})"[:200]

    def _field_nodes(self) -> Iterator[Node]:
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if isinstance(value, Node):
                yield value
            elif _is_nodes(value):
                yield from value


class Source(Node):
    """A node without inputs that reads pixels. ``kernel((), region)`` reads; see ``TiledSource`` for the cached form."""

    def need(self, region: Region) -> tuple[Region, ...]:
        return ()

    @classmethod
    def from_params(cls, **params: Any) -> Self:
        """Make the source again from its JSON fields; a source that keeps a file's header reads it anew here."""
        return cls(**params)


class Reduction(Node):
    """A node whose result is a small table over all of its first input: a statistic.

    The result is a node like any other, its "pixels" the table: ``meta.grid.shape`` is (rows, columns) of the table,
    one table a band, transform and CRS left out. Its consumers ask for the whole of it. It is computed block by block
    as a tree: ``partial`` per block, ``combine`` any number of partials in a fixed order, ``finish`` once.
    Further inputs are themselves tables and reach every ``partial`` whole.
    """

    def need(self, region: Region) -> tuple[Region, ...]:
        return tuple(node.meta.grid.region for node in self.inputs)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        return self.finish(self.partial(blocks)).cut(self.meta.grid.region, region)

    def partial(self, blocks: tuple[Block, ...]) -> Any:
        """The statistic's state (picklable) of one block of the first input."""
        raise NotImplementedError(type(self).__name__)

    def combine(self, states: list[Any]) -> Any:
        """One state from several."""
        raise NotImplementedError(type(self).__name__)

    def finish(self, state: Any) -> Block:
        """The table, (bands, rows, columns)."""
        raise NotImplementedError(type(self).__name__)


class HasNode(Protocol):
    """What ops' functions take and give back: a Node, or something that holds one, such as a Raster."""

    @property
    def node(self) -> Node: ...

    def with_node(self, node: Node) -> Any: ...


def verb(function: Callable[Concatenate[Node, P], Node]) -> Callable[Concatenate[H, P], H]:
    """Let a function Node -> Node take whatever holds a node first, and give back the same kind of thing."""

    @functools.wraps(function)
    def call(raster: H, /, *args: P.args, **kwargs: P.kwargs) -> H:
        return raster.with_node(function(raster.node, *args, **kwargs))  # type: ignore[no-any-return]

    return call


def as_dtype(dtype: Any) -> np.dtype:
    """A numpy dtype that pixels can have.

    Raises
    ------
    ArgumentError
        It is not a bool, integer, float or complex type.
    """
    try:
        result = np.dtype(dtype)
    except TypeError as error:
        raise ArgumentError(f"{dtype!r} is not a dtype") from error
    if result.kind not in "biufc":
        raise ArgumentError(f"pixels are bool, integer, float or complex; got {result}")
    native: np.dtype = result.newbyteorder("=")
    return native


def _is_nodes(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(item, Node) for item in value)


def _pointwise_part(root: Node) -> list[Node]:
    """``root`` and what lies under it through pointwise nodes without a ``reduced`` of their own, inputs first.

    The nodes where that ends are listed too. Not recursive: chains are as long as users make them.
    """
    order: list[Node] = []
    done: set[str] = set()
    stack = [(root, False)]
    while stack:
        node, inputs_done = stack.pop()
        if node.token in done:
            continue
        if inputs_done or not node.is_pointwise or type(node).reduced is not Node.reduced:
            done.add(node.token)
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in node.inputs)
    return order
