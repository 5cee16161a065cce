"""Launch many jobs at once: workers train batches of them as stacks; this process does everything else.

Jobs that share data, layer sizes and training differ only in numbers, so a stack of them costs little more than one.
This process writes the job folders, calls the callbacks, and tracks finished runs meanwhile, as the only writer.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.types import HydraContext
from omegaconf import DictConfig

from pipeline.compose.cache import CachedComposition, keep_current_hydra
from pipeline.compose.jobs import checked_configs
from pipeline.config.schema import Config
from pipeline.errors import DataChangedError, TrainingError
from pipeline.executors.batch import Batch, Failure, Trained, require_driver_data
from pipeline.executors.interface import Executor, open_executor
from pipeline.sweep.job import check_asked, objective, run, run_name, varying_keys, whereabouts
from pipeline.sweep.job_folder import JobFolders, StackedJob
from pipeline.sweep.progress import Progress, show_progress
from pipeline.system.signals import Interrupted, raise_if_stopped
from pipeline.tracking.delivery import retry_while_disk_full
from pipeline.tracking.records import Times, one_line_of, record_of
from pipeline.tracking.sweeps import current_sweep
from pipeline.tracking.tracker import Tracker
from pipeline.training.batching import batches_of, room_for
from pipeline.training.stack import RunResult

log = logging.getLogger(__name__)

RUNS_PER_TRANSACTION = 100


def launch_stacked(
    hydra_context: HydraContext,
    master: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    numbers: Sequence[int],
    configs: Sequence[Config] | None,
) -> list[JobReturn]:
    """Runs jobs of ``pipeline.sweep.job.run`` as stacks, and returns what each returned in their order.

    Args:
        master: the composed configuration of the multirun.
        job_overrides: the overrides of each job.
        numbers: the number of each job in the sweep.
        configs: the checked configurations of the jobs, if somebody has them.
    """
    hydra = master.hydra
    Path(str(hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    composition = CachedComposition(hydra_context.config_loader, master)
    folders = JobFolders(composition, str(hydra.sweep.dir))
    jobs = [
        StackedJob(folders, number, overrides, hydra.job.name)
        for number, overrides in zip(numbers, job_overrides, strict=True)
    ]
    configs = configs or checked_configs(composition, job_overrides, numbers)
    check_asked(configs, hydra)
    with keep_current_hydra():
        Launch(jobs, configs, hydra_context).run()
    return [*jobs]


Done = tuple[int, RunResult | Failure, Trained]
"""Place of a job, what became of it, and the batch that it was trained in."""


class StackedTraining:
    """Trains jobs as stacks on all workers; who inherits says what becomes of the results."""

    # 1. Cut the jobs into batches: stacks that fit into memory, at least one for each worker.
    # 2. Keep the executor's capacity full.
    # 3. Keep what comes back.
    # 4. When the process is stopped, keep what is done by then, and leave.

    def __init__(self, configs: Sequence[Config]) -> None:
        self._configs = configs
        self._under_way: set[tuple[int, ...]] = set()

    def begin(self, job: int) -> None:
        """Takes in that a job is about to be submitted."""

    def keep(self, done: Sequence[Done]) -> None:
        """Takes in what was trained."""
        raise NotImplementedError

    def run(self) -> None:
        """Trains all jobs; workers compute while this process keeps what is done."""
        with open_executor(self._configs[0].executor, room_for(self._configs)) as executor:
            batches = batches_of(self._configs, executor.slots)
            log.info(f"Training {len(self._configs)} jobs in {len(batches)} batches, {executor.slots} at once")
            trained = [[self._configs[job] for job in batch] for batch in batches]
            with show_progress(trained, executor.slots) as progress:
                self._train(executor, batches, progress)

    def _train(self, executor: Executor, batches: Iterable[Sequence[int]], progress: Progress) -> None:
        remaining = iter(batches)
        try:
            while True:
                raise_if_stopped()
                while len(self._under_way) < executor.capacity and (batch := next(remaining, None)):
                    self._submit(executor, batch)
                    progress.begin()
                if not executor.wait():
                    return
                self._finish(executor.done(), progress)
        except Interrupted as interruption:
            try:
                self._finish(executor.done(), progress)
            finally:
                raise interruption

    def _finish(self, done: Iterable[tuple[Batch, Trained]], progress: Progress) -> None:
        """Keeps what is trained.

        Raises:
            DataChangedError: some of it was not trained on this process's data; the rest is kept.
        """
        outcomes: list[Done] = []
        changed = None
        for batch, trained in done:
            # An executor that has lost sight of a batch may have it trained twice; both have the same bits.
            if batch.jobs in self._under_way:
                self._under_way.remove(batch.jobs)
                progress.end(batch.configs)
                try:
                    require_driver_data(batch, trained)
                except DataChangedError as error:
                    changed = error
                    continue
                outcomes += [(job, outcome, trained) for job, outcome in zip(batch.jobs, trained.outcomes, strict=True)]
        self.keep(outcomes)
        for _, outcome, _ in outcomes:
            progress.count(outcome)
        if changed is not None:
            raise changed

    def _submit(self, executor: Executor, batch: Sequence[int]) -> None:
        for job in batch:
            self.begin(job)
        self._under_way.add(tuple(batch))
        executor.submit(Batch(tuple(batch), tuple(self._configs[job] for job in batch)))


class Launch(StackedTraining):
    """One call of the launcher: from jobs and their configurations to tracked runs.

    A job's folder is made when its batch is submitted. At most 100 runs are tracked in one transaction.
    """

    def __init__(self, jobs: Sequence[StackedJob], configs: Sequence[Config], hydra_context: HydraContext) -> None:
        super().__init__(configs)
        self._jobs = jobs
        self._callbacks = hydra_context.callbacks
        self._trackers = {name: Tracker(name) for name in sorted({config.experiment_name for config in configs})}
        self._sweep = current_sweep()
        overrides = [job.overrides or [] for job in jobs]
        self._naming_keys = self._sweep.swept_keys if self._sweep else varying_keys(overrides)

    def begin(self, job: int) -> None:
        """Makes the folder of a job, and calls Hydra's callbacks."""
        retry_while_disk_full(self._jobs[job].create_folder)
        if self._callbacks.callbacks:
            self._callbacks.on_job_start(config=self._jobs[job].compose(), task_function=run)

    def keep(self, done: Sequence[Done]) -> None:
        """Tracks what was trained, logs it and calls Hydra's callbacks."""
        for first in range(0, len(done), RUNS_PER_TRANSACTION):
            self._track(done[first : first + RUNS_PER_TRANSACTION])
        for job, outcome, _ in done:
            self._end(self._jobs[job], outcome)

    def _track(self, done: Sequence[Done]) -> None:
        parent = self._sweep.parent if self._sweep else None
        for experiment_name, tracker in self._trackers.items():
            members = [each for each in done if self._configs[each[0]].experiment_name == experiment_name]
            records = [
                record_of(
                    self._configs[job],
                    outcome,
                    run_name(self._configs[job], self._naming_keys),
                    parent,
                    Times(trained.start, trained.end),
                )
                for job, outcome, trained in members
            ]
            run_ids = tracker.log(records, self._sweep)
            for position, ((job, outcome, _), record) in enumerate(zip(members, records, strict=True)):
                line = f"{record.name}: {one_line_of(outcome)} ({whereabouts(run_ids, position)})"
                level = logging.ERROR if isinstance(outcome, Failure) else logging.INFO
                with suppress(OSError):  # A full disk; the line stands in the log of the sweep too.
                    self._jobs[job].append_log(run.__module__, level, line)
                if isinstance(outcome, Failure):
                    log.error(f"#{self._jobs[job].number}: {line}")

    def _end(self, job: StackedJob, outcome: RunResult | Failure) -> None:
        job.complete(TrainingError(outcome.cause) if isinstance(outcome, Failure) else objective(outcome))
        if self._callbacks.callbacks:
            self._callbacks.on_job_end(config=job.compose(), job_return=job)
