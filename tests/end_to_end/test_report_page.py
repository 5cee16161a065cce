"""The files of a report: the page, its regeneration, and the command that writes them or says what is missing."""

import re
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from analysis.claims.source_text import claims_of
from analysis.figures import FIGURES
from analysis.page.page import rendered_page
from analysis.tracked.tables import Tables
from analysis.wording import MINUS
from pipeline import addresses, names
from tests.end_to_end.test_report import parent_of
from tests.support.in_process import call
from tests.support.sweeps import copied_store
from tests.support.tracked import default_grid, trained_tables


def report_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def reported(swept: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of the swept folder with its report in ``out put``, and what the command printed."""
    folder = copied_store(swept[0], tmp_path_factory.mktemp("reported") / "store")
    done = call("analysis.report", "--output", "out put", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


@pytest.fixture
def of_reported(reported: tuple[Path, str], tracking_to: None) -> MlflowClient:
    mlflow.set_tracking_uri(f"sqlite:///{reported[0]}/mlflow.db")
    return MlflowClient()


def test_a_figure_drawn_again_has_the_same_bytes(reported: tuple[Path, str], tmp_path: Path) -> None:
    only = [word for name in ("loss_over_steps", "final_heatmaps") for word in ("--only", name)]
    assert call("analysis.report", *only, "--output", str(tmp_path), folder=reported[0]).returncode == 0
    first, again = report_bytes(reported[0] / "out put" / "symmetry"), report_bytes(tmp_path / "symmetry")
    assert len(again) == 6
    assert [name for name in again if first[name] != again[name]] == []


@pytest.mark.slow
def test_regenerating_gives_the_same_bytes(reported: tuple[Path, str], tmp_path: Path) -> None:
    first = reported[0] / "out put"
    assert call("analysis.report", "--output", str(tmp_path), folder=reported[0]).returncode == 0
    left, right = report_bytes(first / "symmetry"), report_bytes(tmp_path / "symmetry")
    assert left.keys() == right.keys() >= {f"{name}.{ending}" for name in FIGURES for ending in ("csv", "png", "svg")}
    assert [name for name in left if left[name] != right[name]] == []
    endings = {Path(name).suffix for name in left}
    assert endings == {".png", ".svg", ".csv", ".html", ".json"}
    assert (first / "index.html").read_bytes() == (tmp_path / "index.html").read_bytes()


def test_the_report_is_attached_to_the_parent_and_describes_it(
    reported: tuple[Path, str], of_reported: MlflowClient
) -> None:
    parent = of_reported.get_run(parent_of(of_reported))
    assert parent.data.tags[names.NOTE_TAG].startswith("[runs], [curves]: Of 11 statements about symmetry")
    attached = Path(of_reported.download_artifacts(parent.info.run_id, "report/index.html"))
    assert attached.read_bytes() == (reported[0] / "out put" / "symmetry" / "index.html").read_bytes()


def test_the_page_holds_everything_and_asks_for_nothing(reported: tuple[Path, str]) -> None:
    page = (reported[0] / "out put" / "symmetry" / "index.html").read_text(encoding="utf-8")
    for words in (
        "holds exactly",
        f"Xᵀ(s {MINUS} y)",
        "Figure 2.",
        "Figure 3.",
        "python -m pipeline.run -m",
        "version.numpy",
    ):
        assert words in page
    page = re.sub(r'"data:[^"]*"', '"data:"', page)
    loaded = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', page)
    external = [link for link in loaded if not link.startswith(("data:", "#", addresses.UI_ADDRESS))]
    folder = reported[0] / "out put" / "symmetry"
    assert [link for link in external if not (folder / link).is_file()] == []
    drawn = {Path(line).stem for line in reported[1].splitlines() if line.endswith(".png")}
    assert drawn
    for name in FIGURES:
        assert f'id="{name}"' in page
        assert name in drawn or "is not shown" in page


def test_text_of_params_never_becomes_markup() -> None:
    grid = trained_tables(default_grid()[:1] + default_grid()[-1:])
    runs = grid.runs.assign(init=["<script>alert(1)</script>", "$\\frac{$"], data="<b>mine</b>")
    hostile = Tables("<i>name</i>", runs, grid.curves, grid.weights, notes=["<u>note</u>"])
    page = rendered_page(hostile, claims_of(hostile), [])
    for markup in ("<script>alert", "<b>mine", "<i>name", "<u>note"):
        assert markup not in page


def test_the_command_writes_the_report_and_prints_the_files(reported: tuple[Path, str]) -> None:
    folder, printed = reported
    assert "out put/symmetry/index.html" in printed
    assert (folder / "out put" / "symmetry" / "claims.csv").exists()


def test_reports_that_cannot_be_made_say_what_to_do(tmp_path: Path, empty_database: Path) -> None:
    def told(*arguments: str, **environment: str) -> str:
        completed = call("analysis.report", *arguments, folder=tmp_path, **environment)
        assert completed.returncode == 1
        assert len(completed.stderr.splitlines()) == 1, completed.stderr
        return completed.stderr

    assert "mlflow.db does not exist" in told()
    assert list(tmp_path.iterdir()) == []
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    assert call("pipeline.run", "training.steps=1", folder=tmp_path).returncode == 0
    assert "--only: expected some of" in told("--only", "nothing")
    assert not (tmp_path / "reports").exists()
    assert "no experiment 'absent' here; there are: Default, symmetry" in told("--experiment", "absent")
    assert "no experiment 'symetry' here; did you mean 'symmetry'; there are" in told("--experiment", "symetry")
    assert "has not been run yet; train some with: python -m pipeline.run -m experiment=zero" in told(
        "--experiment=zero"
    )
    assert "has no finished run" in told("--experiment", "Default")
    (tmp_path / "broken.db").write_bytes(b"not a database, but long enough to look at " * 100)
    assert "broken.db as a database of MLflow: file is not" in told(MLFLOW_TRACKING_URI="sqlite:///broken.db")
    silent = told(MLFLOW_TRACKING_URI="http://me:secret@127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert "MLFLOW_TRACKING_URI: cannot read http://***@127.0.0.1:9: " in silent
    assert silent.endswith("start the server, or correct the address\n")
    assert "secret" not in silent
