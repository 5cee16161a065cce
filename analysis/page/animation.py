"""The slider as an animated picture, for pages without scripts such as a README."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analysis.errors import ReportError
from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.style import colours_of, house_style, set_step_axis, set_value_axis, simplify_axes
from analysis.figures.kit.words import literal, loss_unit
from analysis.figures.recordings import UNITS, distance_at, picture, scale_of
from analysis.figures.starts import Recorded, recorded_starts
from analysis.figures.units import BETWEEN_TILES
from analysis.tracked.tables import Tables
from pipeline import names

ANIMATION_FILE = "weights_over_steps.gif"
MILLISECONDS, LAST_MILLISECONDS = 180, 2500
PIXELS_PER_INCH = 80


def write_animation(tables: Tables, path: Path) -> Path:
    """Writes a GIF: the hidden units of the recorded starts, a frame for each measured step, with loss and distance.

    Raises:
        ReportError: no runs were recorded that can be shown.
    """
    try:
        starts = recorded_starts(tables)
    except NotShownError as error:
        raise ReportError(f"--animate: {error.reason}; record some with {error.command}") from None
    steps = [int(step) for step in starts[0].arrays["steps"]]
    with house_style():
        frames = _frames(tables, starts, steps)
    durations = [MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    return path


def _frames(tables: Tables, starts: list[Recorded], steps: list[int]) -> list[Image.Image]:
    canvas = Figure(figsize=(3.1 * len(starts), 5.2), dpi=PIXELS_PER_INCH, layout="constrained")
    agg: Any = FigureCanvasAgg(canvas)
    halves: Any = canvas.subfigures(2, 1, height_ratios=[1.7, 1.0])
    above, below = halves
    images: list[Any] = []
    titles = []
    colours = colours_of([start.run["init"] for start in starts])
    for start, axes in zip(starts, above.subplots(1, len(starts), squeeze=False)[0], strict=True):
        first = picture(start, start.arrays["weights1"][0][:, :UNITS])
        images.append(axes.imshow(first, cmap=BETWEEN_TILES, norm=scale_of(start), interpolation="none", aspect="auto"))
        axes.set_axis_off()
        titles.append(axes.set_title("", color=colours[start.run["init"]], weight="bold"))
    cursors = []
    metrics = {f"training loss{loss_unit(tables.runs)}": names.LOSS_TRAIN, "distance\nbetween units": names.DISTANCE}
    for (label, metric), axes in zip(metrics.items(), below.subplots(1, 2), strict=True):
        shown = tables.curves[tables.curves["metric"] == metric]
        shown = shown[shown["run_id"].isin([start.run["run_id"] for start in starts])]
        for start in starts:
            line = shown[shown["run_id"] == start.run["run_id"]].sort_values("step")
            dash = "--" if start.run["init"] == "zeros" else "-"  # It may lie upon another symmetric one.
            axes.plot(line["step"], line["value"], color=colours[start.run["init"]], lw=2, ls=dash)
        set_value_axis(axes, shown["value"])
        set_step_axis(axes)
        axes.set(xlabel="step", ylabel=label)
        cursors.append(axes.axvline(0.0, color="0.3", lw=1.2))
    heading = canvas.suptitle(f"step {steps[0]}")
    simplify_axes(canvas)
    frames = []
    for place, step in enumerate(steps):
        for start, image, title in zip(starts, images, titles, strict=True):
            image.set_data(picture(start, start.arrays["weights1"][place][:, :UNITS]))
            title.set_text(literal(f"{start.title}\ndistance {distance_at(tables, start, step)}"))
        for cursor in cursors:
            cursor.set_xdata([step, step])
        heading.set_text(f"step {step}")
        agg.draw()
        frames.append(Image.fromarray(np.array(agg.buffer_rgba())[:, :, :3]).quantize(128))
        canvas.set_layout_engine("none")  # As the first frame has it, so that nothing jumps.
    return frames
