"""Clean up a store: mark runs of dead processes KILLED, delete runs tracked twice, gather a database's statistics."""

from mlflow import MlflowClient
from sqlalchemy import text

from pipeline import names
from pipeline.system.process_identity import is_another, is_gone
from pipeline.tracking.store.opening import sql_store
from pipeline.tracking.store.queries import finished_runs, searched_runs
from pipeline.tracking.sweeps import TrackedRun


def close_leftovers(client: MlflowClient, experiment_id: str, continued: str | None) -> int:
    """Marks as KILLED what still counts as running though its process is gone; says how many runs these were.

    Args:
        continued: the sweep that goes on; its own parent run stays.
    """
    running = list(searched_runs(client, experiment_id, "attributes.status = 'RUNNING'"))
    leftovers = {run.info.run_id for run in running if is_gone(run.data.tags.get(names.DRIVER_TAG))} - {continued}
    for run_id in sorted(leftovers):
        client.set_terminated(run_id, "KILLED")
    return len(leftovers)


def close_unended(client: MlflowClient, experiment_id: str, parent: str) -> None:
    """Marks as KILLED what is open at the end of a sweep: runs that a server began and was lost before it said so.

    Another living driver of the same sweep closes its runs itself. That of another host is not known to live, and may
    have ended a run in the meantime, so its status is asked for again.
    """
    unended = f"attributes.status = 'RUNNING' AND tags.`{names.PARENT_TAG}` = '{parent}'"
    for run in list(searched_runs(client, experiment_id, unended)):
        if not is_another(run.data.tags.get(names.DRIVER_TAG)) and _is_open(client, run.info.run_id):
            client.set_terminated(run.info.run_id, "KILLED")


def _is_open(client: MlflowClient, run_id: str) -> bool:
    return bool(client.get_run(run_id).info.status == "RUNNING")


def delete_repeated_runs(client: MlflowClient, experiment_id: str, fingerprint: str | None = None) -> list[TrackedRun]:
    """Deletes runs that two processes have tracked at once, or one twice because a server's answer was lost.

    Of the finished runs of one fingerprint the oldest stays. Of those trained again on purpose that is the oldest of a
    sweep, and each that belongs to none.

    Args:
        fingerprint: if given, only runs with this one are looked at.

    Returns:
        The finished runs that stay, oldest first.
    """
    kept: dict[tuple[str, str | None], TrackedRun] = {}
    repeated = []
    for run in finished_runs(client, experiment_id, fingerprint=fingerprint):
        if kept.setdefault(_identity(run), run) is not run:
            repeated.append(run.run_id)
    for run_id in repeated:
        client.delete_run(run_id)
    return list(kept.values())


def _identity(run: TrackedRun) -> tuple[str, str | None]:
    return run.fingerprint, (run.parent or run.run_id) if run.rerun else None


def gather_statistics(client: MlflowClient) -> None:
    """Tells SQLite how many rows its tables have, from 400 rows of each index; other databases find out by themselves.

    Without that it pairs each run with each metric where the UI sorts by one: 20 s for 20,000 runs instead of 0.3 s.
    """
    store = sql_store(client)
    if store and store.engine.dialect.name == "sqlite":
        with store.ManagedSessionMaker(read_only=False) as session:
            session.execute(text("PRAGMA analysis_limit = 400"))
            session.execute(text("ANALYZE"))
