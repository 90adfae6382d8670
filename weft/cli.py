"""The command line: ``weft info``, ``explain``, ``convert``, ``pyramid``, ``demo``.

Results go to stdout, progress and errors to stderr. An error is one line and exit code 2; ``--debug`` shows the traceback.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from . import Raster, __version__, from_json
from . import open as open_raster
from .compiling import telling_of_compilation
from .demo import run_demo
from .geometry import Resampling
from .graph.errors import ArgumentError, SourceError, WeftError
from .html import facts
from .ops.pyramid import METHODS
from .progress import progress, quiet

app = typer.Typer(
    help="Lazy raster dataflow: look at images, see what a chain of operations would read, and run it.",
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)

Source = Annotated[str, typer.Argument(metavar="PATH", help="File, URL or store to open.")]
Bands = Annotated[str | None, typer.Option(help="Names or 0-based positions, separated by commas.")]
BoundsText = Annotated[str | None, typer.Option("--bounds", metavar="L,B,R,T", help="Keep what lies inside.")]
BoundsCrs = Annotated[str | None, typer.Option(help="CRS of --bounds; the image's own when left out.")]
Window = Annotated[str | None, typer.Option(metavar="R0,R1,C0,C1", help="Keep these rows and columns (half-open).")]
Crs = Annotated[str | None, typer.Option("--crs", help="Reproject to this CRS, such as EPSG:3857.")]
Resolution = Annotated[str | None, typer.Option(metavar="X[,Y]", help="Pixel size in units of the target CRS.")]
ResamplingName = Annotated[Resampling, typer.Option("--resampling", help="How values between pixels are found.")]
Stretch = Annotated[str | None, typer.Option(metavar="LO,HI", help="Stretch between two percentiles to uint8.")]
Dra = Annotated[bool, typer.Option("--dra", help="Dynamic range adjustment to uint8.")]
Dtype = Annotated[str | None, typer.Option(help="Data type of the result.")]
Chunks = Annotated[str | None, typer.Option(metavar="N[,M]", help="Rows and columns of a chunk.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class Chain:
    """The operations that options ask for, in the order in which they are applied. Its fields are the options."""

    bands: Bands = None
    bounds: BoundsText = None
    bounds_crs: BoundsCrs = None
    window: Window = None
    crs: Crs = None
    resolution: Resolution = None
    resampling: ResamplingName = "bilinear"
    stretch: Stretch = None
    dra: Dra = False
    dtype: Dtype = None

    def applied_to(self, raster: Raster) -> Raster:
        if self.stretch and self.dra:
            raise ArgumentError("--stretch and --dra exclude each other; give one")
        if self.bounds and self.window:
            raise ArgumentError("--bounds and --window exclude each other; give one")
        if self.bands:
            raster = raster.select([int(band) if band.lstrip("-").isdigit() else band for band in self.bands.split(",")])
        if self.bounds:
            left, bottom, right, top = _numbers("--bounds", self.bounds, 4)
            raster = raster.crop((left, bottom, right, top), self.bounds_crs)
        if self.window:
            row0, row1, col0, col1 = (int(number) for number in _numbers("--window", self.window, 4))
            raster = raster.crop(window=(row0, row1, col0, col1))
        if self.crs or self.resolution:
            raster = raster.warp(self.crs, resolution=self._pixel_size(), resampling=self.resampling)
        if self.stretch:
            low, high = _numbers("--stretch", self.stretch, 2)
            raster = raster.stretch((low, high))
        if self.dra:
            raster = raster.dra()
        return raster.astype(self.dtype) if self.dtype else raster

    def _pixel_size(self) -> tuple[float, float] | None:
        if self.resolution is None:
            return None
        x, *y = _numbers("--resolution", self.resolution, 1, 2)
        return x, y[0] if y else x


def with_chain(command: Callable[..., None]) -> Callable[..., None]:
    """A command with one option for each field of ``Chain`` in place of its parameter ``chain``."""
    own = signature(command, eval_str=True)
    options = signature(Chain, eval_str=True).parameters.values()

    @wraps(command)
    def call(**given: Any) -> None:
        chain = Chain(**{option.name: given.pop(option.name) for option in options})
        command(chain=chain, **given)

    shown = [each for parameter in own.parameters.values() for each in (options if parameter.name == "chain" else [parameter])]
    keywords = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in shown]
    call.__signature__ = own.replace(parameters=keywords)  # type: ignore[attr-defined]  # typer makes its options of it
    return call


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"weft {__version__}")
        raise typer.Exit


@app.command()
def info(path: Source, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, debug: Debug = False) -> None:
    """Say what a file holds, from its header alone."""
    raster = open_raster(path)
    if as_json:
        print(json.dumps(_described(path, raster), indent=2))
        return
    table = Table(title=path, title_justify="left", show_header=False, box=None)
    shape = " x ".join(map(str, raster.shape))
    for name, value in [("shape", f"{shape} (band, y, x)"), ("dtype", str(raster.dtype)), *facts(raster.node)]:
        table.add_row(f"[bold]{name}", value)
    Console().print(table)


@app.command()
@with_chain
def explain(
    path: Annotated[str, typer.Argument(metavar="PATH", help="File, URL or store; or a graph in JSON (.json).")],
    chain: Chain,
    chunks: Chunks = None,
    debug: Debug = False,
) -> None:
    """Print what converting would read, compute and write, without doing it."""
    raster = _graph(path) if path.endswith(".json") else open_raster(path)
    print(chain.applied_to(raster).explain(_chunk_shape(chunks)))


@app.command()
@with_chain
def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="File, URL or store to open.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="What to write: .zarr, or .png (shrunk to 2048 pixels a side).")],
    chain: Chain,
    chunks: Chunks = None,
    pyramid: Annotated[str | None, typer.Option(metavar="METHOD", help="Write reduced levels too, such as: average.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace DST.")] = False,
    quiet_: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read, transform and write: SRC through the chosen operations into DST."""
    suffix = Path(target.rstrip("/")).suffix.lower()
    if suffix not in (".zarr", ".png"):
        raise ArgumentError(f"the target {target} ends neither in .zarr nor in .png")
    if suffix == ".png" and chunks:
        raise ArgumentError("--chunks says how a zarr store is cut; a PNG has no chunks")
    if suffix == ".png" and pyramid:
        raise ArgumentError("--pyramid is for a zarr store; a PNG has one level")
    raster = chain.applied_to(open_raster(source))
    shown = quiet if quiet_ else progress
    with telling_of_compilation(_to_stderr(quiet_)):
        if suffix == ".zarr":
            raster.to_zarr(target, chunks=_chunk_shape(chunks), pyramid=pyramid, overwrite=overwrite, progress=shown)
        else:
            raster.to_png(target, overwrite=overwrite, progress=shown)
    print(target)


