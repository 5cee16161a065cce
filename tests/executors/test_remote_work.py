"""Workers of other kinds: exact runs need the driver's code alone, plain ones its libraries too."""

import pytest

from pipeline.errors import InputError
from pipeline.executors import remote_work
from pipeline.executors.batch import Batch
from pipeline.executors.remote_work import CODE, LIBRARIES, code_here, train_elsewhere, work_of
from pipeline.training.stack import RunResult
from tests.support.configurations import configuration

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
