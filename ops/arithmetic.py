"""Arithmetic: numpy's element-wise functions on rasters: operators, comparisons, roots, logarithms, angles, extremes.

Dtypes follow numpy's promotion, Python numbers being weak (``uint8 + 1`` stays uint8 and wraps as numpy's does). A pixel is
valid where it is valid in every operand and its result is not NaN: read back from a file, a NaN would be invalid anyway.
Infinities stay, and so does numpy's 0 for an integer divided by 0. Results have the nodata value NaN if they are floats
and none if they are integers or bool; the attributes of the operands, such as scales and units, do not hold for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ..graph.block import Block, both_valid
from ..graph.errors import ArgumentError, BandError, DtypeError
from ..graph.formula import Formula, Pixel, Term, computable
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation
from ..graph.values import FrozenArray
from .common import finished, joint_bands, no_value, same_pixels
from .select import picked_bands, renamed

__all__ = ["apply_ufunc"]

# fmax and fmin are left out: NaN is invalid anyway, and which zero they give of 0 and -0 depends on its place in the block.
_TAKEN = (
    np.add, np.subtract, np.multiply, np.divide, np.floor_divide, np.remainder, np.fmod, np.power, np.float_power,
    np.negative, np.positive, np.absolute, np.fabs, np.equal, np.not_equal, np.less, np.less_equal, np.greater,
    np.greater_equal, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.sqrt, np.cbrt, np.square, np.reciprocal, np.exp,
    np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan,
    np.arctan2, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh, np.hypot, np.degrees, np.radians,
    np.deg2rad, np.rad2deg, np.floor, np.ceil, np.trunc, np.rint, np.sign, np.copysign, np.heaviside, np.maximum,
    np.minimum, np.conjugate, np.isnan, np.isfinite, np.isinf, np.signbit,
)  # fmt: skip
UFUNCS: dict[str, np.ufunc] = {ufunc.__name__: ufunc for ufunc in _TAKEN}
UFUNCS |= {
    "true_divide": np.divide,
    "mod": np.remainder,
    "pow": np.power,
    "abs": np.absolute,
    "round": np.rint,
    "bitwise_not": np.invert,
    "conj": np.conjugate,
}

# Functions whose results IEEE 754 and two's complement determine: the word a formula has for them and the kinds of numbers
# for which it has numpy's bits. Not here: whatever a mathematical library computes, and the remainder of floats.
_EXACT: dict[np.ufunc, tuple[str, str]] = {
    np.add: ("add", "biuf"),
    np.subtract: ("subtract", "iuf"),
    np.multiply: ("multiply", "biuf"),
    np.divide: ("divide", "f"),
    np.floor_divide: ("floor_divide", "iu"),
    np.remainder: ("remainder", "iu"),
    np.fabs: ("absolute", "f"),
    **{ufunc: (ufunc.__name__, "iuf") for ufunc in (np.negative, np.sign)},
    **{ufunc: (ufunc.__name__, "f") for ufunc in (np.sqrt, np.rint, np.isnan, np.isfinite, np.isinf)},
    **{ufunc: (ufunc.__name__, "biu") for ufunc in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)},
    **{
        ufunc: (ufunc.__name__, "biuf")
        for ufunc in (
            np.absolute, np.floor, np.ceil, np.trunc, np.maximum, np.minimum, np.equal, np.not_equal, np.less, np.less_equal,
            np.greater, np.greater_equal, np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
        )
    },
}  # fmt: skip

Weak = bool | int | float | complex


@operation("arithmetic")
@dataclass(frozen=True, eq=False)
class Arithmetic(Node):
    """``ufunc`` of rasters and constants.

    ``constants`` has one entry per operand, None where the next of ``sources`` stands. Python numbers, alone or one per
    band, are weak; a FrozenArray, of no dimension or one per band, brings its dtype.
    """

    ufunc: str
    sources: tuple[Node, ...]
    constants: tuple[bool | int | float | complex | FrozenArray | tuple[bool | int | float | complex, ...] | None, ...]

    is_pointwise = True

    def _meta(self) -> Meta:
        ufunc = UFUNCS.get(self.ufunc)
        if ufunc is None or UFUNCS.get(ufunc.__name__) is not ufunc:
            raise ArgumentError(f"{self.ufunc!r} is not among the functions that rasters take: {', '.join(sorted(UFUNCS))}")
        if len(self.constants) != ufunc.nin:
            raise ArgumentError(f"{self.ufunc} takes {ufunc.nin} operands; got {len(self.constants)}")
        if not self.sources or self.constants.count(None) != len(self.sources):
            raise ArgumentError(f"{self.ufunc} needs at least one raster among its operands")
        same_pixels(self.ufunc, self.sources)
        bands = joint_bands(self.ufunc, self.sources)
        for constant in self.constants:
            count = _count(constant)
            if count not in (1, len(bands)):
                raise BandError(f"{self.ufunc}: {count} constants do not fit {len(bands)} bands; give one, or one per band")
        dtype = self._result_dtype(ufunc)
        first = self.sources[0].meta
        masked = dtype.kind in "fc" or any(node.meta.masked for node in self.sources)
        return first.having(bands=bands, dtype=dtype, nodata=no_value(dtype), masked=masked, attrs={})

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        try:
            with np.errstate(all="ignore"):
                result = UFUNCS[self.ufunc](*self._operands([block.data for block in blocks]))
        except ValueError as error:
            raise ArgumentError(f"{self.ufunc}: {error}") from error
        valid = reduce(both_valid, (block.valid for block in blocks))
        return finished(result, valid, self.meta.fill)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        ufunc = UFUNCS[self.ufunc]
        types = self._loop()
        if types is None or not computable(*types) or types[-1] != self.meta.dtype:
            return None
        # What a quotient of integers is computed in is the type of the result.
        dtype = types[-1] if ufunc is np.divide else types[0]
        if any(own not in (dtype, types[0]) for own in types[:-1]):
            return None
        sources = iter(pixels)
        operands: list[Term] = []
        for constant in self.constants:
            if constant is None:
                operands.append(formula.cast(formula.cast(next(sources).value, types[0]), dtype))
            else:
                operands.append(formula.constant(self._numbers(constant), dtype))
        word, kinds = _EXACT.get(ufunc, ("", ""))
        if ufunc is np.square:
            word, kinds, operands = "multiply", "iuf", operands * 2
        elif ufunc is np.reciprocal:
            word, kinds, operands = "divide", "f", [formula.constant(1, dtype), *operands]
        valid = formula.both(*(pixel.valid for pixel in pixels))
        if ufunc in (np.positive, np.conjugate):
            return formula.finished(operands[0], valid, self.meta.fill)
        if dtype.kind not in kinds or (dtype.kind == "f" and ufunc in (np.maximum, np.minimum) and not self._no_zeros):
            return None
        return formula.finished(formula.apply(word, *operands), valid, self.meta.fill)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        sources = tuple(node if len(node.meta.bands) == 1 else picked_bands(node, bands) for node in self.sources)
        narrow = Arithmetic(self.ufunc, sources, tuple(_picked(constant, bands) for constant in self.constants))
        return renamed(narrow, tuple(range(len(bands))), tuple(self.meta.bands[band] for band in bands))

    def describe(self) -> str:
        return f"{self.ufunc}({', '.join('·' if constant is None else str(constant) for constant in self.constants)})"

    def _loop(self) -> tuple[np.dtype, ...] | None:
        """The types numpy computes in, operands first; None where it treats a constant beyond them specially."""
        sources = iter(self.sources)
        kinds: list[Any] = []
        for constant in self.constants:
            if constant is None:
                kinds.append(next(sources).meta.dtype)
            elif isinstance(constant, (FrozenArray, tuple, bool)):
                kinds.append(np.asarray(self._numbers(constant)).dtype)
            else:
                kinds.append(type(constant))
        try:
            types: tuple[np.dtype, ...] = UFUNCS[self.ufunc].resolve_dtypes((*kinds, None))
            for constant, dtype in zip(self.constants, types, strict=False):
                if isinstance(constant, (int, float)):
                    np.array(constant, dtype)
        except (TypeError, OverflowError):
            return None
        return types

    def _numbers(self, constant: Any) -> Any:
        """A constant as the ufunc takes it, if per band as one array of as many."""
        if isinstance(constant, FrozenArray):
            return constant.array
        return self._weak(constant) if isinstance(constant, tuple) else constant

    @property
    def _no_zeros(self) -> bool:
        """Whether constants without 0 and NaN are among the operands: which of 0 and -0 is larger is the machine's choice."""
        known = [np.asarray(self._numbers(constant)) for constant in self.constants if constant is not None]
        return any(bool(np.all((numbers != 0) & (numbers == numbers))) for numbers in known)

    def _operands(self, data: list[np.ndarray]) -> list[Any]:
        """What the ufunc is called with: the sources' arrays and the constants, those per band as (bands, 1, 1)."""
        arrays = iter(data)
        operands: list[Any] = []
        for constant in self.constants:
            if constant is None:
                operands.append(next(arrays))
            elif isinstance(constant, FrozenArray):
                array = constant.array
                operands.append(array[()] if array.ndim == 0 else array[:, None, None])
            elif isinstance(constant, tuple):
                operands.append(self._weak(constant)[:, None, None])
            else:
                operands.append(constant)
        return operands

    def _weak(self, numbers: tuple[Weak, ...]) -> np.ndarray:
        """Python numbers as an array of the dtype that one of them alone would leave the result."""
        own = np.array(numbers)
        strong = [node.meta.dtype for node in self.sources]
        strong += [constant.array.dtype for constant in self.constants if isinstance(constant, FrozenArray)]
        # Comparisons take any integer, in range or not, and their result has no use for the type.
        if own.dtype.kind in "bui" and UFUNCS[self.ufunc] in _COMPARISONS:
            return own
        return np.array(numbers, dtype=np.result_type(*strong, own.dtype.type(0).item()))

    def _result_dtype(self, ufunc: np.ufunc) -> np.dtype:
        # Asking numpy with ones answers for every rule it has, and finds the constants that do not fit.
        samples = [np.ones((len(node.meta.bands), 1, 1), node.meta.dtype) for node in self.sources]
        kinds = ", ".join(str(node.meta.dtype) for node in self.sources)
        try:
            with np.errstate(all="ignore"):
                return as_dtype(ufunc(*self._operands(samples)).dtype)
        except TypeError as error:
            raise DtypeError(f"{self.ufunc} does not work on {kinds}: {error}") from error
        except (ValueError, OverflowError) as error:
            raise ArgumentError(f"{self.ufunc} of {kinds}: {error}") from error


