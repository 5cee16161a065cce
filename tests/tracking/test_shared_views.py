"""The prepared views of a sweep in a real store: what is written, printed, and repeated by the report."""

import argparse
import logging
import re
import shlex
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from analysis.claims.source_text import claims_of
from analysis.page.page import rendered_page
from analysis.tracked.load import load_tables
from pipeline import addresses, names
from pipeline.addresses import ui_command
from pipeline.sweep.ending import next_steps
from pipeline.tracking import tracker as tracking
from pipeline.tracking.tracker import Tracker


@pytest.fixture
def tracker(tmp_path: Path, tracking_to: None) -> Tracker:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return Tracker("tests")


def test_a_store_that_refuses_the_views_costs_a_warning(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only\nsecond line")

    client = MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    assert experiment is not None
    parent = client.create_run(experiment.experiment_id).info.run_id
    links = tracker.share_views(parent, ("model", "seed"), [])
    assert links == addresses.view_links(experiment.experiment_id, parent)
    tags = client.get_experiment(experiment.experiment_id).tags
    assert {names.view_tag(parent, view) for view in links} <= set(tags)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    monkeypatch.setattr(tracking, "get_tracking_uri", lambda: "https://runs.example.org")
    with caplog.at_level(logging.WARNING):
        links = tracker.share_views(parent, ("model", "seed"), [])
    # A server's runs are not where a bare ``mlflow ui`` shows them.
    assert links == {"runs": f"https://runs.example.org/#/experiments/{experiment.experiment_id}/runs"}
    assert [record.getMessage() for record in caplog.records] == [
        "The views in the MLflow UI are missing (read-only); the sweep's next start prepares them"
    ]


def test_a_sweep_prints_its_links_and_the_report_repeats_them(
    swept: tuple[Path, str], tmp_path: Path, tracking_to: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(swept[0] / "mlflow.db", tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    printed = dict(re.findall(r"^  (\w+) +(http\S+)$", swept[1], flags=re.MULTILINE))
    tables = load_tables("symmetry")
    assert tables.parent is not None
    assert printed == addresses.view_links(tables.experiment_id, tables.parent)
    assert tables.views == {f"{view} of the newest sweep": link for view, link in printed.items()}
    page = rendered_page(tables, claims_of(tables), [])
    for link in printed.values():
        assert f'href="{link.replace("&", "&amp;")}"' in page
    # Only what is in the folder of the page's reader is found without its name.
    assert f"(<code>{ui_command(mlflow.get_tracking_uri())}</code>, in the same folder)" in page
    monkeypatch.chdir(tmp_path)
    assert load_tables("symmetry").ui_command == "mlflow ui"

    MlflowClient().delete_experiment_tag(tables.experiment_id, names.view_tag(tables.parent, names.CURVES_VIEW))
    assert list(load_tables("symmetry").views) == ["runs of the newest sweep"]


@pytest.mark.parametrize("name", ["symmetry", "my lab", "it's", "-x", "a;b", "$HOME", "ä/ö"])
def test_the_printed_command_of_the_report_survives_the_shell(name: str) -> None:
    printed = next_steps(name, "https://runs.example.org", {"runs": "LINK"}).splitlines()
    assert printed[1:-1] == ["  runs  LINK"]
    report, *arguments = shlex.split(printed[-1].partition(": ")[2].partition(" -m ")[2])
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiment")
    assert (report, parser.parse_args(arguments).experiment) == ("analysis.report", name)
