"""Executor for batch systems (Slurm, PBS, SGE, LSF, HTCondor, OAR): trains in their jobs, through dask-jobqueue.

The driver runs a Dask scheduler. A job is one Dask worker for each of its cores; they train batch after batch, until
shortly before the time limit of the job, or until there is nothing left. So the queue is paid for once for many stacks,
and a job that starts late, or never, holds nothing up. What a dead job was training, another one takes.
"""

import getpass
import logging
import re
import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from pipeline.executors.job_keeper import JobKeeper  # First: it says what is missing, and keeps Ctrl-C.

# isort: split
import dask
import dask_jobqueue
from annotated_types import Ge
from dask_jobqueue.core import JobQueueCluster

from pipeline.errors import InputError
from pipeline.executors.batch import Batch
from pipeline.executors.dask import DASHBOARD, ENDING, OWN_SCHEDULER, ClientExecutor, new_tls, tls_of
from pipeline.executors.interface import PER_SLOT
from pipeline.ranges import Count, Whole
from pipeline.training.batching import worker_bytes

log = logging.getLogger(__name__)

BATCH_SYSTEMS = {
    "slurm": ("SLURMCluster", "account", "squeue --me --noheader --format=%A"),
    "pbs": ("PBSCluster", "account", "qstat -u {user}"),
    "sge": ("SGECluster", "project", "qstat -u {user}"),
    "lsf": ("LSFCluster", "project", "bjobs -noheader -o jobid"),
    "htcondor": ("HTCondorCluster", "account", "condor_q -autoformat ClusterId"),
    "oar": ("OARCluster", "project", "oarstat -u {user}"),
}
"""Class of dask-jobqueue, what it calls an account, and the command that lists the user's jobs which have not ended."""
WORKER = ("--worker-class", "pipeline.executors.dask_worker.FinishingWorker", "--memory-limit", "0")
"""The batch system ends what takes too much memory; a worker that Dask pauses for it would never go on."""
LIFETIME, STAGGER = 0.85, 0.05
"""Parts of a job's time after which its workers take no further batch; so they do not all end at once."""


class JobQueueExecutor(ClientExecutor):
    """Trains in jobs of a batch system, whose commands are on this machine; ``conf/executor`` explains the keys."""

    def __init__(
        self,
        room: int,
        *,
        batch_system: Literal["slurm", "pbs", "sge", "lsf", "htcondor", "oar"],
        queue: str | None,
        account: str | None,
        walltime: str | None,
        cores: Count,
        memory: str | Count | None,
        jobs: Count,
        minimum: Annotated[Whole, Ge(0)],
        interface: str | None,
        scheduler_options: dict[str, str | int | bool | None],
        security: dict[str, str] | None,
        job_extra_directives: tuple[str, ...],
        job_script_prologue: tuple[str, ...],
        log_directory: str,
        job_kwargs: dict[str, Any],
    ) -> None:
        super().__init__()
        name, account_key, listing = BATCH_SYSTEMS[batch_system]
        self._class: type[JobQueueCluster] = getattr(dask_jobqueue, name)
        command = self._class.job_cls.submit_command
        if shutil.which(command) is None:
            raise InputError(f"executor: expected a machine with {command} for executor={batch_system}, found none")
        self._listing = listing.format(user=getpass.getuser())
        self.slots = jobs * cores
        self.capacity = PER_SLOT * self.slots
        self._bounds = {"minimum_jobs": min(minimum, jobs), "maximum_jobs": jobs}
        self._memory = f"{memory}MB" if isinstance(memory, int) else memory
        pairs = dict(line.partition("=")[::2] for line in job_extra_directives)
        limit = walltime[:-3] if walltime and batch_system == "lsf" else walltime  # LSF counts minutes.
        optional = {"queue": queue, account_key: account, "walltime": limit}
        self._arguments = {key: value for key, value in optional.items() if value is not None} | {
            "cores": cores,
            "processes": cores,
            "name": "lab",
            "job_name": "symmetry-lab",
            "interface": interface,
            "scheduler_options": {"dashboard_address": DASHBOARD, **scheduler_options},
            "log_directory": log_directory,
            "job_extra_directives": pairs if batch_system == "htcondor" else [*job_extra_directives],
            # Relative paths mean the same for the driver and for its jobs.
            "job_script_prologue": [f"cd {shlex.quote(str(Path.cwd()))}", *job_script_prologue],
            "worker_extra_args": _options_of_worker(walltime),
            **job_kwargs,
        }
        self._security = tls_of(security)
        self._held: list[Batch] = []
        self._keeper: JobKeeper | None = None
        self._certificate: TemporaryDirectory[str] | None = None
        self._told = ""

    def submit(self, batch: Batch) -> None:
        if self._keeper is None:
            self._held.append(batch)
        else:
            super().submit(batch)

    def wait(self) -> bool:
        if self._held and self._keeper is None:
            self._open()
        return super().wait()

    def _collect(self) -> None:
        super()._collect()
        if self._keeper is not None and self._under_way and (news := self._keeper.news()) != self._told:
            self._told = news
            if news:
                log.warning(news)

    def _open(self) -> None:
        """Starts the scheduler, and submits the first jobs."""
        batches, self._held = self._held, []
        size = worker_bytes([batch.configs for batch in batches]) * self._arguments["cores"]
        logs = Path(self._arguments["log_directory"])
        logs.mkdir(parents=True, exist_ok=True)
        self._certificate = TemporaryDirectory(prefix=".tls-", dir=logs.resolve())
        security = self._security or new_tls(Path(self._certificate.name))
        memory = self._memory or f"{size}B"
        # The keeper alone says when a job has ended.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "365 days"})
        try:
            with dask.config.set(OWN_SCHEDULER):
                self._cluster = self._class(memory=memory, security=security, **self._arguments)
        except (ValueError, TypeError, RuntimeError, OSError) as error:
            cause = str(error).partition(". Very likely")[0]
            raise InputError(f"executor: expected keys that {self._class.__name__} takes, got {cause}") from None
        self._connect(self._cluster.scheduler_address, security)
        for batch in batches:
            super().submit(batch)
        self._keeper = self._cluster.adapt(Adaptive=JobKeeper, listing=self._listing, **self._bounds)
        self._cluster.sync(self._keeper.adapt)

    def close(self) -> None:
        self._held.clear()
        if self._cluster is not None:
            if self._keeper is not None:
                with suppress(TimeoutError):
                    self._cluster.sync(self._keeper.finish, callback_timeout=ENDING)
            super().close()
        if self._certificate is not None:
            self._certificate.cleanup()


def _options_of_worker(walltime: str | None) -> list[str]:
    """Options of ``dask worker``, which let it end before its job must."""
    if walltime is None:
        return [*WORKER]
    match = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", walltime)
    seconds = sum(int(part) * size for part, size in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
    if not seconds:
        raise InputError(f"executor.walltime: expected HH:MM:SS, got {walltime!r}")
    return [*WORKER, "--lifetime", f"{LIFETIME * seconds:.0f}s", "--lifetime-stagger", f"{STAGGER * seconds:.0f}s"]
