"""Formulas as machine code: source text made of a formula, compiled by numba, kept on disk, used once it is worth it.

The text holds nothing but words of ``formula.STEPS``, names of types and whole numbers counted here; what a user chose
(limits, factors, tables, fill values) is passed as arguments, so one function serves every chain of the same form. It is
kept under the hash of its text and never read back to be run: the file is there for numba's own cache beside it.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import tempfile
import threading
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.registry import cpu_target

from .block import Block
from .formula import BOOL, DTYPES, INT64, STEPS, Formula, Pixel

# Pixels of one form that a process computes with numpy before it compiles it, and before it looks whether an earlier process
# did: compiling takes a second or two, loading some hundredths, the first time in a process half a second; numpy needs 3 to
# 20 ms for a million pixels.
COMPILE_AFTER = 40 * 2**20
LOAD_AFTER = 8 * 2**20
# Forms remembered, and functions compiled. A process that meets more of them is fed by someone who makes them up.
MOST_FORMS = 256
# Steps of a formula beyond which compiling takes too long: it grows faster than their number.
MOST_STEPS = 400

_settings: Any = numba.config
_lock = threading.Lock()
_forms: OrderedDict[str, Form] = OrderedDict()
_taken: set[str] = set()  # texts of which there is machine code in memory


@dataclass(eq=False)
class Form:
    """A formula without its numbers: what is compiled once for all graphs that have it."""

    text: str
    signature: Any
    seen: int = 0
    looked: bool = False
    busy: bool = False
    failed: bool = False
    run: Callable[..., bool] | None = field(default=None, repr=False)

    def ready(self, pixels: int) -> Callable[..., bool] | None:
        """The compiled function, or None: then the caller computes these ``pixels`` by other means."""
        if self.run is not None or self.failed:
            return self.run
        with _lock:
            self.seen += pixels
            compiling = self.seen >= COMPILE_AFTER
            if self.busy or self.run is not None or not (compiling or (self.seen >= LOAD_AFTER and not self.looked)):
                return self.run
            if len(_taken) >= MOST_FORMS:  # machine code is never given back
                self.failed = True
                return None
            self.busy = self.looked = True
        try:
            self.run = _function(self.text, self.signature, compiling)
            if self.run is not None:
                _taken.add(self.text)
        except Exception as error:  # numba's errors have no common base, and numpy can always do the work
            self.failed = True
            warnings.warn(f"pointwise operations run uncompiled: {error!r}", RuntimeWarning, stacklevel=2)
        finally:
            self.busy = False
        return self.run


class Compiled:
    """A formula bound to its numbers, for blocks of ``dtypes`` and numbers of bands.

    Parameters
    ----------
    formula : Formula
    result : Pixel of it
    dtypes : of the inputs
    masked : per input, whether its blocks have a mask
    bands : of the result
    """

    def __init__(
        self, formula: Formula, result: Pixel, dtypes: tuple[np.dtype, ...], masked: tuple[bool, ...], bands: int
    ) -> None:
        self.bands, self.dtype, self.masked = bands, result.value.dtype, masked
        self.mask_bands = 0 if result.valid is None else bands if result.valid.wide else 1
        self.constants = [_per_band(arrays, bands) for arrays in formula.constants.values()]
        self.tables = formula.tables
        self.form = _form(_text(formula, result, masked), _signature(formula, result, dtypes, masked))

    def __call__(self, blocks: tuple[Block, ...]) -> Block | None:
        """The result's pixels, or None while the function is not worth compiling."""
        shape = blocks[0].data.shape[1:]
        run = self.form.ready(self.bands * math.prod(shape))
        if run is None:
            return None
        arrays, steps = [], []
        for array in self._arrays(blocks):
            line, band_step, row_step = _flat(array)
            arrays.append(line)
            steps += [band_step, row_step]
        data = np.empty((self.bands, *shape), self.dtype)
        valid = np.empty((self.mask_bands, *shape), bool)
        outputs = (data, valid, int(self.mask_bands > 1)) if self.mask_bands else (data,)
        all_valid = run(np.array(steps, np.int64), *arrays, *self.constants, *self.tables, *outputs)
        return Block(data) if all_valid else Block(data, valid)

    def _arrays(self, blocks: tuple[Block, ...]) -> list[np.ndarray]:
        masks = [block.valid for block in blocks if block.valid is not None]
        return [block.data for block in blocks] + masks


def _form(text: str, signature: Any) -> Form:
    key = f"{signature}\n{text}"
    with _lock:
        form = _forms.get(key)
        if form is None:
            while len(_forms) >= MOST_FORMS:
                _forms.popitem(last=False)  # whoever holds it keeps it
            form = _forms[key] = Form(text, signature)
        _forms.move_to_end(key)
        return form


