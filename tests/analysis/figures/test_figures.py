"""What every figure of the report keeps to."""

import re
from dataclasses import replace

import pytest
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures import FIGURES
from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.style import HUES, simplify_axes
from analysis.wording import MINUS
from tests.support.drawings import files_of
from tests.support.tracked import default_grid, trained_tables

NAMES = ["network_diagram", "final_heatmaps", "incoming_weights", "distance_matrices", "distance_and_loss"]


@pytest.mark.parametrize("name", NAMES)
def test_drawn_again_from_the_runs_in_another_order_every_byte_is_the_same(name: str) -> None:
    tables = trained_tables(default_grid())
    backwards = replace(tables, runs=tables.runs[::-1].reset_index(drop=True))
    (picture, data), (other_picture, other_data) = files_of(name, tables), files_of(name, backwards)
    assert data == other_data
    assert picture == other_picture


COUNTS = {
    "loss_over_steps": {"runs": 48},
    "symmetry_over_steps": {"runs": 24},
    "network_diagram": {"runs": 24, "all_runs": 48},
    "final_heatmaps": {"runs": 48, "diverged": 0},
    "logistic_optimum": {"runs": 24, "diverged": 0},
    "paired_differences": {"runs": 48, "pairs": 72, "diverged": 0},
    "distance_and_loss": {"runs": 24, "diverged": 0, "symmetric": 12},
}
"""Of 48 runs, half of them networks, which start from zeros or a constant in every second one; six pairs of starts for
each model, learning rate and seed."""


def test_captions_count_the_runs_and_pairs_that_their_figures_show() -> None:
    tables = trained_tables(default_grid(seeds=3))
    found = {name: FIGURES[name](tables).numbers for name in COUNTS}
    assert {name: {key: found[name][key] for key in counts} for name, counts in COUNTS.items()} == COUNTS


@pytest.mark.parametrize("name", ["incoming_weights", "distance_matrices", "distance_and_loss"])
def test_runs_without_a_hidden_layer_are_a_reason_with_a_command(name: str) -> None:
    logistic = trained_tables({"model": "logistic", "init": init} for init in ("constant", "normal"))
    with pytest.raises(NotShownError, match=r"no run has hidden units.*python -m pipeline\.run -m model=mlp init="):
        FIGURES[name](logistic)


def test_the_hues_are_seaborns() -> None:
    assert list(sns.color_palette("colorblind").as_hex()) == HUES


@pytest.mark.parametrize(
    ("scale", "base", "limits"),
    [("log", 10, (1e-5, 1e3)), ("log", 2, (1, 64)), ("log", 10, (2, 5)), ("symlog", 10, (-1e4, 1e4))],
)
def test_powers_on_axes_are_what_the_formulas_of_matplotlib_say(
    scale: str, base: int, limits: tuple[float, float]
) -> None:
    def labels(*, simplified: bool) -> list[str]:
        canvas = Figure()
        axes = canvas.subplots()
        axes.set_xscale(scale, base=base)
        axes.set_xlim(*limits)
        if simplified:
            simplify_axes(canvas)
        canvas.draw_without_rendering()
        return [text.get_text() for which in ("major", "minor") for text in axes.get_xticklabels(which=which)]

    formulas = [text.removeprefix(r"$\mathdefault{").removesuffix("}$") for text in labels(simplified=False)]
    plain = [text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")) for text in labels(simplified=True)]
    assert any(formulas)
    assert plain == [
        re.sub(r"\^{(.*)}", r"\1", text)
        .replace("-", MINUS, text.startswith("-"))
        .replace(r"\times", "\N{MULTIPLICATION SIGN}")
        for text in formulas
    ]
