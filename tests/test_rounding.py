"""Theory section 3: rounding alone fakes symmetry breaking, and exact products do not."""

import pytest

from pipeline import names
from pipeline.stacking import train_stack
from tests.configurations import configuration

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


def test_blas_rounding_breaks_the_symmetry_at_width_10_and_exact_products_do_not() -> None:
    assert final_distance("exact", 10) == 0.0
    with_blas = final_distance("blas", 10)
    if with_blas == 0.0:
        pytest.skip("the BLAS of this machine adds the terms of all rows in the same order at width 10")
    # An asymmetry of this size cannot be a rounding error of the measurement: it has grown by training.
    assert with_blas > 1e-3


@pytest.mark.parametrize("width", [17, 64, 100])
def test_exact_products_keep_the_distance_at_zero_where_blas_may_not(width: int) -> None:
    assert final_distance("exact", width) == 0.0


def test_float32_rounding_breaks_the_symmetry_at_some_width() -> None:
    broken = [width for width in (10, 12, 17, 20, 33, 100) if final_distance("blas", width, "float32") > 0.0]
    if not broken:
        pytest.skip("the BLAS of this machine keeps the symmetry in float32 at all widths tried")
    assert broken
