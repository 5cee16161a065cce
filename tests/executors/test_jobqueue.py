"""Jobs of batch systems without their daemons: the scripts' text, keys, and workers that end before their limit."""

import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.executors.batch import Batch
from pipeline.executors.interface import open_executor
from tests.executors.test_batch import jobs
from tests.support.configurations import configuration
from tests.support.slurm_cluster import wait_until

pytestmark = pytest.mark.slow
pytest.importorskip("dask_jobqueue", reason="needs: pip install dask-jobqueue")

COMMANDS = {
    "slurm": "sbatch", "pbs": "qsub", "sge": "qsub", "lsf": "bsub", "htcondor": "condor_submit", "oar": "oarsub",
}  # fmt: skip
HEADS = {
    "slurm": {
        "-p long", "-A physics", "-n 1", "--cpus-per-task=2", "--mem=4G", "-t 02:00:00", "-J symmetry-lab", "--nice",
    },
    "pbs": {
        "-q long", "-A physics", "-l select=1:ncpus=2:mem=3815MB", "-l walltime=02:00:00", "-N symmetry-lab", "--nice",
    },
    "sge": {"-q long", "-P physics", "-l h_rt=02:00:00", "-N symmetry-lab", "-cwd", "-j y", "--nice"},
    "lsf": {
        "-q long", '-P "physics"', "-n 2", '-R "span[hosts=1]"', "-M 4000000", "-W 02:00", "-J symmetry-lab", "--nice",
    },
    "oar": {
        "-q long", "--project physics", "-l /nodes=1/core=2,walltime=02:00:00", "-n symmetry-lab", "--nice",
    },
}  # fmt: skip
"""The directives that each batch system's manual has for these keys, without those that say where output goes."""
MARKS = {"slurm": "#SBATCH ", "pbs": "#PBS ", "sge": "#$ ", "lsf": "#BSUB ", "oar": "#OAR "}
CHOSEN = {"queue": "long", "account": "physics", "walltime": "02:00:00"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, with a blank in its name, in which all batch systems seem to be installed."""
    folder = tmp_path / "my sweep"
    folder.mkdir()
    for command in COMMANDS.values():
        (tmp_path / command).touch(mode=0o755)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return folder


def script_of(batch_system: str, **options: Any) -> str:
    """The job's script as it would be submitted."""
    chosen = {"executor": batch_system, "executor.cores": 2, "executor.memory": "4GB"}
    chosen |= {f"executor.{key}": value for key, value in options.items()}
    with open_executor(configuration(chosen).executor) as executor:
        arguments = {**executor._arguments, "memory": executor._memory}  # type: ignore[attr-defined]
        for key in ("scheduler_options", "name"):
            del arguments[key]
        job = executor._class.job_cls("tls://10.0.0.1:8786", name="lab-0", **arguments)  # type: ignore[attr-defined]
        return str(job.job_script())


@pytest.mark.parametrize("batch_system", HEADS)
def test_the_head_of_a_script_asks_for_what_the_keys_say(here: Path, batch_system: str) -> None:
    script = script_of(batch_system, **CHOSEN, job_extra_directives=["--nice"], job_script_prologue=["module load x"])
    mark = MARKS[batch_system]
    head = {line.removeprefix(mark) for line in script.splitlines() if line.startswith(mark)}
    assert {directive for directive in head if "jobs" not in directive} == HEADS[batch_system]
    changed, prologue, worker = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert changed == f"cd '{here}'"
    assert prologue == "module load x"
    for words in (f"{sys.executable} -m distributed.cli.dask_worker tls://10.0.0.1:8786 ", " --nworkers 2 ",
                  " --nthreads 1 ", " --lifetime 6120s --lifetime-stagger 360s"):  # fmt: skip
        assert words in worker
    assert worker.endswith(" --memory-limit 0") or " --memory-limit 0 " in worker
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_description_for_htcondor_runs_the_same_in_a_shell(here: Path) -> None:
    script = script_of("htcondor", job_extra_directives=["accounting_group = physics", "getenv=true"])
    lines = script.splitlines()
    assert {"accounting_group  =  physics", "getenv = true"} <= set(lines)
    described = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    for key, value in {
        "accounting_group": "physics", "RequestCpus": "MY.DaskWorkerCores", "MY.DaskWorkerCores": "2",
        "RequestMemory": "floor(MY.DaskWorkerMemory / 1048576)", "MY.DaskWorkerMemory": "4000000000",
        "RequestDisk": "floor(MY.DaskWorkerDisk / 1024)", "MY.DaskWorkerDisk": "1000000000", "Executable": "/bin/sh",
    }.items():  # fmt: skip
        assert described[key] == value
    assert described["Arguments"].startswith(f"\"-c 'cd ''{here}''; {sys.executable} -m distributed.cli.dask_worker ")
    assert lines[-1] == "Queue"
    assert "--lifetime" not in script


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"executor": "sge", "executor.walltime": "90"}, "executor.walltime: expected HH:MM:SS, got '90'"),
        ({"executor": "lsf", "executor.walltime": "0:00:00"}, "executor.walltime: expected HH:MM:SS, got '0:00:00'"),
        ({"executor": "oar", "executor.minimum": -1}, "executor.minimum: expected a whole number >= 0, got -1"),
        ({"executor": "pbs", "executor.security": {"ca": "x"}}, "executor.security: expected PEM files as {tls_ca_fil"),
    ],
)
def test_a_wrong_key_is_told_in_one_line(here: Path, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as told:
        open_executor(configuration(chosen).executor)
    assert str(told.value).startswith(words)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"executor": "htcondor", "executor.queue": "long"}, "HTCondorCluster takes, got Got unexpected keyword"),
        ({"executor": "sge", "executor.memory": "much"}, "SGECluster takes, got Could not interpret"),
        ({"executor": "pbs", "executor.interface": "ib99"}, "PBSCluster takes, got Cluster failed to start: 'ib99'"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Of clusters that never began.
def test_what_dask_jobqueue_does_not_take_is_told_in_one_line(here: Path, chosen: dict[str, Any], words: str) -> None:
    with open_executor(configuration(chosen).executor) as executor:
        executor.submit(Batch((0,), jobs(1)))
        with pytest.raises(InputError) as told:
            executor.wait()
    assert str(told.value).startswith(f"executor: expected keys that {words}")
    assert len(str(told.value)) < 250
    del told, executor
    gc.collect()


@pytest.mark.parametrize("batch_system", COMMANDS)
def test_without_its_commands_or_dask_jobqueue_one_line_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, batch_system: str
) -> None:
    with monkeypatch.context() as change:
        change.setenv("PATH", "/nowhere")
        words = f"executor: expected a machine with {COMMANDS[batch_system]} for executor={batch_system}, found none"
        with pytest.raises(InputError, match=f"^{words}$"):
            open_executor(configuration({"executor": batch_system}).executor)
    for module in ("dask_jobqueue", "dask_jobqueue.core"):
        monkeypatch.setitem(sys.modules, module, None)
    for module in ("jobqueue", "job_keeper"):
        monkeypatch.delitem(sys.modules, f"pipeline.executors.{module}", raising=False)
    with pytest.raises(InputError, match=r"^executor=slurm, .* not installed: pip install -e '\.\[jobqueue\]'$"):
        configuration({"executor": batch_system})


def noted(file: Path) -> int:
    """Trains for longer than its worker lives, and notes that it began."""
    with file.open("a") as notes:
        notes.write("began\n")
    time.sleep(2.0)
    return 7


def test_a_worker_at_the_end_of_its_life_finishes_its_batch_and_takes_no_other(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    from pipeline.executors.dask_worker import FinishingWorker

    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            worker_class=FinishingWorker,
            lifetime="1s",
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        first, second = (client.submit(noted, tmp_path / name, pure=False) for name in ("first", "second"))
        assert first.result(timeout=60) == 7
        first.release()
        wait_until(lambda: not cluster.scheduler.workers, seconds=60)
        assert not second.done()
        second.cancel()
    assert (tmp_path / "first").read_text() == "began\n"
    assert not (tmp_path / "second").exists()
