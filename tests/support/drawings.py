"""What a drawn figure says and shows, for the tests of all figures."""

import io

from matplotlib.axes import Axes

from analysis.figures import FIGURES
from analysis.figures.kit.drawing import Drawing
from analysis.figures.kit.style import house_style
from analysis.tracked.tables import Tables


def texts_of(drawing: Drawing) -> list[str]:
    """All texts inside axes, their titles, and the titles of the figure and its parts."""
    texts = [text.get_text() for axes in drawing.figure.axes for text in axes.texts]
    titles = [axes.get_title(place) for axes in drawing.figure.axes for place in ("left", "center")]
    return [*texts, *titles, *(part.get_suptitle() for part in (drawing.figure, *drawing.figure.subfigs))]


def panels_of(drawing: Drawing) -> list[Axes]:
    """The axes without those of colour bars."""
    return [axes for axes in drawing.figure.axes if axes.get_label() != "<colorbar>"]


def files_of(name: str, tables: Tables) -> tuple[bytes, bytes]:
    """The figure of that name as SVG and CSV, in the form in which the report writes them."""
    with house_style():
        drawing = FIGURES[name](tables)
        buffer = io.BytesIO()
        drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue(), drawing.data.to_csv(index=False).encode()
