"""What was read is said before training, and stored on the run of the sweep, or on a single run."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import names
from tests.support.in_process import call

TABLE = "size;colour;id;kind\n" + "".join(
    f"{i % 7},5;{'rgb'[i % 3] if i else ''};{i};{'xy'[i % 2]}\n" for i in range(40)
)
KEYS = (
    "seed=0",
    *("data=csv", "data.path=d.csv", "data.target=-1", "data.drop=[id]", "data.missing=drop", "model=mlp"),
    *("init=normal", "optimizer.learning_rate=0.1", "training.steps=2", "training.batch_size=null"),
)
LINE = (
    "Data csv d.csv (UTF-8, separator semicolon, decimal comma, a header): 31 training and 8 test examples, 4 columns"
    " from 1 number, 1 text; one-hot: colour 3; 1 row left out, in which a value is missing; columns left out: id;"
    " classes of kind: x 19, y 20"
)


@pytest.mark.usefixtures("with_database")
@pytest.mark.parametrize("sweep", [("-m",), ()])
def test_what_was_read_is_said_and_stored(tmp_path: Path, sweep: tuple[str, ...]) -> None:
    (tmp_path / "d.csv").write_text(TABLE)
    called = call("pipeline.run", *sweep, *KEYS, "executor=inline", folder=tmp_path)
    assert called.returncode == 0, called.stderr
    told, *after = [
        line for line in called.stdout.splitlines() if "Data csv" in line or "jobs:" in line or "run " in line
    ]
    assert told.endswith(LINE)
    assert after
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("symmetry").experiment_id])  # type: ignore[union-attr]
    (holder,) = [run for run in runs if not sweep or names.SWEEP_TAG in run.data.tags]
    stored = client.download_artifacts(holder.info.run_id, names.DATA_FILE, str(tmp_path))
    (data,) = json.loads(Path(stored).read_text())
    assert data["features"] == ["size", "colour=b", "colour=g", "colour=r"]
    assert data["classes"] == {"x": 19, "y": 20}
    assert data["digest"] == next(run for run in runs if run.data.params).data.params[names.DATA_DIGEST_PARAM]


@pytest.mark.usefixtures("with_database")
@pytest.mark.parametrize(
    ("keys", "start"),
    [
        (
            ["data.drop=[]"],
            "data.drop: d.csv: line 1, column 'id': expected a feature, got what looks like a row number",
        ),
        (["data.drop=id"], "data.drop: expected a list of whole numbers or texts, got 'id'"),
        (["data.task=regression"], "data.target: d.csv: column 'kind': expected numbers for data.task=regression"),
        (["data.test_path=none.csv"], "data.test_path: none.csv: expected a file, got no such file"),
    ],
)
def test_a_wrong_key_is_one_line(tmp_path: Path, keys: list[str], start: str) -> None:
    (tmp_path / "d.csv").write_text(TABLE)
    called = call("pipeline.run", *KEYS, *keys, folder=tmp_path)
    assert called.returncode == 1
    assert called.stderr.startswith(start)
    assert len(called.stderr.splitlines()) == 1
