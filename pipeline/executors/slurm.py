"""Executor for Slurm: trains in jobs that are submitted through submitit.

A job takes batches from a folder that driver and nodes share (``exchange``), one after the other, and ends when there
are none. So the queue is paid for once for many stacks, and a job that starts late, or never, holds nothing up. What a
dead job was training, another one takes. The driver looks at the folder for answers, and asks ``squeue`` for jobs that
have ended; no accounting is needed.
"""

import logging
import signal
import subprocess
import time as clock
from contextlib import redirect_stderr, suppress
from io import StringIO
from math import ceil
from pathlib import Path
from typing import Any

from pipeline.errors import ExecutorLostError, InputError, MissingExtraError
from pipeline.executors.batch import Batch, Failure, Trained, given_up
from pipeline.executors.exchange import Exchange, abandoned, remove, work_through
from pipeline.executors.interface import TRIES
from pipeline.executors.remote_work import work_of
from pipeline.executors.slurm_queue import GONE, JobState, cancel, job_states
from pipeline.ranges import Count
from pipeline.system.signals import pause
from pipeline.training.batching import worker_bytes

try:
    from submitit import JobEnvironment
    from submitit import SlurmExecutor as Submitter
    from submitit.core.utils import FailedJobError, FailedSubmissionError, JobPaths
except ImportError:
    raise MissingExtraError("slurm", "submitit", "executor=slurm") from None

log = logging.getLogger(__name__)

CAPACITY_PER_JOB = 50
"""Batches that the driver hands over at once, so that no job ends for lack of them."""
PAUSE, ASKING_INTERVAL = 0.2, 5.0
"""Seconds between two looks at the folder, and between two questions to Slurm."""
PATIENCE = 900.0
"""Seconds for which Slurm may be silent while jobs are under way; they go on without it."""
NOTICE = 0.1
"""The part of a job's time before whose end it takes no further batch; 90 seconds at the most."""


