"""Command line: trains, measures and tracks one run, or a sweep of runs with ``-m``.

python -m pipeline.run                      # one run
python -m pipeline.run -m                   # the default sweep
python -m pipeline.run model=logistic init=zeros training.steps=500
python -m pipeline.run --help               # groups, options and examples
"""

import os
import shlex
import sys

if __name__ == "__main__" and not __package__:  # By its path, it would not find the modules of its own package.
    sys.exit(
        f"{sys.argv[0]}: in the project's folder, type {shlex.join(['python', '-m', 'pipeline.run', *sys.argv[1:]])}"
    )

FULL_ERROR = "HYDRA_FULL_ERROR"


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    # Imported here, because worker processes import this module as their main one, and shall not load Hydra.
    from pipeline.compose.complaints import comes_from_hydra, complaint, overrides_among, with_hint
    from pipeline.compose.config_loader import use_config_loader
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
        _settle_experiment()
        run()
    except InputError as error:
        if wants_traceback and error.__cause__ is not None:  # The user's own executor raised.
            raise
        sys.exit(with_hint(str(error), overrides))
    except (FailedJobsError, StoreLostError, ExecutorLostError) as error:
        sys.exit(str(error))
    except Exception as error:
        if wants_traceback:
            raise
        if comes_from_hydra(error):
            sys.exit(complaint(error, overrides))
        if isinstance(error, OSError) and error.strerror:
            # A full disk, a folder that is read-only: what the system says of it is all there is to say.
            sys.exit(f"{error.filename or 'this system'}: {error.strerror}")
        raise


def _settle_experiment() -> None:
    """Finds the experiment that the environment chooses, unless the command line names one."""
    from pipeline.names import settle_experiment

    def name_of(experiment_id: str) -> str:
        # Importing MLflow takes seconds, and hardly anybody chooses an experiment by its id.
        from pipeline.tracking.store.opening import name_of_experiment

        return name_of_experiment(experiment_id)

    if not any(argument.startswith("experiment_name=") for argument in sys.argv[1:]):
        settle_experiment(name_of)


if __name__ == "__main__":
    from pipeline.system.command import run_command

    run_command(main)
