"""Matplotlib settings, colours, legends and axes of all figures."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullLocator

from analysis.wording import MINUS

HUES = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"]
"""The colour-blind safe palette of seaborn, which takes a third of a second to import."""
# One colour per initialisation in every figure. Symmetric starts are black and red; the random ones take these hues.
PALETTE = {
    "zeros": "#000000",
    "constant": "#d62728",
    "duplicated": "#882255",
    "mirrored": "#aa4499",
    "perturbed": "#a65628",
    "constant_layers": "#999933",
    "normal": HUES[0],
    "xavier_uniform": HUES[1],
    "he_normal": HUES[2],
    "orthogonal": HUES[4],
    "uniform": HUES[5],
    "xavier_normal": HUES[6],
    "he_uniform": HUES[7],
    "lecun_uniform": HUES[8],
    "lecun_normal": HUES[9],
}
SHADES = ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.85, 256)))
"""For lines: the yellow end of viridis is hardly seen on white, and no better on the dark page, which inverts it."""
SYMMETRIC = ("zeros", "constant")
PIXELS_PER_INCH = 200
MOST_TICKS = 6
EXPONENT = re.compile(r"\^\{(.*?)\}")
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LIGHTEST = 0.8
"""How far the lightest start of an initialisation goes to white."""
DARK_ENOUGH = 1.05 / 4.5 - 0.05
HANDLE_INCHES, CHARACTER_INCHES = 0.64, 0.08
"""Of the legend: its line with the space around it, and a character of its text."""
SETTINGS = {
    "figure.dpi": 100,
    "savefig.dpi": PIXELS_PER_INCH,
    "font.family": "DejaVu Sans",
    # Matplotlib goes through the long lists of these for each text that it measures.
    **{f"font.{family}": ["DejaVu Sans"] for family in ("serif", "sans-serif", "cursive", "fantasy", "monospace")},
    "font.size": 10,
    "axes.titlesize": 10,
    # Titles stand above their axes; Matplotlib would look for ticks there, again and again.
    "axes.titley": 1.0,
    # Room for the ticks of panels without labels, in inches, because spines take no part in the layout.
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    # Identifiers inside SVG files come from this text instead of a random number.
    "svg.hashsalt": "symmetry-lab",
}


@contextmanager
def house_style() -> Iterator[None]:
    """The settings of all figures, for drawing and for saving."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]
        yield


def schemes_in(names: Iterable[str]) -> list[str]:
    """The initialisations that occur, in the order of the palette, unknown ones (a user's own) last by name."""
    present = set(names)
    return [name for name in PALETTE if name in present] + sorted(present - set(PALETTE))


def colours_of(schemes: Iterable[str]) -> dict[str, str]:
    """Scheme -> colour; schemes outside the palette share grey."""
    return {scheme: PALETTE.get(scheme, "#7f7f7f") for scheme in schemes}


