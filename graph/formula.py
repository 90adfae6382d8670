"""``Formula``: what a chain of pointwise operations does to one pixel of one band, written down as data.

A straight line of typed steps on the value and the validity of each input's pixel. Only steps whose result IEEE 754 and
two's complement determine to the last bit can be written, and each has numpy's meaning, so that a compiled formula gives
numpy's bits. The language knows no operation: those write themselves in it (``Node.scalar``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

BOOL = np.dtype(bool)
INT64 = np.dtype(np.int64)
FLOAT64 = np.dtype(np.float64)

# The types a formula computes in, by the words that generated source has for them. No float16: machines widen it.
DTYPES: dict[np.dtype, str] = {
    BOOL: "np.bool_",
    **{np.dtype(f"{kind}{size}"): f"np.{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)},
    np.dtype(np.float32): "np.float32",
    FLOAT64: "np.float64",
}

# Source text per step and kind of operand; {S} is the operands' type, one for all but the condition of "select"; it is the
# result's too, to which the text is cast, unless "?" behind the kinds says that this is bool.
# Integer division by zero is 0 as numpy has it, and by -1 a negation, since hardware traps on the least number.
STEPS: dict[str, dict[str, str]] = {
    "add": {"b": "{0} | {1}", "iuf": "{0} + {1}"},
    "subtract": {"iuf": "{0} - {1}"},
    "multiply": {"b": "{0} & {1}", "iuf": "{0} * {1}"},
    "divide": {"f": "{0} / {1}"},
    "floor_divide": {
        "u": "{0} // {1} if {1} != {S}(0) else {S}(0)",
        "i": "{S}(0) if {1} == {S}(0) else {S}(0) - {0} if {1} == {S}(-1) else {0} // {1}",
    },
    "remainder": {
        "u": "{0} % {1} if {1} != {S}(0) else {S}(0)",
        "i": "{S}(0) if ({1} == {S}(0)) | ({1} == {S}(-1)) else {0} % {1}",
    },
    "negative": {"iu": "{S}(0) - {0}", "f": "-{0}"},
    "absolute": {"bu": "{0}", "i": "{S}(0) - {0} if {0} < {S}(0) else {0}", "f": "abs({0})"},
    "sign": {
        "u": "{S}({0} > {S}(0))",
        "i": "{S}({0} > {S}(0)) - {S}({0} < {S}(0))",
        "f": "{S}(1) if {0} > {S}(0) else {S}(-1) if {0} < {S}(0) else {S}(0) if {0} == {S}(0) else {0}",
    },
    "sqrt": {"f": "math.sqrt({0})"},
    "floor": {"biu": "{0}", "f": "np.floor({0})"},
    "ceil": {"biu": "{0}", "f": "np.ceil({0})"},
    "trunc": {"biu": "{0}", "f": "np.trunc({0})"},
    "rint": {"f": "np.rint({0})"},
    "bitwise_and": {"biu": "{0} & {1}"},
    "bitwise_or": {"biu": "{0} | {1}"},
    "bitwise_xor": {"b": "{0} != {1}", "iu": "{0} ^ {1}"},
    "invert": {"b": "not {0}", "iu": "~{0}"},
    "least": {"biuf": "min({0}, {1})"},  # Python's min and max: the first of two that are equal
    "most": {"biuf": "max({0}, {1})"},
    "maximum": {"b": "{0} | {1}", "iu": "{0} if {0} >= {1} else {1}", "f": "{0} if ({0} >= {1}) | ({0} != {0}) else {1}"},
    "minimum": {"b": "{0} & {1}", "iu": "{0} if {0} <= {1} else {1}", "f": "{0} if ({0} <= {1}) | ({0} != {0}) else {1}"},
    "select": {"biuf": "{1} if {0} else {2}"},
    "equal": {"biuf?": "{0} == {1}"},
    "not_equal": {"biuf?": "{0} != {1}"},
    "less": {"biuf?": "{0} < {1}"},
    "less_equal": {"biuf?": "{0} <= {1}"},
    "greater": {"biuf?": "{0} > {1}"},
    "greater_equal": {"biuf?": "{0} >= {1}"},
    "logical_and": {"b?": "{0} & {1}", "iuf?": "({0} != {S}(0)) & ({1} != {S}(0))"},
    "logical_or": {"b?": "{0} | {1}", "iuf?": "({0} != {S}(0)) | ({1} != {S}(0))"},
    "logical_xor": {"b?": "{0} != {1}", "iuf?": "({0} != {S}(0)) != ({1} != {S}(0))"},
    "logical_not": {"b?": "not {0}", "iuf?": "{0} == {S}(0)"},
    "isnan": {"f?": "{0} != {0}"},
    "isfinite": {"f?": "{0} - {0} == {S}(0)"},
    "isinf": {"f?": "abs({0}) == np.inf"},
}


class Term(NamedTuple):
    """A value in a formula: the step that makes it, its type, and whether it may differ from band to band."""

    step: int
    dtype: np.dtype
    wide: bool


class Pixel(NamedTuple):
    """A pixel of a node within a formula; ``valid`` is None where all are valid."""

    value: Term
    valid: Term | None = None


class Step(NamedTuple):
    """One line: a word of ``STEPS``, "cast", "lookup" (``slot`` is the table), or what is given: "value" and "valid" (of
    input ``slot``), "constant" (``slot`` of its type)."""

    word: str
    dtype: np.dtype
    operands: tuple[int, ...] = ()
    slot: int = 0


class Formula:
    """Steps in the order of computing, and the numbers they use, which are no part of the formula's form.

    Attributes
    ----------
    steps : list of Step
    constants : per dtype, arrays of one number, or one per band
    tables : arrays (1 or bands, entries)
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.constants: dict[np.dtype, list[np.ndarray]] = {}
        self.tables: list[np.ndarray] = []
        self._known: dict[Step, Term] = {}

    def given(self, position: int, dtype: np.dtype, bands: int, mask_bands: int = 0) -> Pixel:
        """The pixel of input ``position``; ``mask_bands`` 0 says that all its pixels are valid."""
        value = self._term(Step("value", dtype, (), position), bands > 1)
        return Pixel(value, self._term(Step("valid", BOOL, (), position), mask_bands > 1) if mask_bands else None)

    def constant(self, numbers: Any, dtype: np.dtype) -> Term:
        """One number, or one per band, cast to ``dtype`` as numpy casts an array."""
        with np.errstate(all="ignore"):
            array = np.atleast_1d(np.asarray(numbers)).astype(dtype)
        slots = self.constants.setdefault(dtype, [])
        slots.append(array)
        return self._term(Step("constant", dtype, (), len(slots) - 1), len(array) > 1)

    def apply(self, word: str, *operands: Term) -> Term:
        """A step of ``STEPS``; its operands are of one type, all but the condition of "select"."""
        source = operands[-1].dtype
        assert all(term.dtype == source for term in operands[word == "select" :])
        kinds = next(kinds for kinds in STEPS[word] if source.kind in kinds)
        step = Step(word, BOOL if kinds.endswith("?") else source, tuple(term.step for term in operands))
        return self._term(step, any(term.wide for term in operands))

    def cast(self, term: Term, dtype: np.dtype) -> Term:
        """numpy's cast. A float becomes an integer only where the caller knows that it is in range, or chosen by no pixel."""
        if term.dtype == dtype:
            return term
        return self._term(Step("cast", dtype, (term.step,)), term.wide)

    def look_up(self, table: np.ndarray, index: Term) -> Term:
        """The entry of ``table`` (entries,) or (bands, entries) at ``index``, an int64 within it."""
        assert index.dtype == INT64
        rows = np.ascontiguousarray(np.atleast_2d(table))
        self.tables.append(rows)
        return self._term(Step("lookup", rows.dtype, (index.step,), len(self.tables) - 1), index.wide or len(rows) > 1)

    def select(self, condition: Term, one: Term, other: Term) -> Term:
        """``one`` where ``condition``, a bool, holds, else ``other``."""
        return one if one == other else self.apply("select", condition, one, other)

    def both(self, *flags: Term | None) -> Term | None:
        """Whether all of ``flags`` hold; None is a flag that always does."""
        result: Term | None = None
        for flag in flags:
            if flag is not None:
                result = flag if result is None else self.apply("bitwise_and", result, flag)
        return result

    def number(self, value: Term) -> Term | None:
        """Whether ``value`` is not NaN."""
        return self.apply("equal", value, value) if value.dtype.kind == "f" else None

    def filled(self, value: Term, valid: Term | None, fill: Any) -> Pixel:
        """The pixel with ``fill`` for a value if it is invalid."""
        if valid is None:
            return Pixel(value)
        return Pixel(self.select(valid, value, self.constant(fill, value.dtype)), valid)

    def finished(self, value: Term, valid: Term | None, fill: Any) -> Pixel:
        """A freshly computed pixel: NaN is invalid, and it holds ``fill`` if it is invalid."""
        return self.filled(value, self.both(self.number(value), valid), fill)

    def _term(self, step: Step, wide: bool) -> Term:
        known = self._known.get(step)
        if known is None:
            known = self._known[step] = Term(len(self.steps), step.dtype, wide)
            self.steps.append(step)
        return known


def computable(*dtypes: np.dtype) -> bool:
    """Whether formulas compute in all of ``dtypes``."""
    return all(dtype in DTYPES for dtype in dtypes)
