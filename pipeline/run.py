"""Command line: trains, measures and tracks one run, or a sweep of runs with ``-m``.

python -m pipeline.run                      # one run
python -m pipeline.run -m                   # the default sweep
python -m pipeline.run model=logistic init=zeros training.steps=500
python -m pipeline.run --help               # groups, options and examples
"""

import os
import shlex
import sys
from collections.abc import Sequence

if __name__ == "__main__" and not __package__:  # By its path, it would not find the modules of its own package.
    sys.exit(
        f"{sys.argv[0]}: in the project's folder, type {shlex.join(['python', '-m', 'pipeline.run', *sys.argv[1:]])}"
    )

FULL_ERROR = "HYDRA_FULL_ERROR"


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    # Imported here, because worker processes import this module as their main one, and shall not load Hydra.
    import hydra

    from pipeline import PROJECT
    from pipeline.compose.complaints import overrides_among, told
    from pipeline.compose.config_loader import use_config_loader
    from pipeline.compose.session import VERSION
    from pipeline.errors import ExecutorLostError, FailedJobsError, InputError, StoreLostError
    from pipeline.sweep.job import run

    try:
        overrides = overrides_among(sys.argv[1:])
    except InputError as error:
        sys.exit(str(error))
    use_config_loader()
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    # Without it Hydra prints several lines of its own and exits; with it the exception arrives here.
    os.environ[FULL_ERROR] = "1"
    try:
        settle_experiment_of(sys.argv[1:])
        hydra.main(version_base=VERSION, config_path=str(PROJECT / "conf"), config_name="config")(run)()
    except Exception as error:
        is_known = isinstance(error, InputError | FailedJobsError | StoreLostError | ExecutorLostError)
        # An input error has a cause where the user's own executor raised.
        is_ours = is_known and not (isinstance(error, InputError) and error.__cause__)
        line = told(error, overrides) if is_ours or not wants_traceback else None
        if line is None:
            raise
        sys.exit(line)


def settle_experiment_of(arguments: Sequence[str]) -> None:
    """Finds the experiment that the environment chooses, unless the arguments name one."""
    from pipeline.names import settle_experiment

    def name_of(experiment_id: str) -> str:
        # Importing MLflow takes seconds, and hardly anybody chooses an experiment by its id.
        from pipeline.tracking.store.opening import name_of_experiment

        return name_of_experiment(experiment_id)

    if not any(argument.startswith("experiment_name=") for argument in arguments):
        settle_experiment(name_of)


if __name__ == "__main__":
    from pipeline.system.command import run_command

    run_command(main)
