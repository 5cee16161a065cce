"""Sums against exact rational ones, and their order, which is that of a loop written out."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.nn.arithmetic import Array
from pipeline.numerics.sums import mean, total

LENGTHS = (1, 2, 3, 7, 8, 127, 128, 129, 255, 1000, 20_011)


def numbers(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).standard_normal(shape)


def by_hand(values: list[float]) -> float:
    while len(values) > 1:
        half = len(values) // 2
        pairs = [one + other for one, other in zip(values[:half], values[half:], strict=False)]
        if len(values) % 2:
            pairs[0] += values[-1]
        values = pairs
    return values[0]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_order_is_that_of_the_description_in_every_layout_and_with_every_buffer(length: int) -> None:
    values = numbers((3, 2, length))
    expected = np.array([[by_hand(row.tolist()) for row in rows] for rows in values])
    for buffer in (256, 8192):
        with np.errstate():  # also puts the buffer's size back
            np.setbufsize(buffer)
            for axis in range(3):
                moved = np.moveaxis(values, -1, axis)
                for layout in (moved, np.ascontiguousarray(moved), np.asfortranarray(moved)):
                    np.testing.assert_array_equal(total(layout, axis), expected)
                    np.testing.assert_array_equal(mean(layout, axis), expected / length)
                    kept = total(layout, axis, keepdims=True)
                    np.testing.assert_array_equal(kept, np.expand_dims(expected, axis))


@pytest.mark.parametrize("length", LENGTHS)
def test_the_error_grows_with_the_logarithm_of_the_length_only(length: int) -> None:
    values = numbers((length,))
    exact = sum(map(Fraction, values.tolist()), Fraction())
    # Every level of the tree and the odd element beside it round once each (Higham 2002, section 4.2).
    roundings = 2 * np.ceil(np.log2(length)) * 2.0**-53
    assert abs(Fraction(float(total(values))) - exact) <= Fraction(roundings * np.abs(values).sum())


def test_a_sum_is_no_view_of_what_is_summed_and_nothing_adds_up_to_zero() -> None:
    values = numbers((4, 1))
    sums = total(values)
    sums += 1.0
    np.testing.assert_array_equal(values, numbers((4, 1)))
    np.testing.assert_array_equal(total(np.zeros((3, 0))), np.zeros(3))
