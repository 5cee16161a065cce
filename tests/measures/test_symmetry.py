"""Measures of symmetry against loops that follow their definitions."""

from itertools import combinations

import numpy as np
import pytest

from pipeline.measures.symmetry import distinct_units, layer_measures, pairwise_distances, spread
from pipeline.nn.arithmetic import Array

GENERATOR_SEED = 0
# A sum of at most 10 squares and its root: each of a dozen roundings moves a result by 2**-53 of itself.
ROUNDING = 1e-14


def normal(*shape: int) -> Array:
    return np.random.default_rng(GENERATOR_SEED).standard_normal(shape)


def naive_distances(units: Array) -> list[float]:
    return [float(np.sqrt(((one - other) ** 2).sum())) for one, other in combinations(units, 2)]


def test_pairwise_distances_equal_a_loop_over_all_pairs() -> None:
    vectors = normal(4, 6, 10)
    distances = pairwise_distances(vectors)
    assert distances.shape == (4, 15)
    for run in range(4):
        np.testing.assert_allclose(distances[run], naive_distances(vectors[run]), rtol=ROUNDING)


def test_nearly_coincident_units_keep_their_distance_where_the_gram_form_loses_it() -> None:
    unit = normal(64)
    direction = np.eye(64)[0]
    for run_of_pairs in (np.stack([unit, unit + 8e-9 * direction]), np.stack([unit + 8e-9 * direction, unit])):
        (distance,) = pairwise_distances(run_of_pairs[None])[0]
        # Adding 8e-9 to a number near 1 rounds it to a multiple of 2**-53 = 1.1e-16: 1e-8 relative, far below 1e-3.
        assert distance == pytest.approx(8e-9, rel=1e-3)
        gram = run_of_pairs @ run_of_pairs.T
        squared = gram[0, 0] + gram[1, 1] - 2.0 * gram[0, 1]
        assert abs(np.sqrt(abs(squared)) / 8e-9 - 1.0) > 0.1
    assert pairwise_distances(np.stack([unit, unit])[None]).item() == 0.0


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_distances_of_tiny_and_huge_weights(scale: float) -> None:
    vectors = normal(2, 4, 5)
    np.testing.assert_allclose(pairwise_distances(scale * vectors), scale * pairwise_distances(vectors), rtol=ROUNDING)


def test_spread_equals_a_loop_over_pairs_of_units_and_examples() -> None:
    values = normal(3, 5, 7)
    for run in range(3):
        naive = max(
            abs(values[run, one, example] - values[run, other, example])
            for one, other in combinations(range(5), 2)
            for example in range(7)
        )
        assert spread(values)[run] == naive
    equal_units = np.repeat(normal(3, 1, 7), 5, axis=1)
    assert spread(equal_units).tolist() == [0.0, 0.0, 0.0]
    equal_units[1, 4, 6] = np.nextafter(equal_units[1, 4, 6], np.inf)
    assert (spread(equal_units) > 0.0).tolist() == [False, True, False]
    assert spread(normal(2, 1, 7)).tolist() == [0.0, 0.0]


def test_distinct_units_counts_bit_patterns_with_one_zero() -> None:
    copies = normal(1, 3, 4)[:, [0, 1, 2, 0, 1, 0]]
    assert distinct_units(copies).tolist() == [3.0]
    one_place_off = copies.copy()
    one_place_off[0, 5, 3] = np.nextafter(one_place_off[0, 5, 3], np.inf)
    assert distinct_units(one_place_off).tolist() == [4.0]
    zeros = np.array([[[0.0, 1.0], [-0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]])
    assert distinct_units(zeros).tolist() == [1.0, 2.0]
    assert np.signbit(zeros[0, 1, 0])  # the caller's array is left alone
    # A transposed view is compared by its values, not by the memory behind it.
    assert distinct_units(np.ascontiguousarray(copies.swapaxes(1, 2)).swapaxes(1, 2)).tolist() == [3.0]


def test_nan_in_one_run_shows_there_and_nowhere_else() -> None:
    weights, outgoing = normal(3, 4, 5), normal(3, 5, 2)
    expected = layer_measures(weights, outgoing, None)
    weights[1, 2, 3] = np.nan
    measures = layer_measures(weights, outgoing, None)
    for name, values in measures.items():
        assert values[[0, 2]].tobytes() == expected[name][[0, 2]].tobytes()
        # The outgoing weights of that run are still numbers.
        assert np.isnan(values[1]) == (name != "outgoing_distance")
    activations = normal(2, 3, 4)
    activations[0, 1, 2] = np.nan
    assert np.isnan(spread(activations)).tolist() == [True, False]
    assert np.isnan(distinct_units(activations)).tolist() == [True, False]


@pytest.mark.parametrize("with_biases", [False, True])
def test_layer_measures_equal_their_definitions(with_biases: bool) -> None:
    incoming, outgoing, biases = normal(3, 4, 6), normal(3, 6, 2), normal(3, 6)
    # Units 0 and 1 share the weights on both sides; only in run 2 they share the bias too.
    incoming[:, :, 1], outgoing[:, 1], biases[2, 1] = incoming[:, :, 0], outgoing[:, 0], biases[2, 0]
    measures = layer_measures(incoming, outgoing, biases if with_biases else None)
    for run in range(3):
        columns = [incoming[run][:, unit] for unit in range(6)]
        distances = naive_distances(np.array(columns))
        norms = [np.linalg.norm(column) for column in columns]
        expected = {
            "distance": np.mean(distances),
            "distance_min": 0.0,
            "distance_max": max(distances),
            "relative_distance": np.mean(distances) / np.mean(norms),
            "outgoing_distance": np.mean(naive_distances(outgoing[run])),
            "distinct_units": 6.0 if with_biases and run != 2 else 5.0,
        }
        assert set(measures) == set(expected)
        for name, value in expected.items():
            assert measures[name].shape == (3,)
            assert measures[name][run] == pytest.approx(value, rel=ROUNDING, abs=0.0)


def test_units_that_differ_only_in_outgoing_weights_are_distinct() -> None:
    incoming, outgoing = np.ones((1, 4, 3)), np.ones((1, 3, 2))
    assert layer_measures(incoming, outgoing, None)["distinct_units"].tolist() == [1.0]
    outgoing[0, 2, 1] = 2.0
    assert layer_measures(incoming, outgoing, None)["distinct_units"].tolist() == [2.0]


def test_all_zero_weights_have_relative_distance_zero() -> None:
    incoming = np.stack([np.zeros((4, 3)), normal(4, 3)])
    relative = layer_measures(incoming, np.zeros((2, 3, 2)), None)["relative_distance"]
    assert relative[0] == 0.0
    assert relative[1] > 0.0


def test_a_single_unit_has_no_pairs() -> None:
    measures = layer_measures(normal(2, 4, 1), normal(2, 1, 3), normal(2, 1))
    assert {name: values.tolist() for name, values in measures.items()} == {"distinct_units": [1.0, 1.0]}
