"""Curves of many sweeps as one table, in one order, whoever wrote them in which order."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from analysis.tracked import curves
from analysis.tracked.store import CURVE_COLUMNS, curves_table

Row = tuple[str, str, int, float]


def part(*rows: Row) -> pd.DataFrame:
    return curves_table(pd.DataFrame(rows, columns=CURVE_COLUMNS))


def rows_of(run_id: str) -> list[Row]:
    return [(run_id, metric, step, step + 0.5) for metric in ("gradient/norm", "loss/train") for step in (0, 10)]


@pytest.mark.parametrize(
    "parts",
    [
        [part(*rows_of("a"), *rows_of("b")), part(*rows_of("c"))],
        [part(*rows_of("c")), part(*reversed(rows_of("a") + rows_of("b")))],
        [part(*rows_of("a"), *rows_of("c")), part(*rows_of("b"), *rows_of("deleted"))],
        [part(*rows_of("a"), *rows_of("b")[1::2]), part(*rows_of("b")[::2], *rows_of("c"))],
    ],
    ids=["in order", "reversed", "of drivers at the same time", "a run in two parts"],
)
def test_curves_are_sorted_by_run_metric_and_step(parts: list[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    parent: Any = SimpleNamespace(info=SimpleNamespace(run_id="sweep"))
    monkeypatch.setattr(curves, "curves_artifact", lambda client, run_id: parts)
    runs = pd.DataFrame({"run_id": ["b", "a", "c"], "parent": "sweep", "loss/train": 0.5})
    client: Any = None
    table = curves.load_curves(client, [parent], runs, [])
    assert [*table.itertuples(index=False, name=None)] == rows_of("a") + rows_of("b") + rows_of("c")
