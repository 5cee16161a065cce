"""Command line: trains, measures and tracks one run, or a sweep of runs with ``-m``.

python -m pipeline.run                      # one run
python -m pipeline.run -m                   # the default sweep
python -m pipeline.run model=logistic init=zeros training.steps=500
python -m pipeline.run --help               # groups, options and examples
"""

import gc
import os
import sys

FULL_ERROR = "HYDRA_FULL_ERROR"
NEW_OBJECTS_BEFORE_COLLECTION = 100_000
"""When Python looks for garbage in cycles. Its usual 700 make it search the objects of MLflow and Hydra again and
again: a quarter of the time of a sweep."""


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)
    _run()


def _run() -> None:
    # Imported here, because worker processes import this module as their main one, and shall not load Hydra.
    from pipeline.composition import bound_basic_sweeper, comes_from_hydra, complaint
    from pipeline.configuration_files import bound_files
    from pipeline.errors import ExecutorLostError, FailedJobsError, InputError, StoreLostError
    from pipeline.interrupts import raise_interruption_behind
    from pipeline.task import run

    # Hydra takes any beginning of a flag for the flag, and this is the only one with this letter.
    if any(argument.startswith("--e") for argument in sys.argv[1:]):
        sys.exit(
            "--experimental-rerun: not offered, for it loads a pickle, which may run anything; the configuration of a"
            " job is in its folder, in .hydra/overrides.yaml"
        )
    bound_basic_sweeper()
    bound_files()
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    # Without it Hydra prints several lines of its own and exits; with it the exception arrives here.
    os.environ[FULL_ERROR] = "1"
    try:
        run()
    except (InputError, FailedJobsError, StoreLostError, ExecutorLostError) as error:
        sys.exit(str(error))
    except Exception as error:
        raise_interruption_behind(error)
        if wants_traceback:
            raise
        if comes_from_hydra(error):
            sys.exit(complaint(error, sys.argv[1:]))
        if isinstance(error, OSError) and error.strerror:
            # A full disk, a folder that is read-only: what the system says of it is all there is to say.
            sys.exit(f"{error.filename or 'this system'}: {error.strerror}")
        raise


if __name__ == "__main__":
    from pipeline.commands import run_command

    run_command(main)
