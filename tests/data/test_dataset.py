"""The data set that runs share: digest, split, standardisation, and the errors of each."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.data.dataset import Dataset, load_dataset
from pipeline.data.sources import SOURCES, Examples
from pipeline.errors import InputError
from pipeline.numerics.draws import Draws

CONF = Path(__file__).parents[2] / "conf" / "data"
COMMON = ("test_fraction", "seed", "standardize", "limit")


def dataset(name: str, **changes: Any) -> Dataset:
    """The option with the defaults of its YAML file, with ``changes``."""
    keys = yaml.safe_load((CONF / f"{name}.yaml").read_text()) | changes
    assert keys.pop("name") == name
    return load_dataset(name, keys, **{key: keys.pop(key) for key in COMMON})


def given_examples(monkeypatch: pytest.MonkeyPatch, inputs: object, labels: object) -> None:
    """Makes ``SOURCES["given"]`` return these examples; it has no keys."""
    array = np.array(inputs, dtype=np.float64)
    examples = Examples(array, np.array(labels), tuple(f"x{i}" for i in range(array.shape[1])))
    monkeypatch.setitem(SOURCES, "given", lambda generator: examples)


def load_given(**changes: Any) -> Dataset:
    common: dict[str, Any] = {"test_fraction": 0.5, "seed": 0, "standardize": False, "limit": None}
    return load_dataset("given", {}, **common | changes)


def test_the_digest_is_the_same_in_another_process() -> None:
    """Hash randomisation and import order must not reach it: it names the data in stored results."""
    script = "from tests.data.test_dataset import dataset; print(dataset('wine').digest, dataset('xor').digest)"
    root = Path(__file__).parents[2]
    printed = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == [dataset("wine").digest, dataset("xor").digest]


def test_the_digest_sees_inputs_labels_split_and_class_names(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, labels = np.arange(16.0).reshape(8, 2), list("aabbaabb")
    variants: list[tuple[object, object, Mapping[str, object]]] = [
        (inputs, labels, {}),
        (inputs, labels, {"seed": 1}),
        (inputs, labels, {"test_fraction": 0}),
        (inputs, labels, {"test_fraction": 0.25}),
        (inputs, labels, {"standardize": True}),
        (inputs, list("aabbaacc"), {}),
        (inputs, list("aaccaacc"), {}),
        (inputs, list("ababaabb"), {"test_fraction": 0}),
        (inputs.reshape(8, 2)[:, ::-1], labels, {}),
        (np.nextafter(inputs, 99), labels, {}),
    ]
    digests = set()
    for variant_inputs, variant_labels, changes in variants:
        given_examples(monkeypatch, variant_inputs, variant_labels)
        digests.add(load_given(**changes).digest)
    assert len(digests) == len(variants)


def test_the_split_keeps_the_proportions_of_the_classes() -> None:
    data = dataset("breast_cancer", test_fraction=0.3)
    train, test = np.bincount(data.train_labels), np.bincount(data.test_labels)
    # Stratification is exact up to the rounding of one example in each class and part.
    assert np.abs(test - 0.3 * (train + test)).max() <= 1


def test_the_split_does_not_depend_on_how_much_the_source_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = []
    for draws in (0, 5):

        def source(generator: Draws, draws: int = draws) -> Examples:
            generator.normal((draws,))
            return Examples(np.arange(40.0)[:, None], np.arange(40) % 2, ("x",))

        monkeypatch.setitem(SOURCES, "given", source)
        splits.append(load_given().train_inputs.tobytes())
    assert splits[0] == splits[1]


def test_the_split_moves_examples_with_their_labels() -> None:
    data = dataset("xor", noise=0.0)
    np.testing.assert_array_equal(data.train_inputs.prod(axis=1), 2 * data.train_labels - 1)
    np.testing.assert_array_equal(data.test_inputs.prod(axis=1), 2 * data.test_labels - 1)


def test_without_a_test_part_every_example_is_trained_in_the_order_of_the_source() -> None:
    data = dataset("digits", test_fraction=0)
    assert data.test_inputs.shape == (0, 64)
    assert data.test_labels.shape == (0,)
    assert data.train_labels[:10].tolist() == list(range(10))
    assert len(data.train_labels) == 1797


def test_limit_keeps_the_first_examples_of_the_same_draw() -> None:
    for name in ("digits", "moons", "spirals"):
        everything, some = dataset(name, test_fraction=0), dataset(name, test_fraction=0, limit=50)
        np.testing.assert_array_equal(some.train_inputs, everything.train_inputs[:50])
    assert dataset("iris", limit=150).digest == dataset("iris").digest


def test_labels_follow_the_sorted_order_of_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    given_examples(monkeypatch, np.zeros((4, 1)), [10, 9, 10, -1])
    data = load_given(test_fraction=0)
    assert data.classes == ("-1", "9", "10")
    assert data.train_labels.tolist() == [2, 1, 2, 0]


def test_standardisation_is_fitted_on_the_training_part_alone() -> None:
    raw, data = dataset("wine", standardize=False), dataset("wine", standardize=True)
    # Sums of 142 numbers of size 1: rounding stays far below 1e-12.
    np.testing.assert_allclose(data.train_inputs.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train_inputs.std(axis=0), 1, atol=1e-12)
    assert np.abs(data.test_inputs.mean(axis=0)).min() > 1e-3
    expected = (raw.test_inputs - raw.train_inputs.mean(axis=0)) / raw.train_inputs.std(axis=0)
    # NumPy adds the 142 numbers in another order; each order has an error of some units of 2**-53.
    np.testing.assert_allclose(data.test_inputs, expected, rtol=0.0, atol=1e-13)


def test_a_constant_feature_becomes_zero_and_is_not_blown_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of ten times 0.1 is not 1, so the mean is not 0.1; and the square of 1e-200 is 0."""
    inputs = np.column_stack([np.full(10, 0.1), np.arange(10) * 1e-200, np.arange(10)])
    assert 0 < inputs.std(axis=0)[0] < 1e-15
    assert inputs.std(axis=0)[1] == 0
    given_examples(monkeypatch, inputs, np.arange(10) % 2)
    data = load_given(standardize=True, test_fraction=0)
    np.testing.assert_array_equal(data.train_inputs[:, 0], 0)
    assert np.abs(data.train_inputs[:, 1]).max() < 1e-198
    assert data.train_inputs[:, 2].std() == pytest.approx(1)


