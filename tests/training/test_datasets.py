"""Data sets that change while a sweep trains from them: whoever trains, only the driver's are trained on."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from analysis.audit import audit_of
from pipeline import names
from pipeline.config.schema import Config
from pipeline.errors import DataChangedError, InputError
from pipeline.executors.batch import Batch, Trained, require_driver_data, train_batch
from pipeline.executors.processes import ProcessExecutor
from pipeline.executors.remote_work import train_elsewhere, work_of
from pipeline.training import datasets, stack
from pipeline.training.datasets import dataset_of, digest_of
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import RunResult
from tests.support.configurations import configuration
from tests.support.data_files import idx_bytes
from tests.support.in_process import call

SHORT = {"training.steps": 3, "training.batch_size": None}
CHANGED = r"^data.path: {}: expected the file as it was at the start \(digest {}\), got a changed one \(digest \w+\)"


def write_table(path: Path, first: float = 0.5) -> None:
    rows = "".join(f"{first if row == 0 else row % 7},{row % 3},{'ab'[row % 2]}\n" for row in range(40))
    path.write_text(f"x,y,kind\n{rows}", encoding="utf-8")


def write_images(folder: Path, *, pixel: int = 9, label: int = 0) -> None:
    images, labels = np.arange(160, dtype="u1").reshape(40, 2, 2), np.arange(40, dtype="u1") % 2
    images[0, 0, 0], labels[0] = pixel, label
    folder.mkdir(exist_ok=True)
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))


def forget(*, digests: bool) -> None:
    """Drops the kept data sets as a full cache does; with ``digests`` as if this process had just begun."""
    datasets._dataset._kept.clear()
    stack._optimum._kept.clear()
    if digests:
        datasets._digests.clear()


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    forget(digests=True)
    yield
    forget(digests=True)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_table(tmp_path / "d.csv")
    return tmp_path / "d.csv"


def config_of(path: Path, **changes: object) -> Config:
    data = {"data": "idx"} if path.is_dir() else {"data": "csv", "data.target": "kind"}
    return configuration(SHORT | data | {"data.path": str(path)} | changes)


CHANGES: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "a cell": (write_table, lambda path: write_table(path, 0.25)),
    "a line more": (write_table, lambda path: path.write_text(path.read_text() + "1,2,a\n")),
    "other classes": (write_table, lambda path: path.write_text(path.read_text().replace(",b", ",c"))),
    "a pixel": (write_images, lambda path: write_images(path, pixel=8)),
    "a label": (write_images, lambda path: write_images(path, label=1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_has_changed_is_told_in_one_line_and_never_trained_on(tmp_path: Path, change: str) -> None:
    write, rewrite = CHANGES[change]
    write(path := tmp_path / "d")
    config = config_of(path)
    digest, known = dataset_of(config.data).digest, fingerprint(config)
    rewrite(path)
    assert dataset_of(config.data).digest == digest
    told = CHANGED.format(path, digest)
    forget(digests=False)  # The cache of the driver dropped it.
    assert (digest_of(config.data), fingerprint(config)) == (digest, known)
    for use in (lambda: dataset_of(config.data), lambda: stack.train_stack([config])):
        with pytest.raises(DataChangedError, match=told):
            use()
    batch = Batch((0,), (config,))
    data, work = batch.data, work_of(batch)
    forget(digests=True)  # From here on it is a worker that has just begun.
    for trained in (train_batch(batch.configs, data), train_elsewhere(work)):
        assert trained.outcomes == []
        with pytest.raises(DataChangedError, match=told):
            require_driver_data(batch, trained)
    write(path)  # As it was: good again, without a new start.
    (outcome,) = train_batch(batch.configs, data).outcomes
    assert isinstance(outcome, RunResult)
    assert outcome.data == digest


def test_of_a_test_file_that_has_changed_both_files_are_named(table: Path) -> None:
    write_table(test := table.with_name("t.csv"), 0.75)
    config = config_of(table, **{"data.test_path": str(test), "data.test_fraction": 0.0})
    dataset_of(config.data)
    forget(digests=False)
    write_table(test, 0.25)
    with pytest.raises(DataChangedError, match=f"^data.path: {table}, data.test_path: {test}: expected both as they"):
        dataset_of(config.data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "got no such file"),
        (lambda path: path.write_text(path.read_text()[:-4]), "line 41: expected 3 cells"),
        (lambda path: path.write_text(path.read_text().replace("0.5", "?")), "line 2, column 'x': expected a finite"),
    ],
    ids=["gone", "half written", "no number any more"],
)
def test_what_cannot_be_read_any_more_has_changed_too(table: Path, damage: Callable[[Path], None], words: str) -> None:
    batch = Batch((0, 1), (config_of(table), config_of(table, seed=1)))
    data = batch.data
    damage(table)
    forget(digests=True)
    refusal = train_batch(batch.configs, data).refusal
    assert refusal is not None
    assert refusal.startswith(f"data.path: {table}: ")
    assert words in refusal
    assert refusal.endswith(f"(it has changed: at the start it could be read, digest {data})")
    # Without a driver that could read it, it is a mistake like any other.
    with pytest.raises(InputError) as caught:
        dataset_of(batch.configs[0].data)
    assert not isinstance(caught.value, DataChangedError)


def test_who_trains_without_asking_for_the_digest_is_found_out_at_the_end(table: Path) -> None:
    batch = Batch((0,), (config_of(table),))
    require_driver_data(batch, train_batch(batch.configs))
    known = dict(datasets._digests)
    write_table(table, 0.25)
    forget(digests=True)
    trained = train_batch(batch.configs)
    assert isinstance(trained.outcomes[0], RunResult)
    datasets._digests.update(known)  # Back in the driver.
    with pytest.raises(DataChangedError, match=CHANGED.format(table, batch.data)):
        require_driver_data(batch, trained)


def test_a_worker_that_served_an_earlier_sweep_reads_the_new_file_and_its_optimum_too(table: Path) -> None:
    config = config_of(table, model="logistic", **{"training.l2": 0.1})
    finals = []
    for first in (0.5, 0.25):
        write_table(table, first)
        forget(digests=True)
        digest = digest_of(config.data)
        datasets._digests.clear()  # The worker keeps the data sets of both drivers.
        (outcome,) = train_batch([config], digest).outcomes
        assert isinstance(outcome, RunResult)
        assert outcome.data == digest
        finals.append(outcome)
    datasets._digests.clear()
    (old,) = train_batch([config], finals[1].data).outcomes
    assert isinstance(old, RunResult)
    assert old.curves == finals[1].curves != finals[0].curves
    gaps = [outcome.curves[names.OPTIMUM_GAP][0][1] for outcome in finals]
    assert gaps[0] != gaps[1]


def test_worker_processes_and_those_that_replace_them_refuse_a_changed_file(table: Path) -> None:
    batch = Batch((0,), (config_of(table),))
    with closing(ProcessExecutor(1)) as executor:

        def trained_next() -> Trained:
            executor.submit(batch)
            executor.wait()
            ((_, trained),) = executor.done()
            return trained

        require_driver_data(batch, trained_next())
        write_table(table, 0.25)
        require_driver_data(batch, trained_next())  # That process has read it, and keeps it.
        for process in (executor._workers[0]._pool._processes or {}).values():
            process.kill()
            process.join()
        with pytest.raises(DataChangedError, match=CHANGED.format(table, batch.data)):
            require_driver_data(batch, trained_next())


CARELESS = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from pipeline.executors.batch import train_batch
from pipeline.executors.inline import InlineExecutor
class Careless(InlineExecutor):
    slots = capacity = 4
    def wait(self):
        waiting = [*self._waiting]
        self._waiting.clear()
        self._done += [(batch, train_batch(batch.configs)) for batch in waiting[:2]]
        table = Path("d.csv")
        table.write_text(table.read_text().replace("0.5", "0.25"))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            self._done += [(batch, pool.submit(train_batch, batch.configs).result()) for batch in waiting[2:]]
        return bool(self._done)
"""
"""An executor as users may write it, which hands over configurations only; between two batches a cell changes."""


