"""The sources of data sets: their keys, sizes and draws, and what is known of their examples."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import erf
from sklearn.utils import check_random_state

from pipeline.data import sources
from pipeline.data.dataset import Dataset
from pipeline.data.sources import SOURCES
from pipeline.errors import InputError
from pipeline.numerics.draws import Draws
from tests.data.test_dataset import COMMON, CONF, dataset

SYNTHETIC = ("moons", "circles", "xor", "blobs", "spirals")
BUNDLED = ("digits", "breast_cancer", "iris", "wine")


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


@pytest.mark.parametrize("directions", ["random", "axes"])
def test_a_teacher_of_orthonormal_units_labels_its_inputs(directions: str) -> None:
    data = dataset("teacher", inputs=30, units=3, directions=directions, examples=400)
    assert data.teacher is not None
    np.testing.assert_allclose(data.teacher @ data.teacher.T, np.eye(3), atol=1e-14)
    assert (data.teacher == np.eye(3, 30)).all() == (directions == "axes")
    outputs = erf(data.train_inputs @ data.teacher.T / np.sqrt(2.0)).sum(axis=1)
    np.testing.assert_allclose(data.train_labels, outputs, atol=5e-11)  # three distribution functions, 6e-12 each
    # Five standard errors of 12000 standard normal numbers.
    assert abs(data.train_inputs.mean()) < 5.0 / np.sqrt(12000)
    assert abs(data.train_inputs.var() - 1.0) < 5.0 * np.sqrt(2.0 / 12000)
    others = [dataset("teacher", inputs=30, units=3, directions=directions, examples=400, seed=1),
              dataset("teacher", inputs=30, units=2, directions=directions, examples=400)]  # fmt: skip
    assert len({data.digest, *(other.digest for other in others)}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": 2, "units": 3}, "data.units: expected at most the 2 of data.inputs, got 3"),
        ({"standardize": True}, "data.standardize: expected false with data=teacher, .* got true"),
    ],
)
def test_a_teacher_says_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        dataset("teacher", **changes)


def test_files_of_the_user_are_read_from_a_path_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "table.csv").write_text("a,y\n" + "".join(f"{i},{'no' if i % 2 else 'yes'}\n" for i in range(20)))
    data = dataset("csv", path="~/table.csv", target="y")
    assert data.classes == ("no", "yes")
    assert data.feature_names == ("a",)
    assert len(data.train_labels) == 16
    with pytest.raises(InputError, match=r"^data.path: ~nobody-has-this-name/x: expected a user"):
        sources.idx(Draws(np.random.SeedSequence(0)), path="~nobody-has-this-name/x", test_path=None)
