"""The data set that runs share: sources, split, standardisation, and the errors of each."""

import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy.optimize import linprog
from sklearn.utils import check_random_state

from pipeline.data import sources
from pipeline.data.dataset import Dataset, load_dataset
from pipeline.data.sources import SOURCES, Examples
from pipeline.errors import InputError
from pipeline.numerics.draws import Draws

CONF = Path(__file__).parents[2] / "conf" / "data"
COMMON = ("test_fraction", "seed", "standardize", "limit")
SYNTHETIC = ("moons", "circles", "xor", "blobs", "spirals")
BUNDLED = ("digits", "breast_cancer", "iris", "wine")


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


def rows(data: Dataset) -> list[bytes]:
    """All examples as bytes, sorted: what was drawn, whatever part it went to."""
    return sorted(row.tobytes() for row in np.concatenate([data.train_inputs, data.test_inputs]))


def test_every_source_has_a_yaml_file_with_exactly_its_keys() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(SOURCES)
    for name, source in SOURCES.items():
        text = (CONF / f"{name}.yaml").read_text()
        generator, *parameters = inspect.signature(source).parameters.values()
        assert generator.name == "generator"
        assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
        assert list(yaml.safe_load(text)) == ["name", *(p.name for p in parameters), *COMMON]
        assert text.startswith("# ")


@pytest.mark.parametrize("name", SYNTHETIC + BUNDLED)
def test_every_default_loads_with_all_classes_in_both_parts(name: str) -> None:
    data = dataset(name)
    everything = len(data.train_labels) + len(data.test_labels)
    assert len(data.test_labels) == round(0.2 * everything)
    for labels in (data.train_labels, data.test_labels):
        assert set(labels) == set(range(len(data.classes)))
    assert len(data.feature_names) == data.train_inputs.shape[1] == data.test_inputs.shape[1]
    for array in (data.train_inputs, data.train_labels, data.test_inputs, data.test_labels):
        assert array.flags.c_contiguous
        assert not array.flags.writeable
        assert array.dtype == (np.float64 if array.ndim == 2 else np.int64)


@pytest.mark.parametrize("name", SYNTHETIC + BUNDLED)
def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not(name: str) -> None:
    first, again, other = dataset(name, seed=0), dataset(name, seed=0), dataset(name, seed=1)
    assert first.train_inputs.tobytes() == again.train_inputs.tobytes()
    assert first.test_labels.tobytes() == again.test_labels.tobytes()
    assert first.digest == again.digest != other.digest
    raw, raw_other = dataset(name, seed=0, standardize=False), dataset(name, seed=1, standardize=False)
    # A seed moves bundled examples between the parts; it draws synthetic ones anew.
    assert (rows(raw) == rows(raw_other)) == (name in BUNDLED)


def test_nothing_reads_or_moves_the_global_random_state() -> None:
    global_state = check_random_state(None)
    global_state.seed(1)
    first = [dataset(name).digest for name in SYNTHETIC + BUNDLED]
    after_loading = global_state.random_sample()
    global_state.seed(1)
    assert after_loading == global_state.random_sample()
    global_state.seed(2)
    assert first == [dataset(name).digest for name in SYNTHETIC + BUNDLED]


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


def test_digits_lie_on_a_grid_of_sixteenths() -> None:
    inputs = dataset("digits").train_inputs
    assert inputs.min() == 0
    assert inputs.max() == 1
    np.testing.assert_array_equal(inputs * 16, np.rint(inputs * 16))


def test_xor_puts_equally_many_examples_on_every_corner() -> None:
    examples = SOURCES["xor"](Draws(np.random.SeedSequence(0)), examples=42, noise=0.0)
    _, counts = np.unique(examples.inputs, axis=0, return_counts=True)
    assert sorted(counts) == [10, 10, 11, 11]


def test_noise_is_the_standard_deviation_of_a_coordinate() -> None:
    for name in ("xor", "spirals", "blobs"):
        keys = {"examples": 20_000, **({} if name == "xor" else {"classes": 2})}
        noisy, clean = (
            SOURCES[name](Draws(np.random.SeedSequence(3)), noise=noise, **keys).inputs for noise in (0.25, 0.0)
        )
        # Blobs are shuffled alike for equal seeds. 40 000 draws: the standard error is 0.25 / sqrt(80 000) < 0.001.
        assert (noisy - clean).std() == pytest.approx(0.25, abs=0.004)


