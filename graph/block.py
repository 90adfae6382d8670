"""``Block``: the pixels of one region while they flow through the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .grid import Region


@dataclass(frozen=True, slots=True)
class Block:
    """Pixels and their validity.

    Parameters
    ----------
    data : (bands, rows, cols) ndarray
        Kernels never write into the data of their inputs: it may be shared.
    valid : (bands, rows, cols) or (1, rows, cols) bool ndarray, or None
        None means that every pixel is valid: the fast path, so kernels return it whenever they can.
    """

    data: np.ndarray
    valid: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + (0 if self.valid is None else self.valid.nbytes)

    def window(self, rows: slice, cols: slice) -> Block:
        """A view of some rows and columns."""
        return Block(self.data[:, rows, cols], None if self.valid is None else self.valid[:, rows, cols])

    def cut(self, covered: Region, wanted: Region) -> Block:
        """A view of ``wanted`` out of this block, which covers ``covered``."""
        return self if covered == wanted else self.window(*wanted.within(covered))

    def compact(self) -> Block:
        """The same block with ``valid`` as None if it is all True."""
        return Block(self.data) if self.valid is not None and self.valid.all() else self

    def filled(self, value: Any) -> np.ndarray:
        """The data with ``value`` at every invalid pixel; a copy only if there are any."""
        if self.valid is None:
            return self.data
        return np.where(self.valid, self.data, np.asarray(value, dtype=self.data.dtype))


def both_valid(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    """The pixels valid in both masks; None stands for all valid, and (1, rows, cols) spreads over bands."""
    if a is None:
        return b
    return a if b is None else a & b


def widened(valid: np.ndarray | None, bands: int, shape: tuple[int, int]) -> np.ndarray:
    """A mask under construction, with room for ``bands`` of them; all valid where there is none yet."""
    if valid is None:
        return np.ones((bands, *shape), bool)
    return np.repeat(valid, bands, axis=0) if len(valid) < bands else valid


def empty_block(bands: int, dtype: np.dtype) -> Block:
    """The block of an empty region."""
    return Block(np.empty((bands, 0, 0), dtype))
