"""The question ``collapse`` on really trained runs: the program expresses the model that the theory is of."""

import numpy as np
import pytest

from analysis.claims.claim import NOT_TESTED, WITHIN
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.collapse.answer import answer
from analysis.questions.collapse.figures import collapse_fate, collapse_pairs, collapse_unit, collapse_width
from analysis.questions.collapse.tables import growing_units, pairs
from analysis.tracked.tables import Tables
from pipeline import names
from pipeline.training.loop import RunGenerators
from tests.analysis.questions.test_collapse import PAIR, TINY, claim
from tests.support.tracked import trained_tables

FIGURES = (collapse_unit, collapse_fate, collapse_pairs, collapse_width)


@pytest.fixture(scope="module")
def trained() -> Tables:
    """Real runs: one unit near 0, and two identity units."""
    short = {"training.steps": 60, "training.measure_at": 60, "arithmetic": "blas", names.RATE: 0.5}
    units = [TINY | short | {"data.label_noise": noise, "seed": seed} for noise in (0.0, 1.5) for seed in range(3)]
    two = [PAIR | short | {"init.epsilon": 1e-3, "data.label_noise": noise, "seed": seed}
           for noise in (0.0, 1.5) for seed in range(2)]  # fmt: skip
    return trained_tables([*units, *two])


def test_a_trained_unit_is_the_product_of_its_own_draws(trained: Tables) -> None:
    """The program expresses the one-dimensional model: the draws replayed give its weights."""
    runs = growing_units(trained)
    assert len(runs) == 6
    for run in runs.to_dict("records"):
        generators, logarithm = RunGenerators.from_seed(run["seed"]), 0.0
        for _ in range(6):
            order = generators.batches.permutation(10)
            for example in order:
                label = float(example == 0)
                if run["noise"]:
                    label += run["noise"] * generators.labels.normal((1, 1)).item()
                logarithm += np.log(abs(1.0 + 0.5 * label))
        assert run["growth"] == pytest.approx(logarithm / 60.0, rel=1e-9)
    quiet = runs[runs["noise"] == 0.0]
    np.testing.assert_allclose(quiet["growth"], quiet["predicted"], rtol=1e-9)


def test_trained_identity_units_keep_their_ratio(trained: Tables) -> None:
    found = claim(trained, 6)
    assert (found.verdict, found.runs) == (WITHIN, 2)
    assert len(pairs(trained)) == 4


def test_other_runs_test_nothing() -> None:
    tables = trained_tables([{"init": "normal"}])
    assert {found.verdict for found in answer(tables).claims} == {NOT_TESTED}
    for figure in FIGURES:
        with pytest.raises(NotShownError):
            figure(tables)
