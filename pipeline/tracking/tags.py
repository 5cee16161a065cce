"""Tags of runs and of parent runs: versions, CPU, BLAS and commit, which decide the bits; what a sweep asks."""

import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

import numpy as np
from threadpoolctl import threadpool_info

import pipeline
from pipeline import names
from pipeline.config.schema import Config
from pipeline.system.process_identity import this_driver


@cache
def environment_tags() -> dict[str, str]:
    """Versions, BLAS, CPU features and git commit; the same for every run of a process."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    tags = {
        "mlflow.source.name": "pipeline.run",
        "mlflow.source.type": "LOCAL",
        "version.python": platform.python_version(),
        "version.numpy": version("numpy"),
        "version.scipy": version("scipy"),
        "version.scikit-learn": version("scikit-learn"),
        "version.symmetry-lab": pipeline.__version__,
        "machine.cpu": platform.machine(),
        "machine.simd": " ".join([*simd.get("baseline", []), *simd.get("found", [])]),
        "machine.blas": "; ".join(
            sorted(
                f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
                for library in threadpool_info()
                if library["user_api"] == "blas"
            )
        ),
    }
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["git.modified"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return tags


def _git(*arguments: str) -> str:
    try:
        completed = subprocess.run(
            ["git", "-C", str(pipeline.PROJECT), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout.strip()


def parent_tags(configs: Sequence[Config], swept_keys: Sequence[str], command: str, folder: str) -> dict[str, str]:
    """The tags of a parent run except the number of its jobs: key -> text.

    Args:
        configs: of the jobs of this start.
        command: that starts the sweep.
        folder: where Hydra keeps it.
    """
    sources = ", ".join(sorted({config.data.name for config in configs}))
    tags = environment_tags() | {
        names.COMMAND_TAG: command,
        names.FOLDER_TAG: folder,
        names.DRIVER_TAG: this_driver(),
        names.NOTE_TAG: f"Runs over {', '.join(swept_keys) or 'nothing'}, on {sources}.",
    }
    if configs[0].rerun:
        tags[names.RERUN_TAG] = "true"
    if (question := configs[0].question) is not None:
        tags |= {
            names.QUESTION_TAG: question.name,
            names.ASKS_TAG: question.asks,
            names.PREDICTS_TAG: question.predicts,
        }
    return tags
