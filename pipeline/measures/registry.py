"""The registry of measurements: what one may read of a stack, how many metrics it gives, and which are standard.

A standard measurement is taken of every run; an optional one where ``measures`` in the configuration names it. Both
are functions in a module of this package::

    @measure(metrics=lambda widths: 1)
    def weight_norm(snapshot: StackSnapshot) -> dict[str, Array]: ...

Who changes the numbers or keys of a measurement, or adds a standard one, must raise ``RESULT_VERSION`` in
``training.fingerprint``: tracked runs hold the old ones, and a sweep that goes on would mix them with the new. A new
optional measurement needs nothing, because its name in ``measures`` is part of the fingerprint already.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.measures.reference_optimum import Optimum
from pipeline.nn.arithmetic import Array
from pipeline.nn.problem import Problem
from pipeline.numerics.workspace import Workspace


class StackSnapshot(NamedTuple):
    """A stack of R runs at one measured step.

    Attributes:
        problem: what the runs share: architecture, arithmetic, loss, training and test part.
        parameters: (R, P), now; not to be changed.
        initial: (R, P), before the first step.
        optimum: the reference optimum of logistic regression, or None.
        workspace: memory that a measurement may overwrite; None for new memory.
    """

    problem: Problem
    parameters: Array
    initial: Array
    optimum: Optimum | None = None
    workspace: Workspace | None = None


Measure = Callable[[StackSnapshot], dict[str, Array]]
STANDARD: dict[str, Measure] = {}
MEASURES: dict[str, Measure] = {}
"""The optional ones."""
_METRICS: dict[str, Callable[[Sequence[int]], int]] = {}
_OF_ODD_UNITS: set[str] = set()


def measure(
    *, metrics: Callable[[Sequence[int]], int], standard: bool = False, of_odd_units: bool = False
) -> Callable[[Measure], Measure]:
    """Registers a measurement under its function name.

    Args:
        metrics: layer widths d(0) ... d(L) -> how many metrics it gives at the most, which memory is planned for.
        standard: whether every run is measured by it.
        of_odd_units: whether it gives none where the activation is not odd.
    """

    def register(function: Measure) -> Measure:
        (STANDARD if standard else MEASURES)[function.__name__] = function
        _METRICS[function.__name__] = metrics
        if of_odd_units:
            _OF_ODD_UNITS.add(function.__name__)
        return function

    return register


def measurements(chosen: Sequence[str], snapshot: StackSnapshot) -> dict[str, Array]:
    """The metrics of all standard measurements and the chosen ones: metric key -> (R,), one number per run.

    Args:
        chosen: keys of ``MEASURES``.
    """
    functions = [*STANDARD.values(), *(MEASURES[name] for name in chosen)]
    return {key: values for function in functions for key, values in function(snapshot).items()}


def metric_count(chosen: Sequence[str], widths: Sequence[int]) -> int:
    """How many keys ``measurements`` gives at the most, for layers of these widths."""
    return sum(_METRICS[name](widths) for name in (*STANDARD, *chosen))


def has_metrics(name: str, hidden_units: Sequence[int], *, is_odd: bool) -> bool:
    """Whether a measurement gives any metrics of a network with these hidden layers.

    >>> from pipeline.measures.weights import balance
    >>> has_metrics("balance", [8], is_odd=True), has_metrics("balance", [], is_odd=False)
    (True, False)
    """
    return _METRICS[name]((1, *hidden_units, 1)) > 0 and (is_odd or name not in _OF_ODD_UNITS)
