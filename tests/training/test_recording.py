"""Recordings: the weights at every measured step, and what the recorded example does to them."""

import numpy as np
import pytest

from pipeline.tracking.records import named_weights
from pipeline.training.datasets import dataset_of
from pipeline.training.fingerprint import fingerprint
from pipeline.training.footprint import recorded_bytes, shape_of
from pipeline.training.stack import stack_key, train_stack
from tests.support.configurations import configuration

SHORT = {"data": "iris", "training.steps": 12, "training.measure_at": 5, "record_weights": [0]}
MODELS = [
    {"model": "logistic"},
    {"model.hidden_units": [3]},
    {"model.hidden_units": [4, 3], "model.activation": "sigmoid", "training.loss": "squared_error"},
    {"model.hidden_units": [2], "model.bias": False, "arithmetic": "blas", "dtype": "float32"},
    {"model.hidden_units": [3], "data": "moons"},
]  # fmt: skip


@pytest.mark.parametrize("changes", MODELS, ids=str)
def test_a_recording_begins_and_ends_with_the_tracked_weights_at_the_measured_steps(changes: dict[str, object]) -> None:
    config = configuration(SHORT | changes)
    (result,) = train_stack([config])
    assert result.recording is not None
    arrays, ends = result.recording.arrays(result.architecture), named_weights(result)
    assert arrays["steps"].tolist() == [step for step, _ in result.curves["loss/train"]]
    for end, place in (("initial", 0), ("final", -1)):
        for name in (name for name in arrays if name.startswith(("weights", "biases"))):
            np.testing.assert_array_equal(arrays[name][place], ends[f"{end}_{name}"])
    kept = sum(array.nbytes for array in arrays.values())
    assert recorded_bytes(config, shape_of(dataset_of(config.data))) == pytest.approx(kept, rel=0.2)


@pytest.mark.parametrize("changes", MODELS[1:], ids=str)
def test_the_recorded_deltas_are_the_derivatives_of_the_recorded_example(changes: dict[str, object]) -> None:
    """The delta of a unit is the derivative of the loss by its bias; here of a sum of recorded numbers, by hand."""
    (result,) = train_stack([configuration(SHORT | changes)])
    assert result.recording is not None
    arrays = result.recording.arrays(result.architecture)
    layers = len(result.architecture.layers)
    below = np.repeat(arrays["example_inputs"][None], len(arrays["steps"]), 0)
    for layer in range(1, layers + 1):
        sums = np.einsum("ti,tij->tj", below, arrays[f"weights{layer}"]) + arrays.get(f"biases{layer}", 0.0)
        g = np.tanh if result.architecture.activation == "tanh" else lambda z: 1 / (1 + np.exp(-z))
        found = arrays[f"example_activations{layer}"] if layer < layers else arrays["example_outputs"]
        np.testing.assert_allclose(found, g(sums) if layer < layers else sums, atol=1e-5)
        below = found
    for layer in range(layers - 1, 0, -1):
        x = arrays[f"example_activations{layer}"]
        slope = 1 - x**2 if result.architecture.activation == "tanh" else x * (1 - x)
        above = np.einsum("tj,tij->ti", arrays[f"example_deltas{layer + 1}"], arrays[f"weights{layer + 1}"])
        np.testing.assert_allclose(arrays[f"example_deltas{layer}"], above * slope, atol=1e-5)
    assert np.abs(arrays[f"example_deltas{layers}"]).max() > 0.01


def test_recording_changes_no_bit_alone_or_in_a_stack_with_others_that_are_not_recorded() -> None:
    recorded = [configuration(SHORT | {"seed": seed}) for seed in (0, 1)]
    plain = [configuration(SHORT | {"seed": seed, "record_weights": []}) for seed in (0, 1)]
    assert len({stack_key(config) for config in (*recorded, *plain)}) == 1
    first, second = train_stack(recorded)
    alone, without = train_stack(recorded[:1])[0], train_stack(plain)
    assert second.recording is None
    assert [result.curves for result in (first, second)] == [result.curves for result in without]
    assert first.recording is not None
    assert alone.recording is not None
    for name, array in alone.recording.arrays(alone.architecture).items():
        np.testing.assert_array_equal(array, first.recording.arrays(first.architecture)[name])


def test_runs_are_known_again_whatever_other_seeds_are_recorded() -> None:
    def known_as(recorded: list[int]) -> str:
        return fingerprint(configuration(SHORT | {"record_weights": recorded}))

    assert known_as([]) == known_as([7]) != known_as([0]) == known_as([0, 7])


def test_a_run_that_diverges_is_recorded_until_then() -> None:
    (result,) = train_stack(
        [
            configuration(
                SHORT | {"optimizer.learning_rate": 1e300, "model.activation": "relu", "training.loss": "squared_error"}
            )
        ]
    )
    assert result.recording is not None
    assert result.diverged_at is not None
    assert result.recording.steps[-1] == result.diverged_at
