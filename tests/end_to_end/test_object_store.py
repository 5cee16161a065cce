"""Artifacts in an S3-compatible object store: a sweep, its report and its audit."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.in_process import call
from tests.support.tracking_server import free_port

pytestmark = pytest.mark.slow
boto3 = pytest.importorskip("boto3", reason="needs: pip install boto3")
moto_server = pytest.importorskip("moto.server", reason="needs: pip install 'moto[server]'")

SWEEP = ("-m", "experiment_name=bucket", "data=moons", "model=mlp", "training.steps=20", "training.batch_size=null")
SWEPT = (
    "init=constant,normal",
    "optimizer.learning_rate=0.1",
    "seed=range(4)",
    "record_weights=[0]",
    "executor=inline",
)
ACCESS = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """What leads commands to the object store, which has one bucket."""
    for key, value in ACCESS.items():
        monkeypatch.setenv(key, value)
    server = moto_server.ThreadedMotoServer("127.0.0.1", free_port())
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="lab")
        yield {"MLFLOW_S3_ENDPOINT_URL": address}
    finally:
        server.stop()


def test_artifacts_go_where_the_experiment_says(tmp_path: Path, environment: Mapping[str, str]) -> None:
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("bucket", artifact_location="s3://lab/runs")
    assert call("pipeline.run", *SWEEP, *SWEPT, folder=tmp_path, **environment).returncode == 0
    audit = call("analysis.audit", "--experiment", "bucket", "--thorough", folder=tmp_path, **environment)
    assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "0 problems")
    figure = ("--only", "incoming_weights")
    report = call("analysis.report", "--experiment", "bucket", *figure, folder=tmp_path, **environment)
    assert (report.returncode, report.stderr) == (0, "")
    assert (tmp_path / "reports" / "bucket" / "incoming_weights.svg").exists()
    store = boto3.client("s3", endpoint_url=environment["MLFLOW_S3_ENDPOINT_URL"])
    kept = {each["Key"] for each in store.list_objects_v2(Bucket="lab")["Contents"]}
    runs = [run.info.run_id for run in client.search_runs([experiment], "tags.fingerprint != ''")]
    assert len(runs) == 8
    assert kept >= {f"runs/{run_id}/artifacts/weights.npz" for run_id in runs}
    assert not (tmp_path / "mlruns").exists()
