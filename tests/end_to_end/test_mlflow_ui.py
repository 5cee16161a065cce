"""The prepared views and the report, opened in a real browser against a real ``mlflow ui``.

Their format belongs to the UI, so only its own pages can show that they still work.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline import addresses, names
from pipeline.sweep.summary import COLUMNS, best_first
from pipeline.tracking.store.queries import finished_run
from pipeline.tracking.tracker import Tracker
from tests.support.browser import open_browser
from tests.support.command_line import command
from tests.support.tracking_ui import served_ui, table_of

playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install -e '.[browser]'")

pytestmark = pytest.mark.slow
WAIT_MS = 60_000

HEADERS = """headers => headers.map(header => [header.getAttribute("aria-colindex"), header.textContent.trim()])"""


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    """A browser window; its pages share one cache."""
    with open_browser() as opened:
        # Large enough for all columns and charts, because the UI draws only what is in sight.
        context = opened.new_context(viewport={"width": 2600, "height": 1150})
        context.set_default_timeout(WAIT_MS)
        yield context


@pytest.fixture(scope="module")
def sweep(window: Any, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """The swept folder and what the sweep printed; asked for here, so that without a browser nothing is trained."""
    folder, printed = request.getfixturevalue("swept")
    return folder, printed


@pytest.fixture(scope="module")
def folder(sweep: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the swept folder, with the artifacts in the copy, after a report."""
    copy = tmp_path_factory.mktemp("browsed") / "store"
    shutil.copytree(sweep[0], copy)
    with closing(sqlite3.connect(copy / "mlflow.db")) as connection, connection:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            statement = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            connection.execute(statement, (str(sweep[0]), str(copy)))
    completed = command("analysis.report", folder=copy)
    assert completed.returncode == 0, completed.stderr
    return copy


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the printed command serves the folder, given in another one."""
    with served_ui(folder, tmp_path_factory.mktemp("elsewhere")) as served:
        yield served


@pytest.fixture
def page(window: Any) -> Iterator[Any]:
    opened = window.new_page()
    yield opened
    opened.close()


@pytest.fixture
def client(folder: Path, tracking_to: None) -> MlflowClient:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return MlflowClient()


def parent_and_children(client: MlflowClient) -> tuple[Run, list[Run]]:
    """The sweep, and its runs in the order of their test loss."""
    experiment = client.get_experiment_by_name("symmetry")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if names.SWEEP_TAG in run.data.tags)
    children = sorted(
        (run for run in runs if run is not parent), key=lambda run: float(run.data.metrics[names.LOSS_TEST])
    )
    assert len({run.data.metrics[names.LOSS_TEST] for run in children}) == 8
    return parent, children


def printed_link(printed: str, view: str, address: str) -> str:
    """The link that the end of the sweep printed, at the address of this test's server."""
    (link,) = re.findall(rf"^  {view} +({re.escape(addresses.UI_ADDRESS)}/\S+)$", printed, flags=re.MULTILINE)
    return str(link).replace(addresses.UI_ADDRESS, address)


def test_the_runs_view_lists_the_runs_of_the_sweep_by_test_loss(
    page: Any, address: str, client: MlflowClient, sweep: tuple[Path, str]
) -> None:
    _, children = parent_and_children(client)
    page.goto(printed_link(sweep[1], "runs", address))
    page.get_by_text(str(children[-1].info.run_name), exact=True).first.wait_for()
    page.get_by_text("8 matching runs").wait_for()
    rows = table_of(page)
    assert len(rows) == 8
    params = ("model", "init", "seed")
    metrics = (names.LOSS_TEST, names.ACCURACY_TEST, names.DISTANCE, names.DISTINCT_UNITS, names.OPTIMUM_GAP)
    for row, run in zip(rows, children, strict=True):
        assert row["attributes.`Run Name`"].endswith(run.info.run_name)
        assert {key: row[f"params.`{key}`"] for key in params} == {key: run.data.params[key] for key in params}
        shown = {key: row[f"metrics.`{key}`"] for key in metrics}
        assert {key: float(text) for key, text in shown.items() if text != "-"} == {
            key: run.data.metrics[key] for key in metrics if key in run.data.metrics
        }
        assert row[f"tags.`{names.DIVERGED_TAG}`"] == "false"
    headers = page.locator(".ag-header-cell").evaluate_all(HEADERS)
    shown = [text for _, text in sorted((int(place), text) for place, text in headers) if text]
    assert shown[: 2 + len(params) + len(metrics) + 1] == ["Run Name", "Created", *params, *metrics, "diverged"]


@pytest.fixture
def newcomer(window: Any) -> Iterator[Any]:
    """A page of a browser that was never used, on a small screen."""
    context = window.browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


def test_a_newcomer_finds_the_runs_from_the_first_page(newcomer: Any, address: str, client: MlflowClient) -> None:
    """The UI shows a fresh browser an experiment's GenAI pages; the description above them leads to the runs."""
    _, children = parent_and_children(client)
    newcomer.goto(address)
    newcomer.get_by_role("link", name="symmetry", exact=True).click()
    with suppress(playwright.TimeoutError):  # A hint about traces, in some versions, covers the page.
        newcomer.get_by_role("button", name="Got it").click(timeout=10_000)
    with newcomer.context.expect_page() as opened:
        newcomer.get_by_role("link", name="runs", exact=True).click()
    runs = opened.value
    runs.get_by_text("8 matching runs").wait_for()
    for run in children:
        runs.get_by_text(str(run.info.run_name), exact=True).wait_for()
    fits = "links => links.map(link => link.scrollWidth <= link.clientWidth)"
    shown = runs.locator(".ag-row a[href*='/runs/']").evaluate_all(fits)
    assert shown == [True] * 8


