"""Prepared views of a sweep in the MLflow UI: a table of its runs, and the curves of its groups.

Without them a sweep is one collapsed row among others, and its charts are empty. A view is one tag of the experiment,
as the UI itself writes it under *Views > Save as new view*: the key is ``mlflow.sharedViewState.NAME``, the value is
the JSON envelope ``{"name", "createdAt", "state"}``, and its ``state`` is ``"deflate;"`` plus the base64 of the
zlib-compressed JSON of the page: filter, order, columns, groups and charts.

This format belongs to the UI and may change with any release of MLflow. So the views are optional (nothing else
depends on them), and ``tests/test_mlflow_ui.py`` opens them in a real browser. The *Views* menu and the envelope came
with MLflow 3.15; an older UI opens the links with its own default view.

What a view cannot hold: the colours (the UI derives them from the group's name), the width of the list beside the
charts, step 0 on a logarithmic axis, and more runs than the UI loads at once (100, then *Load more*).
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from pipeline import names

KEY_PREFIX = "mlflow.sharedViewState."
"""What the UI looks for among the tags of an experiment."""

SWEEP_PREFIX = f"{KEY_PREFIX}sweep-"
"""What tells the views of a sweep from those that users saved themselves."""

COMPRESSED = "deflate;"
LISTED_SWEEPS = 10
"""The UI refuses to save a view when its menu holds 40, so older sweeps must make room for the user's own."""

RUNS = "runs"
CURVES = "curves"
CHARTED = {
    names.LOSS_TRAIN: "log",
    names.LOSS_TEST: "log",
    names.DISTANCE: "linear",  # exact zeros have no place on a logarithmic axis
    names.ACCURACY_TEST: "linear",
}
"""Charted metric -> scale of its axis."""

Params = Mapping[str, str]


def _param(key: str) -> str:
    return f"params.`{key}`"


def _metric(key: str) -> str:
    return f"metrics.`{key}`"


COLUMN_WIDTHS = {
    _param("model"): 75,
    _param("init"): 120,
    _param("optimizer.learning_rate"): 165,
    _param("seed"): 55,
    _metric(names.LOSS_TEST): 95,
    _metric(names.ACCURACY_TEST): 105,
    _metric(names.DISTANCE): 135,
    _metric(names.DISTINCT_UNITS): 165,
    f"tags.`{names.DIVERGED_TAG}`": 75,
}
"""Column of the table -> pixels that show its whole header."""

FIXED_WIDTHS = {"attributes.`Run Name`": 150, "runDateAndNestInfo": 130}
"""The columns that the UI always shows, in front."""


def shared_views(
    parent_run_id: str,
    swept_keys: Sequence[str] = (),
    children: Sequence[Params] = (),
    created_ms: int = 0,
) -> dict[str, str]:
    """Experiment tags, key -> value, that hold the two views of a sweep. They do not depend on the clock.

    ``runs`` is the table of all children, lowest test loss first. ``curves`` draws, for each initialisation and model
    (or for whatever else the sweep compares), the mean over the seeds and a band from the lowest to the highest run.
    Averages over several learning rates would mean little, so all curves share the learning rate of the best child,
    and its value of every other swept key. The filter stands in the search box of the UI, where users can change it.

    Args:
        parent_run_id: run id of the sweep. Its first 8 characters are in the keys, so every sweep has its own views.
        swept_keys: keys whose values differ between the children.
        children: the tracked params of the children, best first; none if they are not known yet.
        created_ms: start of the sweep in milliseconds since the epoch; the menu shows the newest first.
    """
    compared = compared_keys(swept_keys)
    children_only = f"tags.{names.PARENT_TAG} = '{parent_run_id}'"
    states = {
        RUNS: _page(children_only, _metric(names.LOSS_TEST)),
        CURVES: _page(
            " and ".join([children_only, *_shared_with_best(swept_keys, compared, children)]),
            # Where there are more runs than the UI loads at once, all groups lose the same seeds. In the order of the
            # loss, bad groups would lose their bad runs, and so look better than they are.
            _param("seed"),
        )
        | _charts(compared, children),
    }
    return {
        KEY_PREFIX + _view_name(parent_run_id, view): json.dumps(
            {"name": f"sweep {parent_run_id[:8]}: {view}", "createdAt": created_ms, "state": _compressed(state)}
        )
        for view, state in states.items()
    }


