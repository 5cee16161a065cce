"""Online learning: fresh examples in every step, labelled by a teacher."""

from itertools import islice

import numpy as np
import pytest
from scipy.special import erf

from pipeline import names
from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.nn.arithmetic import Array
from pipeline.nn.teacher import fresh_rows
from pipeline.numerics.draws import Draws
from pipeline.training.datasets import dataset_of
from pipeline.training.stack import architecture_of, shared_problem, train_stack
from tests.support.configurations import configuration

INPUTS = 20
ONLINE = {
    "data": "teacher", "data.limit": None, "data.test_fraction": 0.0, "data.inputs": INPUTS, "data.examples": 50,
    "init": "soft_committee", "model.hidden_units": [2], "model.activation": "erf", "model.bias": False,
    "optimizer.learning_rate": 0.05, "optimizer.rate_factors": [1.0, 0.0], "training.loss": "squared_error",
    "training.batch_size": 1, "training.l2": 0.0, "training.steps": 1500, "training.measure_at": 10,
    "measures": ["overlaps"],
}  # fmt: skip


def online(**changes: object) -> Config:
    return configuration(ONLINE | changes)


def rows_of(config: Config, seeds: tuple[int, ...], steps: int, examples: int) -> list[Array]:
    dataset = dataset_of(config.data)
    problem = shared_problem(config, dataset, architecture_of(config, dataset))
    streams = [Draws(np.random.SeedSequence(seed)) for seed in seeds]
    return list(islice(fresh_rows(problem, streams, examples), steps))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("arithmetic", ["exact", "blas"])
def test_every_step_has_fresh_examples_with_the_teachers_labels(arithmetic: str, bias: bool) -> None:
    config = online(arithmetic=arithmetic, **{"model.bias": bias})
    rows = np.stack(rows_of(config, (0, 1), steps=900, examples=3))  # more than are drawn at once
    inputs, ones, targets = rows[..., :INPUTS], rows[..., INPUTS:-1], rows[..., -1]
    assert ones.shape[-1] == int(bias)
    assert (ones == 1.0).all()
    assert len(np.unique(inputs[..., 0].ravel())) > 0.99 * 900 * 2 * 3  # on a grid of 21 bits some may meet
    assert abs(inputs.var() - 1.0) < 5.0 * np.sqrt(2.0 / inputs.size)
    teacher = dataset_of(config.data).teacher
    assert teacher is not None
    expected = erf(inputs @ teacher.T / np.sqrt(2.0)).sum(axis=-1)
    # Operands of 21 bits: 20 terms each off by 2**-22 of 1 times a number below 6.
    np.testing.assert_allclose(targets, expected, rtol=0.0, atol=1e-5 if arithmetic == "exact" else 1e-12)


@pytest.mark.parametrize("changes", [
    {}, {"training.batch_size": 7}, {"training.batch_size": None, "training.steps": 50}, {"optimizer": "adam"},
    {"model.bias": True, "model.activation": "relu"},
], ids=str)  # fmt: skip
def test_a_run_has_the_same_bits_alone_and_in_a_stack(changes: dict[str, object]) -> None:
    short = {"training.steps": 300, **changes}
    configs = [
        online(seed=seed, **short, **{"init.epsilon": epsilon}) for seed, epsilon in ((0, 0.1), (0, 0.0), (1, 0.1))
    ]
    for config, in_stack in zip(configs, train_stack(configs), strict=True):
        (alone,) = train_stack([config])
        np.testing.assert_array_equal(alone.final, in_stack.final)
        assert alone.curves == in_stack.curves


def test_equal_units_stay_equal_others_find_their_own_and_the_votes_stay_1() -> None:
    equal, different = train_stack(
        [online(**{"init.epsilon": epsilon, "data.directions": "axes"}) for epsilon in (0.0, 0.1)]
    )
    assert {value for _, value in equal.curves[names.symmetry("distance_max")]} == {0.0}
    assert equal.last[names.GENERALIZATION_ERROR] > 0.01 > different.last[names.GENERALIZATION_ERROR]
    for result in (equal, different):
        np.testing.assert_array_equal(result.architecture.weights(result.final[None])[1], 1.0)


def test_overlaps_are_inner_products_and_give_the_generalisation_error() -> None:
    config = online(**{"data.units": 3})
    (result,) = train_stack([config])
    teacher = dataset_of(config.data).teacher
    assert teacher is not None
    student = result.architecture.weights(result.final[None])[0][0].T
    for one in range(2):
        for other in range(3):
            key = names.overlap(f"student{one + 1}", f"teacher{other + 1}")
            assert result.last[key] == pytest.approx(student[one] @ teacher[other], abs=1e-14)
    assert result.last["overlap/student1_student2"] == pytest.approx(student[0] @ student[1], rel=1e-13)
    assert result.last["overlap/teacher2_teacher2"] == pytest.approx(1.0, rel=1e-14)
    inputs = np.random.default_rng(0).standard_normal((200_000, INPUTS))
    outputs, targets = (erf(inputs @ units.T / np.sqrt(2.0)).sum(axis=1) for units in (student, teacher))
    losses = 0.5 * (outputs - targets) ** 2
    error = losses.std() / np.sqrt(len(losses))
    assert result.last[names.GENERALIZATION_ERROR] == pytest.approx(losses.mean(), abs=4.0 * error)


@pytest.mark.parametrize(("changes", "message"), [
    ({"training.loss": "cross_entropy"}, r"training.loss: expected squared_error \(or null\) with data=teacher, got"),
    ({"measures": ["frequency_gap"]}, "measures: expected none of classes with data=teacher, got frequency_gap"),
])  # fmt: skip
def test_what_classes_alone_have_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        online(**changes)
