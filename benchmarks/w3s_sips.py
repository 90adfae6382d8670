"""W3s: every reduced level of one band in memory down to 256 pixels by the SIPS method, each kept.

The peer, the OSML imagery toolkit, is an alpha release that wants an environment of its own: it is made on first use. Its
function is called once per level, as its own pyramids do. Both are given the same noise; their speed does not depend on it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

QUESTION = "W3s SIPS levels of one band in memory"
SIZE, LEAST = 10980, 256
PEER = "osml-imagery-toolkit==2.0.0a1"


def prepare(scene: Path, contender: str) -> Any:
    """Pixels of 14 bits in the type that the contender's name ends with."""
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 2**14, (SIZE, SIZE), np.uint16).astype(contender.split()[-1])
    if not contender.startswith("weft,"):
        return pixels
    import weft

    return weft.from_array(pixels)


def weft(raster: Any, folder: Path) -> None:
    raster.pyramid("sips", LEAST)[1:].to_numpy()


def weft_array(image: Any, folder: Path) -> None:
    from weft.ops import sips_rrds_resample

    _levels(image, sips_rrds_resample)


def osml(image: Any, folder: Path) -> None:
    from aws.osml.image_processing import sips_rrds_resample

    _levels(image, sips_rrds_resample)


def _levels(image: Any, halved: Any) -> None:
    levels = []
    while min(image.shape) >= LEAST:
        rows, cols = image.shape
        image = halved(image, (rows + 1) // 2, (cols + 1) // 2)
        levels.append(image)


def osml_python() -> str:
    """The interpreter of the peer's environment, which is made if it is not there."""
    folder = Path(__file__).parent / ".cache" / "osml-venv"
    python = folder / "bin" / "python"
    done = folder / ".done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--pre", PEER], check=True)
        done.touch()
    return str(python)


CONTENDERS = {
    "weft, uint16": weft,
    "weft's array function, uint16": weft_array,
    "OSML, uint16": osml,
    "weft, float32": weft,
    "weft's array function, float32": weft_array,
    "OSML, float32": osml,
}
PYTHON = {name: osml_python for name in CONTENDERS if name.startswith("OSML")}