def unlisted_views(tags: Mapping[str, str]) -> dict[str, str]:
    """Experiment tags, key -> value, that take all but the newest 10 sweeps out of the *Views* menu.

    The bare state, without the envelope, has no name for the menu; its link opens the same view as before.

    Args:
        tags: all tags of the experiment.
    """
    listed = {key: json.loads(tag) for key, tag in tags.items() if key.startswith(SWEEP_PREFIX) and tag[0] == "{"}
    starts = sorted({(view["createdAt"], key.rpartition("-")[0]) for key, view in listed.items()}, reverse=True)
    outdated = {sweep for _, sweep in starts[LISTED_SWEEPS:]}
    return {key: view["state"] for key, view in listed.items() if key.rpartition("-")[0] in outdated}


def view_links(experiment_id: str, parent_run_id: str, host: str = "http://127.0.0.1:5000") -> dict[str, str]:
    """Label -> link that opens the view.

    Args:
        host: where ``mlflow ui`` serves; the default is its own default.
    """
    return {
        view: f"{host}/#/experiments/{experiment_id}/runs?"
        + urlencode({"viewStateShareKey": _view_name(parent_run_id, view), "workflowType": "machine_learning"} | mode)
        for view, mode in ((RUNS, {}), (CURVES, {"compareRunsMode": "CHART"}))
    }


def compared_keys(swept_keys: Sequence[str]) -> tuple[str, ...]:
    """The params whose values tell the curves apart.

    >>> compared_keys(["model", "init", "optimizer.learning_rate", "seed"])
    ('init', 'model')
    >>> compared_keys(["arithmetic", "model.hidden_units", "seed"])
    ('arithmetic', 'model.hidden_units')
    """
    others = tuple(key for key in swept_keys if key != "seed")
    return others if others and "init" not in others else ("init", "model")


def _view_name(parent_run_id: str, view: str) -> str:
    return f"sweep-{parent_run_id[:8]}-{view}"


def _shared_with_best(swept_keys: Sequence[str], compared: Sequence[str], children: Sequence[Params]) -> list[str]:
    """Conditions that hold for the best child and the runs that may be compared with it."""
    best = children[0] if children else {}
    fixed = [key for key in swept_keys if key in best and key not in (*compared, "seed")]
    return [f"{_param(key)} = {_quoted(best[key])}" for key in fixed]


def _quoted(value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"{quote}{value}{quote}"


def _page(condition: str, order: str) -> dict[str, Any]:
    """State of the experiment page that both views share."""
    return {
        "searchFilter": condition,
        "orderByKey": order,
        "orderByAsc": True,
        "selectedColumns": list(COLUMN_WIDTHS),
        "columnOrder": [*FIXED_WIDTHS, *COLUMN_WIDTHS],
        "columnWidths": FIXED_WIDTHS | COLUMN_WIDTHS,
        # The default draws ten runs.
        "runsHiddenMode": "SHOW_ALL",
    }


def _charts(compared: Sequence[str], children: Sequence[Params]) -> dict[str, Any]:
    """State of the charts: one line for each group of runs that agree on the ``compared`` params."""
    return {
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": key} for key in compared],
        },
        # Open groups fill the list with runs; closed ones make it a legend.
        "groupsExpanded": dict.fromkeys(_group_ids(compared, children), False),
        "compareRunCharts": [_line_chart(metric, scale) for metric, scale in CHARTED.items()],
        "compareRunSections": [
            {"uuid": CURVES, "name": CURVES, "display": True, "isReordered": True, "columns": 2, "cardHeight": 300}
        ],
        # Otherwise the UI sorts the sections that it makes of all other metrics in front.
        "isAccordionReordered": True,
    }


def _group_ids(compared: Sequence[str], children: Iterable[Params]) -> list[str]:
    return sorted({",".join(f"param.{key}.{child.get(key)}" for key in compared) for child in children})


def _line_chart(metric: str, scale: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": "LINE",
        "metricSectionId": CURVES,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "displayName": metric,
        "xAxisKey": "step",
        "xAxisScaleType": "log",
        "scaleType": scale,
        "useGlobalXaxisKey": False,
        "displayPoints": False,
    }


def _compressed(state: Mapping[str, Any]) -> str:
    text = json.dumps(state, separators=(",", ":"))
    return COMPRESSED + base64.b64encode(zlib.compress(text.encode(), level=9)).decode()
