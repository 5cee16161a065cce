"""Kills of drivers and workers at random moments: nothing is lost, nothing is there twice, nothing stays open."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.audit import Audit, audit_of
from analysis.tracked.artifacts import curves_artifact
from pipeline import names
from tests.support.sweeps import JOBS, SWEEP, audited, clean_environment, completed, started, wait_for, workers_of

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
            assert process.wait(timeout=300) == 0, (folder / "output.txt").read_text(encoding="utf-8")
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


@pytest.mark.slow
def test_a_handful_of_kills_costs_nothing(tmp_path: Path, undisturbed: Audit) -> None:
    survived(tmp_path, kills=4, seed=1, undisturbed=undisturbed)


@pytest.mark.soak
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
        "    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository\n"
        "    LocalArtifactRepository.log_artifacts = dies\n",
        encoding="utf-8",
    )
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[2]}"
    with started(tmp_path, PYTHONPATH=path, DIES="1") as process:
        assert process.wait(timeout=300) == -signal.SIGKILL
    output = completed(tmp_path)
    assert "1 runs of processes that are gone were still open, and are closed" in output
    audited(tmp_path, like=undisturbed)


@pytest.mark.slow
def test_two_sweeps_on_a_fresh_database_complete_though_one_is_killed(tmp_path: Path, undisturbed: Audit) -> None:
    (tmp_path / "mlflow.db").unlink()
    with started(tmp_path) as first, started(tmp_path, *SWEEP, "hydra.sweep.dir=second") as second:
        wait_for(tmp_path, "to train", first)
        first.kill()
        assert second.wait(timeout=300) == 0, (tmp_path / "output.txt").read_text(encoding="utf-8")
    completed(tmp_path)
    audited(tmp_path, like=undisturbed)
    # However the two have shared the jobs, each that has ended leaves the curves of those that are its own.
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs(["1"], max_results=5000)
    ended = [run for run in runs if names.SWEEP_TAG in run.data.tags and run.info.status == "FINISHED"]
    assert ended
    for parent in (run.info.run_id for run in ended):
        members = [run for run in runs if run.data.tags.get(names.PARENT_TAG) == parent]
        own = {run.info.run_id for run in members if run.info.status == "FINISHED"}
        assert {run_id for part in curves_artifact(client, parent) for run_id in part["run_id"]} == own


@pytest.mark.soak
def test_drivers_that_share_jobs_and_stop_at_random_moments_leave_each_job_once(
    tmp_path: Path, undisturbed: Audit
) -> None:
    """Two or three begin together in one folder, each with its own seeds or the same ones; then each is said again."""
    generator = random.Random(3)  # noqa: S311
    for number in range(12):
        place = tmp_path / str(number)
        place.mkdir()
        sweeps = [(*SWEEP, f"seed={generator.choice(['0,1', '1,2,3', '3,0', 'range(4)'])}") for _ in range(2)]
        sweeps += generator.choice([[], sweeps[:1]])
        with ExitStack() as running:
            for process in [running.enter_context(started(place, *sweep)) for sweep in sweeps]:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=generator.uniform(2.0, 12.0))
                    continue
                os.killpg(process.pid, generator.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT]))
                process.wait(timeout=30)
        assert "Traceback" not in (place / "output.txt").read_text(encoding="utf-8")
        for sweep in generator.sample(sweeps, len(sweeps)):
            completed(place, *sweep, "executor=inline")
        assert audit_of("symmetry", tracking_uri=f"sqlite:///{place}/mlflow.db").problems == []
        completed(place)
        audited(place, like=undisturbed)


@pytest.mark.slow
def test_a_sweep_whose_output_nobody_reads_any_more_goes_on_in_silence(tmp_path: Path, undisturbed: Audit) -> None:
    """As in ``python -m pipeline.run -m | head -1``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.run", *SWEEP, "executor=inline"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert f"{JOBS} to train" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.wait(timeout=300) == 0
    audited(tmp_path, like=undisturbed)