@pytest.mark.usefixtures("with_database")
def test_a_change_stops_the_sweep_with_one_line_and_what_was_right_is_tracked(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(CARELESS, encoding="utf-8")
    sweep = ("-m", "data=csv", "data.path=d.csv", "data.target=kind", "model=mlp", "init=normal", "seed=0,1,2,3",
             "optimizer.learning_rate=0.1", "training.steps=3", "training.batch_size=null",
             "hydra.sweeper.max_batch_size=9")  # fmt: skip
    own = ("executor=inline", "executor._target_=mine.Careless")
    digest = digest_of(config_of(table).data)
    stopped = call("pipeline.run", *sweep, *own, folder=tmp_path)
    assert stopped.returncode == 1, stopped.stdout
    (line,) = stopped.stderr.splitlines()
    assert line.startswith(f"data.path: d.csv: expected the file as it was at the start (digest {digest}), got a ch")
    assert "to go on, say again: python -m pipeline.run -m hydra.sweeper.max_batch_size=9 data=csv" in line
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("symmetry")
    assert experiment is not None

    def tracked() -> list[tuple[str, str]]:
        runs = client.search_runs([experiment.experiment_id], "params.data = 'csv'")
        return sorted((run.info.status, run.data.params[names.DATA_DIGEST_PARAM]) for run in runs)

    assert tracked() == [("FINISHED", digest)] * 2
    # The same command again trains on the file as it is now, and what was tracked before stays.
    again = call("pipeline.run", *sweep, "executor=inline", folder=tmp_path)
    assert "4 jobs: 0 already tracked, 4 to train" in again.stdout
    forget(digests=True)
    new = digest_of(config_of(table).data)
    assert tracked() == sorted([("FINISHED", digest)] * 2 + [("FINISHED", new)] * 4)
    audit = audit_of("symmetry", thorough=True, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert [problem.partition(" is ")[2] for problem in audit.problems] == [
        "FAILED, and 2 of its 4 jobs are not finished"
    ]
