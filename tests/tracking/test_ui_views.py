"""The prepared views of a sweep: what the tags of the experiment hold, decoded as the MLflow UI does it."""

import base64
import json
import zlib
from itertools import product
from typing import Any

import pytest
from mlflow.utils.search_utils import SearchUtils
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_KEY_LENGTH, MAX_EXPERIMENT_TAG_VAL_LENGTH

from pipeline import addresses, names
from pipeline.tracking.ui_views import LISTED_SWEEPS, Child, shared_views, unlisted_views

PARENT = "0123456789abcdef0123456789abcdef"
SWEPT = ("model", "init", "optimizer.learning_rate", "seed")
COMMON = {names.LOSS_TRAIN, names.LOSS_TEST, names.ACCURACY_TEST}
METRICS = {"mlp": COMMON | {names.DISTANCE, names.DISTINCT_UNITS}, "logistic": COMMON | {names.OPTIMUM_GAP}}


def child(metrics: set[str] | None = None, **params: str) -> Child:
    """A run; a double underscore in a key stands for a dot."""
    known = METRICS[params.get("model", "mlp")] if metrics is None else metrics
    return Child({key.replace("__", "."): value for key, value in params.items()}, known)


def grid(*models: str) -> list[Child]:
    """Runs of all combinations; the first one is the best."""
    combinations = product(models, ("normal", "constant"), ("1.0", "0.1"), ("0", "1", "2"))
    return [
        child(model=model, init=init, optimizer__learning_rate=rate, seed=seed)
        for model, init, rate, seed in combinations
    ]