def _text(formula: Formula, result: Pixel, masked: tuple[bool, ...]) -> str:
    """Source of ``run``: rows, then bands, so that an input of one band is still in the cache for the next band.

    Entries of tables are fetched by a loop of their own, for the processor cannot fetch several at a time: the rest can then
    be computed for many pixels at once.
    """
    masks = [position for position, has in enumerate(masked) if has]
    arrays = [f"x{k}" for k in range(len(masked))] + [f"m{k}" for k in masks]
    constants = {dtype: f"k{i}" for i, dtype in enumerate(formula.constants)}
    tables = [f"t{k}" for k in range(len(formula.tables))]
    ends = ["data", "valid", "wide"] if result.valid is not None else ["data"]
    rows = [f"{name}_ = {name}[b * steps[{2 * i}] + r * steps[{2 * i + 1}]:][:cols]" for i, name in enumerate(arrays)]
    rows += [f"{name}_ = {name}[b if {name}.shape[0] > 1 else 0]" for name in tables]
    for dtype, name in constants.items():
        rows += [f"{name}_{slot} = {name}[{slot}, b]" for slot in range(len(formula.constants[dtype]))]
    rows.append("data_ = data[b, r]")
    entries = [number for number, step in enumerate(formula.steps) if step.word == "lookup"]
    loops: list[str] = []
    for number in entries:
        right = _right_side(formula, number, constants)
        loops += _loop([*_lines(formula, formula.steps[number].operands, constants), f"e{number}[c] = {right}"])
    pixel = _lines(formula, [term.step for term in result if term is not None], constants)
    pixel.append(f"data_[c] = v{result.value.step}")
    if result.valid is not None:
        rows.append("valid_ = valid[b * wide, r]")
        pixel += [f"valid_[c] = v{result.valid.step}", f"good = good & v{result.valid.step}"]
    lines = [
        "import math",
        "",
        "import numpy as np",
        "",
        "",
        f"def run({', '.join(['steps', *arrays, *constants.values(), *tables, *ends])}):",
        "    bands, rows, cols = data.shape",
        "    good = True",
        *(f"    e{number} = np.empty(cols, {DTYPES[formula.steps[number].dtype]})" for number in entries),
        "    for r in range(rows):",
        "        for b in range(bands):",
        *(f"            {line}" for line in rows),
        *(f"            {line}" for line in [*loops, *_loop(pixel)]),
        "    return good",
        "",
    ]
    return "\n".join(lines)


def _loop(lines: list[str]) -> list[str]:
    return ["for c in range(cols):", *(f"    {line}" for line in lines)]


def _lines(formula: Formula, wanted: Sequence[int], constants: dict[np.dtype, str]) -> list[str]:
    """What computes the steps ``wanted``, where entries of tables have been fetched."""
    needed: set[int] = set()
    stack = list(wanted)
    while stack:
        number = stack.pop()
        if number not in needed:
            needed.add(number)
            stack += () if formula.steps[number].word == "lookup" else formula.steps[number].operands
    return [
        f"v{n} = e{n}[c]" if formula.steps[n].word == "lookup" else f"v{n} = {_right_side(formula, n, constants)}"
        for n in sorted(needed)
    ]


def _right_side(formula: Formula, number: int, constants: dict[np.dtype, str]) -> str:
    step = formula.steps[number]
    operands = [f"v{operand}" for operand in step.operands]
    if step.word == "value":
        return f"x{step.slot}_[c]"
    if step.word == "valid":
        return f"m{step.slot}_[c]"
    if step.word == "constant":
        return f"{constants[step.dtype]}_{step.slot}"
    if step.word == "lookup":
        return f"t{step.slot}_[np.uint64({operands[0]})]"
    source = formula.steps[step.operands[-1]].dtype
    if step.word == "cast":
        return f"{operands[0]} != {DTYPES[source]}(0)" if step.dtype == BOOL else f"{DTYPES[step.dtype]}({operands[0]})"
    kinds, template = next(item for item in STEPS[step.word].items() if source.kind in item[0])
    right = template.format(*operands, S=DTYPES[source])
    return right if source == BOOL or kinds.endswith("?") else f"{DTYPES[source]}({right})"


