"""One look for all figures: colours, labels, axes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes

# One colour per initialisation in every figure. Symmetric starts are black and red; the random ones take seaborn's
# colour-blind safe hues.
_HUES = list(sns.color_palette("colorblind").as_hex())
PALETTE = {
    "zeros": "#000000",
    "constant": "#d62728",
    "duplicated": "#882255",
    "mirrored": "#aa4499",
    "perturbed": "#661100",
    "normal": _HUES[0],
    "xavier_uniform": _HUES[1],
    "he_normal": _HUES[2],
    "orthogonal": _HUES[4],
    "uniform": _HUES[5],
    "xavier_normal": _HUES[6],
    "he_uniform": _HUES[7],
    "lecun_uniform": _HUES[8],
    "lecun_normal": _HUES[9],
}
SYMMETRIC = ("zeros", "constant")
PIXELS_PER_INCH = 200
SETTINGS = {
    "figure.dpi": 100,
    "savefig.dpi": PIXELS_PER_INCH,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
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


def step_axis(axes: Axes) -> None:
    """A logarithmic axis of steps on which step 0 has a place: it is linear up to step 1."""
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, None)


def axis_with_zero(axes: Axes, smallest: float = 1e-6) -> None:
    """A logarithmic value axis that shows exact zeros: it is linear below ``smallest``, with a faint line at 0."""
    axes.set_yscale("symlog", linthresh=smallest)
    axes.set_ylim(-0.4 * smallest, None)
    axes.axhline(0.0, color="0.85", lw=0.8, zorder=0)
