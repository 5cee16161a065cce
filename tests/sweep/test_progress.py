"""What a sweep tells while it trains: batches under way, and an estimate only when it means something."""

import pytest

from pipeline.sweep.progress import Pace, Progress, work_of
from tests.support.configurations import configuration


def test_nothing_is_promised_before_every_worker_has_brought_a_batch_after_the_first() -> None:
    """The first batch comes after 20 s, most of which the workers took to start."""
    pace = Pace(work=180.0, slots=2)
    assert pace.seconds_left(20.0) is None
    pace.add(20.0, now=20.0)
    pace.add(20.0, now=20.0)  # in the same breath: no time has passed by which to judge
    pace.add(20.0, now=22.0)
    assert pace.seconds_left(22.0) is None
    pace.add(20.0, now=24.0)
    assert pace.seconds_left(24.0) == pytest.approx(100.0 / 10.0)


def test_the_estimate_is_right_where_the_batches_differ() -> None:
    works = [1.0] * 6 + [5.0] * 6
    pace, now = Pace(sum(works), slots=1), 30.0
    for done, work in enumerate(works):
        now += 2.0 * work
        pace.add(work, now)
        if done > 1:
            assert pace.seconds_left(now) == pytest.approx(2.0 * sum(works[done + 1 :]))


def test_work_grows_with_runs_steps_examples_and_parameters() -> None:
    whole = {"training.batch_size": None}
    plain = work_of([configuration(whole)])
    for changes in ({"training.steps": 10_000}, {"model.hidden_units": [512]}):
        assert work_of([configuration(whole | changes)]) > plain
    for changes in ({"model": "logistic"}, {"training.batch_size": 16}, {"data.limit": 100}):
        assert work_of([configuration(whole | changes)]) < plain
    assert work_of([configuration(whole | {"seed": seed}) for seed in range(4)]) == 4 * plain


def test_the_bar_tells_the_batches_under_way() -> None:
    batches = [[configuration({"seed": seed})] for seed in range(4)]
    progress = Progress(batches, slots=2)
    assert progress.state(0.0) == ""
    progress.begin()
    assert progress.state(20.0) == "1 batch under way"
    progress.begin()
    progress.begin()  # waits for a worker
    assert progress.state(20.0) == "2 batches under way"
