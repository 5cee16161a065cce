"""A learning rate of its own for every layer."""

import numpy as np
import pytest

from pipeline import names
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.training.stack import RunResult, stack_key, train_stack
from tests.support.configurations import configuration

SHORT = {"data.limit": 100, "training.steps": 20, "training.measure_at": 5, "training.batch_size": 25}


def trained(*changes: dict[str, object]) -> list[RunResult]:
    return train_stack([configuration(SHORT | change) for change in changes])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_equal_factors_are_a_larger_learning_rate(optimizer: str) -> None:
    base = {"optimizer": optimizer, "optimizer.weight_decay": 0.1}
    (one,) = trained(base | {"optimizer.learning_rate": 0.02, "optimizer.rate_factors": [2.0, 2.0]})
    (other,) = trained(base | {"optimizer.learning_rate": 0.04})
    np.testing.assert_array_equal(one.final, other.final)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_factor_of_0_freezes_weights_and_biases_of_its_layer_only(optimizer: str) -> None:
    factors = {"optimizer.rate_factors": [1.0, 0.0, 1.0], "model.hidden_units": [6, 5], "optimizer.weight_decay": 0.1}
    (result,) = trained({"optimizer": optimizer} | factors)
    first, second, third = (block[0] for block in result.architecture.blocks((result.final != result.initial)[None]))
    assert first.any()
    assert third.any()
    assert not second.any()


def test_a_step_is_the_rate_times_the_factor_times_the_gradient() -> None:
    base = {"training.steps": 1, "training.l2": 0.0}
    plain, scaled = (trained(base | change)[0] for change in ({}, {"optimizer.rate_factors": [0.5, 4.0]}))
    for factor, one, other in zip(
        (0.5, 4.0),
        plain.architecture.blocks((plain.final - plain.initial)[None]),
        plain.architecture.blocks((scaled.final - scaled.initial)[None]),
        strict=True,
    ):
        # Both differences carry the rounding of weights below 1: 2**-53 each.
        np.testing.assert_allclose(other, factor * one, rtol=0.0, atol=1e-15)


def test_runs_of_a_stack_may_have_factors_of_their_own() -> None:
    changes = [{"optimizer.rate_factors": factors, "seed": seed}
               for seed, factors in enumerate(([1.0, 1.0], [0.5, 3.0], [2.0, 0.0]))]  # fmt: skip
    assert len({stack_key(configuration(SHORT | change)) for change in changes}) == 1
    for change, in_stack in zip(changes, trained(*changes), strict=True):
        (alone,) = trained(change)
        np.testing.assert_array_equal(alone.final, in_stack.final)
        assert alone.curves == in_stack.curves


@pytest.mark.parametrize("units", [2, 8, 32])
def test_a_symmetric_network_is_one_unit_bit_for_bit(units: int) -> None:
    """Theory 2g-iii: H equal units are one with outgoing weights H times as large and the rates eta / H and eta H.

    With H a power of two and no biases every scaling is exact, and so are the products.
    """
    base = {"training.l2": 0.0, "optimizer.learning_rate": 0.5, "model.bias": False, "init.value": 0.125}
    (wide,) = trained(base | {"init": "constant", "model.hidden_units": [units]})
    del base["init.value"]
    (one,) = trained(
        base
        | {
            "init": "constant_layers",
            "init.values": [0.125, 0.125 * units],
            "model.hidden_units": [1],
            "optimizer.rate_factors": [1.0 / units, float(units)],
        }
    )
    assert one.curves[names.LOSS_TRAIN] == wide.curves[names.LOSS_TRAIN]
    assert len({loss for _, loss in one.curves[names.LOSS_TRAIN]}) == len(one.curves[names.LOSS_TRAIN])
    (incoming, _), (every_incoming, _) = (result.architecture.weights(result.final[None]) for result in (one, wide))
    np.testing.assert_array_equal(every_incoming, incoming.repeat(units, axis=2))