def test_a_feature_that_is_constant_in_the_training_part_keeps_its_scale_in_the_test_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Divided by the rounding error of the mean instead of 1, the odd example would become about 1e17."""
    inputs = np.column_stack([np.arange(20), np.full(20, 0.1)])
    given_examples(monkeypatch, inputs, np.arange(20) % 2)
    plain = load_given()
    assert 0 < plain.train_inputs.std(axis=0)[1] < 1e-15
    odd = int(plain.test_inputs[0, 0])
    inputs[odd, 1] = 2.1
    given_examples(monkeypatch, inputs, np.arange(20) % 2)
    assert load_given(standardize=True).test_inputs[0, 1] == 2.0


def few(count: int, of: int = 20) -> list[str]:
    return ["rare"] * count + ["often"] * (of - count)


@pytest.mark.parametrize(
    ("labels", "changes", "start", "parts"),
    [
        pytest.param(few(5), {"limit": 21}, "data.limit", ["at most the 20 examples", "got 21"], id="limit too large"),
        pytest.param(
            few(5), {"limit": 5}, "data.limit", ["first 5", "only 'rare'", "raise data.limit"], id="limit cut"
        ),
        pytest.param(few(0), {}, "data.name", ["at least two classes in given", "only 'often'"], id="one class"),
        pytest.param(few(1), {}, "data.test_fraction", ["class 'rare' has 1 of 20"], id="one member"),
        pytest.param(few(5), {"test_fraction": 0.05}, "data.test_fraction", ["a test part", "got 1 of 20"], id="test"),
        pytest.param(few(5), {"test_fraction": 0.01}, "data.test_fraction", ["got 0 of 20"], id="no test part"),
        pytest.param(few(5), {"test_fraction": 0.95}, "data.test_fraction", ["a training part", "got 1"], id="train"),
        pytest.param(few(2), {"test_fraction": 0.9}, "data.test_fraction", ["'rare' has 2 of 20"], id="none to train"),
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, labels: list[str], changes: dict[str, Any], start: str, parts: list[str]
) -> None:
    given_examples(monkeypatch, np.arange(len(labels))[:, None], labels)
    with pytest.raises(InputError) as caught:
        load_given(**changes)
    message = str(caught.value)
    assert message.startswith(f"{start}: expected ")
    assert len(message.splitlines()) == 1
    assert all(part in message for part in parts), message


def test_rows_ordered_by_class_are_explained_when_a_limit_leaves_one_class() -> None:
    with pytest.raises(
        InputError, match=r"^data.limit: .* first 40 examples of iris, got only 'setosa' \(the rows may"
    ):
        dataset("iris", limit=40)


@pytest.mark.parametrize("extreme", [1e300, np.finfo(np.float64).max])
def test_numbers_too_large_to_standardise_are_refused(monkeypatch: pytest.MonkeyPatch, extreme: float) -> None:
    given_examples(monkeypatch, [[0, 0], [1, extreme], [2, -extreme], [3, extreme]], [0, 1, 0, 1])
    with pytest.raises(InputError, match=r"^data.standardize: expected .* in 'x1'$"):
        load_given(standardize=True, test_fraction=0)


def test_an_unknown_source_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^data.name: expected one of digits, .*csv, got mnist$"):
        load_dataset("mnist", {}, test_fraction=0.2, seed=0, standardize=False, limit=None)