class SlurmExecutor:
    """Trains in a Slurm array, each of whose jobs has one core and trains batch after batch.

    Args:
        room: does not matter here.
        folder: for batches, answers and logs, on storage that the nodes share; each sweep makes its own in it.
        partition: where the jobs run; None for Slurm's default one.
        time: minutes that a job may take; at the end of it another one goes on.
        memory: megabytes of a job; None for what its batches are estimated to need.
        array: how many jobs there are at the most.
        sbatch: further options of ``sbatch``, such as an account.

    Raises:
        InputError: Slurm's commands are missing here.
    """

    def __init__(
        self,
        room: int,
        *,
        folder: str,
        partition: str | None,
        time: Count,
        memory: Count | None,
        array: Count,
        sbatch: dict[str, str | int | bool],
    ) -> None:
        if Submitter.affinity() < 0:
            raise InputError("executor: expected a machine with Slurm's commands for executor=slurm, found no srun")
        self.slots = array
        self.capacity = CAPACITY_PER_JOB * array
        self._folder = Path(folder)
        self._memory = memory
        self._parameters: dict[str, Any] = {
            "time": time,
            "cpus_per_task": 1,
            "array_parallelism": array,
            "signal_delay_s": min(90, ceil(NOTICE * 60 * time)),
            "stderr_to_stdout": True,
            # A job that Slurm starts anew would keep its name, by which its batches are known.
            "additional_parameters": {"no-requeue": True, **sbatch},
        } | ({} if partition is None else {"partition": partition})
        self._exchange: Exchange | None = None
        self._submitted = 0
        self._under_way: dict[int, Batch] = {}
        self._deaths: dict[int, int] = {}
        self._ready: list[tuple[Batch, Trained]] = []
        self._live: set[str] = set()
        self._false_starts = 0
        self._asked_at = self._answered_at = 0.0
        self._told = ""

    def submit(self, batch: Batch) -> None:
        if self._exchange is None:
            for folder in abandoned(self._folder):
                _end(folder)
            self._exchange = Exchange(self._folder)
        self._submitted += 1
        self._under_way[self._submitted] = batch
        self._exchange.put(self._submitted, work_of(batch))

    def wait(self) -> bool:
        while True:
            self._collect()
            if self._exchange is not None and clock.monotonic() > self._asked_at + ASKING_INTERVAL:
                self._asked_at = clock.monotonic()
                self._look_after_jobs(self._exchange)
            if self._ready or not self._under_way:
                return bool(self._ready)
            pause(PAUSE)

    def done(self) -> list[tuple[Batch, Trained]]:
        self._collect()
        done, self._ready = self._ready, []
        return done

    def close(self) -> None:
        self._under_way.clear()
        if self._exchange is not None:
            _end(self._exchange.folder)

    def _collect(self) -> None:
        if self._exchange is None:
            return
        for number, answer in self._exchange.answers():
            if isinstance(answer, InputError):
                raise answer
            if number in self._under_way:
                self._ready.append((self._under_way.pop(number), answer))
                if number in self._deaths:  # Its first job may have answered from a node that was thought dead.
                    self._exchange.withdraw(number)

    def _look_after_jobs(self, exchange: Exchange) -> None:
        """Gives what dead jobs held to others, and starts jobs while there is something to take."""
        exchange.show_life()
        try:
            if self._live:
                self._bury_dead(exchange, self._states(exchange))
            missing = min(self.slots - len(self._live), exchange.waiting())
            if missing > 0:
                self._live |= self._started(exchange, missing)
        except (FailedJobError, FailedSubmissionError, subprocess.SubprocessError, OSError) as error:
            self._endure(error)
        else:
            self._answered_at = clock.monotonic()

    def _endure(self, error: Exception) -> None:
        """Lets a time pass in which Slurm does not answer; without jobs under way it is asked for something wrong."""
        cause = _last_line(getattr(error, "stderr", None) or str(error))
        if not self._answered_at:
            raise InputError(f"executor: expected a partition, sizes and options that sbatch takes, got {cause}")
        if clock.monotonic() > self._answered_at + PATIENCE:
            raise ExecutorLostError(f"Slurm did not answer for {PATIENCE:.0f} s: {cause}")
        self._tell(f"Slurm does not answer ({cause}); its jobs go on, and it is asked again")

    def _states(self, exchange: Exchange) -> dict[str, JobState]:
        """The states of the jobs of this sweep; that all wait is worth a word."""
        states = job_states(exchange.folder.name)
        live = [states.get(job, GONE) for job in self._live]
        if all(each.state == "PENDING" for each in live):
            self._tell(f"{len(live)} jobs wait in Slurm's queue ({', '.join(sorted({each.reason for each in live}))})")
        return states

    def _tell(self, news: str) -> None:
        if news != self._told:
            self._told = news
            log.warning(news)

    def _bury_dead(self, exchange: Exchange, states: dict[str, JobState]) -> None:
        dead = {job: each.state for job in self._live if (each := states.get(job, GONE)).is_over}
        # What they had answered before they ended is there by now.
        self._collect()
        for job, state in dead.items():
            self._live.remove(job)
            output = _output_of(exchange, job)
            if state == "COMPLETED" or exchange.has_begun(job):
                self._false_starts = 0
            else:
                self._false_starts += 1
                news = f"ended before it began ({state}): {_last_line(output)}"
                if self._false_starts >= TRIES and not any(map(exchange.has_begun, self._live)):
                    raise ExecutorLostError(f"{self._false_starts} Slurm jobs one after the other, {job} last, {news}")
                log.warning(f"Slurm job {job} {news}")
            for number in exchange.taken_by(job):
                self._deaths[number] = self._deaths.get(number, 0) + 1
                if number not in self._under_way or self._deaths[number] < TRIES:
                    log.warning(f"Slurm job {job} ended ({state}); the batch that it trained goes to another")
                    exchange.put_back(number, job)
                    continue
                exchange.withdraw(number)
                batch = self._under_way.pop(number)
                cause = f"{TRIES} Slurm jobs ended while they trained this batch, the last one {job} ({state})"
                self._ready.append((batch, given_up(batch, Failure(cause, output))))

    def _started(self, exchange: Exchange, count: int) -> set[str]:
        """Submits so many jobs as one array, and returns their names."""
        submitter = Submitter(exchange.folder / "logs")
        memory = self._memory or ceil(worker_bytes([batch.configs for batch in self._under_way.values()]) / 2**20)
        submitter.update_parameters(job_name=exchange.folder.name, mem=f"{memory}MB", **self._parameters)
        with redirect_stderr(StringIO()):  # It prints what it raises.
            jobs = submitter.map_array(_work, [exchange.folder] * count)
        return {job.job_id for job in jobs}


def _work(folder: Path) -> None:
    """What runs in a job. Slurm announces its end with a signal, after which it takes no further batch."""
    ending: list[int] = []
    for name in (JobEnvironment.USR_SIG, "TERM"):
        signal.signal(signal.Signals[f"SIG{name}"], lambda signum, _: ending.append(signum))
    work_through(folder, JobEnvironment().job_id, lambda: bool(ending))


def _end(folder: Path) -> None:
    """Cancels the jobs that work in a folder, and deletes it."""
    with suppress(subprocess.SubprocessError, OSError):
        cancel(folder.name)
    remove(folder)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing was printed"])[-1]


def _output_of(exchange: Exchange, job: str) -> str:
    """What a job printed, as far as there is something."""
    try:
        return JobPaths(exchange.folder / "logs", job_id=job, task_id=0).stdout.read_text(encoding="utf-8")
    except OSError:
        return ""
