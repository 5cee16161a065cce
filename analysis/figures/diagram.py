"""Figure 1: the tracked network, its forward pass, and where back-propagation computes each delta."""

from itertools import pairwise, product
from typing import NamedTuple

from matplotlib.figure import Figure

from analysis.figures.architecture import Network, described, layer_table, layers_left_out, tracked_networks
from analysis.figures.kit.canvas import BACKWARD, FORWARD, RADIUS, Canvas, TurnedCanvas
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.narrow import WIDTH
from analysis.figures.kit.words import literal
from analysis.tracked.tables import Tables
from analysis.wording import SWEEP, amount, flat_model

# All lengths are inches, the unit of the axes, which fill the figure.
HEIGHTS = {1: [0.0], 2: [0.65, -0.65], 3: [1.2, 0.0, -1.3]}  # Of the drawn units of a layer, by their number.
INSIDE = 1.05  # From S to x of one unit.
BELOW = 0.47  # From S down to its delta.
HALF = 0.25  # Half the width of a delta's box.
DOT = 0.06
LINE = 0.36  # Between two formulas.
LONGEST_NAME = 10  # A longer one does not fit between the circles; the head of the column has it.


class Unit(NamedTuple):
    """A drawn unit: its layer, its number from 1, where its S and its x are, and their height."""

    layer: int
    number: int
    weighted: float
    activated: float
    height: float

    @property
    def back(self) -> float:
        """Height of the way back."""
        return self.height - BELOW


@figure
def network_diagram(tables: Tables) -> Drawing:
    """The most frequent tracked network: forward pass dark, the way back of the deltas orange and dashed.

    Networks with hidden layers go before logistic regression; of equally frequent ones the smallest is drawn. The data
    frame has one row per layer.

    Raises:
        NotShownError: there is no run whose weights can be read.
    """
    tracked = tracked_networks(tables)
    if not tracked:
        raise NotShownError("no finished run has readable weights", SWEEP)
    candidates = [network for network in tracked if network.last > 1] or list(tracked)
    network = min(candidates, key=lambda each: (-tracked[each], sum(each.weights), each))
    dropped = f" Dropout, which zeroes hidden x with probability {network.dropout:g}, is not drawn."
    left_out = layers_left_out(network)
    numbers = {
        "architectures": amount(len(tracked), "architecture"),
        "runs": tracked[network],
        "all_runs": len(tables.runs),
        "network": described(network),
        "flat_model": flat_model(tables.runs),
        "output_function": network.outputs.function,
        "loss": network.outputs.loss,
        "not_drawn": (f" Not drawn: hidden {left_out}." if left_out else "") + (dropped if network.dropout else ""),
    }
    return Drawing(_picture(network), layer_table(network), numbers, _narrow_picture(network))


def _picture(network: Network) -> Figure:
    columns, loss_at = _placed(network)
    heights = [unit.height for column in columns for unit in column]
    # The heads stand above the units, the formulas below their deltas.
    head, feet = max(heights) + 0.9, min(heights) - BELOW - 0.55
    canvas = Canvas(loss_at + 0.75, feet - 1.4, head + 0.4)
    _draw_network(canvas, network, columns, loss_at)
    for before, column in pairwise(columns):
        _write_sizes(canvas, network, before, column, head - LINE)
    for column in columns:
        layer, x = column[0].layer, (column[0].weighted + column[0].activated) / 2
        title, size = _head(network, layer)
        canvas.text(x, head + 0.2, title, weight="bold")
        canvas.text(x, head, size)
        for line, (formula, colour) in enumerate(_formulas(network, layer)):
            canvas.text(x, feet - (0.0, LINE, 0.8, 0.8 + LINE)[line], formula, color=colour)
    canvas.text(loss_at, head + 0.2, "loss", weight="bold")
    canvas.text(loss_at, head, network.outputs.loss)
    for line, formula in enumerate(_loss_formulas(network)):
        canvas.text(loss_at, feet - LINE * line, formula)
    canvas.text(loss_at, 0.8, "targets $y_j$")
    for y, word, back in ((feet - 0.1, "forward", False), (feet - 0.9, "backward", True)):
        canvas.text(0.15, y, word, ha="left", weight="bold", color=BACKWARD if back else FORWARD)
        ends = [(0.15, y - 0.2), (0.85, y - 0.2)]
        canvas.arrow(ends[back], ends[not back], f"key:{word}", back=back)
    return canvas.figure


