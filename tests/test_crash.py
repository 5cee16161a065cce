"""Kills of drivers and workers at random moments: nothing is lost, nothing is there twice, nothing stays open."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from analysis.audit import Audit
from tests.sweeps import SWEEP, audited, completed, started, wait_for, workers_of

pytestmark = pytest.mark.usefixtures("with_database")
QUIET = 1.5
"""Seconds after the start of training within which to kill; a whole undisturbed sweep trains for about three."""


def killed_at_random(folder: Path, generator: random.Random) -> str:
    """Starts the sweep and kills its driver or one of its workers somewhere; tells which, or "finished"."""
    before = (folder / "output.txt").read_text(encoding="utf-8").count("to train") if any(folder.iterdir()) else 0
    victim = generator.choice(["driver", "driver", "worker"])
    with started(folder) as process:
        # One kill in five comes while the process still starts, plans, or makes the database.
        if generator.random() < 0.2:
            time.sleep(generator.uniform(0.0, 4.0))
            victim = "driver"
        elif wait_for(folder, "to train", process, times=before + 1):
            time.sleep(generator.uniform(0.0, QUIET))
        if process.poll() is not None:
            return "finished"
        if victim == "worker":
            for worker in workers_of(process)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            assert process.wait(timeout=120) == 0, (folder / "output.txt").read_text(encoding="utf-8")
        else:
            process.kill()
    return victim


def survived(folder: Path, kills: int, seed: int, undisturbed: Audit) -> dict[str, int]:
    """Kills sweeps in new folders until there were so many kills; completes and audits each; counts by victim."""
    generator = random.Random(seed)  # noqa: S311
    counts = {"driver": 0, "worker": 0, "finished": 0}
    number = 0
    while counts["driver"] + counts["worker"] < kills:
        place = folder / str(number)
        place.mkdir()
        number += 1
        while counts["driver"] + counts["worker"] < kills:
            victim = killed_at_random(place, generator)
            counts[victim] += 1
            if victim != "driver":
                break
        completed(place)
        audited(place, like=undisturbed)
        assert "Traceback" not in (place / "output.txt").read_text(encoding="utf-8")
        assert "0 to train" in completed(place)
    return counts


def test_a_handful_of_kills_costs_nothing(tmp_path: Path, undisturbed: Audit) -> None:
    survived(tmp_path, kills=4, seed=1, undisturbed=undisturbed)


@pytest.mark.slow
def test_fifty_kills_cost_nothing(tmp_path: Path, undisturbed: Audit) -> None:
    counts = survived(tmp_path, kills=50, seed=2, undisturbed=undisturbed)
    print(counts)
    assert counts["driver"] >= 20
    assert counts["worker"] >= 5


def test_a_driver_killed_while_it_tracks_leaves_no_half_of_a_run(tmp_path: Path, undisturbed: Audit) -> None:
    """The first run of a process goes through several public calls: it dies between two of them."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "def dies(*arguments, **options): os.kill(os.getpid(), signal.SIGKILL)\n"
        "if os.environ.get('DIES'):\n"
        "    from mlflow import MlflowClient\n"
        "    MlflowClient.log_artifacts = dies\n",
        encoding="utf-8",
    )
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[1]}"
    with started(tmp_path, PYTHONPATH=path, DIES="1") as process:
        assert process.wait(timeout=120) == -signal.SIGKILL
    output = completed(tmp_path)
    assert "1 runs of processes that are gone were still open, and are closed" in output
    audited(tmp_path, like=undisturbed)


def test_two_sweeps_on_a_fresh_database_complete_though_one_is_killed(tmp_path: Path, undisturbed: Audit) -> None:
    (tmp_path / "mlflow.db").unlink()
    with started(tmp_path) as first, started(tmp_path, *SWEEP, "hydra.sweep.dir=second") as second:
        wait_for(tmp_path, "to train", first)
        first.kill()
        assert second.wait(timeout=120) == 0, (tmp_path / "output.txt").read_text(encoding="utf-8")
    completed(tmp_path)
    audited(tmp_path, like=undisturbed)
