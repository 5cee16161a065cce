"""Loads the finished runs of an experiment: params, metrics and curves as tidy tables."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import Experiment, Run, RunData

from analysis.errors import ReportError
from analysis.tracked.artifacts import features_of, jobs_of, weights_of
from analysis.tracked.curves import load_curves
from analysis.tracked.rows import row_of
from analysis.tracked.store import NEXT_STEP, all_runs, experiment_named, first_line, next_step, open_store
from analysis.tracked.tables import FACTS, Question, Tables
from analysis.wording import amount
from pipeline import addresses, names
from pipeline.addresses import database_path, ui_command
from pipeline.digest import sweep_digest

QUESTION_TAGS = (names.QUESTION_TAG, names.ASKS_TAG, names.PREDICTS_TAG)


def load_tables(experiment_name: str) -> Tables:
    """The finished runs of an experiment, from all its sweeps and single runs.

    Runs that repeat a fingerprint hold the same numbers, so only the newest counts, also of runs with equal params,
    which differ in what else was measured or in the version of the code. Whatever is missing (failed or running runs,
    interrupted sweeps, unreadable artifacts) becomes a note.

    Raises:
        ReportError: no such experiment, no finished run, or a store that does not answer.
    """
    with open_store(experiment_name=experiment_name) as client:
        experiment = experiment_named(client, experiment_name)
        found = sort_runs(all_runs(client, experiment.experiment_id))
    parents = found.parents
    by_age = sorted(parents, key=lambda run: (run.info.start_time, run.info.run_id))
    commands = [run.data.tags[names.COMMAND_TAG] for run in by_age if names.COMMAND_TAG in run.data.tags]
    if not found.finished:
        under_way = f"its sweep may be running, or goes on with: {commands[-1]}" if commands else ""
        raise ReportError(
            f"--experiment: {experiment_name!r} has no finished run yet; {under_way or next_step(experiment_name)}"
        )
    notes: list[str] = []
    jobs = _jobs_of_sweeps(client, parents, notes)
    notes = [*_unfinished_notes(jobs, found), *notes, *_foreign_notes(found.foreign)]
    rows = _whole_rows(found, notes)
    params = found.params & {*rows} - {*FACTS, "measures", "record_weights"}
    runs = _leave_out_repeated(rows, sorted(params), notes)
    curves = load_curves(client, parents, runs, notes)
    newest = str(by_age[-1].info.run_id) if by_age else None
    described = found.described  # Not all that was found: what the pages ask for later stays in memory.
    return Tables(
        experiment_name=experiment_name,
        experiment_id=str(experiment.experiment_id),
        runs=runs,
        curves=curves,
        weights=lambda run_id: weights_of(described[run_id], client.tracking_uri),
        recorded=lambda run_id: weights_of(described[run_id], client.tracking_uri, names.RECORDED_FILE),
        parent=newest,
        question=_question(by_age),
        commands=commands,
        digests=_digests(jobs, found),
        ui_address=addresses.ui_address(get_tracking_uri()),
        ui_command=_ui_command(get_tracking_uri()),
        views=_views(experiment, newest),
        notes=notes,
        features={
            digest: found for parent in by_age for digest, found in features_of(client, parent.info.run_id).items()
        },
    )


def _ui_command(address: str) -> str:
    """What opens the UI in the folder of the project; the page may be published, so it names no more than it must."""
    is_found = database_path(address) == Path("mlflow.db").absolute()
    return "mlflow ui" if is_found else ui_command(address)


@dataclass
class Found:
    """The runs of an experiment by what they are, each reduced to what is asked of its kind.

    Attributes:
        parents: the sweeps.
        unfinished: trained runs that failed, were killed, or run still.
        foreign: names of runs that this project has not tracked.
        finished: the fingerprint of each finished one, and the digest of its numbers.
        described: run id -> where it stands.
        params: the keys of their params.
        rows: they themselves, those that are as this project tracks them.
        faults: what is wrong with the others.
    """

    parents: list[Run] = field(default_factory=list)
    unfinished: list[Run] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    finished: dict[str, str] = field(default_factory=dict)
    described: dict[str, Run] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def sort_runs(runs: Iterable[Run]) -> Found:
    """Sorts runs by what they are. As MLflow's objects they would take ten times the memory."""
    found = Found()
    for run in runs:
        tags = run.data.tags
        if names.SWEEP_TAG in tags:
            found.parents.append(run)
        if names.FINGERPRINT_TAG not in tags:
            found.foreign += [] if names.SWEEP_TAG in tags else [run.info.run_name]
        elif run.info.status != "FINISHED":
            found.unfinished.append(run)
        else:
            found.finished[tags[names.FINGERPRINT_TAG]] = tags.get(names.DIGEST_TAG, "")
            found.described[run.info.run_id] = Run(run.info, RunData())
            found.params |= run.data.params.keys()
            try:
                found.rows.append(row_of(run))
            except ReportError as fault:
                found.faults.append(f"{run.info.run_name} has {fault}")
    return found


