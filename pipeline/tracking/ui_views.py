"""Prepared views of a sweep in the MLflow UI: a table of its runs, and the curves of its groups.

Without them a sweep is one collapsed row among others, and its charts are empty. A view is one tag of the experiment,
as the UI itself writes it under *Views > Save as new view*: the key is ``mlflow.sharedViewState.NAME``, the value is
the JSON envelope ``{"name", "createdAt", "state"}``, and its ``state`` is ``"deflate;"`` plus the base64 of the
zlib-compressed JSON of the page: filter, order, columns, groups and charts.

This format belongs to the UI and may change with any release of MLflow. So the views are optional (nothing else
depends on them), and ``test_mlflow_ui.py`` opens them in a real browser. The *Views* menu and the envelope came
with MLflow 3.15; an older UI opens the links with its own default view.

What a view cannot hold: the colours (the UI derives them from the names of the groups), the width of the list beside
the charts, step 0 on a logarithmic axis, and more runs than the UI loads at once (100, then *Load more*).
"""

import base64
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline import names

COMPRESSED = "deflate;"
SWEEP_PREFIX = f"{names.VIEW_TAG_PREFIX}sweep-"
"""What tells the views of sweeps from those that users saved themselves."""

LISTED_SWEEPS = 10
"""The UI refuses to save a view when its menu holds 40, so old sweeps make room for the users' own."""

CHARTED = {
    names.LOSS_TRAIN: "log",
    names.LOSS_TEST: "log",
    names.DISTANCE: "linear",  # exact zeros have no place on a logarithmic axis
    names.OPTIMUM_GAP: "log",
    names.ACCURACY_TEST: "linear",
}
"""Charted metric -> scale of its axis."""

SECTION = {"uuid": names.CURVES_VIEW, "display": True, "isReordered": True, "columns": 2, "cardHeight": 300}

FIXED_COLUMNS = {"attributes.`Run Name`": 220, "runDateAndNestInfo": 130}
"""The columns that the UI always shows in front -> width in pixels."""

DIVERGED_COLUMN = f"tags.`{names.DIVERGED_TAG}`"


class Child(NamedTuple):
    """What the views need to know of a tracked run.

    Attributes:
        params: key -> text, as tracked.
        metrics: the keys of its metrics.
        is_own: whether the sweep has trained it; what another one had tracked before stays with that one.
    """

    params: Mapping[str, str]
    metrics: Collection[str]
    is_own: bool = True


def shared_views(
    parent_run_id: str, swept_keys: Sequence[str], children: Sequence[Child], *, created_ms: int = 0
) -> dict[str, str]:
    """Experiment tags, key -> value, that hold the two views of a sweep. No clock and no chance is in them.

    ``runs`` is the table of all children, lowest loss first, with what is swept and what came out. ``curves`` draws one
    line for each initialisation, or for each combination of values where the sweep compares something else: the mean
    over the seeds, and a band from the lowest to the highest run. A mean over models or learning rates would say
    little, so all lines share these with the best child, and the names say how many runs are left. The filter stands
    in the search box of the UI, where users can change it.

    Args:
        parent_run_id: run id of the sweep. Its first 8 characters are in the keys, so every sweep has views of its own.
        swept_keys: keys whose values differ between the children. Those that are not tracked are left out.
        children: the runs of the sweep, best first.
        created_ms: start of the sweep in milliseconds since the epoch; the menu shows the newest first.
    """
    own = [child for child in children if child.is_own]
    swept = [key for key in swept_keys if any(key in child.params for child in own)]
    compared = compared_keys(swept)
    shared = _shared_with_best(swept, compared, own)
    drawn = [child for child in own if all(child.params.get(key) == value for key, value in shared.items())]
    of_sweep = f"tags.{names.PARENT_TAG} = '{parent_run_id}'"
    conditions = [of_sweep, *(f"{_param(key)} = {_quoted(value)}" for key, value in shared.items())]
    held = {names.RUNS_VIEW: _held(own, children, {}), names.CURVES_VIEW: _held(drawn, children, shared)}
    states = {
        names.RUNS_VIEW: _page([of_sweep], _metric(names.final_loss(_metrics_of(own))), _columns(swept, own)),
        # In the order of the seeds, all groups lose the same seeds where there are more runs than the UI loads at
        # once. In the order of the loss, a bad group would lose its worst runs.
        names.CURVES_VIEW: _page(conditions, _param("seed"), _columns(swept, drawn))
        | _charts(compared, drawn, held[names.CURVES_VIEW]),
    }
    # What matters comes first, because the UI shows about 25 characters.
    called = {view: f"{view}: {held[view]} (sweep {parent_run_id[:8]})" for view in states}
    envelopes = {
        view: {"name": called[view], "createdAt": created_ms, "state": _compressed(state)}
        for view, state in states.items()
    }
    return {names.view_tag(parent_run_id, view): json.dumps(envelope) for view, envelope in envelopes.items()}


def _held(some: Sequence[Child], children: Sequence[Child], shared: Mapping[str, str]) -> str:
    """How many runs of all there are in a view, and what they share."""
    count = f"{'all' if len(some) == len(children) else f'{len(some)} of'} {len(children)} runs"
    # The name of an option needs no word before it: "mlp", but "learning_rate 0.1".
    return ", ".join([count, *(" ".join([*key.split(".")[1:][-1:], value]) for key, value in shared.items())])


