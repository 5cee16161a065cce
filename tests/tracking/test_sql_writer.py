"""One transaction: nothing twice after a lost answer, nothing that others have finished, any artifact store."""

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

from pipeline import names
from pipeline.tracking.records import Record
from pipeline.tracking.store.sql_writer import OneTransaction, writer_for
from tests.tracking.test_writers import RECORDS, Store, files_of, record, rows_of


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Store:
    shutil.copy(empty_database, tmp_path / "bulk.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/bulk.db")
    return client, str(client.create_experiment("tests", f"{tmp_path}/bulk artifacts"))


@pytest.mark.parametrize("tags", [{}, {names.RERUN_TAG: "true"}])
@pytest.mark.parametrize("is_another_start", [False, True])
def test_records_whose_answer_was_lost_are_not_written_twice(
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    tags: dict[str, str],
    *,
    is_another_start: bool,
) -> None:
    writer = writer_for(*store)
    writer.write([record(0)])
    records = [Record(**vars(each) | {"tags": each.tags | tags}) for each in RECORDS[1:]]
    insert = OneTransaction._insert_unknown

    def insert_and_lose_the_answer(*given: Any) -> None:
        insert(*given)
        raise ConnectionError

    monkeypatch.setattr(OneTransaction, "_insert_unknown", insert_and_lose_the_answer)
    with pytest.raises(ConnectionError):
        writer.write(records)
    monkeypatch.undo()
    if is_another_start:
        writer = writer_for(*store)
        writer.write([record(9)])
    run_ids = writer.write([*records, *records[:1]])
    assert run_ids == [*run_ids[:3], run_ids[0]]
    rows = rows_of(tmp_path, "bulk", run_ids[:3])
    assert len([row for row in rows["runs"] if "'run " in row]) == 4 + is_another_start
    assert files_of(tmp_path / "bulk artifacts", run_ids[:3]).keys() == {
        (position, f"artifacts/{name}") for position in range(3) for name in records[0].artifacts
    }


def test_of_a_run_that_another_process_has_finished_no_file_stays(tmp_path: Path, store: Store) -> None:
    one, other = writer_for(*store), writer_for(*store)
    (first,) = one.write([record(0)])
    other.write([record(9)])
    mine = [record(number, f"{number:032x}") for number in (1, 2, 3)]
    theirs = [Record(**vars(each) | {"start_time": each.start_time + 7}) for each in mine]
    run_ids = one.write(mine)
    kept = other.write(theirs)
    # Only one that has failed is written again.
    assert [ours == own for ours, own in zip(run_ids, kept, strict=True)] == [True, False, True]
    folders = {path.name for path in (tmp_path / "bulk artifacts").iterdir()}
    assert len(folders) == 1 + 1 + 3 + 1
    assert {first, *run_ids, *kept} < folders


def test_run_ids_grow_with_time(store: Store) -> None:
    run_ids = writer_for(*store).write(RECORDS)[1:]
    assert run_ids == sorted(run_ids)
    assert len({run_id[:12] for run_id in run_ids}) == 3
    assert {len(run_id) for run_id in run_ids} == {32}


class ObjectStore(ArtifactRepository):  # type: ignore[misc]
    """Objects under addresses, as clouds keep them; no folder that the driver could write into."""

    objects: ClassVar[dict[str, bytes]] = {}

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self.objects[f"{self.artifact_uri}/{Path(local_file).name}"] = Path(local_file).read_bytes()

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        for path in Path(local_dir).iterdir():
            self.log_artifact(str(path))

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        for key in [key for key in self.objects if key.startswith(f"{self.artifact_uri}/")]:
            del self.objects[key]

    def list_artifacts(self, path: str | None = None) -> list[Any]:
        raise NotImplementedError

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        raise NotImplementedError


def test_artifacts_go_to_an_object_store_through_the_client_of_mlflow(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_artifact_repository_registry._registry, "objects", ObjectStore)
    monkeypatch.setattr(ObjectStore, "objects", {})
    shutil.copy(empty_database, tmp_path / "runs.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    experiment = str(client.create_experiment("tests", "objects://bucket/tests"))
    writer = writer_for(client, experiment)
    run_ids = writer.write(RECORDS)
    assert isinstance(writer, OneTransaction)
    assert writer_for(client, experiment).write([record(9), *RECORDS[1:]])[1:] == run_ids[1:]
    assert {
        f"objects://bucket/tests/{run_id}/artifacts/{name}": content
        for run_id, each in zip(run_ids, RECORDS, strict=True)
        for name, content in each.artifacts.items()
    }.items() <= ObjectStore.objects.items()
    assert len(ObjectStore.objects) == 5 * 2
