"""Command line: claims, figures and a page, from the tracked runs.

python -m analysis.report [--experiment NAME] [--output DIR] [--only FIGURE ...] [--compare NAME] [--animate]

The page of a prepared question begins with its own verdicts and figures; then come the general statements that its runs
decide and the general figures that fit. Every report also renews a page that links all reports in the output folder.
"""

from analysis.arguments import OptionParser  # First, because other libraries cannot be loaded by a path.

# isort: split
import gc
import sys
from pathlib import Path

from pipeline.system.command import run_command


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    gc.disable()  # Python would look for garbage among what the libraries define, for a quarter of their time.
    import joblib

    from analysis.errors import ReportError
    from analysis.figures import FIGURES
    from analysis.page.compare import write_comparison
    from analysis.tracked.store import chosen_experiment, experiment_named, open_store
    from analysis.writer import write_report, write_report_animation

    gc.freeze()
    gc.enable()
    parser = OptionParser(prog="python -m analysis.report", description="Reports on the tracked runs.")
    parser.add_argument("--experiment", help="MLflow experiment (default: that of the environment, or symmetry)")
    parser.add_argument("--output", type=Path, default=Path("reports"), help="folder to write into (default: reports)")
    parser.add_argument(
        "--only", nargs="+", action="extend", default=[], metavar="FIGURE", help=f"some of: {', '.join(FIGURES)}"
    )
    parser.add_argument("--compare", metavar="NAME", help="report on this experiment, too, and lay both side by side")
    parser.add_argument("--animate", action="store_true", help="write the hidden units over the steps as a GIF instead")
    arguments = parser.parse_args()
    try:
        experiment = chosen_experiment() if arguments.experiment is None else arguments.experiment
        if arguments.animate:
            print(write_report_animation(experiment, arguments.output))
            return
        if arguments.compare is not None and arguments.only:
            raise ReportError("--compare: expected no --only beside it, because whole reports are compared")
        compared = [experiment] if arguments.compare is None else [experiment, arguments.compare]
        for name in compared[1:]:  # Before minutes are spent on the first.
            with open_store(experiment_name=name) as client:
                experiment_named(client, name, "--compare")
        for name in compared:
            for path in write_report(name, arguments.output, arguments.only, joblib.cpu_count()):
                print(path)
        if len(compared) > 1:
            print(write_comparison(arguments.output, *compared))
    except ReportError as error:
        sys.exit(" ".join(str(error).split()))
    except OSError as error:
        sys.exit(f"--output: cannot write {error.filename or arguments.output}: {error.strerror or error}")


if __name__ == "__main__":
    run_command(main)
