"""The operators of ``Raster``: each builds a lazy node through numpy's ufunc of the same meaning."""

from __future__ import annotations

from numbers import Number
from typing import Any, Self

import numpy as np

from .graph.node import HasNode, Node
from .holder import NodeHolder
from .ops.arithmetic import apply_ufunc


class Arithmetic(NodeHolder):
    """Operators and numpy ufuncs on a Raster, lazy.

    The other operand is a number, a sequence of one number per band, or a raster on the same pixels with as many bands or
    one, which then meets each band. Dtypes follow numpy's promotion, Python numbers being weak. A pixel is valid where it
    is valid in every operand and the result is not NaN. Rasters on different pixels raise ``GridError``; what a ufunc
    cannot do with a dtype raises ``DtypeError``; a constant that the dtype cannot hold raises ``ArgumentError``.
    """

    __slots__ = ()
    __hash__ = NodeHolder.__hash__
    __array_priority__ = 100.0

    def __add__(self, other: Any) -> Self:
        return self._apply("add", self, other)

    def __radd__(self, other: Any) -> Self:
        return self._apply("add", other, self)

    def __sub__(self, other: Any) -> Self:
        return self._apply("subtract", self, other)

    def __rsub__(self, other: Any) -> Self:
        return self._apply("subtract", other, self)

    def __mul__(self, other: Any) -> Self:
        return self._apply("multiply", self, other)

    def __rmul__(self, other: Any) -> Self:
        return self._apply("multiply", other, self)

    def __truediv__(self, other: Any) -> Self:
        return self._apply("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._apply("true_divide", other, self)

    def __floordiv__(self, other: Any) -> Self:
        return self._apply("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return self._apply("floor_divide", other, self)

    def __mod__(self, other: Any) -> Self:
        return self._apply("remainder", self, other)

    def __rmod__(self, other: Any) -> Self:
        return self._apply("remainder", other, self)

    def __pow__(self, other: Any) -> Self:
        return self._apply("power", self, other)

    def __rpow__(self, other: Any) -> Self:
        return self._apply("power", other, self)

    def __and__(self, other: Any) -> Self:
        return self._apply("bitwise_and", self, other)

    def __rand__(self, other: Any) -> Self:
        return self._apply("bitwise_and", other, self)

    def __or__(self, other: Any) -> Self:
        return self._apply("bitwise_or", self, other)

    def __ror__(self, other: Any) -> Self:
        return self._apply("bitwise_or", other, self)

    def __xor__(self, other: Any) -> Self:
        return self._apply("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> Self:
        return self._apply("bitwise_xor", other, self)

    def __lt__(self, other: Any) -> Self:
        return self._apply("less", self, other)

    def __le__(self, other: Any) -> Self:
        return self._apply("less_equal", self, other)

    def __gt__(self, other: Any) -> Self:
        return self._apply("greater", self, other)

    def __ge__(self, other: Any) -> Self:
        return self._apply("greater_equal", self, other)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return self._apply("equal", self, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return self._apply("not_equal", self, other)

    def __neg__(self) -> Self:
        return self._apply("negative", self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self._apply("absolute", self)

    def __invert__(self) -> Self:
        return self._apply("invert", self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """numpy's ufuncs stay lazy: ``np.sqrt(r)``, ``np.maximum(r, 0)``. Reductions and ``out=`` are refused."""
        if method != "__call__" or kwargs or ufunc.nout != 1:
            return NotImplemented
        return self._apply(ufunc.__name__, *inputs)

    def __bool__(self) -> bool:
        raise TypeError(
            "a Raster has many pixels and no single truth; compare tokens (a.token == b.token) or compute first (r.to_numpy())"
        )

    def _apply(self, name: str, *operands: Any) -> Self:
        if not all(_is_operand(operand) for operand in operands):
            return NotImplemented
        result: HasNode = apply_ufunc(name, *operands)
        return self.with_node(result.node)


def _is_operand(value: Any) -> bool:
    return isinstance(value, (NodeHolder, Node, Number, np.generic, np.ndarray, list, tuple))
