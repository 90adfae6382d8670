"""Images that hypothesis draws, for tests of what looks at values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@st.composite
def images(draw: st.DrawFn, dtypes: Sequence[str], side: int = 9) -> tuple[np.ndarray, np.ndarray | None]:
    """(bands, rows, cols) of at most ``side`` pixels a side, NaN and infinities among floats, and a mask or None."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, side), st.integers(1, side)))
    elements = None
    if dtype.kind == "f":
        usual = st.floats(-1e4, 1e4, width=16) if dtype.itemsize == 2 else st.floats(-1e6, 1e6, width=32)
        elements = usual | st.sampled_from([np.nan, np.inf, -np.inf])
    data = draw(arrays(dtype, shape, elements=elements))
    if draw(st.booleans()):
        return data, None
    return data, draw(arrays(bool, (draw(st.sampled_from([1, shape[0]])), *shape[1:])))
