"""Everything weft can refuse, each error named after what is wrong. Catch ``WeftError`` for all of them."""

from __future__ import annotations


class WeftError(Exception):
    """Base of every error that weft raises on purpose."""


class ArgumentError(WeftError, ValueError):
    """An argument has an impossible value; the message says which values serve."""


class GridError(WeftError, ValueError):
    """Grids that do not fit: no overlap, different pixels, an impossible shape or transform."""


class CRSError(WeftError, ValueError):
    """A coordinate reference system is unknown, missing, or cannot be transformed to."""


class BandError(WeftError, KeyError):
    """A band that the raster does not have, or a wrong number of bands."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class DtypeError(WeftError, TypeError):
    """A data type that the operation cannot work with."""


class SourceError(WeftError, OSError):
    """A file, URL or store that is missing, unreadable, damaged or of an unknown format."""


class SinkError(WeftError, OSError):
    """A target that cannot be written, or that exists already."""


class PlanError(WeftError, RuntimeError):
    """A graph that cannot be optimized or lowered."""


class MemoryLimitError(PlanError, MemoryError):
    """A plan whose tasks would need more memory than allowed; raised before anything is read."""


class GraphFormatError(WeftError, ValueError):
    """A graph in JSON that is malformed, of an unknown version, or not representable."""
