"""Which networks the tracked runs have: widths, functions and loss, for figure 1."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from analysis.errors import ReportError
from analysis.tracked.tables import Tables
from analysis.wording import amount, has_squared_error
from pipeline import names

SETTINGS = ("model.hidden_units", "model.activation", "model.bias", "model.dropout")
MOST_HIDDEN = 3


class Outputs(NamedTuple):
    """How the last weighted inputs S become the loss of an example.

    Formulas are mathtext with L for the number of the output layer. For every pair of ``function`` and ``loss`` here
    the output delta is x - y (Bishop 2006, section 5.3.2).
    """

    function: str
    activated: str
    loss: str
    formula: list[str]


SOFTMAX = Outputs("softmax", r"\mathrm{softmax}_j(S^{(L)})", "cross-entropy", [r"\ell = -\sum_j y_j\,\ln\,x_j^{(L)}"])
SIGMOID = Outputs(
    "sigmoid",
    r"\mathrm{sigmoid}(S_j^{(L)})",
    "cross-entropy",
    [r"\ell = -y_j\,\ln\,x_j^{(L)}", r"-\,(1 - y_j)\,\ln(1 - x_j^{(L)})"],
)
IDENTITY = Outputs("identity", "S_j^{(L)}", "squared error", [r"\ell = \frac{1}{2}\sum_j (x_j^{(L)} - y_j)^2"])


class Network(NamedTuple):
    """One architecture.

    Attributes:
        widths: units per layer, d(0) ... d(L): inputs first, outputs last.
        activation: name of g of the hidden layers; empty where there are none.
        bias: whether the layers have biases.
        dropout: probability that a hidden activation is zeroed in a training step.
        squared_error: whether the loss is the squared error instead of the cross-entropy.
    """

    widths: tuple[int, ...]
    activation: str
    bias: bool
    dropout: float
    squared_error: bool

    @property
    def last(self) -> int:
        """L, the number of the output layer; layer 0 are the inputs."""
        return len(self.widths) - 1

    @property
    def weights(self) -> list[int]:
        """Number of weights into each layer; 0 into the inputs."""
        return [0, *(before * after for before, after in pairwise(self.widths))]

    @property
    def outputs(self) -> Outputs:
        """How the last weighted inputs become the loss: two classes have one output."""
        if self.squared_error:
            return IDENTITY
        return SIGMOID if self.widths[-1] == 1 else SOFTMAX

    @property
    def left_out(self) -> range:
        """Hidden layers without a place in the picture: of a deep network all from the third to the last but one."""
        return range(MOST_HIDDEN, self.last - 1) if self.last - 1 > MOST_HIDDEN else range(0)

    def function(self, layer: int) -> str:
        """Name of the function from S to x in a layer; empty for the inputs."""
        return "" if layer == 0 else self.outputs.function if layer == self.last else self.activation


def tracked_networks(tables: Tables) -> Counter[Network]:
    """How many runs each architecture has.

    Widths are the shapes of tracked weights, which are read once for each data set and setting. Runs of a setting
    without any readable weights are not counted.
    """
    tracked: Counter[Network] = Counter()
    if tables.runs.empty:
        return tracked
    squared = has_squared_error(tables.runs)
    for _, runs in tables.runs.groupby([*SETTINGS, squared, names.DATA_DIGEST_PARAM], dropna=False, sort=False):
        widths = _widths(tables, runs["run_id"])
        if not widths:
            continue
        run, hidden = runs.iloc[0], len(widths) > 2
        network = Network(
            widths=widths,
            activation=str(run["model.activation"]) if hidden else "",
            bias=bool(run["model.bias"]),
            dropout=float(run["model.dropout"]) if hidden else 0.0,
            squared_error=bool(squared[runs.index[0]]),
        )
        tracked[network] += len(runs)
    return tracked


def _widths(tables: Tables, run_ids: Iterable[str]) -> tuple[int, ...]:
    """Units per layer from the first of the runs whose weights can be read; empty if there is none."""
    for run_id in run_ids:
        try:
            arrays = tables.weights(run_id)
        except ReportError:
            continue
        depth = sum(name.startswith("initial_weights") for name in arrays)
        shapes = [arrays[f"initial_weights{layer}"].shape for layer in range(1, depth + 1)]
        return (*(int(shape[0]) for shape in shapes), int(shapes[-1][1]))
    return ()


def layer_table(network: Network) -> pd.DataFrame:
    """One row per layer: ``layer``, ``kind``, ``units``, ``function``, ``weights``, ``biases``, ``drawn``."""
    layers = range(network.last + 1)
    return pd.DataFrame(
        {
            "layer": layers,
            "kind": ["input", *["hidden"] * (network.last - 1), "output"],
            "units": network.widths,
            "function": [network.function(layer) for layer in layers],
            "weights": network.weights,
            "biases": [0, *(units * network.bias for units in network.widths[1:])],
            "drawn": [layer not in network.left_out for layer in layers],
        }
    )


def described(network: Network) -> str:
    """The layers in words.

    >>> described(Network((64, 32, 10), "tanh", bias=True, dropout=0.0, squared_error=False))
    '64 inputs, a hidden layer of 32 tanh units and 10 outputs'
    """
    hidden = network.widths[1:-1]
    between = "no hidden layer"
    if hidden:
        layers = "a hidden layer" if len(hidden) == 1 else f"{len(hidden)} hidden layers"
        units = "unit" if hidden == (1,) else "units"
        between = f"{layers} of {', '.join(map(str, hidden))} {network.activation} {units}"
    return f"{amount(network.widths[0], 'input')}, {between} and {amount(network.widths[-1], 'output')}"


def layers_left_out(network: Network) -> str:
    """The hidden layers that are not drawn, in words; empty where all are.

    >>> layers_left_out(Network((64, 8, 8, 8, 8, 8, 10), "tanh", bias=True, dropout=0.0, squared_error=False))
    'layers 3 to 4'
    """
    layers = network.left_out
    if len(layers) > 1:
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layer {layers[0]}" if layers else ""