def start_styles(runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Start -> style of its line, in the order of the legend.

    A start has the colour of its initialisation; starts that differ in numbers only become lighter one by one.
    Symmetric starts are wide and below, a constant dashed over zeros: lines on top leave them visible.

    Args:
        runs: columns ``start`` (an initialisation with its numbers, an ordered categorical) and ``init``.
    """
    starts = runs[["start", "init"]].drop_duplicates().sort_values("start").astype(str)
    colours = starts["init"].map(colours_of(starts["init"]))
    families = starts.groupby(colours)["start"]
    columns = starts["start"], starts["init"], colours, families.cumcount() / families.transform("size")
    return {
        start: {
            "color": _lighter(colour, share),
            "lw": 2.6 if init in SYMMETRIC else 1.3,
            "ls": "--" if init == "constant" else "-",
            "zorder": {"zeros": 2.0, "constant": 2.5}.get(init, 3.0),
        }
        for start, init, colour, share in zip(*columns, strict=True)
    }


def text_colour(colour: str) -> str:
    """The colour, darkened until a text in it has a contrast of 4.5 on white (WCAG 2.2).

    >>> text_colour("#000000"), text_colour("#fbafe4")
    ('#000000', '#956888')
    """
    parts = np.array(to_rgb(colour))
    luminance = float(np.dot(parts**2.2, [0.2126, 0.7152, 0.0722]))
    return to_hex(parts * (DARK_ENOUGH / max(luminance, DARK_ENOUGH)) ** (1.0 / 2.2))


def _lighter(colour: str, share: float) -> str:
    """The colour on its way to white."""
    red, green, blue = (1.0 - (1.0 - part) * (1.0 - LIGHTEST * share) for part in to_rgb(colour))
    return to_hex((red, green, blue))


def add_legend_above(canvas: Figure, lines: Mapping[str, dict[str, Any]]) -> None:
    """A legend over all panels: label -> style of its line, in as many columns as the figure has room for."""
    widths = [HANDLE_INCHES + CHARACTER_INCHES * len(label) for label in lines]
    room = canvas.get_figwidth()
    columns = len(lines) if sum(widths) < room else max(1, int(room / max(widths)))
    handles = [Line2D([], [], **style) for style in lines.values()]
    labels = [label.replace("$", r"\$") for label in lines]
    canvas.legend(handles, labels, loc="outside upper center", ncols=columns, handlelength=2.4, columnspacing=1.4)


def draw_mean(axes: Axes, line: pd.DataFrame, style: dict[str, Any]) -> None:
    """A mean over the steps, with its interval; ``fill_between`` would scale all panels anew for each."""
    axes.plot(line["step"], line["value"], **style)
    ends = [line[["step", end]].to_numpy(float) for end in ("low", "high")]
    outline = np.concatenate([ends[0], ends[1][::-1]])
    axes.add_collection(PolyCollection([outline], color=style["color"], alpha=0.2, lw=0), autolim=False)
    axes.update_datalim(outline)


def set_step_axis(axes: Axes) -> None:
    """A logarithmic axis of steps on which step 0 has a place: it is linear up to step 1."""
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, None)
    axes.xaxis.set_major_formatter("{x:g}")


def set_value_axis(axes: Axes, values: "pd.Series[float]") -> None:
    """A logarithmic axis of values that shows exact zeros, with a faint line at 0.

    If there are any, it is linear from 0 to the decade below the smallest other value.
    """
    positive = values[values > 0.0]
    if len(positive) == len(values):
        axes.set_yscale("log")
        set_plain_log_ticks(axes.yaxis, values.min(), values.max())
        return
    smallest, largest = (positive.min(), positive.max()) if len(positive) else (1e-6, 1.0)
    linear = 10.0 ** math.floor(math.log10(smallest))
    axes.set_yscale("symlog", linthresh=linear)
    axes.set_ylim(-0.4 * linear, None)
    axes.axhline(0.0, color="0.85", lw=0.8, zorder=0)
    set_ticks_with_zero(axes.yaxis, linear, largest)


def set_ticks_with_zero(axis: Axis, linear: float, largest: float) -> None:
    """Ticks at 0 and at some powers of ten; at 1, 2 and 5, too, where there are few.

    Args:
        linear: a power of ten, below which the axis is linear.
        largest: value that is shown.
    """
    first, last = round(math.log10(linear)), math.floor(math.log10(largest))
    # Matplotlib would set one a decade, and there may be fifteen.
    powers = [10.0**power for power in range(last, first - 1, -(1 + (last - first) // MOST_TICKS))]
    if last - first < 2:
        ticks = sorted(tick for power in powers for tick in (power, 2 * power, 5 * power) if tick <= largest)
        axis.set_ticks([0.0, *ticks], [f"{tick:g}" for tick in (0.0, *ticks)])
    else:
        axis.set_ticks([0.0, *powers])


class PlainPowers(LogFormatterSciNotation):
    """Powers of ten as plain text: a formula takes Matplotlib a hundred times as long.

    >>> [PlainPowers()(number) for number in (1e-3, 1e20, 0.0)]
    ['10⁻³', '10²⁰', '0']
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = super().__call__(x, pos).removeprefix(r"$\mathdefault{").removesuffix("}$")
        sign = MINUS if text.startswith("-") else ""
        text = text.removeprefix("-").replace(r"\times", "\N{MULTIPLICATION SIGN}")
        return sign + EXPONENT.sub(lambda exponent: exponent[1].translate(SUPERSCRIPTS), text)


def simplify_axes(canvas: Figure) -> None:
    """Spares Matplotlib what takes long and nobody sees: powers as formulas, spines that reach beyond their axes."""
    for axes in canvas.axes:
        for spine in axes.spines.values():
            spine.set_in_layout(False)
        for axis in (axes.xaxis, axes.yaxis):
            transform: Any = axis.get_transform()
            for ticks, set_formatter in (
                (axis.get_major_formatter(), axis.set_major_formatter),
                (axis.get_minor_formatter(), axis.set_minor_formatter),
            ):
                if type(ticks) is LogFormatterSciNotation:
                    set_formatter(PlainPowers(transform.base, ticks.labelOnlyBase))


def set_plain_log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks 1, 2, 5, 10 ... on a logarithmic axis that spans too little for powers of ten alone."""
    if high / low < 1e3:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
