"""Errors that cross processes: raised without the foreign errors that led to them."""

from __future__ import annotations

from typing import NoReturn


def raise_alone(error: Exception) -> NoReturn:
    """Raise ``error`` without the one being handled as its context.

    A worker pickles an error with all that led to it, and those of GDAL and of some codecs and file systems do not
    unpickle: the caller would get a bare ``Exception`` instead of the error meant for it.
    """
    try:
        raise error
    finally:
        error.__context__ = None