def unlisted_views(tags: Mapping[str, str]) -> dict[str, str]:
    """Experiment tags, key -> value, that take all sweeps but the newest 10 out of the *Views* menu.

    The bare state, without the envelope, has no name for the menu. Its link opens the same view as before.

    Args:
        tags: all tags of the experiment.
    """
    listed = {
        key: json.loads(value)
        for key, value in tags.items()
        if key.startswith(SWEEP_PREFIX) and not value.startswith(COMPRESSED)
    }
    newest: dict[str, int] = {}  # A view that a user has overridden is newer than the other one of its sweep.
    for key, view in listed.items():
        newest[_sweep_of(key)] = max(newest.get(_sweep_of(key), 0), view["createdAt"])
    by_age = sorted(newest, key=lambda sweep: (newest[sweep], sweep), reverse=True)
    old = by_age[LISTED_SWEEPS:]
    return {key: view["state"] for key, view in listed.items() if _sweep_of(key) in old}


def compared_keys(swept_keys: Sequence[str]) -> tuple[str, ...]:
    """The keys whose values tell the lines of the charts apart: the initialisation if it is swept or nothing is.

    >>> compared_keys(["model", "init", "optimizer.learning_rate", "seed"])
    ('init',)
    >>> compared_keys(["arithmetic", "model.hidden_units", "seed"])
    ('arithmetic', 'model.hidden_units')
    """
    others = tuple(key for key in swept_keys if key != "seed")
    return others if others and "init" not in others else ("init",)


def _param(key: str) -> str:
    return f"params.`{key}`"


def _metric(key: str) -> str:
    return f"metrics.`{key}`"


def _sweep_of(key: str) -> str:
    return key.rpartition("-")[0]


def _shared_with_best(swept: Sequence[str], compared: Sequence[str], children: Sequence[Child]) -> dict[str, str]:
    """Key -> value of the best child, for all that is swept but neither compared nor averaged over."""
    best = children[0].params if children else {}
    shared = {key: best[key] for key in swept if key in best and key not in (*compared, "seed")}
    # The language of the filters has two kinds of quotes and no escapes, so a value with both cannot stand in it.
    return {key: value for key, value in shared.items() if not ("'" in value and '"' in value)}


def _quoted(text: str) -> str:
    quote = '"' if "'" in text else "'"
    return f"{quote}{text}{quote}"


def _metrics_of(children: Sequence[Child]) -> set[str]:
    return {key for child in children for key in child.metrics}


def _columns(swept: Sequence[str], children: Sequence[Child]) -> list[str]:
    metrics = _metrics_of(children)
    told = (names.final_loss(metrics), names.ACCURACY_TEST, names.DISTANCE, names.DISTINCT_UNITS, names.OPTIMUM_GAP)
    return [
        *(_param(key) for key in swept or names.NAMING_KEYS),
        *(_metric(key) for key in told if key in metrics),
        DIVERGED_COLUMN,
    ]


def _width(column: str) -> int:
    """Pixels that hold a column's header, or the names of the initialisations."""
    header = column.partition("`")[2].rstrip("`")
    return 120 if header == "init" else 40 + 13 * max(len(header), 4) // 2


def _page(conditions: Sequence[str], order: str, columns: Sequence[str]) -> dict[str, Any]:
    """State of the experiment page, without charts."""
    return {
        "searchFilter": " and ".join(conditions),
        "orderByKey": order,
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": [*FIXED_COLUMNS, *columns],
        "columnWidths": FIXED_COLUMNS | {column: _width(column) for column in columns},
        # The default draws ten groups.
        "runsHiddenMode": "SHOW_ALL",
    }


def _charts(compared: tuple[str, ...], drawn: Sequence[Child], heading: str) -> dict[str, Any]:
    """State of the charts under one heading: one line for each group of runs that agree on the ``compared`` params."""
    # The model keeps networks and logistic regressions apart where no filter does. It also changes the names from
    # which the UI derives the colours: by ``init`` alone, ``normal`` and ``orthogonal`` would have the same.
    keys = (*compared, "model") if compared == ("init",) else compared
    groups = sorted({",".join(f"param.{key}.{child.params.get(key) or 'null'}" for key in keys) for child in drawn})
    metrics = _metrics_of(drawn)
    return {
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": key} for key in keys],
        },
        # Closed groups make the list a legend; open ones fill it with runs.
        "groupsExpanded": dict.fromkeys(groups, False),
        "compareRunCharts": [_line_chart(metric, scale) for metric, scale in CHARTED.items() if metric in metrics],
        "compareRunSections": [SECTION | {"name": heading}],
        # Otherwise the UI sorts the sections of all other metrics in front of this one.
        "isAccordionReordered": True,
    }


def _line_chart(metric: str, scale: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": "LINE",
        "metricSectionId": names.CURVES_VIEW,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "displayName": metric,
        "xAxisKey": "step",
        "xAxisScaleType": "log",
        "scaleType": scale,
        "displayPoints": False,
        # Smoothed lines would show values that nobody measured; without this the UI smooths by 70 %.
        "lineSmoothness": 0,
    }


def _compressed(state: Mapping[str, Any]) -> str:
    text = json.dumps(state, separators=(",", ":"))
    return COMPRESSED + base64.b64encode(zlib.compress(text.encode(), level=9)).decode()
