"""Label noise: what it does to targets, its draws, its key, and that runs without it are what they were."""

import json
from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.config.parse import parse_config
from pipeline.errors import InputError
from pipeline.nn.label_noise import label_noise
from pipeline.nn.losses import targets_of
from pipeline.numerics.draws import Draws
from pipeline.training.datasets import dataset_of
from pipeline.training.fingerprint import fingerprint
from pipeline.training.loop import RunGenerators
from pipeline.training.stack import stack_key, train_stack
from tests.support.configurations import composed, configuration

SHORT = {"data": "iris", "training.steps": 12, "training.measure_at": 4, "training.batch_size": 32,
         "model.hidden_units": [4]}  # fmt: skip
BEFORE = [
    ({}, "48d3f485e5fc6a383dc875e4ef726179"),
    ({"data": "moons", "seed": 3}, "1777004e648b78b8dd0313e555b1bc20"),
    ({"data": "whitened"}, "7792b0971dc5a5344bc5c58e31c4601e"),
    ({"model": "logistic", "data": "iris"}, "e8ea164a40602c150bc40d4ca1b9c7a7"),
]
"""Fingerprints of runs that were tracked before there was label noise."""


def streams(count: int, first: int = 0) -> list[Draws]:
    return [RunGenerators.from_seed(first + seed).labels for seed in range(count)]


@pytest.mark.parametrize(("changes", "expected"), BEFORE, ids=str)
def test_runs_without_noise_keep_fingerprint_and_params(changes: Mapping[str, object], expected: str) -> None:
    for config in (configuration(changes), configuration({**changes, "data.label_noise": 0.0})):
        assert fingerprint(config) == expected
        assert not [key for key in config.flattened() if "label_noise" in key]
        # Nor does a tracked configuration hold the key; it is read all the same.
        assert parse_config(config.composed()) == config
        assert "label_noise" not in config.composed()["data"]


@pytest.mark.parametrize("data", ["digits", "csv"])
def test_noise_counts_in_the_fingerprint_and_is_a_param(data: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = tmp_path_factory.mktemp("data") / "table.csv"
    table.write_text("x,kind\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(12)), encoding="utf-8")
    base: dict[str, object] = {"data": data} | (
        {"data.path": str(table), "data.target": "kind"} if data == "csv" else {}
    )
    plain, *noisy = (configuration(base | {"data.label_noise": noise}) for noise in (0.0, 0.1, 0.2))
    assert len({fingerprint(config) for config in (plain, *noisy)}) == 3
    assert len({stack_key(config) for config in (plain, *noisy)}) == 3
    assert [config.flattened()["data.label_noise"] for config in noisy] == [0.1, 0.2]
    assert parse_config(json.loads(json.dumps(noisy[0].composed()))) == noisy[0]
    # The examples are the same ones, and kept once.
    assert dataset_of(plain.data) is dataset_of(noisy[0].data)


@pytest.mark.parametrize(
    "changes",
    [
        {"data.label_noise": 0.3},
        {"data.label_noise": 0.3, "training.batch_size": None},
        {"data.label_noise": 0.3, "data": "moons"},
        {"data.label_noise": 2.0, "training.loss": "squared_error"},
        {"data.label_noise": 2.0, "training.loss": "squared_error", "data": "coin", "training.batch_size": None},
        {"data.label_noise": 0.5, "arithmetic": "blas", "dtype": "float32", "training.loss": "squared_error"},
    ],
    ids=str,
)
def test_noise_has_the_same_bits_alone_and_in_a_stack_and_shifts_no_other_draw(changes: dict[str, object]) -> None:
    stack = [configuration(SHORT | changes | {"seed": seed}) for seed in (0, 1, 2)]
    together = train_stack(stack)
    for config, in_stack in zip(stack, together, strict=True):
        (alone,) = train_stack([config])
        np.testing.assert_array_equal(alone.final, in_stack.final)
        assert alone.curves == in_stack.curves
    (without,) = train_stack([configuration(SHORT | changes | {"data.label_noise": 0.0})])
    np.testing.assert_array_equal(without.initial, together[0].initial)
    assert not np.array_equal(without.final, together[0].final)
    # Before the first step nothing was disturbed, and losses know the true labels.
    assert {key: curve[0] for key, curve in without.curves.items()} == {
        key: curve[0] for key, curve in together[0].curves.items()
    }


def test_normal_noise_has_its_deviation_and_each_run_its_own() -> None:
    noise = label_noise("squared_error", 0.7)
    assert noise is not None
    targets, runs = np.linspace(-1.0, 1.0, 4000).reshape(2, 2000), streams(3)
    first, second = noise(targets, runs) - targets, noise(targets, runs) - targets
    assert first.shape == (3, 2, 2000)
    # 4000 draws: standard errors of 0.7 / sqrt(4000) and 0.7 / sqrt(8000); five of them are never seen.
    np.testing.assert_allclose(first.mean(axis=(1, 2)), 0.0, atol=0.056)
    np.testing.assert_allclose(first.std(axis=(1, 2)), 0.7, atol=0.04)
    for one, other in ((first, second), (first[:1], first[1:2]), (first[:, :1], first[:, 1:])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.12


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("probability", [1e-300, 0.3, 1.0])
def test_labels_are_replaced_by_all_classes_alike(classes: int, probability: float) -> None:
    noise = label_noise("cross_entropy", probability)
    assert noise is not None
    examples = 6000
    noisy = noise(targets_of(np.zeros(examples, int), classes), streams(1))[0]
    labels = noisy[0] if classes == 2 else noisy.argmax(axis=0)
    if classes > 2:
        assert set(np.unique(noisy)) <= {0.0, 1.0}
        assert (noisy.sum(axis=0) == 1.0).all()
    expected = np.full(classes, probability / classes)
    expected[0] += 1.0 - probability
    frequencies = np.bincount(labels.astype(int), minlength=classes) / examples
    # Five standard errors of a frequency of 1/2.
    np.testing.assert_allclose(frequencies, expected, atol=2.5 / np.sqrt(examples))


def test_no_noise_costs_nothing() -> None:
    assert label_noise("squared_error", 0.0) is label_noise("cross_entropy", 0.0) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.label_noise": -0.1}, "data.label_noise: expected a number >= 0, got -0.1"),
        ({"data.label_noise": "much"}, "data.label_noise: expected a number >= 0, got 'much'"),
        ({"data.label_noise": 1.5}, "data.label_noise: expected at most 1 with the cross-entropy, the probability that"
         " a label is replaced (or training.loss=squared_error: a standard deviation), got 1.5"),
        ({"data.label_noise": 2, "model": "logistic"}, "data.label_noise: expected at most 1"),
    ],
)  # fmt: skip
def test_a_wrong_amount_is_refused_in_one_line(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_config(composed(changes))
    assert str(caught.value).startswith(words)
    assert len(str(caught.value).splitlines()) == 1


def test_a_share_that_gives_one_label_only_is_refused() -> None:
    for share in (0.0, 0.04, 0.96):
        with pytest.raises(InputError, match=r"data\.share: expected one that is 1 to 9 of 10 examples, got 0"):
            dataset_of(configuration({"data": "coin", "data.share": share}).data)
    for share, ones in ((0.1, 1), (0.5, 5), (0.9, 9)):
        dataset = dataset_of(configuration({"data": "coin", "data.share": share}).data)
        assert dataset.train_labels.sum() == ones
        assert (dataset.train_inputs == 1.0).all()
