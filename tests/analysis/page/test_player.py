"""The slider of the page: its data are the tracked numbers, and a real browser shows them."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from analysis.claims.source_text import claims_of
from analysis.errors import ReportError
from analysis.figures.starts import recorded_starts
from analysis.page.animation import write_animation
from analysis.page.page import Shown, rendered_page
from analysis.page.player import LEVELS, MOST_UNITS, players_of
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.browser import open_browser
from tests.support.tracked import trained_tables

RECORDED: dict[str, object] = {"record_weights": [0], "training.steps": 40, "training.measure_at": 12}
STARTS = ({"init": "constant"}, {"init": "perturbed", "init.epsilon": 0.01}, {"init": "he_normal"})
STILL = Shown("still", 1, "Steps", "Which?", "", image=Markup("data:,"))
PUSHES = [0.0, 1e-3, 1e-1]


@pytest.fixture(scope="module")
def tables() -> Tables:
    twins = [{"init": "he_normal", "seed": 1}, {"init": "constant", "seed": 1}]
    return trained_tables(RECORDED | each for each in (*STARTS, *twins))


def tracked(tables: Tables, init: str, metric: str) -> list[float]:
    run = tables.runs[(tables.runs["init"] == init) & (tables.runs["seed"] == 0)]["run_id"].item()
    curve = tables.curves[(tables.curves["run_id"] == run) & (tables.curves["metric"] == metric)]
    return curve.sort_values("step")["value"].tolist()


def test_only_recorded_runs_are_shown_the_perturbed_one_between_the_pair(tables: Tables) -> None:
    assert [start.run["init"] for start in recorded_starts(tables)] == ["constant", "perturbed", "he_normal"]
    assert {start.run["seed"] for start in recorded_starts(tables)} == {0}


def test_the_data_of_the_slider_are_the_tracked_numbers_at_the_measured_steps(tables: Tables) -> None:
    (player,) = players_of(tables)
    data = json.loads(player.data)
    steps = sorted(set(tables.curves["step"]))
    assert data["frames"] == [str(step) for step in steps]
    titles = ["symmetric start: constant 0.1", "perturbed start: 0.1 ± 0.01", "random start: he_normal"]
    assert [panel.title for panel in player.panels] == titles
    for panel, init, start in zip(
        data["panels"], ("constant", "perturbed", "he_normal"), recorded_starts(tables), strict=True
    ):
        assert panel["loss"] == tracked(tables, init, names.LOSS_TRAIN)
        assert panel["distance"] == tracked(tables, init, names.DISTANCE)
        levels = np.frombuffer(base64.b64decode(panel["weights"]), np.int8).reshape(len(steps), MOST_UNITS, 64)
        weights = start.arrays["weights1"][:, :, :MOST_UNITS].swapaxes(1, 2)
        np.testing.assert_allclose(levels / LEVELS * panel["largest"], weights, atol=0.51 * panel["largest"] / LEVELS)
    assert panel["largest"] == np.abs(weights).max()


def test_without_recorded_runs_there_is_no_slider_and_no_script(tables: Tables) -> None:
    plain = trained_tables({"init": init} for init in ("constant", "he_normal"))
    assert players_of(plain) == []
    assert "<script" not in rendered_page(plain, claims_of(plain), [])


def test_a_second_slider_goes_over_the_pushes_for_each_arithmetic() -> None:
    pushed = trained_tables(
        RECORDED | {"init": "perturbed", "init.epsilon": epsilon, "arithmetic": arithmetic}
        for epsilon in PUSHES
        for arithmetic in ("exact", "blas")
    )
    (player,) = players_of(pushed)
    assert (player.axis, player.frames, player.side) == ("epsilon", ["0", "0.001", "0.1"], 8)
    assert [panel.title for panel in player.panels] == ["exact products", "blas products"]
    exact = pushed.runs[pushed.runs["arithmetic"] == "exact"].sort_values("init.epsilon")
    assert player.panels[0].distance == exact[names.DISTANCE].tolist()
    assert player.panels[0].distance[0] == 0.0


@pytest.fixture(scope="module")
def page_file(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    html = rendered_page(tables, claims_of(tables), [], players=players_of(tables), still=STILL)
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


def shown(page: Any) -> list[tuple[str, str]]:
    return list(zip(page.locator(".loss").all_inner_texts(), page.locator(".distance").all_inner_texts(), strict=True))


def said(value: float) -> str:
    """As JavaScript's ``toPrecision(4)`` says it."""
    return (
        "0 exactly" if value == 0.0 else np.format_float_positional(value, 4, unique=False, fractional=False, trim="k")
    )