@app.command("pyramid")
@with_chain
def build_pyramid(
    source: Annotated[str, typer.Argument(metavar="SRC", help="File, URL or store to open.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Zarr store to write: a group 0, 1, 2, ... per level.")],
    chain: Chain,
    method: Annotated[str, typer.Option(help=f"How a level is made of the one before: {', '.join(METHODS)}.")] = "average",
    min_size: Annotated[int, typer.Option(help="The first level with fewer rows or columns is the last one.")] = 256,
    native: Annotated[bool, typer.Option("--native", help="Take the file's own overviews where it has them.")] = False,
    reduced_only: Annotated[bool, typer.Option("--reduced-only", help="Do not write the image itself, level 0.")] = False,
    chunks: Chunks = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace DST.")] = False,
    quiet_: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write an image at 1/2, 1/4, 1/8, ... of its resolution, all levels in one pass."""
    levels = chain.applied_to(open_raster(source)).pyramid(method, min_size, use_native_levels=native)
    if reduced_only and len(levels) == 1:
        raise ArgumentError(f"{source} is smaller than --min-size {min_size}, so it has no reduced levels")
    if not quiet_:
        print(levels)
    with telling_of_compilation(_to_stderr(quiet_)):
        written = levels[1:] if reduced_only else levels
        shown = quiet if quiet_ else progress
        written.to_zarr(target, chunks=_chunk_shape(chunks), overwrite=overwrite, progress=shown)
    print(target)


@app.command()
def demo(
    scene: Annotated[str | None, typer.Option(help="A COG to work on; without it, weft writes a scene itself.")] = None,
    size: Annotated[int, typer.Option(help="Pixels a side of the scene that weft writes.")] = 4096,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
    quiet_: Quiet = False,
    debug: Debug = False,
) -> None:
    """The main job: COG, select bands, crop, reproject to EPSG:3857, stretch to uint8 (DRA), zarr; and a picture of it."""
    run_demo(scene, size, out, print if not quiet_ else lambda text: None, quiet if quiet_ else progress)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 refused or failed, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:
        sys.exit(app(args=given, prog_name="weft", standalone_mode=False))
    try:
        code = app(args=given, prog_name="weft", standalone_mode=False)
    except Exception as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _to_stderr(silent: bool) -> Callable[[str], None]:
    return lambda text: None if silent else print(text, file=sys.stderr)


def _one_line(error: Exception) -> str:
    """The error in one line, named by its class where it is not one of weft's."""
    if hasattr(error, "format_message"):  # the command line itself is wrong
        return f"{error.format_message()} (see weft --help)"
    text = " ".join(str(error).split())
    return text if isinstance(error, WeftError) and text else f"{type(error).__name__}: {text} (--debug shows where)"


def _graph(path: str) -> Raster:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the graph {path}: {error}") from error
    return from_json(text)


def _numbers(option: str, text: str, least: int, most: int | None = None) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not least <= len(numbers) <= (most or least) or not all(map(math.isfinite, numbers)):
        count = f"{least}" if most is None else f"{least} or {most}"
        raise ArgumentError(f"{option} takes {count} numbers separated by commas; got {text!r}")
    return numbers


def _chunk_shape(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    rows, *cols = (int(number) for number in _numbers("--chunks", text, 1, 2))
    return rows, cols[0] if cols else rows


def _described(path: str, raster: Raster) -> dict[str, Any]:
    described = {
        "path": path,
        "shape": raster.shape,
        "dtype": str(raster.dtype),
        "bands": raster.bands,
        "crs": raster.grid.crs,
        "transform": raster.transform[:6],
        "bounds": raster.bounds,
        "resolution": raster.resolution,
        "nodata": raster.nodata,
        "tile": raster.node.meta.tile,
        "attrs": raster.attrs,
    }
    return {name: _plain(value) for name, value in described.items()}


def _plain(value: Any) -> Any:
    """``value`` as JSON has it; text for what JSON has no form for: NaN, infinities, complex numbers, objects."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
