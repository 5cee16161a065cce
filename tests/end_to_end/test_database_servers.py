"""Database servers by URI: the rows of one transaction, and four drivers that write the same runs."""

from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.tracking.store.queries import searched_runs
from pipeline.tracking.store.sql_writer import OneTransaction, writer_for
from tests.support.database_servers import DatabaseServer, mysql, postgresql
from tests.tracking.test_writers import RECORDS, record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[postgresql, mysql])
def database(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    with request.param() as server:
        yield server


def experiment_in(database: DatabaseServer, name: str, folder: Path) -> tuple[MlflowClient, str]:
    database.create(name)
    client = MlflowClient(database.address(name))
    return client, str(client.create_experiment(name, str(folder / "artifacts")))


def test_a_transaction_leaves_the_same_rows_as_the_public_calls(
    tmp_path: Path, database: DatabaseServer, caplog: pytest.LogCaptureFixture
) -> None:
    client, experiment = experiment_in(database, "odd_rows", tmp_path)
    odd = replace(RECORDS[1], name="tab\tline\nback\\slash \\N", params={"null": "\\N", "empty": "", "quote": "'\""})
    writer = writer_for(client, experiment)
    assert isinstance(writer, OneTransaction)
    for each in (odd, *RECORDS):
        writer._proven = None
        writer.write([each])
        assert writer._proven
    assert "slower" not in caplog.text
    _, run_id = writer.write([RECORDS[0], replace(odd, tags=odd.tags | {"fingerprint": "f" * 32})])
    assert client.get_run(run_id).data.params == odd.params
    assert client.get_run(run_id).info.run_name == odd.name
    zero = client.get_metric_history(run_id, "zero")[0].value
    assert repr(zero) == "5e-324"


def test_four_drivers_of_one_database_write_each_run_once(tmp_path: Path, database: DatabaseServer) -> None:
    experiment_in(database, "stress", tmp_path)
    together = Barrier(4)

    def drive(number: int) -> list[str]:
        client = MlflowClient(database.address("stress"))
        writer = writer_for(client, client.get_experiment_by_name("stress").experiment_id)
        # The canary is the only one that is not looked for.
        writer.write([record(1000 + number)])
        order = np.random.default_rng(number).permutation(200)
        mine = [replace(record(int(each), f"{each:032x}"), start_time=10**12 + number) for each in order if each != 2]
        together.wait(timeout=60)
        run_ids = [run_id for start in range(0, 199, 20) for run_id in writer.write(mine[start : start + 20])]
        return [run_id for _, run_id in sorted(zip(order[order != 2].tolist(), run_ids, strict=True))]

    with ThreadPool(together.parties) as pool:
        known = pool.map(drive, range(together.parties))
    assert known[0] == known[1] == known[2] == known[3]
    assert len(set(known[0])) == 199
    client = MlflowClient(database.address("stress"))
    experiment = client.get_experiment_by_name("stress").experiment_id
    assert {run.info.run_id for run in searched_runs(client, experiment, "")} > set(known[0])
    assert len(list(searched_runs(client, experiment, ""))) == 199 + 4
    assert {path.name for path in (tmp_path / "artifacts").iterdir()} >= set(known[0])
    assert len(list((tmp_path / "artifacts").iterdir())) == 199 + 4
