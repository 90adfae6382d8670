"""The first example of README.md runs as it stands, on the scene that the demo writes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import weft
from weft.scene import write_scene

TEXT = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_first_example(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    write_scene("demo-output/scene-4096.tif", 2600)
    names = {}
    exec(example, names)
    assert "tasks" in capsys.readouterr().out
    view = weft.open("view.zarr")
    assert view.bands == ("red", "green", "blue")
    assert view.resolution == (20, 20)
    assert view.to_numpy().std() > 20
    ndvi = names["ndvi"][:, 1000:1200, 1000:1200].to_numpy()
    assert ndvi.dtype == np.float32
    assert -1 <= ndvi.min() < ndvi.max() <= 1
    levels = names["levels"]
    np.testing.assert_array_equal(weft.open("levels.zarr/1").to_numpy(), levels[0].sips_reduce().to_numpy())
    assert Path("shown.png").stat().st_size > 10_000