def _signature(formula: Formula, result: Pixel, dtypes: tuple[np.dtype, ...], masked: tuple[bool, ...]) -> Any:
    """The function's type. Inputs are read-only lines of memory, whatever array they are cut from."""

    def array(dtype: np.dtype, ndim: int, readonly: bool = False) -> Any:
        return numba.types.Array(numba.from_dtype(dtype), ndim, "C", readonly=readonly)

    arguments = [array(INT64, 1)]
    arguments += [array(dtype, 1, True) for dtype in (*dtypes, *[BOOL] * sum(masked))]
    arguments += [array(dtype, 2) for dtype in formula.constants]
    arguments += [array(table.dtype, 2, True) for table in formula.tables]
    arguments.append(array(result.value.dtype, 3))
    if result.valid is not None:
        arguments += [array(BOOL, 3), numba.types.int64]
    return numba.types.boolean(*arguments)


def _per_band(arrays: list[np.ndarray], bands: int) -> np.ndarray:
    return np.stack([np.broadcast_to(array, (bands,)) for array in arrays])


def _flat(array: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The memory beneath a (bands, rows, cols) array as a line, and the steps in it to the next band and row.

    One band spreads over as many as there are. An array whose columns do not follow each other is copied.
    """
    size = array.itemsize
    band_step, row_step, col_step = array.strides
    if (col_step != size and array.shape[2] > 1) or min(band_step, row_step) < 0 or not array.flags.aligned:
        array = np.ascontiguousarray(array)
        band_step, row_step, _ = array.strides
    if band_step % size or row_step % size:
        array = np.array(array, order="C")
        band_step, row_step, _ = array.strides
    bands, rows, cols = array.shape
    last = (bands - 1) * band_step + (rows - 1) * row_step
    line = np.lib.stride_tricks.as_strided(array, (last // size + cols,), (size,), writeable=False)
    return line, band_step // size if bands > 1 else 0, row_step // size


def _function(text: str, signature: Any, compiling: bool) -> Callable[..., bool] | None:
    """The compiled function: from disk, or by compiling it if that is wanted."""
    if _settings.DISABLE_JIT or _born_busy:
        return None
    name = "weft_" + blake2b(f"{signature}\n{text}".encode(), digest_size=16).hexdigest()
    path = _kept(name, text, compiling)
    if path is not None:
        try:
            function = _dispatcher(name, text, str(path), cache=True)
            if compiling or any(Path(function.stats.cache_path).glob(f"{name}.*.nbi")):
                return _made(function, signature)
        except (OSError, RuntimeError):  # a full disk; a folder that numba cannot write into
            pass
    return _made(_dispatcher(name, text, f"<{name}>", cache=False), signature) if compiling else None


def _dispatcher(name: str, text: str, path: str, *, cache: bool) -> Any:
    # What is run is the text made here, never what the file holds by now.
    module = types.ModuleType(name)
    exec(compile(text, path, "exec"), vars(module))
    sys.modules[name] = module  # numba looks the function's globals up there
    # IEEE division; neither fastmath nor contraction, which numba leaves off.
    return numba.njit(nogil=True, cache=cache, error_model="numpy")(module.run)


def _made(function: Any, signature: Any) -> Callable[..., bool]:
    function.compile(signature)
    function.disable_compile()
    run: Callable[..., bool] = function
    return run


def _kept(name: str, text: str, writing: bool) -> Path | None:
    """The file that holds ``text``; None where it is missing or altered and cannot, or shall not, be written."""
    try:
        folder = _folder()
        path = folder / f"{name}.py"
        content = text.encode()
        if path.is_file() and path.read_bytes() == content:
            return path
        if not writing:
            return None
        handle, unfinished = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(unfinished, path)
    except (OSError, RuntimeError):  # RuntimeError: no home
        return None
    return path


def _folder() -> Path:
    """Where sources are kept: apart for each version of Python, numba and LLVM and each kind of processor."""
    base = Path(_settings.CACHE_DIR or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weft"
    target = blake2b(repr(cpu_target.target_context.codegen().magic_tuple()).encode(), digest_size=4).hexdigest()
    folder = base / f"numba{numba.__version__}-{sys.implementation.cache_tag}-{platform.machine()}-{target}"
    for made in (base, folder):
        made.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(mode=0o700, exist_ok=True)
        state = made.lstat()
        # Machine code is loaded from here: nobody else may have put it there.
        if state.st_uid != os.getuid() or state.st_mode & 0o022:
            raise PermissionError(f"{made} belongs to others, or they may write into it")
    return folder


_born_busy = False


def _after_fork() -> None:
    """A child of a process that was compiling finds numba's lock taken for ever; it goes on with numpy."""
    global _lock, _born_busy
    _lock = threading.Lock()
    _born_busy = _born_busy or any(form.busy for form in _forms.values())
    for form in _forms.values():
        form.busy = False


os.register_at_fork(after_in_child=_after_fork)
