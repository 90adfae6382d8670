from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from weft.graph import compiled
from weft.graph.block import Block
from weft.graph.compiled import Compiled
from weft.graph.formula import STEPS, Formula

INT = np.dtype("i8")
UINT = np.dtype("u1")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty memory and an empty cache folder; compile at once."""
    monkeypatch.setattr(compiled, "_forms", OrderedDict())
    monkeypatch.setattr(compiled, "_taken", set())
    monkeypatch.setattr(compiled, "COMPILE_AFTER", 0)
    monkeypatch.setattr(compiled._settings, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("weft_")]:
        del sys.modules[name]


def scaled(factor: int = 3, masks: tuple[int, ...] = (0,), bands: int = 2, fill: int = -7) -> Compiled:
    """``factor`` times an int64 input; invalid pixels hold ``fill``."""
    formula = Formula()
    pixel = formula.given(0, INT, bands, masks[0])
    value = formula.apply("multiply", pixel.value, formula.constant(factor, INT))
    return Compiled(formula, formula.filled(value, pixel.valid, fill), (INT,), (masks[0] > 0,), bands)


def data(bands: int = 2) -> np.ndarray:
    return np.arange(bands * 5 * 7, dtype=INT).reshape(bands, 5, 7)


def hits(one: Compiled) -> tuple[int, int]:
    stats = one.form.run.stats
    return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


def sources(folder: Path) -> list[Path]:
    return list(folder.rglob("weft_*.py"))


def test_numbers_are_no_part_of_the_form() -> None:
    one, other = scaled(3), scaled(1234567, fill=7654321)
    assert one.form is other.form
    masked = scaled(1234567, (1,), fill=7654321)
    assert "1234567" not in masked.form.text
    assert "7654321" not in masked.form.text
    np.testing.assert_array_equal(one((Block(data()),)).data, data() * 3)
    np.testing.assert_array_equal(other((Block(data()),)).data, data() * 1234567)


def test_only_inputs_with_a_mask_cost_one() -> None:
    assert "valid" not in scaled().form.text
    assert scaled(masks=(1,)).form is scaled(masks=(2,)).form
    for bands in (1, 2):
        valid = np.arange(bands * 35).reshape(bands, 5, 7) % 3 > 0
        result = scaled(masks=(bands,))((Block(data(), valid),))
        np.testing.assert_array_equal(result.data, np.where(valid, data() * 3, -7))
        np.testing.assert_array_equal(result.valid, valid)
    assert scaled(masks=(1,))((Block(data(), np.ones((1, 5, 7), bool)),)).valid is None


def test_every_step_has_known_words_only() -> None:
    words = {"S", "min", "max", "abs", "not", "if", "else", "math.sqrt", "np.floor", "np.ceil", "np.trunc", "np.rint", "np.inf"}
    for texts in STEPS.values():
        for text in texts.values():
            names = "".join(c if c.isalpha() or c in "._" else " " for c in text).split()
            assert set(names) <= words


VIEWS = (
    lambda a: a,
    lambda a: a[:, 1:4, 2:6],
    lambda a: a[:, :1],
    lambda a: a[:, :, :1],
    lambda a: a[::-1, ::-1],
    lambda a: a[:, :, ::-1],
    lambda a: a[:, ::2, ::3],
    lambda a: a.transpose(0, 2, 1),
    lambda a: np.broadcast_to(a[:, :1], a.shape),
    lambda a: np.broadcast_to(a[:, :, :1], a.shape),
    lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
)


def test_any_view_of_memory() -> None:
    plain, masked = scaled(), scaled(masks=(2,))
    for view in VIEWS:
        array, valid = view(data()), view(data() % 3 > 0)
        np.testing.assert_array_equal(plain((Block(array),)).data, array * 3)
        result = masked((Block(array, valid),))
        np.testing.assert_array_equal(result.data, np.where(valid, array * 3, -7))


def test_fields_of_records() -> None:
    records = np.zeros((2, 5, 7), np.dtype([("a", "u1"), ("b", INT)]))
    records["b"] = data()
    np.testing.assert_array_equal(scaled()((Block(records["b"]),)).data, data() * 3)


def test_small_work_waits_for_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(compiled, "_function", lambda text, signature, compiling: asked.append(compiling))
    monkeypatch.setattr(compiled, "COMPILE_AFTER", 280)
    monkeypatch.setattr(compiled, "LOAD_AFTER", 140)
    one = scaled()
    assert [one((Block(data()),)) for _ in range(5)] == [None] * 5
    assert asked == [False, True, True]  # at 140 pixels the disk, from 280 on the compiler


def test_what_was_compiled_once_is_loaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scaled()
    monkeypatch.setattr(compiled, "COMPILE_AFTER", 10**9)
    monkeypatch.setattr(compiled, "LOAD_AFTER", 0)
    assert first((Block(data()),)) is None
    assert not sources(cache)
    monkeypatch.setattr(compiled, "COMPILE_AFTER", 0)
    assert first((Block(data()),)) is not None
    assert hits(first) == (0, 1)
    (source,) = sources(cache)
    assert source.read_text() == first.form.text
    assert source.parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(compiled, "_forms", OrderedDict())
    monkeypatch.setattr(compiled, "COMPILE_AFTER", 10**9)
    again = scaled(5)
    np.testing.assert_array_equal(again((Block(data()),)).data, data() * 5)
    assert hits(again) == (1, 0)


def test_another_process_loads_it_and_importing_compiles_nothing(cache: Path) -> None:
    scaled()((Block(data()),))
    program = """