def test_a_printed_link_opens_on_the_runs_in_a_browser_that_was_never_used(
    newcomer: Any, address: str, client: MlflowClient, sweep: tuple[Path, str]
) -> None:
    newcomer.goto(printed_link(sweep[1], "runs", address))
    newcomer.get_by_text("8 matching runs").wait_for()
    newcomer.get_by_text("runs: all 8 runs").wait_for()


def test_the_pages_of_a_sweep_and_of_a_run_say_what_came_out(page: Any, address: str, client: MlflowClient) -> None:
    parent, children = parent_and_children(client)
    runs = f"{address}/#/experiments/{parent.info.experiment_id}/runs"
    page.goto(f"{runs}/{parent.info.run_id}")
    for text in ("sweep/finished", "sweep/lowest_mean/loss/test", "verdicts/fails", "Mean of each model, init"):
        page.get_by_text(text).first.wait_for()
    page.goto(f"{runs}/{children[0].info.run_id}")
    page.get_by_text(re.compile(r"^\w+ on digits from init \w+, gd at learning rate 0.5, seed \d: ")).wait_for()


def test_the_curves_view_draws_the_initialisations(
    page: Any, address: str, client: MlflowClient, sweep: tuple[Path, str]
) -> None:
    _, children = parent_and_children(client)
    model = children[0].data.params["model"]
    page.goto(printed_link(sweep[1], "curves", address))
    specific = {"logistic": names.OPTIMUM_GAP, "mlp": names.DISTANCE}[model]
    charts = [names.LOSS_TRAIN, names.LOSS_TEST, specific, names.ACCURACY_TEST]
    cards = page.get_by_test_id("experiment-view-compare-runs-card")
    for position in range(len(charts)):
        # Three traces a group: the mean, and both edges of its band.
        cards.nth(position).locator(".scatterlayer .trace").nth(5).wait_for(state="attached")
    titles = cards.all_text_contents()[: len(charts)]
    assert [title.startswith(metric) for title, metric in zip(titles, charts, strict=True)] == [True] * len(charts)
    page.get_by_text("4 matching runs").wait_for()
    rows = [" ".join(row.values()) for row in table_of(page)]
    groups = [re.search(r"Group: init: (\w+), model: (\w+?)2$", row.strip()) for row in rows]
    assert sorted(group.groups() for group in groups if group) == [("constant", model), ("normal", model)]
    assert len(rows) == 2


def test_the_report_opens_among_the_artifacts_of_the_sweep(
    page: Any, address: str, client: MlflowClient, folder: Path
) -> None:
    parent, _ = parent_and_children(client)
    page.goto(
        f"{address}/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}/artifacts/report/index.html"
    )
    report = page.frame_locator("iframe")
    report.get_by_role("heading", name="Experiment symmetry").wait_for()
    report.get_by_text("Of 11 statements about symmetry").wait_for()
    image = report.locator("#loss_over_steps img.wide")
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    for view, link in addresses.view_links(parent.info.experiment_id, parent.info.run_id).items():
        written = report.get_by_role("link", name=f"{view} of the newest sweep")
        assert written.get_attribute("href") == link


def test_the_conclusion_heads_the_experiment_and_the_sweep(page: Any, address: str, client: MlflowClient) -> None:
    parent, _ = parent_and_children(client)
    runs = f"{address}/#/experiments/{parent.info.experiment_id}/runs"
    for link in (f"{runs}?workflowType=machine_learning", f"{runs}/{parent.info.run_id}"):
        page.goto(link)
        page.get_by_text("Of 11 statements about symmetry").first.wait_for()


def test_a_tracking_server_gets_links_to_itself(address: str, client: MlflowClient) -> None:
    parent, children = parent_and_children(client)
    mlflow.set_tracking_uri(address)
    ranked = best_first([finished_run(child, names.NAMING_KEYS, COLUMNS) for child in children])
    links = Tracker("symmetry").share_views(parent.info.run_id, ("model", "init", "seed"), ranked)
    assert links == addresses.view_links(parent.info.experiment_id, parent.info.run_id, address)


def test_the_report_of_a_tracking_server_is_that_of_its_database(address: str, folder: Path, tmp_path: Path) -> None:
    completed = command("analysis.report", folder=tmp_path, MLFLOW_TRACKING_URI=address)
    assert completed.returncode == 0, completed.stderr
    remote, local = tmp_path / "reports" / "symmetry", folder / "reports" / "symmetry"
    assert sorted(path.name for path in remote.iterdir()) == sorted(path.name for path in local.iterdir())
    for path in local.iterdir():
        expected = path.read_bytes()
        if path.suffix == ".html":
            expected = expected.replace(addresses.UI_ADDRESS.encode(), address.encode())
            expected = expected.replace(b" (<code>mlflow ui</code>, in the same folder)", b"")
        assert (remote / path.name).read_bytes() == expected, path.name
    assert address.encode() in (remote / "index.html").read_bytes()
