"""Theory section 3: rounding alone fakes symmetry breaking, and exact products do not."""

import pytest

from pipeline import names
from pipeline.training.stack import train_stack
from tests.support.configurations import configuration

SETTING = {
    "init": "constant",
    "init.value": 0.1,
    "data.limit": 500,
    "data.test_fraction": 0.0,
    "optimizer.learning_rate": 0.5,
    "training.steps": 1000,
    "training.batch_size": None,
    "training.l2": 0.0,
}


def final_distance(arithmetic: str, width: int, dtype: str = "float64") -> float:
    overrides = {"arithmetic": arithmetic, "model.hidden_units": [width], "dtype": dtype}
    (result,) = train_stack([configuration(SETTING | overrides)])
    return result.last[names.DISTANCE]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_blas_rounding_breaks_the_symmetry_at_some_width_at_which_exact_products_do_not(dtype: str) -> None:
    # Which widths break depends on the BLAS kernels of the processor; the first five break with most of them.
    for width in dict.fromkeys([10, 47, 17, 20, 33, *range(2, 65)]):
        distance = final_distance("blas", width, dtype)
        # An asymmetry of this size cannot be a rounding error of the measurement: it has grown by training.
        if distance > 1e-3:
            break
    else:
        pytest.skip("the BLAS of this machine adds the terms of all rows in the same order at all widths from 2 to 64")
    assert final_distance("exact", width) == 0.0


@pytest.mark.parametrize("width", [17, 64, 100])
def test_exact_products_keep_the_distance_at_zero_where_blas_may_not(width: int) -> None:
    assert final_distance("exact", width) == 0.0
