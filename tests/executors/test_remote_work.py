"""Workers elsewhere: exact runs need the driver's code alone; configurations travel, data is loaded once."""

import pickle

import pytest

from pipeline.errors import InputError
from pipeline.executors import remote_work
from pipeline.executors.batch import Batch
from pipeline.executors.remote_work import CODE, LIBRARIES, code_here, train_elsewhere, work_of
from pipeline.training import datasets
from pipeline.training.stack import RunResult
from tests.executors.test_batch import jobs
from tests.support.configurations import configuration

BYTES_PER_RUN = 2000
SHORT = {"training.steps": 2, "training.measure_at": 2, "data": "iris", "training.batch_size": None}


@pytest.mark.parametrize("changed", [CODE, *LIBRARIES])
@pytest.mark.parametrize("arithmetic", ["exact", "blas"])
def test_only_what_can_change_a_result_must_be_as_at_the_driver(
    arithmetic: str, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, here = work_of(Batch((0,), (configuration(SHORT | {"arithmetic": arithmetic}),))), code_here()
    monkeypatch.setattr(remote_work, "code_here", lambda: here | {changed: "another"})
    if arithmetic == "exact" and changed in LIBRARIES:
        assert isinstance(train_elsewhere(work).outcomes[0], RunResult)
    else:
        with pytest.raises(InputError, match=rf"^executor: expected .* driver's code, got {changed} another, not "):
            train_elsewhere(work)


def test_a_batch_travels_as_configurations() -> None:
    configs = jobs(50)
    work = pickle.dumps(work_of(Batch(tuple(range(50)), configs)))
    assert len(work) < 50 * BYTES_PER_RUN
    assert b"numpy._core" not in work


def test_a_worker_loads_a_data_set_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = datasets.load_dataset

    def counted(**options: object) -> object:
        loaded.append(str(options["name"]))
        return load(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(datasets, "load_dataset", counted)
    works = [work_of(Batch((job,), (config,))) for job, config in enumerate(jobs(3))]
    datasets._dataset._kept.clear()
    loaded.clear()
    for work in works:
        assert len(train_elsewhere(work).outcomes) == 1
    assert loaded == ["iris"]
