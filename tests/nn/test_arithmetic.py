"""The exact product never rounds, so its bits depend neither on an order, nor on a place, nor on the BLAS."""

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.nn.arithmetic import ARITHMETICS, BLOCK, OPERAND_BITS, Array, exact_product, rounded_to_grid

ROOT = Path(__file__).parents[2]
# Products of two units stay above the smallest float64, 2**-1074, and sums below the largest, 2**1024.
MAGNITUDES = st.floats(1e-150, 1e150)
ELEMENTS = st.one_of(st.just(0.0), MAGNITUDES, MAGNITUDES.map(lambda value: -value), st.floats(-2.0, 2.0, width=16))


def true_product(left: Array, right: Array) -> list[list[Fraction]]:
    """The product of two matrices of rational numbers, without any rounding."""
    rows = [[Fraction(value) for value in row] for row in left.tolist()]
    columns = [[Fraction(value) for value in column] for column in right.T.tolist()]
    return [[sum((a * b for a, b in zip(row, column, strict=True)), Fraction()) for column in columns] for row in rows]


def stack(runs: int, rows: int, columns: int, seed: int) -> Array:
    """Normal numbers; the scales of neighbouring runs lie a factor of 2**40 apart."""
    scales = np.ldexp(1.0, 40 * np.arange(runs))[:, None, None]
    return scales * np.random.default_rng(seed).standard_normal((runs, rows, columns))


def exact(left: Array, right: Array) -> Array:
    return exact_product(rounded_to_grid(left), rounded_to_grid(right))


@st.composite
def operand_pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    """(R, rows, inner) and (R, inner, columns), or (inner, columns) as a shared operand."""
    runs, rows, inner, columns = (draw(st.integers(1, largest)) for largest in (3, 3, 9, 3))
    right_shape = draw(st.sampled_from([(runs, inner, columns), (inner, columns)]))

    def filled(*shape: int) -> Array:
        count = int(np.prod(shape))
        return np.array(draw(st.lists(ELEMENTS, min_size=count, max_size=count))).reshape(shape)

    return filled(runs, rows, inner), filled(*right_shape)


@given(operand_pairs())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_exact_product_is_the_true_product_of_the_rounded_operands(pair: tuple[Array, Array]) -> None:
    left, right = (rounded_to_grid(operand) for operand in pair)
    product = exact_product(left, right)
    for run, result in enumerate(product):
        expected = true_product(left[run], right if right.ndim == 2 else right[run])
        assert [[Fraction(value) for value in row] for row in result.tolist()] == expected


