"""Command line: trains, measures and tracks one run, or a sweep of runs with ``-m``.

python -m pipeline.run                      # one run
python -m pipeline.run -m                   # the default sweep
python -m pipeline.run model=logistic init=zeros training.steps=500
python -m pipeline.run --help               # groups, options and examples
"""

import os
import sys

FULL_ERROR = "HYDRA_FULL_ERROR"


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    # Imported here, because worker processes import this module as their main one, and shall not load Hydra.
    from pipeline.composition import comes_from_hydra, complaint
    from pipeline.errors import FailedJobsError, InputError
    from pipeline.task import run

    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    # Without it Hydra prints several lines of its own and exits; with it the exception arrives here.
    os.environ[FULL_ERROR] = "1"
    try:
        run()
    except (InputError, FailedJobsError) as error:
        sys.exit(str(error))
    except Exception as error:
        if wants_traceback or not comes_from_hydra(error):
            raise
        sys.exit(complaint(error, sys.argv[1:]))


if __name__ == "__main__":
    main()