_COMPARISONS = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}


def apply_ufunc(name: str, *operands: Any) -> Any:
    """Apply one of numpy's element-wise functions, lazily.

    Parameters
    ----------
    name : str
        As numpy names it: "add", "less", "sqrt", "arctan2", "maximum", ...
    *operands : Raster, number, or 1-D sequence or array of one number per band
        At least one is a raster, (band, y, x). Rasters lie on the same pixels and have as many bands or one, which then
        meets each band. Python numbers, alone or in a list, are weak; numpy's bring their dtype.

    Returns
    -------
    Raster of the kind of the first one given, dtype as numpy promotes. NaN results are invalid.

    Raises
    ------
    GridError
        Rasters lie on different pixels; the message names both.
    BandError
        Numbers of bands, or of constants, that do not fit.
    DtypeError
        The function does not work on these dtypes, such as ``-`` on bool.
    ArgumentError
        An unknown function, a wrong number of operands, no raster, or a constant that does not fit the dtype.
    """
    holders = [operand for operand in operands if isinstance(getattr(operand, "node", None), Node)]
    if not holders:
        raise ArgumentError(f"{name} needs at least one raster among its operands")
    ufunc = UFUNCS.get(name)
    constants = tuple(
        None if isinstance(getattr(operand, "node", None), Node) else _constant(operand, name) for operand in operands
    )
    sources = tuple(holder.node for holder in holders)
    return holders[0].with_node(Arithmetic(name if ufunc is None else ufunc.__name__, sources, constants))


def _constant(value: Any, name: str) -> Weak | FrozenArray | tuple[Weak, ...]:
    if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
        return value
    kinds = (bool, int, float, complex)
    if isinstance(value, (list, tuple)) and value and all(type(item) in kinds for item in value):
        widest = max(kinds.index(type(item)) for item in value)
        return tuple(kinds[widest](item) for item in value)
    array = np.array(value) if isinstance(value, (np.generic, np.ndarray, list, tuple)) else None
    if array is None or array.ndim > 1 or array.dtype.kind not in "biufc" or not array.size:
        raise ArgumentError(
            f"{name} takes rasters, numbers and 1-D sequences of one number per band, not {type(value).__name__}; "
            "an image becomes a raster by weft.from_array()"
        )
    return FrozenArray(array)


def _count(constant: Any) -> int:
    if isinstance(constant, FrozenArray):
        return int(constant.array.size)
    return len(constant) if isinstance(constant, tuple) else 1


def _picked(constant: Any, bands: tuple[int, ...]) -> Any:
    if _count(constant) == 1:
        return constant
    if isinstance(constant, FrozenArray):
        return FrozenArray(constant.array[list(bands)])
    return tuple(constant[band] for band in bands)