def decoded(value: str) -> Any:
    """The state behind ``deflate;``."""
    assert value.startswith("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(value.removeprefix("deflate;"), validate=True)))


def states(tags: dict[str, str]) -> dict[str, Any]:
    """View -> decoded state."""
    return {key.rpartition("-")[2]: decoded(json.loads(value)["state"]) for key, value in tags.items()}


def conditions(state: dict[str, Any]) -> list[tuple[str, str]]:
    """The filter as (key, value), read by MLflow's own parser."""
    parsed = SearchUtils.parse_search_filter(state["searchFilter"])
    assert {condition["comparator"] for condition in parsed} == {"="}
    return [(condition["key"], condition["value"]) for condition in parsed]


def test_the_tags_are_what_the_links_ask_for() -> None:
    tags = shared_views(PARENT, SWEPT, grid("mlp"), created_ms=7)
    assert list(tags) == ["mlflow.sharedViewState.sweep-01234567-runs", "mlflow.sharedViewState.sweep-01234567-curves"]
    held = {"runs": "all 12 runs", "curves": "6 of 12 runs, mlp, learning_rate 1.0"}
    for (key, value), view in zip(tags.items(), ("runs", "curves"), strict=True):
        envelope = json.loads(value)
        assert envelope.keys() == {"name", "createdAt", "state"}
        assert (envelope["name"], envelope["createdAt"]) == (f"{view}: {held[view]} (sweep 01234567)", 7)
        shared = f"viewStateShareKey={key.removeprefix('mlflow.sharedViewState.')}&workflowType=machine_learning"
        link = addresses.view_links("3", PARENT, "http://host:1")[view]
        assert link.startswith(f"http://host:1/#/experiments/3/runs?{shared}")
        assert link.endswith("&compareRunsMode=CHART") == (view == "curves")


def test_the_table_holds_all_runs_of_the_sweep_lowest_test_loss_first() -> None:
    runs = states(shared_views(PARENT, SWEPT, grid("mlp", "logistic")))["runs"]
    assert conditions(runs) == [(names.PARENT_TAG, PARENT)]
    assert (runs["orderByKey"], runs["orderByAsc"]) == ("metrics.`loss/test`", True)
    assert runs["selectedColumns"] == [
        "params.`model`", "params.`init`", "params.`optimizer.learning_rate`", "params.`seed`",
        "metrics.`loss/test`", "metrics.`accuracy/test`", "metrics.`symmetry/distance`",
        "metrics.`symmetry/distinct_units`", "metrics.`optimum/gap`", "tags.`diverged`",
    ]  # fmt: skip
    assert runs["columnOrder"][2:] == runs["selectedColumns"]
    assert list(runs["columnWidths"]) == runs["columnOrder"]
    assert "groupBy" not in runs


def test_without_a_test_part_the_training_loss_ranks_and_what_is_swept_is_shown() -> None:
    children = [
        child({names.LOSS_TRAIN, names.DISTANCE}, arithmetic=arithmetic, model__hidden_units=units)
        for arithmetic in ("exact", "blas")
        for units in ("[8]", "[10]")
    ]
    views = states(shared_views(PARENT, ("arithmetic", "model.hidden_units"), children))
    assert views["runs"]["orderByKey"] == "metrics.`loss/train`"
    assert views["runs"]["selectedColumns"] == [
        "params.`arithmetic`", "params.`model.hidden_units`", "metrics.`loss/train`", "metrics.`symmetry/distance`",
        "tags.`diverged`",
    ]  # fmt: skip
    assert charted(views["curves"]) == ["loss/train", "symmetry/distance"]
    assert grouped_by(views["curves"]) == ["arithmetic", "model.hidden_units"]
    assert conditions(views["curves"]) == [(names.PARENT_TAG, PARENT)]


def charted(state: dict[str, Any]) -> list[str]:
    assert {chart["lineSmoothness"] for chart in state["compareRunCharts"]} == {0}
    return [chart["metricKey"] for chart in state["compareRunCharts"]]


def grouped_by(state: dict[str, Any]) -> list[str]:
    assert {key["mode"] for key in state["groupBy"]["groupByKeys"]} == {"param"}
    return [key["groupByData"] for key in state["groupBy"]["groupByKeys"]]


@pytest.mark.parametrize(("best", "own"), [("mlp", names.DISTANCE), ("logistic", names.OPTIMUM_GAP)])
def test_the_curves_compare_initialisations_at_the_model_and_rate_of_the_best_run(best: str, own: str) -> None:
    other = {"mlp": "logistic", "logistic": "mlp"}[best]
    curves = states(shared_views(PARENT, SWEPT, grid(best, other)))["curves"]
    assert conditions(curves) == [(names.PARENT_TAG, PARENT), ("model", best), ("optimizer.learning_rate", "1.0")]
    assert grouped_by(curves) == ["init", "model"]
    assert curves["groupsExpanded"] == {
        f"param.init.constant,param.model.{best}": False, f"param.init.normal,param.model.{best}": False
    }  # fmt: skip
    assert charted(curves) == [names.LOSS_TRAIN, names.LOSS_TEST, own, names.ACCURACY_TEST]
    assert curves["orderByKey"] == "params.`seed`"


@pytest.mark.parametrize("path", ["o'clock.csv", 'say "a".csv', "a and b = c.csv", "`back`.csv", "ä %.csv"])
def test_a_filter_carries_quotes_and_other_signs(path: str) -> None:
    children = [child(data__path=path, init="zeros"), child(data__path="other.csv", init="zeros")]
    curves = states(shared_views(PARENT, ("data.path", "init"), children))["curves"]
    assert conditions(curves) == [(names.PARENT_TAG, PARENT), ("data.path", path)]


def test_a_value_that_no_filter_can_hold_is_left_out() -> None:
    children = [child(data__path="a'b\".csv", init="zeros")]
    curves = states(shared_views(PARENT, ("data.path", "init"), children))["curves"]
    assert conditions(curves) == [(names.PARENT_TAG, PARENT)]


def test_keys_that_are_not_tracked_change_nothing() -> None:
    with_hydras_own = shared_views(PARENT, ("hydra.verbose", *SWEPT), grid("mlp"))
    assert with_hydras_own == shared_views(PARENT, SWEPT, grid("mlp"))


def test_the_names_say_how_many_runs_a_view_leaves_out() -> None:
    """Those at another rate or of another model, and those that another sweep had tracked before."""
    children = [*grid("mlp", "logistic"), *(run._replace(is_own=False) for run in grid("mlp"))]
    tags = shared_views(PARENT, SWEPT, children)
    names_of_views = [json.loads(value)["name"].partition(" (sweep")[0] for value in tags.values()]
    assert names_of_views == ["runs: 24 of 36 runs", "curves: 6 of 36 runs, mlp, learning_rate 1.0"]
    (section,) = states(tags)["curves"]["compareRunSections"]
    assert section["name"] == "6 of 36 runs, mlp, learning_rate 1.0"


def test_without_a_swept_key_the_usual_columns_tell_the_runs_apart() -> None:
    views = states(shared_views(PARENT, (), grid("mlp")[:1]))
    assert views["runs"]["selectedColumns"][:4] == [f"params.`{key}`" for key in SWEPT]
    assert grouped_by(views["curves"]) == ["init", "model"]


def test_the_same_runs_give_the_same_bytes() -> None:
    metrics = sorted(METRICS["mlp"])
    first, second = (
        shared_views(PARENT, SWEPT, [Child(dict(run.params), keys) for run in grid("mlp")], created_ms=1)
        for keys in (metrics, metrics[::-1])
    )
    assert first == second


def test_a_large_sweep_fits_into_a_tag() -> None:
    """As many groups as the UI loads runs, with long names that share little."""
    schemes = [f"scheme_{number * 7919 % 100_003}" for number in range(100)]
    tags = shared_views(PARENT, ("init",), [child(model="mlp", init=scheme) for scheme in schemes])
    assert len(states(tags)["curves"]["groupsExpanded"]) == 100
    for key, value in tags.items():
        assert len(key) <= MAX_EXPERIMENT_TAG_KEY_LENGTH
        assert len(value) <= MAX_EXPERIMENT_TAG_VAL_LENGTH


def sweeps(count: int) -> dict[str, str]:
    """Tags of several sweeps, the oldest first; a sweep's id does not tell its age."""
    return {
        key: value
        for number in range(count)
        for key, value in shared_views(f"{97 * number % 100:08d}", SWEPT, grid("mlp"), created_ms=number).items()
    }


def test_ten_sweeps_stay_in_the_menu() -> None:
    assert unlisted_views(sweeps(LISTED_SWEEPS)) == {}


def test_older_sweeps_leave_the_menu_and_keep_their_links() -> None:
    own = {"mlflow.sharedViewState.mine": json.dumps({"name": "mine", "createdAt": 0, "state": "deflate;"})}
    tags = sweeps(LISTED_SWEEPS + 2) | own | {names.NOTE_TAG: "not JSON"}
    unlisted = unlisted_views(tags)
    oldest = [key for number in (0, 97) for key in tags if key.startswith(f"mlflow.sharedViewState.sweep-{number:08d}")]
    assert sorted(unlisted) == sorted(oldest)
    assert len(unlisted) == 4
    for key, value in unlisted.items():
        assert value == json.loads(tags[key])["state"]
        assert decoded(value)["orderByAsc"]
    assert unlisted_views(tags | unlisted) == {}


def test_a_sweep_with_an_overridden_view_is_as_new_as_that_view() -> None:
    tags = sweeps(LISTED_SWEEPS + 1)
    oldest = next(iter(tags))
    tags[oldest] = json.dumps(json.loads(tags[oldest]) | {"createdAt": 1000})
    assert {key[-13:-5] for key in unlisted_views(tags) if key.endswith("-runs")} == {f"{97:08d}"}
