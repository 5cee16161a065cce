"""What an optional measurement may know, and the table of all of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.nn.arithmetic import Array
from pipeline.nn.problem import Task
from pipeline.nn.workspace import numpy_set_for_training


class Moment(NamedTuple):
    """A stack of R runs at one measured step.

    Attributes:
        task: what the runs share: architecture, arithmetic, loss, training and test part.
        parameters: (R, P), now; not to be changed.
        initial: (R, P), before the first step.
    """

    task: Task
    parameters: Array
    initial: Array


Measure = Callable[[Moment], dict[str, Array]]
MEASURES: dict[str, Measure] = {}


def measure(function: Measure) -> Measure:
    """Registers an optional measurement under its function name."""
    MEASURES[function.__name__] = function
    return function


def optional_measurements(chosen: Sequence[str], moment: Moment) -> dict[str, Array]:
    """The numbers of the chosen measurements: metric key -> (R,).

    Args:
        chosen: keys of ``MEASURES``.
    """
    with numpy_set_for_training():
        return {key: values for name in chosen for key, values in MEASURES[name](moment).items()}
