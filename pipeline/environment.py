"""Facts about this machine and code that matter for the bits of a result, as tags."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

import pipeline

PROJECT = Path(__file__).resolve().parent.parent


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
            ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout.strip()