@given(st.lists(ELEMENTS, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_rounding_is_to_the_nearest_multiple_of_the_unit(values: list[float]) -> None:
    rounded = rounded_to_grid(np.array([values]))[0].tolist()
    largest = max(abs(value) for value in values)
    # 2**exponent is the next power of two above the largest magnitude.
    unit = Fraction(2) ** (int(np.frexp(largest)[1]) - OPERAND_BITS)
    for value, result in zip(values, rounded, strict=True):
        assert (Fraction(result) / unit).denominator == 1
        # Half a unit, and no more: the nearest multiple.
        assert abs(Fraction(result) - Fraction(value)) <= unit / 2


@pytest.mark.parametrize("inner", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_blocks_are_exact_and_added_in_ascending_order(inner: int) -> None:
    left = rounded_to_grid(stack(2, 3, inner, seed=1))
    right = rounded_to_grid(stack(2, inner, 2, seed=2))
    blocks = [slice(start, start + BLOCK) for start in range(0, inner, BLOCK)]
    expected = np.zeros((2, 3, 2))
    for run in range(2):
        for block in blocks:
            # float() of a Fraction is correctly rounded, and exact here: a block's sum has at most 53 bits.
            expected[run] += [[float(v) for v in row] for row in true_product(left[run, :, block], right[run, block])]
    assert exact_product(left, right).tobytes() == expected.tobytes()


@pytest.mark.parametrize("place", [0, 1000, BLOCK - 1])
def test_the_largest_possible_sum_of_a_block_is_exact(place: int) -> None:
    units = 2**OPERAND_BITS
    left = np.full((1, 17, BLOCK), np.nextafter(1.0, 0.0))  # rounds up to 2**21 units, the largest operand
    left[:, :, place] = (units - 1) / units
    row = rounded_to_grid(left)
    product = exact_product(row, rounded_to_grid(left.swapaxes(1, 2)))
    # All terms are 2**42 units but one: an odd number just below 2**53, which one bit less would not hold.
    expected = (BLOCK - 1) * units**2 + (units - 1) ** 2
    assert {int(element) for element in (product * float(units) ** 2).ravel()} == {expected}
    np.testing.assert_array_equal(exact(np.ones((1, 1, BLOCK)), np.ones((1, BLOCK, 1))), [[[BLOCK]]])


# 37, 29 and 23 are multiples of no kernel's width, so a BLAS sends some rows and columns through another kernel.
def test_permuting_the_inner_dimension_changes_no_bit() -> None:
    left, right = stack(3, 37, 1000, seed=3), stack(3, 1000, 29, seed=4)
    order = np.random.default_rng(5).permutation(1000)
    assert exact(left[:, :, order], right[:, order]).tobytes() == exact(left, right).tobytes()


@pytest.mark.parametrize("inner", [23, BLOCK + 23])
def test_permuting_rows_and_columns_permutes_the_product(inner: int) -> None:
    left, right = stack(3, 37, inner, seed=6), stack(3, inner, 29, seed=7)
    rows, columns = np.random.default_rng(8).permutation(37), np.random.default_rng(9).permutation(29)
    expected = exact(left, right)[:, rows][:, :, columns]
    assert exact(left[:, rows], right[:, :, columns]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("inner", [23, BLOCK + 23])
def test_a_run_alone_equals_the_run_in_a_stack(inner: int) -> None:
    left, right = stack(5, 17, inner, seed=10), stack(5, inner, 29, seed=11)
    stacked, shared = exact(left, right), exact(left, right[0])
    for run in range(5):
        one = slice(run, run + 1)
        assert exact(left[one], right[one]).tobytes() == stacked[one].tobytes()
        assert exact(left[one], right[0]).tobytes() == shared[one].tobytes()


@pytest.mark.parametrize("inner", [23, BLOCK + 23])
def test_a_shared_operand_equals_one_copy_for_each_run(inner: int) -> None:
    left, right = stack(5, 17, inner, seed=12), stack(1, inner, 29, seed=13)[0]
    copies = np.repeat(right[None], 5, axis=0)
    assert exact(left, right).tobytes() == exact(left, copies).tobytes()


def test_memory_layout_changes_no_bit() -> None:
    left, right = stack(3, 37, 23, seed=14), stack(3, 23, 29, seed=15)
    transposed = np.ascontiguousarray(left.swapaxes(1, 2)).swapaxes(1, 2)
    operand = rounded_to_grid(transposed)
    assert operand.flags.c_contiguous
    assert exact_product(operand, rounded_to_grid(right)).tobytes() == exact(left, right).tobytes()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("shared", [False, True])
def test_a_diverged_run_changes_no_bit_of_the_others(poison: float, shared: bool) -> None:
    left, right = stack(3, 17, 23, seed=16), stack(3, 23, 29, seed=17)
    right = right[0] if shared else right
    expected = exact(left, right)
    left[1, 5, 7] = poison
    with np.errstate(all="ignore"):  # as in training: overflow and NaN are results there
        product = exact(left, right)
    assert product[[0, 2]].tobytes() == expected[[0, 2]].tobytes()
    assert not np.isfinite(product[1]).all()


def test_blas_arithmetic_is_the_plain_product() -> None:
    arithmetic = ARITHMETICS["blas"]
    left, right = stack(2, 5, 7, seed=18), stack(2, 7, 3, seed=19)
    product = arithmetic.product(arithmetic.operand(left), arithmetic.operand(right))
    assert product.tobytes() == (left @ right).tobytes()


TRAINING = """
import hashlib, json
import numpy as np, threadpoolctl
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.losses import LOSSES, targets_of
from pipeline.nn.problem import Problem, prepared_part
from pipeline.nn.network import Architecture
from pipeline.nn.optimizers import Optimizer
from pipeline.training.loop import RunGenerators, train

generator, architecture = np.random.default_rng(0), Architecture((65, 37, 10), "tanh", True)
inputs, labels = generator.standard_normal((500, 65)), generator.integers(10, size=500)
arithmetic = ARITHMETICS["exact"]
part = prepared_part(inputs, targets_of(labels, 10).T, labels, architecture, arithmetic)
loss = LOSSES["cross_entropy"](10, arithmetic.functions)
problem = Problem(architecture, arithmetic, loss, 0.0, 50, None, (50,), part, part)
parameters = 0.1 * generator.standard_normal((2, architecture.parameter_count))
column = np.ones((2, 1))
gd = Optimizer("gd", parameters, {"learning_rate": column}, 0 * column, architecture.weight_mask)
*_, last = train(problem, parameters, gd, [RunGenerators.from_seed(seed) for seed in range(2)])
blas = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
found = {key: sorted({library.get(key) for library in blas}) for key in ("internal_api", "architecture", "num_threads")}
print(json.dumps(found | {"digest": hashlib.sha256(last.parameters.tobytes()).hexdigest()}))
"""


def trained(**environment: str) -> dict[str, Any]:
    """Digest of the weights that a fresh process trains, since OpenBLAS reads its variables only once, and its BLAS.

    With the plain product every environment tried below gives another digest.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    variables = inherited | {"PYTHONPATH": str(ROOT)} | environment
    process = subprocess.run([sys.executable, "-c", TRAINING], env=variables, capture_output=True, text=True)
    if process.returncode == -signal.SIGILL:
        pytest.skip(f"this processor lacks the instructions that {environment} asks for")
    assert process.returncode == 0, process.stderr
    training: dict[str, Any] = json.loads(process.stdout)
    if training["internal_api"] != ["openblas"]:
        pytest.skip(f"needs OpenBLAS, but the BLAS in use is {training['internal_api']}")
    return training


@pytest.fixture(scope="module")
def one_thread() -> dict[str, Any]:
    return trained(OPENBLAS_NUM_THREADS="1")


def test_the_number_of_threads_changes_no_bit(one_thread: dict[str, Any]) -> None:
    two_threads = trained(OPENBLAS_NUM_THREADS="2")
    if two_threads["num_threads"] != [2]:
        pytest.skip("OpenBLAS gets only one thread on this machine")
    assert two_threads["digest"] == one_thread["digest"]


@pytest.mark.parametrize("core_type", ["Nehalem", "Sandybridge", "Haswell", "SkylakeX"])
def test_the_kernels_of_another_processor_change_no_bit(core_type: str, one_thread: dict[str, Any]) -> None:
    other = trained(OPENBLAS_NUM_THREADS="1", OPENBLAS_CORETYPE=core_type)
    if other["architecture"] != [core_type]:
        pytest.skip(f"this OpenBLAS has no kernels for {core_type}")
    assert other["digest"] == one_thread["digest"]
