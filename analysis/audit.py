"""Command line: whether the tracking store holds what its sweeps should have left there, number by number.

python -m analysis.audit [--experiment NAME] [--thorough] [--against URI] [--digest] [--retrain N|all]

Every job of every sweep must be there exactly once, closed, with all its metrics and artifacts unharmed. The numbers of
a run are hashed anew and compared with the hash that was tracked with it. This module does so with code of its own: an
auditor that used the writer's would share its mistakes.
"""

from analysis.arguments import OptionParser  # First, because other libraries cannot be loaded by a path.

# isort: split
import hashlib
import struct
import sys
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from analysis.errors import ReportError
from analysis.tracked.artifacts import artifacts_of, curves_artifact, faults_of_params, jobs_of, weights_in
from analysis.tracked.rows import row_of
from analysis.tracked.store import all_runs, chosen_experiment, experiment_named, first_line, history_of, open_store
from analysis.tracked.tables import Weights
from pipeline import names
from pipeline.addresses import masked_address
from pipeline.digest import sweep_digest
from pipeline.system.command import run_command

Points = Sequence[tuple[str, int, float]]


@dataclass(frozen=True)
class Audit:
    """What was found in one experiment.

    Attributes:
        sweeps: how many sweeps.
        jobs: how many different jobs they have.
        finished: how many runs are finished, those trained again on purpose included.
        digests: fingerprint -> hash of all numbers of its finished run, computed from what the store holds.
        problems: what is not as it should be, a sentence each.
        sweep_digests: name of a sweep -> hash of everything scientific that it has tracked.
    """

    sweeps: int
    jobs: int
    finished: int
    digests: Mapping[str, str]
    problems: Sequence[str]
    sweep_digests: Mapping[str, str]

    def __str__(self) -> str:
        found = [f"{self.sweeps} sweeps, {self.jobs} jobs, {self.finished} finished runs", *self.problems]
        return "\n".join([*found, f"{len(self.problems)} problems"])


def audit_of(experiment_name: str, *, thorough: bool = False, tracking_uri: str | None = None) -> Audit:
    """Compares an experiment with what its sweeps should hold.

    Args:
        thorough: read every metric of every run from the store (30 ms a run), not only from the sweeps' artifacts.
        tracking_uri: the store; None for the one that MLflow is set to.

    Raises:
        ReportError: no such experiment, or a store that does not answer.
    """
    with open_store(tracking_uri, experiment_name) as client:
        experiment = experiment_named(client, experiment_name).experiment_id
        sweeps = list(all_runs(client, experiment, f"tags.`{names.SWEEP_TAG}` != ''"))
        return _audit_of_runs(client, sweeps, all_runs(client, experiment), thorough=thorough)


def _audit_of_runs(client: MlflowClient, sweeps: Sequence[Run], runs: Iterable[Run], *, thorough: bool) -> Audit:
    problems: list[str] = []
    unended: list[str] = []
    faults: list[str] = []
    jobs = {sweep.info.run_id: _read_jobs(client, sweep, problems) for sweep in sweeps}
    curves = _read_curves(client, sweeps, problems)
    digests: dict[str, str] = {}
    counts: Counter[str] = Counter()
    finished = 0
    for run in runs:  # One page of them at a time is in memory.
        unended += [f"{_called(run)} has not ended"] if run.info.status == "RUNNING" else []
        if names.FINGERPRINT_TAG not in run.data.tags or run.info.status != "FINISHED":
            continue
        finished += 1
        fingerprint = run.data.tags[names.FINGERPRINT_TAG]
        counts[fingerprint] += names.RERUN_TAG not in run.data.tags
        faults += _faults(run)
        points = [point for rows in curves.pop(run.info.run_id, ()) for point in _points_of(rows)]
        digests[fingerprint], found = _digest_of(client, run, points, thorough=thorough or not points)
        faults += [f"{_called(run)}: {problem}" for problem in found]
    problems += [*_miscounted(sweeps, jobs, counts), *unended, *faults]
    of_sweeps = {_called(sweep): sweep_digest(digests, jobs[sweep.info.run_id]) for sweep in sweeps}
    return Audit(len(sweeps), len(set().union(*jobs.values())), finished, digests, problems, of_sweeps)


def differences(one: Audit, other: Audit) -> list[str]:
    """What two audits of the same sweeps do not agree in: jobs that only one has, and numbers that differ by a bit."""
    only = [
        f"only {where} store has {fingerprint}"
        for where, these, those in (("this", one.digests, other.digests), ("the other", other.digests, one.digests))
        for fingerprint in sorted(these.keys() - those.keys())
    ]
    both = sorted(one.digests.keys() & other.digests.keys())
    return only + [f"{each} has other numbers" for each in both if one.digests[each] != other.digests[each]]


def _called(run: Run) -> str:
    return f"{run.info.run_name!r} (run {run.info.run_id})"


def _faults(run: Run) -> Iterator[str]:
    try:
        row_of(run)
    except ReportError as fault:
        yield f"{_called(run)} has {fault}"


def _read_jobs(client: MlflowClient, sweep: Run, problems: list[str]) -> set[str]:
    """Fingerprints of a sweep's jobs; adds a problem where the store does not give them."""
    try:
        return jobs_of(client, sweep.info.run_id)
    except Exception as error:  # Missing, torn, refused: each store has its own types.
        problems.append(f"{_called(sweep)}: no list of its jobs ({first_line(error)})")
        return set()


