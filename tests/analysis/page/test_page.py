"""The page: what it says of methods, where it links, and which commands it gives."""

from dataclasses import replace

import pytest

from analysis.claims.claim import FAILS
from analysis.claims.source_text import claims_of
from analysis.page.page import commands_of, lead, methods_of, rendered_page
from analysis.tracked.tables import Tables
from tests.support.tracked import default_grid, trained_tables, with_value


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(default_grid(seeds=1))


def failing(tables: Tables) -> tuple[Tables, str]:
    """A doctored run, and its id."""
    runs = tables.runs
    run_id = str(runs.loc[(runs["model"] == "mlp") & (runs["init"] == "constant"), "run_id"].iloc[0])
    return with_value(tables, run_id, "symmetry/distance_max", 30, 1e-3), run_id


def test_methods_tell_what_is_compared_from_what_is_the_same(tables: Tables) -> None:
    methods = {heading: dict(facts) for heading, facts in methods_of(tables.runs).items()}
    assert methods["Compared"] == {
        "init": "constant, he_normal, normal, zeros",
        "model": "logistic, mlp",
        "model.hidden_units": "[32], []",
        "optimizer.learning_rate": "0.1, 1",
    }
    assert methods["The same in all runs"]["training.steps"] == "30"
    assert methods["The same in all runs"]["seed"] == "0"
    assert (
        methods["The same in all runs that have it"].items()
        >= {"init.scale": "0.01", "model.activation": "tanh"}.items()
    )
    assert methods["Versions and machine"]["commit"] == "0" * 40
    assert set(methods["Versions and machine"]) == {"commit", "version.numpy"}


def test_a_failing_claim_links_its_worst_run_where_the_runs_are_tracked(tables: Tables) -> None:
    doctored, run_id = failing(tables)
    tracked = replace(doctored, experiment_id="7", ui_address="https://runs.example.org")
    page = rendered_page(tracked, claims_of(tracked), [])
    assert f'<a href="https://runs.example.org/#/experiments/7/runs/{run_id}">' in page


def test_the_lead_counts_the_verdicts_and_names_what_fails(tables: Tables) -> None:
    doctored, _ = failing(tables)
    claims = claims_of(doctored)
    assert [claim.identity for claim in claims if claim.verdict == FAILS] == ["2f"]
    words = lead(doctored, claims)
    assert words.endswith("1 fails (2f), 1 not tested by these runs. 16 finished runs, none of which diverged.")


def test_commands_can_be_pasted_whatever_the_experiment_is_called(tables: Tables) -> None:
    named = replace(tables, experiment_name="wide; nets", commands=["python -m pipeline.run -m seed=0,1"])
    assert commands_of(named) == [
        "python -m pipeline.run -m seed=0,1",
        "python -m analysis.report --experiment 'wide; nets'",
    ]