def _narrow_picture(network: Network) -> Figure:
    """The same for a phone: the layers below each other, under them their sizes and formulas as a list."""
    columns, loss_at = _placed(network)
    words: list[tuple[str, str]] = []
    for column in columns:
        words += [(": ".join(_head(network, column[0].layer)), ""), *_formulas(network, column[0].layer)]
    words += [(f"loss: {network.outputs.loss}", ""), *((formula, FORWARD) for formula in _loss_formulas(network))]
    words += [("black: forward", FORWARD), ("orange, dashed: backward", BACKWARD)]
    canvas = TurnedCanvas(WIDTH, HEIGHTS[3][0] + 0.4, 1.12, loss_at + 0.6 + LINE * len(words))
    _draw_network(canvas, network, columns, loss_at)
    canvas.text(loss_at, 0.72, "targets $y_j$", ha="right")
    for line, (text, colour) in enumerate(words):
        weight = "normal" if colour else "bold"
        canvas.axes.text(0.15, -loss_at - 0.6 - LINE * line, text, color=colour or FORWARD, weight=weight, va="center")
    return canvas.figure


def _placed(network: Network) -> tuple[list[list[Unit]], float]:
    """The drawn units of each drawn layer, and where the loss is."""
    shown = [layer for layer in range(network.last + 1) if layer not in network.left_out]
    pitch = INSIDE + {2: 2.2, 3: 1.75, 4: 1.3}.get(len(shown), 1.05)
    columns = [_units(network, layer, 0.5 + place * pitch) for place, layer in enumerate(shown)]
    return columns, columns[-1][0].activated + 1.35


def _draw_network(canvas: Canvas, network: Network, columns: list[list[Unit]], loss_at: float) -> None:
    for before, column in pairwise(columns):
        _draw_connections(canvas, network, before, column)
    for column in columns:
        _draw_layer(canvas, network, column)
    _draw_loss(canvas, columns[-1], loss_at)


def _units(network: Network, layer: int, x: float) -> list[Unit]:
    width = network.widths[layer]
    numbers = [1, 2, width] if width > len(HEIGHTS) else list(range(1, width + 1))
    places = zip(numbers, HEIGHTS[len(numbers)], strict=True)
    return [Unit(layer, number, x - INSIDE if layer else x, x, height) for number, height in places]


def _draw_connections(canvas: Canvas, network: Network, before: list[Unit], column: list[Unit]) -> None:
    """The weights between two drawn layers, and the way of the deltas back through them."""
    layer = column[0].layer
    middle = (before[0].activated + column[0].weighted) / 2
    if layer - before[0].layer == 1:
        for i, j in product(before, column):
            edge = f"{layer}:{i.number}:{j.number}"
            canvas.arrow((i.activated + RADIUS, i.height), (j.weighted - RADIUS, j.height), f"weight:{edge}")
            if layer > 1:
                canvas.arrow((j.weighted - HALF, j.back), (i.activated + DOT, i.back), f"back:{edge}", back=True)
        return
    canvas.text(middle, 0.0, canvas.beside, size=14)
    for i in before:
        canvas.arrow((i.activated + RADIUS, i.height), (middle - 0.14, i.height), f"on:{i.layer}:{i.number}")
        canvas.arrow((middle - 0.14, i.back), (i.activated + DOT, i.back), f"back:{i.layer + 1}:{i.number}:", back=True)
    for j in column:
        canvas.arrow((middle + 0.14, j.height), (j.weighted - RADIUS, j.height), f"on:{layer}:{j.number}")
        canvas.arrow((j.weighted - HALF, j.back), (middle + 0.14, j.back), f"back:{layer}::{j.number}", back=True)