import sys, numpy as np
import weft
assert not [name for name in sys.modules if name.startswith("weft_")]
from weft.graph import compiled
from weft.graph.block import Block
from weft.graph.formula import Formula
compiled.LOAD_AFTER, compiled.COMPILE_AFTER, dtype = 0, 10**9, np.dtype("i8")
formula = Formula()
value = formula.apply("multiply", formula.given(0, dtype, 2).value, formula.constant(4, dtype))
one = compiled.Compiled(formula, formula.filled(value, None, 0), (dtype,), (False,), 2)
result = one((Block(np.ones((2, 3, 3), dtype)),))
assert (result.data == 4).all()
print(sum(one.form.run.stats.cache_hits.values()), sum(one.form.run.stats.cache_misses.values()))
"""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["1", "0"]


def test_numbas_own_setting_says_where(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled._settings, "CACHE_DIR", str(cache / "numba"))
    one = scaled()
    assert one((Block(data()),)) is not None
    assert len(sources(cache / "numba")) == 1
    assert one.form.run.stats.cache_path.startswith(str(cache / "numba"))


@pytest.mark.parametrize("trouble", ["a file in its place", "open to others", "numba cannot write"])
def test_without_a_folder_of_its_own_it_compiles_in_memory(trouble: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if trouble == "a file in its place":
        (cache / "weft").write_text("")
    elif trouble == "open to others":
        (cache / "weft").mkdir()
        (cache / "weft").chmod(0o777)
    else:
        monkeypatch.setattr(compiled._settings, "CACHE_DIR", str(cache))
        monkeypatch.setattr(compiled, "_folder", lambda: cache)
        real = compiled._dispatcher

        def refusing(name: str, text: str, path: str, *, cache: bool) -> object:
            if cache:
                raise RuntimeError("no locator available")
            return real(name, text, path, cache=False)

        monkeypatch.setattr(compiled, "_dispatcher", refusing)
    one = scaled()
    np.testing.assert_array_equal(one((Block(data()),)).data, data() * 3)
    assert one.form.run.stats.cache_path is None


def test_an_altered_source_is_written_anew_and_never_run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled()((Block(data()),))
    (source,) = sources(cache)
    good = source.read_text()
    source.write_text(f"open({str(cache / 'was-run')!r}, 'w')\n" + good.replace("* ", "+ "))
    monkeypatch.setattr(compiled, "_forms", OrderedDict())
    np.testing.assert_array_equal(scaled()((Block(data()),)).data, data() * 3)
    assert source.read_text() == good
    assert not (cache / "was-run").exists()


def test_threads_compile_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    started, real = threading.Event(), compiled._made

    def slow(function: object, signature: object) -> object:
        made.append(function)
        started.wait(20)  # until another thread was sent away to compute with numpy
        return real(function, signature)

    monkeypatch.setattr(compiled, "_made", slow)
    one = scaled()

    def compute(_: int) -> Block | None:
        result = one((Block(data()),))
        if result is None:
            started.set()
        return result

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(compute, range(4)))
    assert len(made) == 1
    assert any(result is None for result in results)
    assert any(result is not None for result in results)
    assert one((Block(data()),)) is not None


def test_what_does_not_compile_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object, signature: object) -> object:
        raise ZeroDivisionError("by the compiler")

    monkeypatch.setattr(compiled, "_made", broken)
    one = scaled()
    with pytest.warns(RuntimeWarning, match="by the compiler"):
        assert one((Block(data()),)) is None
    assert one((Block(data()),)) is None  # and does not try again


def test_forms_in_memory_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST_FORMS", 3)
    monkeypatch.setattr(compiled, "_function", lambda *_: lambda *_: True)
    forms = [_sum_of(count).form for count in range(1, 8)]
    assert list(compiled._forms.values()) == forms[-3:]
    assert [form.ready(1) is not None for form in forms] == [True] * 3 + [False] * 4
    assert _sum_of(7).form is forms[-1]
    assert forms[0].ready(1) is not None


def _sum_of(count: int) -> Compiled:
    formula = Formula()
    value = formula.given(0, UINT, 1).value
    total = value
    for _ in range(count):
        total = formula.apply("add", total, value)
    return Compiled(formula, formula.filled(total, None, 0), (UINT,), (False,), 1)


def test_numba_switched_off_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled._settings, "DISABLE_JIT", 1)
    assert scaled()((Block(data()),)) is None


def test_a_process_forked_from_a_compiling_one_does_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_born_busy", False)
    monkeypatch.setattr(compiled, "_lock", compiled._lock)
    one = scaled()
    compiled._after_fork()
    assert not compiled._born_busy
    one.form.busy = True
    compiled._after_fork()
    assert one((Block(data()),)) is None
    assert not one.form.busy
