"""A writer that is killed leaves nothing that reads as complete; interrupted, it clears up and leaves nothing at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import weft

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

# 15 times finer than the scene: hundreds of tasks, more than anyone computes before the first are seen.
JOB = ["--bands", "red", "--crs", "EPSG:3857", "--resolution", "1", "--overwrite", "--quiet"]


class Writer:
    """A process that writes ``target``."""

    def __init__(self, scene: Path, target: Path) -> None:
        self.folder = target.parent
        self.before = self._chunks()
        command = [sys.executable, "-m", "weft", "convert", str(scene), str(target), *JOB]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell starts background jobs deaf to SIGINT, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def _chunks(self) -> int:
        """Files of chunks, wherever they lie."""
        return sum("c" in path.parts for path in self.folder.rglob("*") if path.is_file())

    def stop_midway(self, how: signal.Signals) -> tuple[int, str]:
        """Send a signal once some chunks are there: exit code and stderr."""
        deadline = time.monotonic() + 60
        while self._chunks() < self.before + 5:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "nothing was written"
            time.sleep(0.02)
        self.process.send_signal(how)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.fixture
def writer(scene, tmp_path):
    writers = []

    def start(target):
        writers.append(Writer(scene, target))
        return writers[-1]

    yield start
    for one in writers:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def assert_unreadable(target: Path) -> None:
    with pytest.raises(weft.SourceError):
        weft.open(target)
    with pytest.raises((FileNotFoundError, KeyError, ValueError)):
        xr.open_zarr(target)


def assert_written(target: Path, scene: Path) -> None:
    weft.open(scene).select("red").resize((2048, 2048), resampling="nearest").to_zarr(target)
    with rasterio.open(scene) as file, xr.open_zarr(target, mask_and_scale=False) as dataset:
        np.testing.assert_array_equal(dataset["data"].values[0, ::2, ::2], file.read(1))


def test_killed(scene, writer, tmp_path):
    target = tmp_path / "out.zarr"
    code, _ = writer(target).stop_midway(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not target.exists()
    assert_unreadable(target)
    (leftover,) = tmp_path.iterdir()
    assert_unreadable(leftover)
    assert_written(target, scene)


def test_killed_while_replacing(scene, writer, tmp_path):
    """What was there before is there still."""
    target = tmp_path / "out.zarr"
    weft.open(scene).select("nir").to_zarr(target)
    before = weft.open(target).to_numpy()
    assert writer(target).stop_midway(signal.SIGKILL)[0] == -signal.SIGKILL
    np.testing.assert_array_equal(weft.open(target).to_numpy(), before)


def test_interrupted(scene, writer, tmp_path):
    target = tmp_path / "out.zarr"
    code, err = writer(target).stop_midway(signal.SIGINT)
    assert code == 130
    assert "Traceback" not in err
    assert_unreadable(target)
    assert not list(tmp_path.iterdir())
    assert_written(target, scene)
