"""Where labelled arrays lie: axis names, and one transform out of coordinates and a stored GeoTransform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine

from ..graph.errors import ArgumentError, GridError

X_NAMES = ("x", "lon", "longitude", "easting", "projection_x_coordinate", "cols", "columns")
Y_NAMES = ("y", "lat", "latitude", "northing", "projection_y_coordinate", "rows")
# Coordinates are stored rounded, often as float32: this far from even spacing, in pixels, they still are even.
_UNEVEN = 0.05
# A stored GeoTransform this close, in pixels, to what the coordinates say is the exact form of it.
_SAME = 1e-3


def spatial_axes(dims: Sequence[str], where: str) -> tuple[int, int, int | None]:
    """(y axis, x axis, band axis or None) of dimensions of any order and names.

    Raises
    ------
    ArgumentError
        There is no pair of spatial dimensions, or more than one other.
    """
    lowered = [str(dim).lower() for dim in dims]
    x = next((i for i, dim in enumerate(lowered) if dim in X_NAMES), None)
    y = next((i for i, dim in enumerate(lowered) if dim in Y_NAMES), None)
    if x is None or y is None:
        raise ArgumentError(f"{where}: dimensions {tuple(dims)} have no x and y among them (nor lon, lat or the like)")
    others = [i for i in range(len(dims)) if i not in (x, y)]
    if len(others) > 1:
        names = ", ".join(str(dims[i]) for i in others)
        raise ArgumentError(
            f"{where}: beside y and x there may be one dimension, the bands; got {names}: choose along the others"
        )
    return y, x, others[0] if others else None


def geotransform(text: Any) -> Affine | None:
    """The Affine of a GDAL GeoTransform (six numbers, as text or a list), or None if it is none."""
    try:
        numbers = [float(part) for part in (text.split() if isinstance(text, str) else text)]
    except (TypeError, ValueError, AttributeError):
        return None
    return Affine.from_gdal(*numbers) if len(numbers) == 6 else None


def transform_of(
    shape: tuple[int, int], stored: Affine | None, x: np.ndarray | None, y: np.ndarray | None, where: str
) -> Affine | None:
    """The transform of a grid from its pixel-centre coordinates and a stored transform, either of which may be missing.

    Coordinates win over a stored transform that does not fit them, because cutting an array leaves that behind; a stored
    one that does fit gives the exact numbers.

    Raises
    ------
    GridError
        Coordinates are not evenly spaced.
    """
    if x is None or y is None or (stored is not None and (stored.b or stored.d)):
        return stored
    step_x, step_y = _step(x, "x", where), _step(y, "y", where)
    if step_x is None:
        step_x = stored.a if stored else abs(step_y) if step_y else 1.0
    if step_y is None:
        step_y = stored.e if stored else -abs(step_x)
    own = Affine(step_x, 0.0, float(x[0]) - step_x / 2, 0.0, step_y, float(y[0]) - step_y / 2)
    if stored is None:
        return own
    col, row = ~stored @ (own.c, own.f)
    exact = stored @ Affine.translation(round(col), round(row))
    rows, cols = shape
    drift = max(
        abs((exact @ corner)[axis] - (own @ corner)[axis]) / abs((step_x, step_y)[axis])
        for corner in ((0, 0), (cols, rows))
        for axis in (0, 1)
    )
    if drift > _SAME:
        return own
    return stored if (round(col), round(row)) == (0, 0) else exact


def _step(coordinate: np.ndarray, name: str, where: str) -> float | None:
    values = np.asarray(coordinate, np.float64)
    if not np.isfinite(values).all():
        raise GridError(f"{where}: the {name} coordinates are not all finite")
    if len(values) < 2:
        return None
    step = (values[-1] - values[0]) / (len(values) - 1)
    off = np.abs(values - (values[0] + step * np.arange(len(values))))
    if step == 0 or off.max() > _UNEVEN * abs(step):
        worst = int(off.argmax())
        raise GridError(
            f"{where}: the {name} coordinates are not evenly spaced (at {worst}: {values[worst]:g}), so they make no grid; "
            "resample onto a regular one first"
        )
    return float(step)
