"""One contender of one question, measured in a process of its own: warm-up, then the median of three.

``python -m benchmarks.measure w5_chain weft SCENE`` prints one JSON line: wall seconds, CPU seconds (children included)
and the peak resident memory of the whole process, imports among it.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

RUNS = 3


@dataclass(frozen=True)
class Figures:
    """Median wall and CPU seconds, peak resident memory in MB, and what the contender said of its result."""

    wall: float
    cpu: float
    rss: float
    result: Any = None


def measure(question: str, contender: str, scene: Path) -> Figures:
    """Run a contender in a fresh Python process, of another interpreter if the question's ``PYTHON`` has one for it.

    Raises
    ------
    RuntimeError
        It failed; the message holds the end of its output.
    """
    elsewhere = getattr(import_module(f"benchmarks.{question}"), "PYTHON", {})
    python = elsewhere[contender]() if contender in elsewhere else sys.executable
    command = [python, "-m", "benchmarks.measure", question, contender, str(scene)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    if done.returncode:
        raise RuntimeError(f"{question} {contender} failed:\n{done.stderr[-2000:]}")
    return Figures(**json.loads(done.stdout.strip().splitlines()[-1]))


def _measure_here(question: str, contender: str, scene: str) -> Figures:
    module = import_module(f"benchmarks.{question}")
    run = module.CONTENDERS[contender]
    # What a question prepares, its input in memory say, is not timed and takes the scene's place.
    given = module.prepare(Path(scene), contender) if hasattr(module, "prepare") else Path(scene)
    walls, cpus, result = [], [], None
    for _ in range(RUNS + 1):
        with tempfile.TemporaryDirectory() as folder:
            _forget_tiles()
            wall, cpu = time.perf_counter(), _cpu()
            result = run(given, Path(folder))
            walls.append(time.perf_counter() - wall)
            cpus.append(_cpu() - cpu)
    return Figures(statistics.median(walls[1:]), statistics.median(cpus[1:]), peak_rss(), result)


def peak_rss() -> float:
    """The most memory, in MB, that this process or one of its children held at once.

    Not ``ru_maxrss`` of the process itself: Linux counts in it what the parent held when it forked.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def _forget_tiles() -> None:
    """Every timed run of weft starts without decoded tiles; its peers keep what caches they have."""
    if "weft" in sys.modules:
        from weft.graph.cache import tile_cache

        tile_cache().clear()


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    print(json.dumps(vars(_measure_here(*sys.argv[1:4]))))
