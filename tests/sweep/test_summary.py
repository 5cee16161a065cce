"""What a sweep says at its end: means over seeds, never the best seed, in as many columns as the terminal has."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline import names
from pipeline.sweep.summary import MOST_GROUPS, Findings, best_first, mean_of
from pipeline.tracking.sweeps import FinishedRun

COMMON = {"model": "mlp", "init": "constant", "optimizer.learning_rate": "0.1", "seed": "0"}
SWEPT = ("init", "optimizer.learning_rate", "seed")


def tracked(
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    *,
    diverged: bool = False,
    name: str = "",
    common: bool = True,
) -> FinishedRun:
    return FinishedRun("id", "", "", name, None, diverged, {**(COMMON if common else {}), **params}, metrics)


def seeds(losses: list[float], diverged: int = 0, **params: str) -> list[FinishedRun]:
    """A run for each loss, and some that diverged at a loss far below; a double underscore stands for a dot."""
    given = {key.replace("__", "."): value for key, value in params.items()}
    return [
        tracked({**given, "seed": str(seed)}, {names.LOSS_TEST: loss}, diverged=seed >= len(losses))
        for seed, loss in enumerate([*losses, *[1e-9] * diverged])
    ]


def rows(findings: Findings, width: int = 200) -> dict[str, list[str]]:
    """First cell of each row, the header included -> the others."""
    lines = findings.table(width).split("\n\n")[1].splitlines()
    cells = [re.split(r"  +", line.strip()) for line in lines]
    return {first: rest for first, *rest in cells}


def test_the_mean_of_the_seeds_is_shown_and_not_the_best_seed() -> None:
    losses = [1.44, 1.60, 1.70, 1.75, 1.76]
    shown = rows(Findings(seeds(losses), SWEPT, 0))
    low, high = stats.t.interval(0.95, 4, loc=np.mean(losses), scale=stats.sem(losses))
    assert shown == {
        "init": ["rate", "runs", "loss/test"],
        "constant": ["0.1", "5", f"1.65 ± {(high - low) / 2:.2g}"],
    }


def test_the_learning_rate_is_the_one_with_the_lowest_mean_and_without_divergence() -> None:
    runs = [
        *seeds([0.1, 2.0], optimizer__learning_rate="1.0"),  # the best seed, but a worse mean
        *seeds([0.5, 0.7], optimizer__learning_rate="0.1"),
        *seeds([0.2], diverged=1, optimizer__learning_rate="10.0"),
        *seeds([], diverged=2, init="normal", optimizer__learning_rate="10.0"),
    ]
    shown = rows(Findings(runs, SWEPT, 3))
    assert shown["init"] == ["rate", "runs", "diverged", "loss/test"]
    assert shown["constant"][:3] == ["0.1", "2", "1 of 6"]
    assert shown["constant"][3].startswith("0.6 ± ")
    assert shown["normal"] == ["10.0", "0", "2 of 2", "-"]
    assert Findings(runs, SWEPT, 3).summary().startswith("11 jobs: 8 finished (3 diverged), 3 failed\n")


@pytest.mark.parametrize(
    ("key", "values", "order"),
    [
        ("model.hidden_units", ["[8]", "[16]", "[8, 8]"], ["[8]", "[8, 8]", "[16]"]),
        ("init.epsilon", ["0.1", "1e-09", "0.0"], ["0.0", "1e-09", "0.1"]),
        ("training.batch_size", ["32", "null", "128"], ["32", "128", "null"]),
        ("data.path", ["b c.csv", "a.csv"], ["a.csv", "b c.csv"]),
    ],
)
def test_what_was_swept_makes_the_rows(key: str, values: list[str], order: list[str]) -> None:
    runs = [run for value in values for run in seeds([1.0, 2.0], **{key: value})]
    shown = rows(Findings(runs, (key, "seed", "hydra.verbose"), 0))
    assert list(shown) == [key.rpartition(".")[2], *order]
    assert {cells[0] for cells in list(shown.values())[1:]} == {"2"}


def test_keys_with_one_last_part_are_written_out_and_what_an_option_lacks_is_a_dash() -> None:
    runs = [*seeds([1.0], init__epsilon="0.1", optimizer__epsilon="1e-08"), *seeds([2.0], init__epsilon="0.2")]
    header, *others = Findings(runs, ("init.epsilon", "optimizer.epsilon"), 0).table(200).split("\n\n")[1].splitlines()
    assert header.split()[:2] == ["init.epsilon", "optimizer.epsilon"]
    assert [line.split()[:3] for line in others] == [["0.1", "1e-08", "1"], ["0.2", "-", "1"]]


def test_a_sweep_over_seeds_alone_is_one_row() -> None:
    assert list(rows(Findings(seeds([1.0, 2.0]), ("seed",), 0))) == ["model", "mlp"]


@pytest.mark.parametrize("width", [60, 80, 100, 132, 200])
@pytest.mark.parametrize("scheme", ["constant", "/data/of/some/group/with/a/long/name/measured-in-2024/part-{}.csv"])
def test_the_table_fits_the_terminal_and_says_what_it_leaves_out(width: int, scheme: str) -> None:
    metrics = dict.fromkeys((names.LOSS_TRAIN, names.LOSS_TEST, names.DISTANCE, names.ACCURACY_TEST), 0.123456)
    runs = [
        tracked({"init": scheme.format(part), "seed": str(seed)}, {key: value + seed for key, value in metrics.items()})
        for part in range(3)
        for seed in range(3)
    ]
    findings = Findings(runs, SWEPT, 0)
    text = findings.table(width)
    assert max(map(len, text.splitlines())) <= width
    header = text.split("\n\n")[1].splitlines()[0]
    for metric in ("loss/test", "loss/train", "accuracy/test", "distance"):
        assert (metric in header) != (metric in text.partition("A wider terminal")[2])
    assert "loss/test" in header
    assert len(rows(findings, width)) == 1 + len({run.params["init"] for run in runs})


def test_of_many_groups_the_best_are_shown_and_the_rest_is_counted() -> None:
    runs = [run for number in range(MOST_GROUPS + 7) for run in seeds([float(number)], init__value=str(number))]
    shown = Findings(runs, ("init.value",), 0)
    assert list(rows(shown)) == ["value", *map(str, range(MOST_GROUPS))]
    assert "7 more groups have higher means." in shown.table()


def test_equal_numbers_have_no_spread() -> None:
    assert str(mean_of([0.8] * 3)) == "0.8 ± 0"


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [0.0, 0.0], [1e308, -1e308, 1e300], [3.0], []])
def test_the_interval_is_students(values: list[float]) -> None:
    mean = mean_of(values)
    assert mean.runs == len(values)
    if len(values) < 2:
        assert math.isnan(mean.half)
        assert str(mean) == ("3" if values else "-")
        return
    scaled = np.array(values) / max(1.0, *map(abs, values))
    if max(values) < 1e200:
        assert mean.half == pytest.approx(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values), rel=1e-12, abs=0)
    assert mean.value == pytest.approx(float(np.mean(scaled)) * max(1.0, *map(abs, values)), rel=1e-12)


def test_the_conclusion_names_the_best_group_of_each_model() -> None:
    distances = {"constant": 0.0, "normal": 2.0}
    runs = [
        tracked({"init": init, "seed": str(seed)}, {names.LOSS_TEST: loss + seed, names.DISTANCE: distances[init]})
        for init, loss in (("constant", 1.0), ("normal", 0.5))
        for seed in range(2)
    ]
    runs += [tracked({"model": "logistic", "init": "zeros"}, {names.LOSS_TEST: 0.25})]
    findings = Findings(runs, ("model", "init", "seed"), 1)
    assert findings.conclusion() == (
        "The hidden units end exactly equal in 2 of 4 network runs (from constant). Lowest mean loss/test:"
        " logistic zeros 0.25 (1 run at learning rate 0.1); mlp normal 1 ± 6.4 (2 runs at learning rate 0.1)."
        " 0 runs diverged, 1 failed."
    )
    assert findings.metrics() == {
        "sweep/finished": 5.0, "sweep/diverged": 0.0, "sweep/failed": 1.0, "sweep/lowest_mean/loss/test": 0.25
    }  # fmt: skip


def test_without_a_finished_run_only_the_count_is_told() -> None:
    findings = Findings([], SWEPT, 4)
    assert findings.summary() == "4 jobs: 0 finished (0 diverged), 4 failed\n"
    assert findings.conclusion() == findings.table() == "No run finished."
    assert findings.metrics() == {"sweep/finished": 0.0, "sweep/diverged": 0.0, "sweep/failed": 4.0}


def test_the_best_run_has_the_lowest_test_loss_and_did_not_diverge() -> None:
    def run(metrics: dict[str, float], name: str, **options: Any) -> FinishedRun:
        return tracked({}, metrics, name=name, common=False, **options)

    runs = [
        run({names.LOSS_TEST: 0.1}, "diverged", diverged=True),
        run({names.LOSS_TEST: math.nan}, "nan"),
        run({names.LOSS_TEST: 0.3, names.LOSS_TRAIN: 0.1}, "third"),
        run({names.LOSS_TRAIN: 0.0}, "untested"),
        run({names.LOSS_TEST: 0.2}, "second"),
        run({names.LOSS_TEST: 0.2}, "first"),
    ]
    for order in (runs, runs[::-1]):
        assert [each.name for each in best_first(order)] == [
            "first", "second", "third", "nan", "untested", "diverged"
        ]  # fmt: skip
    without_tests = [run({names.LOSS_TRAIN: loss}, str(loss)) for loss in (0.2, 0.1)]
    assert [each.name for each in best_first(without_tests)] == ["0.1", "0.2"]