def _miscounted(sweeps: Sequence[Run], jobs: Mapping[str, set[str]], counts: Mapping[str, int]) -> Iterator[str]:
    """Jobs that are missing though their sweep is finished, and jobs that are there twice.

    Args:
        counts: fingerprint -> how many runs are finished, without those that were trained again on purpose.
    """
    for sweep in sweeps:
        missing = jobs[sweep.info.run_id] - counts.keys()
        if missing:
            wanted = len(jobs[sweep.info.run_id])
            yield f"{_called(sweep)} is {sweep.info.status}, and {len(missing)} of its {wanted} jobs are not finished"
    yield from (
        f"the job {fingerprint} is finished {count} times" for fingerprint, count in counts.items() if count > 1
    )


def _read_curves(client: MlflowClient, sweeps: Sequence[Run], problems: list[str]) -> dict[str, list[pd.DataFrame]]:
    """Run id -> its rows in the sweeps' artifacts, part by part; adds a problem for each that cannot be read."""
    curves: dict[str, list[pd.DataFrame]] = {}
    for sweep in sweeps:
        try:
            for part in curves_artifact(client, sweep.info.run_id):
                for run_id, rows in part.groupby("run_id", observed=True):
                    curves.setdefault(str(run_id), []).append(rows)
        except Exception as error:  # As above.
            if sweep.info.status == "FINISHED":
                problems.append(f"{_called(sweep)}: its curves cannot be read ({first_line(error)})")
    return curves


def _points_of(rows: pd.DataFrame) -> Points:
    return list(zip(rows["metric"], rows["step"], rows["value"], strict=True))


def _digest_of(client: MlflowClient, run: Run, points: Points, *, thorough: bool) -> tuple[str, list[str]]:
    """Hash of all numbers of a run, and what is wrong with it."""
    problems = []
    if thorough:
        history = _points_of(history_of(client, run.info.run_id, sorted(run.data.metrics)))
        if points and _hashed(points, {}) != _hashed(history, {}):
            problems.append("the sweep's curves are not those of the store")
        points = history
    last = {metric: value for metric, _, value in sorted(points, key=lambda point: point[:2])}
    held = {key: names.infinite(value) for key, value in run.data.metrics.items()}
    if last.keys() != held.keys() or not all(np.array_equal(last[key], held[key], equal_nan=True) for key in last):
        problems.append("its last metrics are not the ends of its curves")
    weights: Weights = {}
    try:
        with artifacts_of(client, run) as folder:
            problems += faults_of_params(folder / names.CONFIG_FILE, run.data.params)
            weights = weights_in(folder / names.WEIGHTS_FILE, run.info.run_id)
            if (folder / names.RECORDED_FILE).exists():
                weights |= weights_in(folder / names.RECORDED_FILE, run.info.run_id)
    except ReportError as error:
        problems.append(str(error))
    digest = _hashed(points, weights)
    if weights and digest != run.data.tags.get(names.DIGEST_TAG):
        problems.append("its numbers are not those that were tracked")
    return digest, problems


def _hashed(points: Points, weights: Weights) -> str:
    """The hash in the tag ``result.digest``, as ``pipeline.tracking.records.result_digest`` describes it."""
    digest = hashlib.sha256()
    for metric, step, value in sorted(points, key=lambda point: point[:2]):
        digest.update(f"{metric}\n".encode() + struct.pack("<qd", step, np.nan if np.isnan(value) else value + 0.0))
    for name, array in sorted(weights.items()):
        digest.update(f"{name} {array.shape}\n".encode() + np.asarray(array, "<f8").tobytes())
    return digest.hexdigest()


def _number_or_all(text: str) -> int:
    if text == "all":
        return sys.maxsize
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"expected a number of runs, at least 1, or all, got {text!r}")
    return int(text)


def main() -> None:
    """Prints what was found; exit code 1 if anything is wrong."""
    parser = OptionParser(prog="python -m analysis.audit", description="Audits the tracked runs.")
    parser.add_argument(
        "--experiment", metavar="NAME", help="MLflow experiment (default: that of the environment, or symmetry)"
    )
    parser.add_argument("--thorough", action="store_true", help="read every metric from the store itself: 30 ms a run")
    parser.add_argument("--against", metavar="URI", help="another tracking store that should hold the same numbers")
    parser.add_argument("--digest", action="store_true", help="one hash a sweep, over all that it has tracked")
    parser.add_argument("--retrain", metavar="N", type=_number_or_all, help="train N runs (or all) anew")
    arguments = parser.parse_args()
    try:
        experiment = chosen_experiment() if arguments.experiment is None else arguments.experiment
        audit = audit_of(experiment, thorough=arguments.thorough)
        print(audit)
        different: list[str] = []
        if arguments.digest:
            print("\n".join(f"digest of {sweep}: {digest}" for sweep, digest in audit.sweep_digests.items()))
        if arguments.retrain is not None:
            from analysis.retrain import retrained  # The trainer, which nothing else here needs.

            count, different = retrained(experiment, arguments.retrain)
            print("\n".join([*different, f"{count} runs trained anew, {len(different)} differences"]))
        if arguments.against is not None:
            other = audit_of(experiment, thorough=arguments.thorough, tracking_uri=arguments.against)
            between = differences(audit, other)
            print("\n".join([*between, f"{len(between)} differences from {masked_address(arguments.against)}"]))
            different += between
    except ReportError as error:
        sys.exit(str(error))
    sys.exit(1 if audit.problems or different else 0)


if __name__ == "__main__":
    run_command(main)
