"""Time and peak memory of reading a large CSV file, ours beside pandas'.

    python -m benchmarks.reading [--size 1.0] [--rounds 3] [--folder DIR]

The file is made first: random numbers with 6 significant digits in 20 columns, and a column of text labels. Each
reading is a process of its own, and both take turns: ``pandas.read_csv`` with its defaults, and our reader, from the
file to checked columns of inputs and the labels; the split into parts makes matrices of them. Seconds are the
processor's, because neither waits for anything; memory is the peak of the resident set above that before.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.machine import description

COLUMNS, ROWS_AT_ONCE = 20, 2000
SIDES = ("pandas", "ours")
BOUND = 1.3


def write_table(path: Path, size: int) -> None:
    """Writes lines until the file has ``size`` bytes."""
    generator = np.random.default_rng(0)
    names = [f"x{number}" for number in range(COLUMNS)]
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*names, "kind"]) + "\n")
        while file.tell() < size:
            numbers = generator.standard_normal((ROWS_AT_ONCE, COLUMNS))
            labels = np.array(["yes", "no", "perhaps"])[generator.integers(3, size=ROWS_AT_ONCE)]
            pd.DataFrame(numbers, columns=names).assign(kind=labels).to_csv(
                file, header=False, index=False, float_format="%.6g"
            )


def read(side: str, path: Path) -> tuple[float, float]:
    """Seconds and bytes of one reading, in this process."""
    from pipeline.data.table import Use, read_table
    from pipeline.data.table_files import read_csv

    with tempfile.TemporaryDirectory() as folder:  # Both sides load libraries when they first read.
        small = Path(folder) / "small.csv"
        write_table(small, 1000)
        pd.read_csv(small)
        read_table(read_csv(small, "kind"), Use("kind"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    result = pd.read_csv(path) if side == "pandas" else read_table(read_csv(path, "kind"), Use("kind"))
    seconds = time.process_time() - start
    del result
    return seconds, 1024.0 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def in_a_process(side: str, path: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.reading", "--read", side, "--file", str(path)]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, size = map(float, completed.stdout.split())
    return seconds, size


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=float, default=1.0, help="of the file, in GB")
    parser.add_argument("--rounds", type=int, default=3, help="how often both take their turn")
    parser.add_argument("--folder", type=Path, default=None, help="for the file; the system's for temporary ones")
    parser.add_argument("--read", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.read:
        print(*read(options.read, options.file))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "table.csv"
        write_table(path, int(options.size * 1e9))
        rounds = np.array([[in_a_process(side, path) for side in SIDES] for _ in range(options.rounds)])
        size = path.stat().st_size
    print(
        f"{description()}\n\n{size / 1e9:.2f} GB, {COLUMNS} columns of numbers, one of text, {options.rounds} rounds\n"
    )
    print("| reader | seconds, median | peak memory | time over pandas' | memory over pandas' |\n|---|---|---|---|---|")
    ratios = np.median(rounds / rounds[:, :1], axis=0)
    for side, (seconds, memory), (slower, larger) in zip(SIDES, np.median(rounds, axis=0), ratios, strict=True):
        print(f"| {side} | {seconds:.1f} | {memory / 1e9:.2f} GB | {slower:.2f} | {larger:.2f} |")
    met = "yes" if ratios[1].max() <= BOUND else "no"
    print(f"\nAt most {BOUND} times pandas' own time and memory: {met}.")


if __name__ == "__main__":
    main()
