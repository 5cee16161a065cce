"""Figures for phones: one column, every panel with labels of its own, nothing cut off at the sides."""

from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from analysis.figures.kit.narrow import WIDTH, stack_panels
from analysis.figures.kit.style import add_legend_above, house_style


def wide(*, parts: int = 1) -> Figure:
    canvas = Figure(figsize=(10.0, 4.0), layout="constrained")
    for part in canvas.subfigures(1, parts, squeeze=False)[0] if parts > 1 else [canvas]:
        panels = part.subplots(2, 3, sharex=True, sharey="row")
        for row, label in zip(panels, ("above", "below"), strict=True):
            row[0].set_ylabel(label)
            for number, axes in enumerate(row):
                axes.plot([0, 1], [number, 1])
                axes.set_title(f"{label} {number}, a title that is far too long for a phone of this width")
    add_legend_above(canvas, {f"a long label of line {line}": {} for line in range(6)})
    canvas.supxlabel("a label of all panels that is far too long for a phone, whose width is that of one panel")
    canvas.draw_without_rendering()
    return canvas


@pytest.mark.parametrize("parts", [1, 2])
def test_panels_stand_below_each_other_in_their_order_and_inside_the_figure(parts: int) -> None:
    with house_style():
        canvas = wide(parts=parts)
        assert stack_panels(canvas)
        canvas.draw_without_rendering()
    assert canvas.get_figwidth() == WIDTH
    boxes = [axes.get_window_extent() for axes in canvas.axes]
    assert [box.y0 for box in boxes] == sorted((box.y0 for box in boxes), reverse=True)
    assert all(one.y0 > other.y1 for one, other in pairwise(boxes))
    assert min(box.height for box in boxes) > 0.7 * canvas.dpi
    assert [axes.get_ylabel() for axes in canvas.axes] == [*["above"] * 3, *["below"] * 3] * parts
    assert all(axes.yaxis.get_tick_params()["labelleft"] for axes in canvas.axes)
    assert canvas.get_supxlabel().count("\n") == 1
    for artist in (*canvas.axes, *canvas.legends):
        extent = artist.get_tightbbox(canvas.canvas.get_renderer() if hasattr(canvas.canvas, "get_renderer") else None)
        assert extent.x0 >= -1.0
        assert extent.x1 <= canvas.bbox.width + 1.0


def test_what_is_narrow_already_stays() -> None:
    canvas = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    canvas.subplots(1, 2)
    assert not stack_panels(canvas)


def test_a_panel_without_a_title_stands_below_the_one_whose_title_it_shares() -> None:
    canvas = Figure(figsize=(10.0, 4.0), layout="constrained")
    grid = canvas.subplots(4, 3, sharex=True)
    for row in (0, 2):
        for column, axes in enumerate(grid[row]):
            axes.set_title(f"{row}, {column}")
    canvas.draw_without_rendering()
    assert stack_panels(canvas)
    canvas.draw_without_rendering()
    shown = sorted(canvas.axes, key=lambda axes: -axes.get_window_extent().y0)
    assert shown == [grid[row + below, column] for row in (0, 2) for column in range(3) for below in (0, 1)]