def separable(inputs: NDArray[np.float64], labels: NDArray[np.int64]) -> bool:
    """Whether some linear classifier gets every example right by a margin (a feasible linear program)."""
    extended, classes = np.column_stack([inputs, np.ones(len(inputs))]), np.unique(labels)
    scores = np.eye(len(classes))[labels]
    margins = [
        np.kron(np.eye(len(classes))[other] - own, row)
        for row, own, label in zip(extended, scores, labels, strict=True)
        for other in classes
        if other != label
    ]
    bounds = -np.ones(len(margins))
    return bool(linprog(np.zeros(len(margins[0])), np.array(margins), bounds, bounds=(None, None)).status == 0)


def test_default_blobs_overlap_so_that_the_logistic_optimum_exists() -> None:
    tight = dataset("blobs", noise=0.1)
    assert separable(tight.train_inputs, tight.train_labels)
    for seed in range(10):
        data = dataset("blobs", seed=seed)
        assert not separable(data.train_inputs, data.train_labels)


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


@pytest.mark.parametrize(("name", "least"), [("moons", 4), ("circles", 4), ("xor", 4), ("blobs", 6), ("spirals", 4)])
def test_synthetic_sources_need_two_examples_of_each_class(name: str, least: int) -> None:
    assert len(dataset(name, examples=least, test_fraction=0).train_labels) == least
    with pytest.raises(InputError, match=rf"^data.examples: expected at least {least}, .* got {least - 1}$"):
        dataset(name, examples=least - 1)


def test_whitened_inputs_know_the_classes_as_well_as_asked() -> None:
    correlations = [1.0, 0.25, 0.0, 0.5]
    data = dataset("whitened", examples=60, classes=5, correlations=correlations, seed=3)
    inputs, targets = data.train_inputs, (data.train_labels[:, None] == np.arange(5)).astype(float)
    # Sums of 60 products of order 1: rounding only.
    np.testing.assert_allclose(inputs.T @ inputs / 60, np.eye(4), atol=1e-14)
    np.testing.assert_allclose(inputs.T @ targets / 60, np.diag([*correlations, 0.0])[:4] / np.sqrt(5), atol=1e-14)
    other = dataset("whitened", examples=60, classes=5, correlations=correlations, seed=4)
    assert (other.train_inputs[:, 1] != inputs[:, 1]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"examples": 62}, "data.examples: expected a multiple of the 4 classes, at least 8, got 62"),
        ({"examples": 4}, "data.examples: expected a multiple of the 4 classes, at least 8, got 4"),
        ({"correlations": [0.1] * 5}, "data.correlations: expected one to 4 numbers, one for a class, got 5"),
        ({"correlations": []}, "data.correlations: expected one to 4 numbers, one for a class, got 0"),
    ],
)
def test_whitened_says_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        dataset("whitened", **changes)


@pytest.mark.parametrize("extreme", [1e300, np.finfo(np.float64).max])
def test_numbers_too_large_to_standardise_are_refused(monkeypatch: pytest.MonkeyPatch, extreme: float) -> None:
    given_examples(monkeypatch, [[0, 0], [1, extreme], [2, -extreme], [3, extreme]], [0, 1, 0, 1])
    with pytest.raises(InputError, match=r"^data.standardize: expected .* in 'x1'$"):
        load_given(standardize=True, test_fraction=0)


def test_an_unknown_source_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^data.name: expected one of digits, .*csv, got mnist$"):
        load_dataset("mnist", {}, test_fraction=0.2, seed=0, standardize=False, limit=None)


def test_files_of_the_user_are_read_from_a_path_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "table.csv").write_text("a,y\n" + "".join(f"{i},{'no' if i % 2 else 'yes'}\n" for i in range(20)))
    data = dataset("csv", path="~/table.csv", target="y")
    assert data.classes == ("no", "yes")
    assert data.feature_names == ("a",)
    assert len(data.train_labels) == 16
    with pytest.raises(InputError, match=r"^data.path: ~nobody-has-this-name/x: expected a user"):
        sources.idx(Draws(np.random.SeedSequence(0)), path="~nobody-has-this-name/x", test_path=None)
