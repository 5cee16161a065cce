"""The table of a sweep's curves: merged part by part, from its artifact as far as that can be read."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline import names
from pipeline.tracking.curves import merge_curves, save_curves
from pipeline.tracking.sweeps import Sweep

POINTS = [("loss/train", 0.5, 0), ("loss/train", 0.25, 1)]


class KeptStore:
    """Stands for MLflow's client: an artifact, if it is there, and histories of the runs whose parts are lost."""

    def __init__(self, artifact: Path) -> None:
        self._artifact = artifact
        self.asked: list[str] = []

    def download_artifacts(self, parent: str, name: str, folder: str) -> str:
        return str(shutil.copy(self._artifact, folder))

    def get_run(self, run_id: str) -> Any:
        self.asked.append(run_id)
        return SimpleNamespace(data=SimpleNamespace(metrics=["loss/train"]))

    def get_metric_history(self, run_id: str, key: str) -> Sequence[Any]:
        return [SimpleNamespace(step=step, value=value) for _, value, step in POINTS]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep("f" * 32, 4, (), str(tmp_path / "sweep"))


def rows_of(path: Path) -> list[tuple[str, str, int, float]]:
    return sorted(pd.read_parquet(path).itertuples(index=False, name=None))


def points_of(*run_ids: str) -> list[tuple[str, str, int, float]]:
    return [(run_id, metric, step, value) for run_id in run_ids for metric, value, step in POINTS]


def test_curves_come_from_artifact_parts_and_store_each_run_once(tmp_path: Path, sweep: Sweep) -> None:
    artifact, target = tmp_path / names.CURVES_FILE, tmp_path / "merged.parquet"
    store: Any = KeptStore(artifact)
    save_curves(sweep, {"a": POINTS, "deleted": POINTS})
    save_curves(sweep, {"b": POINTS, "without": []})
    assert merge_curves(store, sweep, ["a", "b"], artifact)
    assert rows_of(artifact) == points_of("a", "b")
    assert not store.asked
    # Where the artifact has them all there is nothing to write.
    assert not merge_curves(store, sweep, ["a", "b"], target)
    assert not target.exists()
    save_curves(sweep, {"c": POINTS})
    assert merge_curves(store, sweep, ["a", "b", "c", "d"], target)
    assert rows_of(target) == points_of("a", "b", "c", "d")
    assert store.asked == ["d"]


def test_no_two_parts_are_in_memory_at_once(tmp_path: Path, sweep: Sweep) -> None:
    artifact, target = tmp_path / names.CURVES_FILE, tmp_path / "merged.parquet"
    for run_id in "abc":
        save_curves(sweep, {run_id: POINTS})
    merge_curves(KeptStore(artifact), sweep, "abc", artifact)  # type: ignore[arg-type]
    save_curves(sweep, {"d": POINTS})
    merge_curves(KeptStore(artifact), sweep, "abcd", target)  # type: ignore[arg-type]
    groups = pq.ParquetFile(target).metadata
    assert [groups.row_group(group).num_rows for group in range(groups.num_row_groups)] == [len(POINTS)] * 4


@pytest.mark.parametrize("damage", ["torn", "another table"])
def test_a_damaged_artifact_is_replaced_from_the_store(tmp_path: Path, sweep: Sweep, damage: str) -> None:
    artifact, target = tmp_path / names.CURVES_FILE, tmp_path / "merged.parquet"
    save_curves(sweep, {"a": POINTS})
    merge_curves(KeptStore(artifact), sweep, ["a"], artifact)  # type: ignore[arg-type]
    shutil.rmtree(sweep.folder)
    if damage == "torn":
        artifact.write_bytes(artifact.read_bytes()[:-20])
    else:
        pd.DataFrame({"run_id": ["a"]}).to_parquet(artifact)
    store: Any = KeptStore(artifact)
    assert merge_curves(store, sweep, ["a"], target)
    assert rows_of(target) == points_of("a")
    assert store.asked == ["a"]
