"""Runs that are not as this project tracks them: made by hand, or changed."""

import json

import pytest
from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag

from analysis.errors import ReportError
from analysis.tracked.rows import row_of
from analysis.tracked.tables import FACTS
from pipeline import names
from tests.support.configurations import CONF, configuration


def tracked(
    params: dict[str, str | None] | None = None, tags: dict[str, str] | None = None, **metrics: float | None
) -> Run:
    """A run as this project tracks it, with changes; None takes a param or metric away."""
    flat = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in configuration().flattened().items()
    }
    kept = {key: value for key, value in (flat | (params or {})).items() if value is not None}
    measured = {names.LOSS_TRAIN: 0.5} | metrics
    return Run(
        RunInfo(
            run_id="id", experiment_id="1", user_id="user", status="FINISHED", start_time=1, end_time=2,
            lifecycle_stage="active", artifact_uri="artifacts", run_name="mlp s0",
        ),
        RunData(
            [Metric(key, value, 0, 0) for key, value in measured.items() if value is not None],
            [Param(key, value) for key, value in kept.items()],
            [RunTag(key, value) for key, value in ({names.FINGERPRINT_TAG: "f"} | (tags or {})).items()],
        ),
    )  # fmt: skip


def test_a_run_as_it_is_tracked_is_whole() -> None:
    row = row_of(tracked())
    assert row["run_id"] == "id"
    assert row["model.hidden_units"] == (32,)
    assert row["diverged_step"] is None
    assert row_of(tracked(tags={names.DIVERGED_STEP_TAG: "7"}))["diverged_step"] == 7


@pytest.mark.parametrize(
    ("group", "option"),
    [(group, path.stem) for group in ("init", "optimizer", "model") for path in sorted((CONF / group).glob("*.yaml"))],
)
def test_a_run_of_any_option_is_whole(group: str, option: str) -> None:
    flat = configuration({group: option}).flattened()
    params = {key: value if isinstance(value, str) else json.dumps(value) for key, value in flat.items()}
    assert row_of(tracked(params))[group] == option


@pytest.mark.parametrize("key", ["model", "model.hidden_units", "seed", "arithmetic", "optimizer.learning_rate"])
def test_a_missing_param_is_told(key: str) -> None:
    with pytest.raises(ReportError, match=f"^{key}: input should be a valid .*, got None$"):
        row_of(tracked({key: None}))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("model.hidden_units", "32"), ("model.hidden_units", "[8.5]"), ("model.hidden_units", "{}"), ("seed", "zero"),
        ("seed", "true"), ("optimizer.learning_rate", ""), ("training.steps", "1e3"), ("init.scale", "[1]"),
        ("init.value", "[" * 100_000), ("model", "[]"), ("dtype", "null"),
    ],
)  # fmt: skip
def test_a_param_that_does_not_parse_is_told(key: str, text: str) -> None:
    with pytest.raises(ReportError, match=f"^{key}: input should be a valid ") as told:
        row_of(tracked({key: text}))
    assert len(str(told.value)) < 150


@pytest.mark.parametrize("step", ["soon", "", "1.5", "[1]", "true"])
def test_a_step_of_divergence_that_is_no_number_is_told(step: str) -> None:
    with pytest.raises(ReportError, match=r"^diverged\.step: input should be a valid integer, got"):
        row_of(tracked(tags={names.DIVERGED_STEP_TAG: step}))


def test_a_run_without_a_loss_is_told() -> None:
    with pytest.raises(ReportError, match=r"^no loss/train$"):
        row_of(tracked(**{names.LOSS_TRAIN: None}))


def test_what_is_logged_by_hand_covers_nothing() -> None:
    row = row_of(
        tracked({"run_id": "other", names.LOSS_TRAIN: "low", "mine": "1"}, seed=9.0, name=1.0, **{"my/own": 2.0})
    )
    whole = row_of(tracked())
    assert {key: row[key] for key in whole} == whole
    assert set(row) - set(whole) == {"mine", "my/own"}
    assert set(FACTS) <= set(whole)
