"""Draws the figures of a report into files, on several cores where that is safe."""

import gc
import io
import multiprocessing
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from mlflow import get_tracking_uri

from analysis.errors import ReportError
from analysis.figures.kit.drawing import Draw, Drawing, NotShownError, words_of
from analysis.figures.kit.narrow import stack_panels
from analysis.figures.kit.style import PIXELS_PER_INCH, house_style
from analysis.page.page import Shown
from analysis.tracked.tables import Tables
from pipeline.addresses import database_path

PLACES = re.compile(rb' (?:d|x|y|width|height)="[^"]*"|translate\([^)]*\)')
DECIMALS = re.compile(rb"(\.\d\d)\d+")
"""A hundredth of a point is less than anybody sees, and the other decimals of places would be a fifth of a picture."""
NAMES = re.compile(rb'(?<=["#])p[0-9a-f]{10}(?=[")])')
"""Of clipped areas, hashes of their places to the last bit, which the solver of the layout finds anew each time."""
GLYPHS = re.compile(rb'(?<=["#])DejaVuSans-')
"""Beginnings of their names, which stand there for every character."""
LINES = re.compile(r"\s*\n\s*")


class Quoted(dict[int, str]):
    """Character -> itself or its escape, in an address inside quotation marks; found out when it first occurs."""

    def __missing__(self, code: int) -> str:
        self[code] = quote(chr(code), safe=" /:=;,()'+-.!*?@$")
        return self[code]


QUOTED = Quoted()
_task: tuple[Mapping[str, Draw], Tables, Path]
"""What forked workers inherit: tables hold functions, which cannot be sent."""


@contextmanager
def drawing(wanted: Mapping[str, Draw], tables: Tables, folder: Path, workers: int = 1) -> Iterator[Iterable[Shown]]:
    """A context in which figures are drawn, and each written as SVG, PNG and CSV into the folder; they come in order.

    Workers are forked, because loading the libraries again would take longer than drawing. That is safe from a
    process of one Python thread, on Linux, and from a local database, no connection to which a worker uses.

    Args:
        wanted: the figures by name.
        workers: how many processes draw.
    """
    global _task
    _task = wanted, tables, folder
    is_safe = (
        sys.platform == "linux" and threading.active_count() == 1 and database_path(get_tracking_uri()) is not None
    )
    with house_style():
        if workers < 2 or len(wanted) < 2 or not is_safe:
            yield map(_draw, wanted)
            return
        # Frozen, the libraries' objects are not looked through for garbage again and again.
        with ProcessPoolExecutor(min(workers, len(wanted)), multiprocessing.get_context("fork"), gc.freeze) as pool:
            yield pool.map(_draw, wanted)


def _draw(name: str) -> Shown:
    """Draws one figure and writes its three files."""
    wanted, tables, folder = _task
    shown = Shown(name, **words_of(wanted[name]))
    try:
        drawing = wanted[name](tables)
        caption = shown.caption.format(**drawing.numbers).strip()
        image, narrow = map(data_address, _save(drawing, name, folder))
    except NotShownError as error:
        return shown._replace(caption="", reason=error.reason, command=error.command)
    except ReportError as error:
        return shown._replace(caption="", reason=str(error))
    return shown._replace(caption=caption, image=image, narrow=narrow)


def _save(drawing: Drawing, name: str, folder: Path) -> tuple[bytes, bytes]:
    """Writes the picture as SVG and PNG and its numbers as CSV; returns the SVG, and that for a phone."""
    canvas, engine = drawing.figure, drawing.figure.get_layout_engine()
    svg = _svg_of(canvas)
    (folder / f"{name}.svg").write_bytes(svg)
    canvas.set_layout_engine("none")  # Computed once for both files.
    canvas.set_dpi(PIXELS_PER_INCH)
    FigureCanvasAgg(canvas).print_png(folder / f"{name}.png", pil_kwargs={"compress_level": 3})  # type: ignore[no-untyped-call]
    drawing.data.to_csv(folder / f"{name}.csv", index=False)
    canvas.set_layout_engine(engine)
    narrow = drawing.narrow or (canvas if stack_panels(canvas) else None)
    return svg, _svg_of(narrow) if narrow else b""


def data_address(svg: bytes) -> Markup:
    """A picture as an address that needs no request; as text, which takes a third less room than base64.

    >>> data_address(b'<svg width="1"/>'), data_address(b"")
    (Markup("data:image/svg+xml,%3Csvg width='1'/%3E"), Markup(''))
    """
    text = LINES.sub(" ", svg.decode())
    # In Matplotlib's attributes no apostrophe occurs, which needs no escape; everything that HTML would read gets one.
    address = text.replace('"', "'").translate(QUOTED)
    return Markup(f"data:image/svg+xml,{address}" if svg else "")  # noqa: S704


def _svg_of(canvas: Figure) -> bytes:
    """The figure as SVG, arranged anew if it has a layout; ``Figure.savefig`` would draw everything twice."""
    buffer = io.BytesIO()
    # Without a date, equal runs give equal bytes.
    FigureCanvasSVG(canvas).print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    names: dict[bytes, bytes] = {}
    svg = GLYPHS.sub(b"g", buffer.getvalue())
    svg = NAMES.sub(lambda name: names.setdefault(name[0], b"p%d" % len(names)), svg)
    return PLACES.sub(lambda places: DECIMALS.sub(rb"\1", places[0]), svg)
