from __future__ import annotations

import inspect
import pickle

import pytest

from weft.graph import errors
from weft.graph.errors import BandError, MemoryLimitError, PlanError, WeftError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_weft_error_that_says_its_message_and_pickles(kind: type[Exception]) -> None:
    error = kind("no band 'x'; the raster has 1: red")
    assert isinstance(error, WeftError)
    assert str(error) == "no band 'x'; the raster has 1: red"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_errors_are_also_what_python_calls_them() -> None:
    builtin = {kind.__name__: {base for base in kind.__mro__ if base.__module__ == "builtins"} for kind in KINDS}
    assert KeyError in builtin["BandError"]
    assert TypeError in builtin["DtypeError"]
    assert OSError in builtin["SourceError"] & builtin["SinkError"]
    assert MemoryError in builtin["MemoryLimitError"]
    assert all(ValueError in builtin[name] for name in ("ArgumentError", "GridError", "CRSError", "GraphFormatError"))
    assert issubclass(MemoryLimitError, PlanError)


def test_a_band_error_without_message_is_empty() -> None:
    assert str(BandError()) == ""
