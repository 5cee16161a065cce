"""Documents that say what the code says: configuration, frames, citation, notebook."""

import json
import re
from typing import Any

import pandas as pd
import pytest
import yaml

from analysis.claims.claim import Claim
from analysis.tracked.runs import Runs
from pipeline import __version__
from pipeline.config.known_keys import known_keys, options_by_group
from symmetry_lab import sweep
from symmetry_lab.reference import PAGE, page
from tests.support.command_line import PROJECT

NOTEBOOK = PROJECT / "docs" / "lab.ipynb"
LARGEST = 600_000
"""Bytes of the notebook with its pictures."""


def test_the_page_of_the_configuration_is_that_of_the_code() -> None:
    """To mend it: python -m symmetry_lab.reference."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_page_of_the_configuration_names_every_key_and_option_with_a_meaning() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = set(re.findall(r"`([\w.=]+)`", PAGE.read_text(encoding="utf-8")))
    groups = options_by_group().keys() - {"experiment"}
    assert set(known_keys()) - groups <= named
    assert {f"{group}={option}" for group in groups - {"training"} for option in options_by_group()[group]} <= named
    assert [row for row in rows if not row[-1].strip(" |")] == []


@pytest.fixture(scope="module")
def runs() -> Runs:
    overrides = ("model=logistic,mlp", "init=zeros,normal", "seed=0,1", "optimizer.learning_rate=0.1", "data=iris")
    return sweep(*overrides, "training.steps=5", "executor=inline", track=False)


def documented(heading: str) -> dict[str, str]:
    """Column -> type of one table of docs/frames.md."""
    text = (PROJECT / "docs" / "frames.md").read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", section, re.MULTILINE))


KINDS: dict[str, Any] = {
    "text": lambda values: all(isinstance(value, str) for value in values),
    "number": pd.api.types.is_numeric_dtype,
    "whole number": pd.api.types.is_integer_dtype,
    "true or false": pd.api.types.is_bool_dtype,
    "tuple": lambda values: all(isinstance(value, tuple) for value in values),
    "mapping": lambda values: all(isinstance(value, dict) for value in values),
}


def assert_documented(frame: pd.DataFrame, columns: dict[str, str]) -> None:
    for column in frame:
        assert column in columns, column
        kind, _, rest = columns[str(column)].partition(" or ")
        values = frame[column].dropna() if "none" in rest else frame[column]
        assert values.empty or KINDS[columns[str(column)] if kind == "true" else kind](values), column


def test_the_columns_of_runs_are_documented(runs: Runs) -> None:
    columns = documented("Runs")
    own = runs[[column for column in runs if "/" not in column and not column.startswith(("data.", "init."))]]
    assert_documented(own, columns)
    assert all(pd.api.types.is_float_dtype(runs[column]) for column in runs if "/" in column)


def test_the_columns_of_curves_and_statements_are_documented(runs: Runs) -> None:
    assert list(documented("Curves")) == ["run", "metric", "step", "value"]
    assert_documented(runs.curves(), documented("Curves"))
    assert_documented(runs.curves("loss/train"), documented("Curves"))
    assert list(documented("Statements")) == list(Claim._fields)


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert {"message", "title", "authors"} <= citation.keys()


def notebook() -> dict[str, Any]:
    return dict(json.loads(NOTEBOOK.read_text(encoding="utf-8")))


def test_the_notebook_is_small_and_was_executed_without_an_error() -> None:
    cells = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    assert NOTEBOOK.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert {output["output_type"] for cell in cells for output in cell["outputs"]} <= {
        "execute_result", "stream", "display_data",
    }  # fmt: skip


@pytest.mark.slow
def test_the_notebook_runs_and_says_the_same_again(tmp_path: Any) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the extra notebook")
    from nbclient import NotebookClient

    committed = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)
    again = nbformat.from_dict(committed)
    NotebookClient(again, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()

    def texts(book: Any) -> list[str]:
        """What the cells say; bits are those of a machine type, so numbers with a fraction may differ elsewhere."""
        outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
        said = [output["data"]["text/plain"] for output in outputs if output.output_type == "execute_result"]
        return [" ".join(re.sub(r"-?\d+\.\d+(e[+-]?\d+)?", "#", text).split()) for text in said]

    pictures = [output for cell in again.cells for output in cell.get("outputs", []) if "image/png" in str(output)]
    assert len(pictures) >= 5
    assert texts(again) == texts(committed)
