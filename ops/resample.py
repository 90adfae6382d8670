"""Resampling of plain arrays to a given number of pixels: what ``resize`` computes, without a graph.

The functions share one signature, ``ResampleFunc``, so that each can be handed to what builds pyramids. They run in the
calling thread and let go of the GIL while they compute. Methods as in ``warp`` without antialias: see ``sampling``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.grid import Grid, Region
from ..graph.node import Meta
from .common import no_value
from .coordinates import affine_patches
from .resize import ratio
from .sampling import sample

__all__ = [
    "ResampleFunc",
    "area_resample",
    "bilinear_resample",
    "cubic_resample",
    "lanczos_resample",
    "nearest_neighbor_resample",
]

Pixel = TypeVar("Pixel", bound=np.generic)

ResampleFunc = Callable[[NDArray[Any], int, int], NDArray[Any]]
"""A resampler: an (H, W) or (C, H, W) array, rows and columns wanted, to a new array of that size, same dtype and axes."""


def nearest_neighbor_resample(image: NDArray[Pixel], target_rows: int, target_cols: int) -> NDArray[Pixel]:
    """The pixel under each sample: with ratio ``s`` of the sizes, pixel ``floor((k + 0.5) * s)`` along an axis.

    Parameters
    ----------
    image : (H, W) or (C, H, W) ndarray of bool, integers, floats or complex
        Never written to. NaN is invalid, as everywhere in weft: where it holds more than half of the weight the result is
        NaN, elsewhere it takes no part.
    target_rows, target_cols : int, at least 1

    Returns
    -------
    ndarray of the same axes and dtype, (H, W) or (C, H, W) of the target size; ``image`` itself if that is its size.

    Raises
    ------
    ArgumentError
        The array has other axes or no pixels, or the target is not whole numbers above 0. It is a ValueError.
    DtypeError
        The array holds something else than numbers.
    """
    return _resampled(image, target_rows, target_cols, "nearest")


def bilinear_resample(image: NDArray[Pixel], target_rows: int, target_cols: int) -> NDArray[Pixel]:
    """2 x 2 pixels, each weighed by its nearness. Shrinking by more than two leaves pixels out: see ``area_resample``.

    Integers are rounded half up. Arguments, result and errors as in ``nearest_neighbor_resample``.
    """
    return _resampled(image, target_rows, target_cols, "bilinear")


def area_resample(image: NDArray[Pixel], target_rows: int, target_cols: int) -> NDArray[Pixel]:
    """The mean over the area of each target pixel, parts of pixels by how large they are; so halving is 2 x 2 means.

    Made for shrinking; enlarging gives squares, like ``nearest_neighbor_resample``, with mixed borders. Integers are rounded
    half up. Arguments, result and errors as in ``nearest_neighbor_resample``.
    """
    return _resampled(image, target_rows, target_cols, "average")


def cubic_resample(image: NDArray[Pixel], target_rows: int, target_cols: int) -> NDArray[Pixel]:
    """4 x 4 pixels by cubic convolution (Keys 1981, a = -0.5). Shrinking by more than two leaves pixels out.

    Integers are rounded half up and saturate. Arguments, result and errors as in ``nearest_neighbor_resample``.
    """
    return _resampled(image, target_rows, target_cols, "cubic")


def lanczos_resample(image: NDArray[Pixel], target_rows: int, target_cols: int) -> NDArray[Pixel]:
    """6 x 6 pixels by the Lanczos kernel of three lobes (Duchon 1979), weights made to sum to one.

    Shrinking by more than two leaves pixels out. Integers are rounded half up and saturate. Arguments, result and errors as
    in ``nearest_neighbor_resample``.
    """
    return _resampled(image, target_rows, target_cols, "lanczos")


def _resampled(image: NDArray[Pixel], target_rows: int, target_cols: int, resampling: str) -> NDArray[Pixel]:
    array = np.asarray(image)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ArgumentError(f"an image is (rows, cols) or (bands, rows, cols) with pixels in it; got an array of {array.shape}")
    if array.dtype.kind not in "buifc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise DtypeError(f"an image holds bools, integers, floats or complex numbers of a usual size; got {array.dtype}")
    shape = _whole(target_rows, "target_rows"), _whole(target_cols, "target_cols")
    if shape == array.shape[-2:]:
        return image
    data = array if array.ndim == 3 else array[None]
    native = data.astype(data.dtype.newbyteorder("="), copy=False)
    dtype = native.dtype
    valid = ~np.isnan(native) if dtype.kind in "fc" else None
    block = Block(native, valid).compact()
    whole, region = Region(0, data.shape[1], 0, data.shape[2]), Region(0, shape[0], 0, shape[1])
    bands = tuple(str(band) for band in range(len(data)))
    meta = Meta(Grid(shape), bands, dtype, no_value(dtype), masked=block.valid is not None)
    patches = affine_patches(ratio(whole.shape, shape), region)
    result = sample(block, whole, whole.shape, patches, region, meta, resampling, antialias=False).data
    result = result.astype(array.dtype, copy=False)
    return result if array.ndim == 3 else result[0]


def _whole(value: Any, what: str) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        raise ArgumentError(f"{what} is a whole number of pixels; got {value!r}") from error
    if number < 1 or isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{what} is a whole number of at least 1; got {value!r}")
    return number
