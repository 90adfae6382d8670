from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

from weft.compiling import telling_of_compilation


def test_it_says_so_once_and_what_it_took():
    said = []

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * 2

    with telling_of_compilation(said.append):
        assert outer(3) == 8
        assert outer(4.0) == 10.0
    assert len(said) == 2
    assert "compiling kernels" in said[0]
    assert said[1].startswith("compiled 4 kernels in ")


def test_it_is_silent_where_nothing_is_compiled():
    said = []

    @numba.njit
    def double(x):
        return x * 2

    double(3)
    with telling_of_compilation(said.append):
        double(4)
    double(5.0)
    assert said == []


def test_an_error_closes_it_too():
    said = []
    with pytest.raises(ValueError, match="no"), telling_of_compilation(said.append):
        raise ValueError("no")
    numba.njit(lambda x: x)(1)
    assert said == []


def test_importing_weft_compiles_nothing():
    code = """
import weft
from numba.core import event
from numba.core.dispatcher import Dispatcher
import gc
kernels = [d for d in gc.get_objects() if isinstance(d, Dispatcher) and d.py_func.__module__.startswith("weft")]
assert kernels
assert not [kernel for kernel in kernels if kernel.overloads]
print("none")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("none", 0), done.stderr


@pytest.mark.parametrize("again", [False, True])
def test_a_fresh_machine_is_told_of_and_the_next_run_is_not(tmp_path_factory, again):
    """The demo with an empty folder for compiled kernels, then with what the first run left there."""
    base = tmp_path_factory.getbasetemp() / "kernels"
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "weft", "demo", "--size", "256", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_CACHE_DIR": str(base)},
    )
    assert done.returncode == 0, done.stderr
    assert ("compiling kernels" in done.stdout) is not again