def _whole_rows(found: Found, notes: list[str]) -> pd.DataFrame:
    """The table of those finished runs that are as this project tracks them.

    Raises:
        ReportError: there is none.
    """
    if faults := found.faults:
        are = "is" if len(faults) == 1 else "are"
        notes.append(f"{amount(len(faults), 'run')} left out that {are} not as this project tracks them ({faults[0]})")
    if not found.rows:
        raise ReportError(f"--experiment: no run can be reported on; {notes[-1]}; {NEXT_STEP}")
    return pd.DataFrame(found.rows)


def _leave_out_repeated(rows: pd.DataFrame, params: list[str], notes: list[str]) -> pd.DataFrame:
    """The table of runs without those that a newer one repeats; adds a note on how many were left out."""
    rows = rows.sort_values(["start_time", "run_id"])
    runs = rows.drop_duplicates("fingerprint", keep="last")
    current = runs.drop_duplicates(params, keep="last")
    if len(current) < len(runs):
        notes.append(f"{amount(len(runs) - len(current), 'run')} left out: newer ones have the same params")
    return current.reset_index(drop=True)


def _question(parents: list[Run]) -> Question | None:
    """That of the newest sweep that has one; sweeps without one may add runs to it."""
    for tags in (parent.data.tags for parent in reversed(parents)):
        if tags.keys() >= set(QUESTION_TAGS):
            return Question(*(tags[key] for key in QUESTION_TAGS))
    return None


def _views(experiment: Experiment, parent: str | None) -> dict[str, str]:
    """Label -> link of those views that the sweep has prepared."""
    if parent is None:
        return {}
    links = addresses.view_links(str(experiment.experiment_id), parent, addresses.ui_address(get_tracking_uri()))
    return {
        f"{view} of the newest sweep": link
        for view, link in links.items()
        if names.view_tag(parent, view) in experiment.tags
    }


def _foreign_notes(foreign: list[str]) -> Iterator[str]:
    if foreign:
        yield f"{amount(len(foreign), 'run')} left out that this project has not tracked ({foreign[0]})"


def _jobs_of_sweeps(client: MlflowClient, parents: list[Run], notes: list[str]) -> dict[str, set[str]]:
    """Run id of a sweep -> fingerprints of its jobs; adds a note for each sweep that does not give them."""
    jobs = {}
    for parent in parents:
        try:
            jobs[parent.info.run_id] = jobs_of(client, parent.info.run_id)
        except Exception as error:  # Missing, torn, a server's refusal: each store raises its own types.
            notes.append(f"Whether the sweep {parent.info.run_name!r} is complete is unknown ({first_line(error)})")
    return jobs


def _digests(jobs: dict[str, set[str]], found: Found) -> dict[str, str]:
    """Command of a sweep -> digest of all its numbers."""
    return {
        parent.data.tags[names.COMMAND_TAG]: sweep_digest(found.finished, jobs[parent.info.run_id])
        for parent in found.parents
        if names.COMMAND_TAG in parent.data.tags and parent.info.run_id in jobs
    }


def _unfinished_notes(jobs: dict[str, set[str]], found: Found) -> Iterator[str]:
    finished = found.finished.keys()
    for status, ended in (("FAILED", "failed"), ("KILLED", "killed"), ("RUNNING", "not ended")):
        # What was trained again later, and then finished, is not missing.
        runs = [
            run
            for run in found.unfinished
            if run.info.status == status and run.data.tags[names.FINGERPRINT_TAG] not in finished
        ]
        if runs:
            examples = ", ".join(sorted(run.info.run_name for run in runs)[:3])
            cause = next((run.data.tags[names.ERROR_TAG] for run in runs if names.ERROR_TAG in run.data.tags), "")
            yield f"{amount(len(runs), 'run')} {ended}, left out ({examples}{', ...' if len(runs) > 3 else ''})" + (
                f"; the first cause: {cause}" if cause else ""
            )
    for parent in found.parents:
        wanted = jobs.get(parent.info.run_id, set())
        if not wanted <= finished:
            yield (
                f"The sweep {parent.info.run_name!r} is {parent.info.status} with {len(wanted & finished)} of"
                f" {len(wanted)} runs finished: this report is partial; the same command goes on with it"
            )