@pytest.mark.slow
def test_paper_has_the_whole_table_of_verdicts_and_no_slider(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 900})  # What letter leaves between its margins.
    page.emulate_media(media="print")
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 700
    assert page.locator(".claims td.verdict").last.evaluate("cell => cell.getBoundingClientRect().right") <= 700
    assert not page.locator(".player, .moves").first.is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_browser_shows_the_tracked_numbers_and_weights_at_every_place(
    browser: Any, page_file: Path, tables: Tables, scheme: str
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    slider = page.locator(".player input")
    frames = json.loads(page.locator(".player script").text_content())["frames"]
    slider.focus()
    page.keyboard.press("Home")
    for place, step in enumerate(frames):
        assert slider.input_value() == str(place)
        assert page.locator(".frame").inner_text() == f"step {step}"
        wanted = [
            (said(tracked(tables, init, names.LOSS_TRAIN)[place]), said(tracked(tables, init, names.DISTANCE)[place]))
            for init in ("constant", "perturbed", "he_normal")
        ]
        assert shown(page) == wanted
        words = slider.get_attribute("aria-valuetext")
        assert words.startswith(
            f"step {step}. symmetric start: constant 0.1: loss {wanted[0][0]}, distance {wanted[0][1]}"
        )
        assert float(page.locator(".cursor").first.get_attribute("x1")) == pytest.approx(
            300 * place / (len(frames) - 1)
        )
        page.keyboard.press("ArrowRight")
    # The colour of a pixel tells the sign and the size of its weight.
    last = recorded_starts(tables)[-1].arrays["weights1"][-1]
    context = "document.querySelectorAll('canvas')[2].getContext('2d')"
    pixel = page.evaluate(f"[...{context}.getImageData(0, 0, 8, 8).data]")
    colours = np.array(pixel, float).reshape(64, 4)
    strongest = int(np.abs(last[:, 0]).argmax())
    red, _, blue, opaque = colours[strongest]
    assert (red > blue) == (last[strongest, 0] > 0.0)
    assert opaque == 255
    page.close()


@pytest.mark.slow
def test_it_plays_and_pauses_answers_a_touch_and_leaves_paper_alone(browser: Any, page_file: Path) -> None:
    page = browser.new_context(has_touch=True).new_page()
    page.goto(page_file.as_uri())
    slider, button = page.locator(".player input"), page.locator(".player button")
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    assert 0 < int(slider.input_value()) < int(slider.get_attribute("max"))
    button.tap()
    assert button.inner_text() == "Pause"
    page.wait_for_function(
        "document.querySelector('.player input').value === document.querySelector('.player input').max"
    )
    page.wait_for_function("document.querySelector('.player button').textContent === 'Play'")
    page.emulate_media(media="print")
    assert not page.locator(".player").is_visible()
    page.close()


@pytest.mark.slow
def test_without_scripts_there_is_no_empty_player(browser: Any, page_file: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(page_file.as_uri())
    assert not page.locator(".player").is_visible()
    assert re.search(r"holds exactly", page.content())
    page.close()


@pytest.mark.slow
def test_a_slider_for_which_no_figure_stands_is_a_picture_on_paper_and_nothing_without_scripts(
    browser: Any, page_file: Path, tables: Tables
) -> None:
    alone = page_file.with_name("alone.html")
    alone.write_text(rendered_page(tables, claims_of(tables), [], players=players_of(tables)), encoding="utf-8")
    page = browser.new_page()
    page.goto(alone.as_uri())
    page.emulate_media(media="print")
    assert page.locator(".panel canvas").last.is_visible()
    assert not page.locator(".player :is(input, button)").first.is_visible()
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(alone.as_uri())
    assert not plain.locator(".watch").is_visible()


def test_the_animation_has_a_frame_for_each_measured_step(tables: Tables, tmp_path: Path) -> None:
    with Image.open(write_animation(tables, tmp_path / "units.gif")) as animation:
        assert animation.n_frames == tables.curves["step"].nunique()
        first = np.array(animation.convert("RGB"), int)
        animation.seek(animation.n_frames - 1)
        assert np.abs(np.array(animation.convert("RGB"), int) - first).max() > 100


def test_without_recordings_the_animation_is_refused_with_the_command_that_makes_some(tmp_path: Path) -> None:
    plain = trained_tables({"init": init} for init in ("constant", "he_normal"))
    with pytest.raises(ReportError, match=r"^--animate: no run was recorded .*record_weights=\[0\]$"):
        write_animation(plain, tmp_path / "units.gif")
