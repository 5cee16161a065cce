"""Labelled examples as a source gives them: inputs, labels and the names of the features."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Examples(NamedTuple):
    """Labelled examples as their source gives them, not yet split.

    inputs: (n, d), finite. labels: (n,), the class of each example, numbers or strings. feature_names: d names.
    """

    inputs: NDArray[np.float64]
    labels: NDArray[Any]
    feature_names: tuple[str, ...]
