"""Columns of tables: what is trained on, what is left out, filled in or encoded, in tables of our own and of others."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.data.dataset import Dataset, load_dataset
from pipeline.data.table_files import save_frame
from pipeline.training.description import description, in_words
from tests.support.configurations import CONF
from tests.support.data_files import refusal

ROWS = 40
GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "size": GENERATOR.standard_normal(ROWS).round(3),
        "colour": np.array(["red", "green", "blue", "red"])[np.arange(ROWS) % 4],
        "ripe": np.arange(ROWS) % 3 == 0,
        "kind": np.array(["apple", "pear"])[np.arange(ROWS) % 2],
    }
)


def loaded(name: str, **changes: Any) -> Dataset:
    """The option of the group ``data`` with the defaults of its YAML file, with ``changes``."""
    keys = yaml.safe_load((CONF / "data" / f"{name}.yaml").read_text()) | changes
    del keys["name"]
    common = {key: keys.pop(key) for key in ("test_fraction", "seed", "standardize", "limit")}
    return load_dataset(name, {key: tuple(v) if isinstance(v, list) else v for key, v in keys.items()}, **common)


def from_csv(folder: Path, frame: pd.DataFrame | str, **changes: Any) -> Dataset:
    """The data set of a table with the target ``kind``, after it was written as CSV."""
    path = folder / "table.csv"
    path.write_text(frame if isinstance(frame, str) else frame.to_csv(index=False))
    return loaded("csv", **{"path": str(path), "target": "kind", **changes})


def with_column(values: Any, name: str = "new") -> pd.DataFrame:
    return FRAME.assign(**{name: values})[[name, *FRAME]]


def test_texts_become_one_hot_columns_and_booleans_0_and_1(tmp_path: Path) -> None:
    data = from_csv(tmp_path, FRAME, test_fraction=0.0, standardize=False)
    assert data.feature_names == ("size", "ripe", "colour=blue", "colour=green", "colour=red")
    expected = np.column_stack(
        [FRAME["size"], FRAME["ripe"], *(FRAME["colour"] == colour for colour in ("blue", "green", "red"))]
    )
    np.testing.assert_array_equal(data.train_inputs, expected.astype(float))
    assert data.classes == ("apple", "pear")
    assert data.facts["encoded"] == {"colour": 3}
    assert data.facts["kinds"] == {"number": ["size"], "text": ["colour"], "boolean": ["ripe"]}


def test_equal_tables_are_known_as_equal_in_every_format(tmp_path: Path) -> None:
    digest = from_csv(tmp_path, FRAME).digest
    FRAME.to_csv(tmp_path / "other.csv", sep=";", index=False, encoding="utf-16")
    assert loaded("csv", path=str(tmp_path / "other.csv"), target="kind").digest == digest
    path = save_frame(FRAME, tmp_path / "frames")
    assert path == save_frame(FRAME.copy(), tmp_path / "frames")
    assert loaded("parquet", path=str(path), target="kind").digest == digest
    numbers = from_csv(tmp_path, FRAME, features=["size", "ripe"])
    arrays = {"inputs": FRAME[["size", "ripe"]].to_numpy(float), "labels": FRAME["kind"].to_numpy(str)}
    np.savez(tmp_path / "arrays.npz", **arrays)
    assert loaded("npz", path=str(tmp_path / "arrays.npz")).digest == numbers.digest


@pytest.mark.parametrize("missing", ["mean", "most_frequent"])
def test_missing_values_are_filled_in_from_the_training_part_alone(tmp_path: Path, missing: str) -> None:
    frame = FRAME.copy()
    frame.loc[[3, 8], "size"] = np.nan
    frame.loc[[5], "colour"] = None
    data = from_csv(tmp_path, frame, missing=missing, standardize=False, seed=1)
    everything = np.concatenate([data.train_inputs, data.test_inputs])[:, 0]
    train = [value for value in data.train_inputs[:, 0] if value in set(FRAME["size"])]
    filled = [value for value in everything if value not in set(FRAME["size"])]
    if missing == "mean":
        assert len(filled) == 2
        np.testing.assert_allclose(filled, np.mean(train), rtol=1e-12)
    assert data.facts["filled"] == {"size": 2, "colour": 1}
    assert (data.train_inputs[:, 2:].sum(axis=1) == 1).all()


def test_rows_with_missing_values_may_be_left_out(tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.loc[[3, 8], "size"] = np.nan
    frame.loc[[9], "kind"] = None
    data = from_csv(tmp_path, frame, missing="drop")
    assert data.facts["rows_dropped"] == 3
    assert data.digest == from_csv(tmp_path, frame.drop(index=[3, 8, 9])).digest


def test_a_category_of_the_test_part_alone_has_no_column(tmp_path: Path) -> None:
    frame = FRAME.copy()
    frame.loc[7, "colour"] = "violet"
    parts = [from_csv(tmp_path, frame, seed=seed, standardize=False) for seed in range(8)]
    alone = [data for data in parts if "colour=violet" not in data.feature_names]
    assert 0 < len(alone) < 8
    assert sorted(alone[0].test_inputs[:, 2:].sum(axis=1))[0] == 0


def test_a_quantity_is_standardised_by_the_training_part(tmp_path: Path) -> None:
    data = from_csv(tmp_path, FRAME, target="size", task="regression")
    assert data.classes == ()
    np.testing.assert_allclose([data.train_labels.mean(), data.train_labels.std()], [0, 1], atol=1e-12)
    raw = from_csv(tmp_path, FRAME, target="size", task="regression", test_fraction=0.0)
    assert raw.unit == pytest.approx(FRAME["size"].std(ddof=0))
    assert data.digest != raw.digest


def test_a_test_file_takes_the_place_of_the_fraction(tmp_path: Path) -> None:
    FRAME[:8].to_csv(tmp_path / "test.csv", index=False)
    data = from_csv(tmp_path, FRAME[8:], test_path=str(tmp_path / "test.csv"), standardize=False)
    assert (len(data.train_labels), len(data.test_labels)) == (32, 8)
    np.testing.assert_array_equal(data.test_inputs[:, 0], FRAME["size"][:8])
    assert [data.classes[label] for label in data.test_labels] == FRAME["kind"][:8].tolist()


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (FRAME.drop(columns="ripe"), "line 1: expected one of 'size', 'colour', 'kind', got 'ripe'"),
        (with_column(1.0), "expected the columns of {train}, got 'new' too"),
        (FRAME.replace("red", "violet"), "line 2, column 'colour': expected a category of the training file ('blue',"),
        (
            FRAME.replace("pear", "fig"),
            "column 'kind': expected classes of the training part, 'apple', 'pear', got 'fig'",
        ),
        (
            FRAME.replace({"size": {FRAME["size"][0]: np.nan}}),
            "line 2, column 'size': expected a finite number, got ''",
        ),
        (FRAME.assign(size="big"), "column 'size': expected number as in the training file, got text"),
    ],
)
def test_a_test_file_must_be_like_the_training_file(tmp_path: Path, test: pd.DataFrame, message: str) -> None:
    path = tmp_path / "test.csv"
    test.to_csv(path, index=False)
    text = refusal(lambda: from_csv(tmp_path, FRAME, test_path=str(path)))
    assert text.startswith(f"data.test_path: {path}: ")
    assert message.format(train=tmp_path / "table.csv") in text


@pytest.mark.parametrize(
    ("column", "width"),
    [
        (["2", "3", "4", "5more"] * 10, 4),
        (["18-25", "26-35", "36+", "18-25"] * 10, 3),
        ([" yes", "no ", "yes", "no"] * 10, 2),
        (["low", "middle", "high", "low"] * 10, 3),
        ([True, False, None, True] * 10, 1),
        ([7.0] * ROWS, 1),
    ],
)
def test_other_columns_are_numbers_or_categories(tmp_path: Path, column: list[object], width: int) -> None:
    data = from_csv(tmp_path, with_column(column)[["new", "size", "kind"]], missing="mean")
    assert data.train_inputs.shape[1] == 1 + width


def test_one_feature_many_classes_and_a_rare_one(tmp_path: Path) -> None:
    data = from_csv(tmp_path, pd.DataFrame({"x": np.arange(600) % 17, "kind": np.arange(600) % 100}))
    assert (data.train_inputs.shape[1], len(data.classes)) == (1, 100)
    assert data.classes[:3] == ("0", "1", "2")
    rare = FRAME.assign(kind=["fig", *FRAME["kind"].tolist()[1:]])
    assert "(or 0, no test part), but class 'fig' has 1 of 40 examples" in refusal(lambda: from_csv(tmp_path, rare))
    assert len(from_csv(tmp_path, rare, test_fraction=0.0).classes) == 3


@pytest.mark.parametrize("name", ["a.parquet", "folder", "http://x.org/a.parquet"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "folder").mkdir()
    path = name if name.startswith("http") else str(tmp_path / name)
    text = refusal(lambda: loaded("parquet", path=path, target="kind"))
    assert text.startswith(f"data.path: {Path(path)}: expected a ")


PACKAGED = Path(__import__("sklearn").__file__).parent / "datasets" / "data"


@pytest.mark.parametrize(
    ("name", "keys", "start"),
    [
        ("iris.csv", {"target": "virginica"}, "120 training and 30 test examples, 4 columns from 4 numbers; classes"),
        ("iris.csv", {"target": -1}, "120 training and 30 test examples, 4 columns from 4 numbers; classes"),
        (
            "digits.csv.gz",
            {"target": 65},
            "1438 training and 359 test examples, 64 columns from 64 numbers; constant: 1",
        ),
        (
            "linnerud_exercise.csv",
            {"target": "Chins", "task": "regression"},
            "16 training and 4 test examples, 2 columns",
        ),
        (
            "diabetes_data_raw.csv.gz",
            {"target": 3, "task": "regression"},
            "354 training and 88 test examples, 9 columns",
        ),
    ],
)
def test_files_of_scikit_learn_are_read(name: str, keys: dict[str, Any], start: str) -> None:
    words = in_words(description(loaded("csv", path=str(PACKAGED / name), **keys)))
    assert f"): {start}" in words


def test_scikit_learns_own_first_lines_are_no_header_of_a_table() -> None:
    text = refusal(lambda: loaded("csv", path=str(PACKAGED / "wine_data.csv"), target=-1))
    assert text.endswith("line 2: expected 5 cells as in the header, got 14")


SHARED = next(
    (folder / "shared" / "data" for folder in Path(__file__).parents if (folder / "shared" / "data").is_dir()), None
)


@pytest.mark.skipif(SHARED is None, reason="no public tables beside the project")
@pytest.mark.parametrize(
    ("name", "target", "refused", "keys", "words"),
    [
        ("penguins", "species", "line 5, column 'bill_length_mm': expected a finite number, got ''",
         {"missing": "drop"}, "266 training and 67 test examples, 9 columns from 2 texts, 4 numbers; one-hot: island"),
        ("mpg", "origin", "column 'name': expected numbers or categories, but it has 305 different texts in 398 rows",
         {"missing": "mean", "drop": ["name"]}, "7 columns from 7 numbers; filled in (mean): horsepower 6"),
        ("planets", "method", "line 9, column 'mass': expected a finite number, got ''",
         {"missing": "mean", "test_fraction": 0.0}, "1035 training and 0 test examples, 5 columns from 5 numbers"),
        ("tips", "tip", "which looks like a quantity: classification needs classes", {"task": "regression"},
         "195 training and 49 test examples, 12 columns from 2 numbers, 4 texts; one-hot: sex 2, smoker 2"),
        ("titanic", "survived", "line 2, column 'deck': expected text, got ''",
         {"missing": "most_frequent", "drop": ["alive", "deck"]}, "21 columns from 5 numbers, 5 texts, 2 booleans"),
    ],
)  # fmt: skip
def test_public_tables_say_what_they_need(
    name: str, target: str, refused: str, keys: dict[str, Any], words: str
) -> None:
    path = f"{SHARED}/{name}.csv"
    assert refused in refusal(lambda: loaded("csv", path=path, target=target))
    assert words in in_words(description(loaded("csv", path=path, target=target, **keys)))
