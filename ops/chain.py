"""Chains: steps from pixels to pixels, one after the other, with a note of what goes in and what comes out.

A chain takes arrays, and it takes rasters, of which it makes a longer graph: steps that know rasters become nodes of it,
plain functions of arrays go through ``map``. Either way the pixels are the same.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..graph.errors import ArgumentError, BandError
from ..graph.node import Node, as_dtype
from .map import map as map_blocks
from .select import select

__all__ = ["ProcessingChain", "band_select", "compose"]

Step = Callable[[Any], Any]
F = TypeVar("F", bound=Callable[..., Any])

# The image that a plain function is tried on, to see how many bands of what type it makes.
_TRIAL = (4, 4)


def raster_step(function: F) -> F:
    """Decorator of a function, or of a class whose instances are called: it takes a Raster where it takes an array."""
    function.takes_rasters = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True, init=False)
class ProcessingChain:
    """Steps that are done one after the other. Immutable; equal to another chain of the same steps.

    Parameters
    ----------
    steps : callables, each takes a (bands, rows, cols) array and returns a new one
        Pixel for pixel: a step must give the same answer for a pixel whatever the block it comes in. Chains may stand among
        them, and ``functools.partial``. A chain without steps returns what it is given.
    output_bands : number of bands of the result
    output_dtype : numpy dtype that the steps are meant to end in; a note for whoever writes the result, which is not cast
    input_bands : 0-based positions, optional
        The bands of the image that the first step wants, in this order. Whoever reads pixels for a chain reads just these.

    Raises
    ------
    ArgumentError
        A step cannot be called, there are no output bands, ``input_bands`` is empty or negative, or no dtype.
    """

    steps: tuple[Step, ...]
    output_bands: int
    output_dtype: np.dtype
    input_bands: tuple[int, ...] | None

    def __init__(
        self,
        steps: Iterable[Step],
        output_bands: int,
        output_dtype: Any = np.uint8,
        input_bands: Iterable[int] | None = None,
    ) -> None:
        flat: list[Step] = []
        for step in steps:
            if not callable(step):
                raise ArgumentError(f"a step is a callable that takes an array and returns one; got {type(step).__name__}")
            flat += step._as_steps() if isinstance(step, ProcessingChain) else [step]
        count = _whole(output_bands, "output_bands")
        if count < 1:
            raise ArgumentError(f"output_bands is at least 1; got {count}")
        wanted = None if input_bands is None else _positions(input_bands, "input_bands")
        if wanted is not None and min(wanted) < 0:
            raise ArgumentError(f"input_bands are positions from 0 on; got {wanted}")
        values = {"steps": tuple(flat), "output_bands": count, "output_dtype": as_dtype(output_dtype), "input_bands": wanted}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __call__(self, image: Any) -> Any:
        """Do all steps.

        Parameters
        ----------
        image : (bands, rows, cols) array, (rows, cols) for one band, or a Raster
            An array holds just the ``input_bands``, where there are such, in that order. A Raster is the whole image; the
            bands are picked from it, and no others read.

        Returns
        -------
        (output_bands, rows, cols) array, or a lazy Raster with the very same pixels. Of a Raster, invalid pixels stay
        invalid: in all bands where a step is a plain function.

        Raises
        ------
        BandError
            The image has other bands than the chain takes, or the steps make another number than ``output_bands``.
        ArgumentError
            The image is neither array nor Raster; a step fails, or returns no image.
        """
        if isinstance(getattr(image, "node", None), Node):
            return self._of_raster(image)
        array = _as_image(image, "a chain")
        if self.input_bands is not None and len(array) != len(self.input_bands):
            raise BandError(
                f"the chain takes {len(self.input_bands)} bands, those at {self.input_bands} of the whole image; the array "
                f"has {len(array)}: hand over image[{list(self.input_bands)}]"
            )
        for step in self.steps:
            array = _as_image(step(array), f"step {step!r}", returned=True)
        self._check_bands(len(array))
        return array

    def _of_raster(self, raster: Any) -> Any:
        if self.input_bands is not None:
            raster = _picked(raster, self.input_bands)
        plain: list[Step] = []
        for step in self.steps:
            if _takes_rasters(step):
                raster = step(_mapped(raster, plain))
                plain = []
            else:
                plain.append(step)
        raster = _mapped(raster, plain)
        self._check_bands(len(raster.node.meta.bands))
        return raster

    def _as_steps(self) -> list[Step]:
        """This chain as steps of another, which hands it whatever came before."""
        return [*([] if self.input_bands is None else [BandSelect(self.input_bands)]), *self.steps]

    def _check_bands(self, count: int) -> None:
        if count != self.output_bands:
            raise BandError(f"the steps of the chain made {count} bands, not the {self.output_bands} of output_bands")


@raster_step
@dataclass(frozen=True)
class BandSelect:
    """The step that ``band_select`` makes."""

    bands: tuple[int, ...]

    def __call__(self, image: Any) -> Any:
        if isinstance(getattr(image, "node", None), Node):
            return _picked(image, self.bands)
        array = _as_image(image, "band_select")
        missing = [band for band in self.bands if not -len(array) <= band < len(array)]
        if missing:
            raise BandError(f"band_select: no band {missing[0]}; the image has bands 0 to {len(array) - 1}")
        return array[list(self.bands)]


def band_select(bands: Iterable[int] | int) -> BandSelect:
    """A step that keeps some bands.

    Parameters
    ----------
    bands : 0-based positions in the order wanted, negative ones counted from the end; a band may come twice

    Returns
    -------
    callable that takes a (bands, rows, cols) array, or a Raster, and returns the same kind of thing

    Raises
    ------
    ArgumentError
        No bands, or positions that are not whole numbers; names are for ``Raster.select``.
    BandError
        When called: a band is not there.
    """
    return BandSelect(_positions(bands, "bands"))


def compose(first: ProcessingChain, second: ProcessingChain) -> ProcessingChain:
    """One chain of two: ``first``, then ``second`` on what ``first`` makes.

    Parameters
    ----------
    first, second : ProcessingChain
        Where ``second`` has ``input_bands``, these are picked from the bands of ``first``.

    Returns
    -------
    ProcessingChain with the input bands of ``first`` and the output of ``second``

    Raises
    ------
    ArgumentError
        ``second`` wants a band that ``first`` does not make.
    """
    missing = [band for band in second.input_bands or () if band >= first.output_bands]
    if missing:
        raise ArgumentError(
            f"the second chain takes band {missing[0]} and the first makes only bands 0 to {first.output_bands - 1}"
        )
    return ProcessingChain((*first.steps, second), second.output_bands, second.output_dtype, first.input_bands)


@dataclass(frozen=True)
class _InTurn:
    """Plain functions as one, so that ``map`` needs to know only what the last of them returns."""

    steps: tuple[Step, ...]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        for step in self.steps:
            image = _as_image(step(image), f"step {step!r}", returned=True)
        return image


def _mapped(raster: Any, steps: list[Step]) -> Any:
    """``raster`` after some plain functions, which are tried on a few pixels to see what they make."""
    if not steps:
        return raster
    function, meta = _InTurn(tuple(steps)), raster.node.meta
    try:
        with np.errstate(all="ignore"):
            made = function(np.ones((len(meta.bands), *_TRIAL), meta.dtype))
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"the steps {', '.join(map(repr, steps))} fail on an image of {len(meta.bands)} bands of {meta.dtype} and "
            f"{_TRIAL[0]} x {_TRIAL[1]} pixels, all 1: {type(error).__name__}: {error}"
        ) from error
    if made.shape[1:] != _TRIAL:
        raise ArgumentError(
            f"the steps {', '.join(map(repr, steps))} turn {_TRIAL} pixels into {made.shape[1:]}; a step keeps them"
        )
    names = meta.bands if len(made) == len(meta.bands) else tuple(f"b{i}" for i in range(1, len(made) + 1))
    return map_blocks(raster, function, made.dtype, bands=names)


def _takes_rasters(step: Step) -> bool:
    while isinstance(step, functools.partial):
        step = step.func
    return getattr(step, "takes_rasters", False) is True


def _picked(raster: Any, bands: tuple[int, ...]) -> Any:
    """The bands, without a node where they are all there are, in order."""
    return raster if bands == tuple(range(len(raster.node.meta.bands))) else select(raster, bands)


def _as_image(image: Any, what: str, *, returned: bool = False) -> np.ndarray:
    """``image`` as (bands, rows, cols)."""
    array = image if isinstance(image, np.ndarray) else None
    if array is None or array.ndim not in (2, 3):
        got = type(image).__name__ if array is None else f"an array of shape {array.shape}"
        verb = "returns" if returned else "takes"
        raise ArgumentError(f"{what} {verb} an array (bands, rows, cols){'' if returned else ' or a Raster'}; got {got}")
    return array[None] if array.ndim == 2 else array


def _positions(bands: Any, what: str) -> tuple[int, ...]:
    try:
        positions = tuple(_whole(band, what) for band in ((bands,) if np.ndim(bands) == 0 else bands))
    except TypeError as error:
        raise ArgumentError(f"{what} are positions, whole numbers; got {bands!r}") from error
    if not positions:
        raise ArgumentError(f"{what} are one position at least; got none")
    return positions


def _whole(value: Any, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise ArgumentError(f"{what}: {value!r} is not a whole number") from error