def _draw_layer(canvas: Canvas, network: Network, column: list[Unit]) -> None:
    """The units of a layer: from S to x, and below from the derivative by x (a dot) back to the delta."""
    function = network.function(column[0].layer)
    for unit in column:
        index = f"_{{{unit.number}}}^{{({unit.layer})}}"
        canvas.circle(unit.activated, unit.height, f"$x{index}$")
        if unit.layer == 0:
            continue
        canvas.circle(unit.weighted, unit.height, f"$S{index}$")
        ends = (unit.weighted + RADIUS, unit.height), (unit.activated - RADIUS, unit.height)
        canvas.arrow(*ends, f"activation:{unit.layer}:{unit.number}")
        middle = (unit.weighted + unit.activated) / 2
        name = literal(function) if len(function) <= LONGEST_NAME else "$g$"
        canvas.text(middle, unit.height + 0.15, name, size=7)
        canvas.box(unit.weighted, unit.back, (HALF, 0.15), rf"$\delta{index}$", BACKWARD)
        canvas.axes.plot(*canvas.at(unit.activated, unit.back), "o", color=BACKWARD, ms=4, zorder=4)
        ends = (unit.activated - DOT, unit.back), (unit.weighted + HALF, unit.back)
        canvas.arrow(*ends, f"delta:{unit.layer}:{unit.number}", back=True)
        if unit.layer < network.last:
            canvas.text(middle + 0.1, unit.back - 0.13, r"$\times\, g'$", size=8, color=BACKWARD)
    if network.widths[column[0].layer] > len(column):
        for x in sorted({column[0].weighted, column[0].activated}):
            canvas.text(x, -0.78, canvas.below, size=12)


def _write_sizes(canvas: Canvas, network: Network, before: list[Unit], column: list[Unit], head: float) -> None:
    """Above the arrows between two drawn layers: the weights with their number, or which layers are not drawn."""
    layer, middle = column[0].layer, (before[0].activated + column[0].weighted) / 2
    lines = layers_left_out(network), "not drawn"
    if layer - before[0].layer == 1:
        sizes = rf"${network.widths[layer - 1]} \times {network.widths[layer]}$"
        lines = f"weights $w_{{ij}}^{{({layer})}}$", sizes
    canvas.text(middle, head, lines[0], size=8.5)
    canvas.text(middle, head - 0.2, lines[1], size=8)


def _head(network: Network, layer: int) -> tuple[str, str]:
    """What a layer is called, and what it consists of."""
    if layer == 0:
        return "inputs", f"{network.widths[0]}"
    is_last = layer == network.last
    function = network.outputs.function if is_last else f"g = {network.activation}"
    title = "output layer" if is_last else f"hidden layer {layer}"
    return title, literal(f"{amount(network.widths[layer], 'unit')}, {function}")


def _formulas(network: Network, layer: int) -> list[tuple[str, str]]:
    """The formulas of a layer with their colours, two forward and two backward; none of the inputs."""
    if layer == 0:
        return []
    here, below, above = (f"^{{({each})}}" for each in (layer, layer - 1, layer + 1))
    activated, delta = f"g(S_j{here})", rf"g'(S_j{here})\,\sum_k w_{{jk}}{above}\,\delta_k{above}"
    if layer == network.last:
        activated, delta = network.outputs.activated.replace("(L)", f"({layer})"), f"x_j{here} - y_j"
    bias = f" + b_j{here}" if network.bias else ""
    return [
        (rf"$S_j{here} = \sum_i w_{{ij}}{here}\,x_i{below}{bias}$", FORWARD),
        (f"$x_j{here} = {activated}$", FORWARD),
        (rf"$\delta_j{here} = {delta}$", BACKWARD),
        (rf"$\partial\ell/\partial w_{{ij}}{here} = \delta_j{here}\,x_i{below}$", BACKWARD),
    ]


def _loss_formulas(network: Network) -> list[str]:
    return [f"${formula.replace('(L)', f'({network.last})')}$" for formula in network.outputs.formula]


def _draw_loss(canvas: Canvas, outputs: list[Unit], x: float) -> None:
    for unit in outputs:
        canvas.arrow((unit.activated + RADIUS, unit.height), (x - 0.3, 0.12), f"loss:{unit.number}")
        # The way back to low units leaves the box at its lower side, so that it passes beside their circles.
        start = (x - 0.15, -0.3) if unit.height < -1 else (x - 0.3, -0.12)
        canvas.arrow(start, (unit.activated + DOT, unit.back), f"back:loss:{unit.number}", back=True)
    canvas.box(x, 0.0, (0.3, 0.3), r"loss $\ell$", FORWARD)
    canvas.arrow((x, 0.68), (x, 0.3), "targets")
