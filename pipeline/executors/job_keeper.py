"""Adaptive scaling of jobs of a batch system: how many there are, and which have ended without a word."""

import asyncio
import re
import shlex
import signal
import time
from collections import Counter
from math import ceil
from pathlib import Path
from typing import Any

from pipeline.errors import ExecutorLostError, InputError, MissingExtraError
from pipeline.executors.interface import TRIES

try:
    at_interrupt = signal.getsignal(signal.SIGINT)
    from dask_jobqueue.core import Job, JobQueueCluster
    from distributed.deploy import Adaptive
    from distributed.scheduler import WorkerState

    signal.signal(signal.SIGINT, at_interrupt)  # Whoever imports dask-jobqueue would end without a word at Ctrl-C.
except ImportError:
    raise MissingExtraError("jobqueue", "dask-jobqueue", "executor=slurm, pbs, sge, lsf, htcondor or oar") from None

LOOK, MISSES, IDLE = 5.0, 3, 12
"""Seconds between two looks at the queue; after how many without a sign of it a job has ended, or idle it is ended."""
PATIENCE = 900.0
"""Seconds for which the batch system may be silent while jobs are under way; they go on without it."""


class JobKeeper(Adaptive):  # type: ignore[misc]
    """Keeps as many jobs as there are batches to train, within bounds, and submits others for those that have ended.

    Dask's own ``Adaptive`` waits for ever for a job that ended before its workers came, and gives up one of several
    workers of a job without the others.
    """

    def __init__(self, cluster: JobQueueCluster, *, listing: str, **options: Any) -> None:
        super().__init__(cluster, interval=LOOK, wait_count=IDLE, worker_key=_job_of, **options)
        self._listing = shlex.split(listing)
        self._looking = asyncio.Lock()
        self._begun: set[str] = set()
        self._misses: Counter[str] = Counter()
        self._false_starts: list[str] = []
        self._failure = ""
        self._answered_at = 0.0

    async def target(self) -> int:
        """One worker for each batch, in whole jobs, and none away from a job that trains."""
        size = self.cluster.new_spec["options"]["processes"]
        workers = self.cluster.scheduler.workers.values()
        training = {_job_of(worker) for worker in workers if worker.processing}
        return int(size * max(ceil(len(self.cluster.scheduler.tasks) / size), len(training)))

    async def adapt(self) -> None:
        try:
            async with self._looking:
                await self._end_missed_jobs()
                await super().adapt()
        except Exception as error:  # Of a command, most likely; the next look may find more.
            self._failure = str(error).rpartition("stderr:\n")[2].strip().partition("\n")[0] or type(error).__name__
        else:
            self._failure = ""

    async def finish(self) -> None:
        """Takes no further look at the queue, and waits for what the last one asks the batch system."""
        self.stop()
        async with self._looking:
            pass

    async def _end_missed_jobs(self) -> None:
        """Ends jobs that are no longer listed, or whose workers have left; as many others are submitted."""
        listed = set(re.findall(r"^\s*(\d+)", await Job._call(self._listing), re.MULTILINE))
        present = {_job_of(worker) for worker in self.cluster.scheduler.workers.values()}
        for name, job in list(self.cluster.workers.items()):
            number = (job.job_id or "").partition(".")[0]
            if number in listed:
                self._answered_at = time.monotonic()
            if name in present:
                self._begun.add(number)
                self._false_starts.clear()
            if name in present or (number in listed and number not in self._begun):
                del self._misses[name]
                continue
            self._misses[name] += 1
            if not number or self._misses[name] == MISSES:
                if number and number not in self._begun:
                    self._false_starts.append(number)
                await job.close()
                del self.cluster.workers[name], self._misses[name]

    def news(self) -> str:
        """What is worth a line while batches wait.

        Raises:
            InputError: the batch system takes no job.
            ExecutorLostError: jobs end before they begin, or the batch system does not answer any more.
        """
        command = self.cluster.job_cls.submit_command
        if self._failure and not self._answered_at:
            raise InputError(f"executor: expected keys that make a job for {command}, got {self._failure}")
        if len(self._false_starts) >= TRIES:
            raise ExecutorLostError(
                f"{len(self._false_starts)} jobs ended before a worker came ({self._last_words()}); compute nodes must "
                f"reach this host by TCP at {self.cluster.scheduler_address}: see executor.interface, scheduler_options"
            )
        if self._failure and time.monotonic() > self._answered_at + PATIENCE:
            raise ExecutorLostError(f"{self._listing[0]} did not answer for {PATIENCE:.0f} s: {self._failure}")
        if self._failure:
            return f"{self._failure}; jobs go on, and more are tried again"
        has_begun = self.cluster.scheduler.workers or not self._answered_at
        return "" if has_begun else f"Jobs wait in the queue ({shlex.join(self._listing)}), and none has begun"

    def _last_words(self) -> str:
        """The last line which is no news of Dask's that the last job printed."""
        said = ["it printed nothing"]
        for path in sorted(Path(self.cluster.new_spec["options"]["log_directory"]).iterdir()):
            if self._false_starts[-1] in re.findall(r"\d+", path.name):
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                said += [line.strip() for line in lines if line.strip() and " - INFO - " not in line]
        return said[-1]


def _job_of(worker: WorkerState) -> str:
    """Worker 1 of the job lab-7 is called lab-7-1."""
    return "-".join(str(worker.name).split("-")[:2])
