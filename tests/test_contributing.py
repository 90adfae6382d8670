"""The worked examples of CONTRIBUTING.md are whole files that work."""

from __future__ import annotations

import importlib.util
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import weft
from weft.graph.node import OPERATIONS
from weft.io import registry

TEXT = (Path(__file__).resolve().parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (\S+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Load an example as the module that it would be in its folder; everything is as before afterwards."""

    def load(place):
        name = "weft." + place.removesuffix(".py").replace("/", ".")
        file = tmp_path / Path(place).name
        file.write_text(EXAMPLES[place], encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    operations, drivers = dict(OPERATIONS), dict(registry._drivers)
    yield load
    OPERATIONS.clear()
    OPERATIONS.update(operations)
    registry._drivers.clear()
    registry._drivers.update(drivers)


def by_hand(data, valid, radius):
    result = np.full(data.shape, np.nan, np.float32)
    for band, row, col in np.argwhere(valid):
        rows = slice(max(0, row - radius), row + radius + 1)
        cols = slice(max(0, col - radius), col + radius + 1)
        result[band, row, col] = data[band, rows, cols][valid[band, rows, cols]].mean(dtype=np.float64)
    return result


@pytest.mark.parametrize("radius", [1, 3])
def test_the_operation(example, radius):
    box_mean = example("ops/box_mean.py").box_mean
    rng = np.random.default_rng(radius)
    data = rng.integers(0, 1000, (2, 23, 31)).astype(np.uint16)
    valid = rng.random(data.shape) > 0.3
    raster = weft.from_array(data, valid=valid)
    result = box_mean(raster, radius)
    assert isinstance(result, weft.Raster)
    whole = result.to_numpy()
    np.testing.assert_allclose(whole, by_hand(data, valid, radius), rtol=1e-6)
    for chunks in (5, (7, 31), (23, 4)):
        assert np.array_equal(result.to_dask(chunks).compute(), whole, equal_nan=True)
    assert np.array_equal(result[["b2"]].to_numpy(), whole[1:], equal_nan=True)
    assert weft.from_json(result.to_json()).token == result.token
    assert pickle.loads(pickle.dumps(result)).token == result.token
    with pytest.raises(weft.ArgumentError):
        box_mean(raster, 0)
    with pytest.raises(weft.DtypeError):
        box_mean(raster.astype("complex64"))


def test_the_format(example, tmp_path):
    example("io/npy.py")
    data = np.arange(3 * 700 * 600, dtype=np.int32).reshape(3, 700, 600)
    path = tmp_path / "image.npy"
    np.save(path, data)
    raster = weft.open(path)
    assert raster.shape == data.shape
    assert np.array_equal(raster.to_numpy(), data)
    assert np.array_equal(raster[1, 10:20, 500:].to_numpy(), data[1:2, 10:20, 500:])
    assert weft.from_json(raster.to_json()).token == raster.token
    assert weft.open(path, nodata=5).to_numpy(masked=True).mask.sum() == 1
    np.save(path, data + 1)
    assert weft.open(path).token != raster.token
    np.save(path, data[:, :9])
    with pytest.raises(weft.SourceError):
        raster[0, 0, 0].to_numpy()


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_the_format_refuses(example, tmp_path, content):
    example("io/npy.py")
    path = tmp_path / "bad.npy"
    if content is None:
        np.save(path, np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(weft.SourceError, match=re.escape(str(path))):
        weft.open(path)
