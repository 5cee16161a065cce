"""How long a finished sweep takes to see that nothing is left to do, and a running one to stop.

    python -m benchmarks.resume [--sizes 100,1000,10000] [--stops 12] [--quick]

The first table is about the networks of ``benchmarks.sweep`` (407 numbers a run): the sweep, the same command again,
and the audit of all it has tracked, each from the shell. The second one is about default sweeps that Ctrl-C reaches at
a random moment: the signal goes to the whole process group, as a terminal sends it, and the time until the command
has ended is taken. All imports are included.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import machine
from benchmarks.commands import clean_environment, cost_of, with_database
from benchmarks.sweep import TASK

MOMENTS = (3.0, 16.0)
"""Seconds after the start, between which Ctrl-C comes: while it plans, trains and tracks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.resume", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100,1000,10000", help="runs in the sweeps")
    parser.add_argument("--stops", type=int, default=12, help="how many default sweeps are stopped")
    parser.add_argument("--quick", action="store_true", help="one small sweep, one stop: to see that it works")
    options = parser.parse_args(arguments)
    if options.stops < 1:
        parser.error(f"--stops: expected a whole number >= 1, got {options.stops}")
    sizes = [3] if options.quick else [int(size) for size in options.sizes.split(",")]
    print("| runs | sweep, s | the same again, s | audit, s |\n|---|---|---|---|")
    for size in sizes:
        print(row(size), flush=True)
    print("\n| default sweeps stopped | exit code | fastest, s | median, s | slowest, s |\n|---|---|---|---|---|")
    print(stops(1 if options.quick else options.stops))
    print(f"\n{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def row(size: int) -> str:
    """One Markdown row.

    Raises:
        RuntimeError: the second start trained, or the audit found a problem.
    """
    with TemporaryDirectory() as name:
        folder = with_database(Path(name))
        command = ["-m", *TASK, f"seed=range({size})"]
        first, again = (cost_of("pipeline.run", command, folder) for _ in range(2))
        if f"{size} already tracked, 0 to train" not in again.output:
            raise RuntimeError(again.output)
        audit = cost_of("analysis.audit", [], folder)
    return f"| {size} | {first.seconds:.1f} | {again.seconds:.1f} | {audit.seconds:.1f} |"


def stops(times: int) -> str:
    """One Markdown row about so many sweeps."""
    moments = np.random.default_rng(0).uniform(*MOMENTS, size=times)
    codes, seconds = zip(*map(stop, moments.tolist()), strict=True)
    return (
        f"| {times} | {', '.join(map(str, sorted(set(codes))))} | {min(seconds):.2f} | {median(seconds):.2f} |"
        f" {max(seconds):.2f} |"
    )


def stop(moment: float) -> tuple[int, float]:
    """Exit code of a default sweep that Ctrl-C reaches after so many seconds, and the seconds until its end."""
    with TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.run", "-m"],
            cwd=folder, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            time.sleep(moment)
            start = time.perf_counter()
            os.killpg(process.pid, signal.SIGINT)
            code = process.wait(timeout=60)
            return code, time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
