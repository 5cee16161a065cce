"""Command line: figures of the tracked runs.

python -m analysis.report [--experiment NAME] [--output DIR]
"""

import argparse
import os
import sys
from pathlib import Path

import matplotlib as mpl

from analysis.errors import ReportError
from analysis.figures import FIGURES
from analysis.runs import load_curves, load_runs

PIXELS_PER_INCH = 200


def write_report(experiment_name: str, output: Path) -> list[Path]:
    """Draws every figure of the experiment's finished runs as PNG into ``output`` / experiment name.

    Returns:
        The files written.

    Raises:
        ReportError: there is nothing to draw.
    """
    runs = load_runs(experiment_name)
    runs = runs[runs["status"] == "FINISHED"]
    folder = output / experiment_name
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in FIGURES.items():
        measured = runs[runs[list(figure.metrics)].notna().any(axis=1)]
        if measured.empty:
            continue
        path = folder / f"{name}.png"
        figure.draw(measured, load_curves(measured, figure.metrics)).savefig(
            path, dpi=PIXELS_PER_INCH, bbox_inches="tight"
        )
        written.append(path)
    return written


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description="Draws the tracked runs.")
    default = os.environ.get("MLFLOW_EXPERIMENT_NAME", "symmetry")
    parser.add_argument("--experiment", default=default, help="MLflow experiment (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("reports"), help="folder to write into (default: reports)")
    arguments = parser.parse_args()
    mpl.use("agg")
    try:
        for path in write_report(arguments.experiment, arguments.output):
            print(path)
    except ReportError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
