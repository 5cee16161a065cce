"""The report on experiments of growing size: how long it takes to load the tracked runs and to draw them.

    python -m benchmarks.report [--sizes 200,2000,20000] [--here] [--quick]

The runs are made by real sweeps from the shell, of short trainings: 2 models x 5 initialisations x 2 learning rates x
seeds on 200 digits, 20 steps, about 150 numbers a run. Then ``python -m analysis.report`` runs from the shell, imports
included, and once more in parts: loading all tables, deciding the claims, and drawing every figure (as SVG, PNG and
CSV). ``--here`` times only the parts, for the experiment ``symmetry`` that is tracked in the current folder already.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

from benchmarks import machine
from benchmarks.commands import cost_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
EXPERIMENT = "symmetry"
GRID = (
    "model=logistic,mlp", "init=zeros,constant,normal,he_normal,orthogonal",
    "optimizer.learning_rate=0.1,1", "data.limit=200", "training.batch_size=null", "training.steps=20",
    "training.measure_at=8",
)  # fmt: skip
CELLS = 20
MEBIBYTE = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="200,2000,20000", help=f"numbers of runs, multiples of {CELLS}")
    parser.add_argument("--here", action="store_true", help="time the runs tracked here already; prints JSON")
    parser.add_argument("--quick", action="store_true", help=f"{CELLS} runs: to see that it works")
    options = parser.parse_args(arguments)
    if options.here:
        print(json.dumps(parts()))
        return
    sizes = [CELLS] if options.quick else [int(size) for size in options.sizes.split(",")]
    if wrong := [size for size in sizes if size <= 0 or size % CELLS]:
        parser.error(f"--sizes: expected multiples of {CELLS}, got {', '.join(map(str, wrong))}")
    print("| runs | from the shell, s | peak memory | loading, s | claims, s | drawing, s | slowest figures, s |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        print(row(size), flush=True)
    print(f"\n{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def row(size: int) -> str:
    """One Markdown row: makes the runs, and times the report on them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        cost_of("pipeline.run", ["-m", *GRID, f"seed=range({size // CELLS})"], folder)
        whole = cost_of("analysis.report", [], folder)
        seconds = json.loads(cost_of("benchmarks.report", ["--here"], folder).output.splitlines()[-1])
    figures = seconds["figures"]
    slowest = ", ".join(f"{name} {figures[name]:.1f}" for name in sorted(figures, key=figures.get, reverse=True)[:3])
    return (
        f"| {size} | {whole.seconds:.1f} | {whole.memory / MEBIBYTE:.0f} MiB | {seconds['loading']:.2f} |"
        f" {seconds['claims']:.2f} | {sum(figures.values()):.1f} | {slowest} |"
    )


def parts() -> dict[str, object]:
    """Seconds of each part of the report on the experiment in the current folder."""
    from analysis.claims.source_text import claims_of
    from analysis.figures import FIGURES
    from analysis.page.drawn import drawing
    from analysis.tracked.load import load_tables

    loading, tables = timed(load_tables, EXPERIMENT)
    claims, _ = timed(claims_of, tables)
    with TemporaryDirectory() as folder:

        def draw(name: str) -> None:
            with drawing({name: FIGURES[name]}, tables, Path(folder)) as drawn:
                list(drawn)

        figures = {name: timed(draw, name)[0] for name in FIGURES}
    return {"loading": loading, "claims": claims, "figures": figures}


def timed(
    function: Callable[Parameters, Result], *given: Parameters.args, **named: Parameters.kwargs
) -> tuple[float, Result]:
    """Seconds that a call took, and what it gave."""
    start = time.perf_counter()
    result = function(*given, **named)
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
