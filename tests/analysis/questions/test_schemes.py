"""The question ``schemes``: derived moments against wide networks, verdicts on made-up moments and losses."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claim import FAILS, NOT_TESTED, UNDECIDED, WITHIN
from analysis.figures import NotShownError
from analysis.questions.schemes.answer import answer
from analysis.questions.schemes.figures import scheme_moments, scheme_training
from analysis.questions.schemes.tables import final_losses, moments_of
from analysis.theory.signal_moments import SCHEMES, backward_moments, forward_moments, variances
from analysis.tracked.tables import Tables
from tests.support.tracked import trained_tables, with_entries, with_twins

WIDTHS = (8, 4, 8, 4)
LOSSES = {
    "relu": {"he_normal": 0.1, "orthogonal": 0.2, "xavier_normal": 1.0, "lecun_normal": 1.2},
    "tanh": {"xavier_normal": 0.1, "orthogonal": 0.2, "he_normal": 1.0, "lecun_normal": 1.2},
}


def made_up(saturating: bool = False, tilt: Callable[[str, str, str], float] = lambda *_: 1.0) -> Tables:
    """Runs whose moments follow the derivations, times ``tilt`` of (activation, scheme, direction) at every layer."""
    rows, curves = [], []
    for activation, losses in LOSSES.items():
        for init, loss in losses.items():
            for seed in range(3):
                for rate in (0.1, 0.5):
                    run_id = f"{activation}-{init}-{seed}-{rate}"
                    gain = None if init == "orthogonal" else 1.0
                    between = variances(init, activation, gain, WIDTHS)
                    forward = forward_moments(0.5 + 0.01 * seed, between, WIDTHS, activation, saturating)
                    backward = backward_moments(0.1, forward, between, WIDTHS, activation, saturating)
                    rows.append({
                        "run_id": run_id, "init": init, "model.activation": activation, "seed": seed,
                        "model.dropout": 0.0, "model.hidden_units": WIDTHS, "diverged": False,
                        "optimizer.learning_rate": rate, "training.loss": None,
                        "loss/train": loss * (1.0 + 0.01 * seed) * (1.0 if rate == 0.1 else 3.0),
                        "init.gain": gain, "training.steps": 200,
                    })  # fmt: skip
                    for layer in range(1, 5):
                        up = tilt(activation, init, "forward") ** (layer - 1)
                        down = tilt(activation, init, "backward") ** (4 - layer)
                        curves += [
                            (run_id, f"layer{layer}/pre_activation_mean_square", 0, up * forward[layer - 1]),
                            (run_id, f"layer{layer}/delta_mean_square", 0, down * backward[layer - 1]),
                            (run_id, f"layer{layer}/delta_mean_square", 9, 77.0),
                        ]  # fmt: skip
    return Tables("tests", pd.DataFrame(rows), pd.DataFrame(curves, columns=["run_id", "metric", "step", "value"]),
                  lambda run_id: {})  # fmt: skip


def verdicts(tables: Tables) -> list[str]:
    return [claim.verdict for claim in answer(tables).claims]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("init", SCHEMES)
def test_derived_moments_are_those_of_wide_networks(activation: str, init: str) -> None:
    """One wide network: its moments scatter around the expected ones by about sqrt(5 / width) a layer."""
    tables = trained_tables([
        {"init": init, "model.activation": activation, "model.hidden_units": [600, 400, 600], "training.steps": 0,
         "measures": ["layer_moments"], "data.standardize": True}
    ])  # fmt: skip
    moments = moments_of(tables)
    np.testing.assert_allclose(moments["measured"], moments["saturating"], rtol=4.0 * (5.0 / 400.0 * 2.0) ** 0.5)


def test_a_gain_enters_squared() -> None:
    np.testing.assert_allclose(variances("he_normal", "relu", 2.0, (8, 4)), [4.0 * 2.0 / 8.0])
    np.testing.assert_allclose(variances("orthogonal", "relu", None, (8, 4, 8)), [2.0 / 8.0, 2.0 / 8.0])
    np.testing.assert_allclose(variances("xavier_normal", "tanh", 1.0, (8, 4)), [2.0 / 12.0])


def test_moments_made_by_the_linear_derivations_agree_with_them_and_not_with_saturation() -> None:
    assert verdicts(made_up())[:4] == [WITHIN] * 4
    assert verdicts(made_up())[4:6] == [FAILS] * 2


def test_moments_of_saturating_tanh_contradict_the_linear_derivation() -> None:
    claims = answer(made_up(saturating=True)).claims
    assert [claim.verdict for claim in claims[:6]] == [WITHIN, WITHIN, FAILS, FAILS, WITHIN, WITHIN]
    assert claims[2].number < 0.8


# LeCun halves in each layer of relu; three layers back, the widths give another factor fan_out / fan_in = 1/2.
@pytest.mark.parametrize(("direction", "place", "factor"), [("forward", 0, "0.6"), ("backward", 1, "0.476")])
def test_one_scheme_that_grows_faster_than_derived_fails_and_is_named(direction: str, place: int, factor: str) -> None:
    found = answer(made_up(tilt=lambda *of: 1.2 if of == ("relu", "lecun_normal", direction) else 1.0))
    assert [claim.verdict == FAILS for claim in found.claims[:4]] == [index == place for index in range(4)]
    claim = found.claims[place]
    assert claim.number == pytest.approx(1.2)
    assert claim.measured.startswith(f"ratio 1.2 with lecun_normal, a factor of {factor}")
    assert found.conclusion.startswith(f"Predictions that fail: {claim.identity}")


def test_the_derived_scheme_trains_best_or_the_claim_fails() -> None:
    tables = made_up()
    assert verdicts(tables)[6:] == [WITHIN, WITHIN, WITHIN]
    for seed in range(3):
        tables = with_entries(tables, f"relu-xavier_normal-{seed}-0.5", {"loss/train": 0.05})
    claims = answer(tables).claims
    assert [claim.verdict for claim in claims[6:]] == [FAILS, WITHIN, WITHIN]
    assert claims[6].measured.startswith("loss times 0.495 with xavier_normal (geometric means 0.05 and 0.101)")
    assert claims[6].high < 1.0


def test_an_advantage_within_the_noise_of_seeds_is_none() -> None:
    tables = with_entries(made_up(), "tanh-he_normal-0-0.1", {"loss/train": 0.01})
    for seed in (1, 2):
        tables = with_entries(tables, f"tanh-he_normal-{seed}-0.1", {"loss/train": 0.2})
    claim = answer(tables).claims[7]
    assert claim.low < 1.0 < claim.high
    assert claim.verdict == UNDECIDED


def test_networks_that_scatter_log_normally_are_compared_by_their_logarithms() -> None:
    """Three networks whose ratios are 1/4, 1 and 4 over three layers; their mean is 1.75, their geometric mean 1."""
    tables = made_up()
    curves, seeds = tables.curves.copy(), tables.curves["run_id"].str.split("-").str[2].astype(int)
    last = curves["metric"] == "layer4/pre_activation_mean_square"
    curves.loc[last, "value"] *= 4.0 ** (seeds[last] - 1)
    claim = answer(replace(tables, curves=curves)).claims[0]
    assert claim.number == pytest.approx(1.0, rel=1e-12)
    assert (claim.verdict, claim.low < 0.9, claim.high > 1.1) == (UNDECIDED, True, True)


def test_schemes_that_scale_one_draw_and_yet_differ_fail_the_check() -> None:
    claim = answer(made_up(tilt=lambda *of: 1.001 if of == ("relu", "lecun_normal", "forward") else 1.0)).claims[8]
    assert (claim.verdict, claim.is_check) == (FAILS, True)
    assert claim.number == pytest.approx(np.log(1.001), rel=1e-6)


def test_the_start_is_judged_by_the_networks_with_the_most_seeds() -> None:
    few = made_up(tilt=lambda *_: 3.0)
    few = replace(few, runs=few.runs[few.runs["seed"] == 0].assign(**{"model.hidden_units": [(8, 4) * 4] * 16}))
    both = replace(few, runs=pd.concat([few.runs.assign(run_id="deeper " + few.runs["run_id"]), made_up().runs]))
    both = replace(
        both, curves=pd.concat([few.curves.assign(run_id="deeper " + few.curves["run_id"]), made_up().curves])
    )
    assert set(moments_of(both)["layer"]) == {1, 2, 3, 4}
    assert [claim.verdict for claim in answer(both).claims[:2]] == [WITHIN, WITHIN]


def test_a_learning_rate_at_which_a_run_diverges_is_not_the_best() -> None:
    losses = final_losses(with_entries(made_up(), "relu-he_normal-1-0.1", {"diverged": True}))
    assert set(losses.loc[(losses["activation"] == "relu") & (losses["init"] == "he_normal"), "learning_rate"]) == {0.5}
    assert set(losses.loc[losses["init"] == "orthogonal", "learning_rate"]) == {0.1}


def test_without_the_measurement_nothing_is_tested_or_shown() -> None:
    tables = made_up()
    tables = replace(tables, curves=tables.curves[:0], runs=tables.runs[tables.runs["init"] == "orthogonal"])
    assert set(verdicts(tables)) == {NOT_TESTED}
    with pytest.raises(NotShownError, match="no moments"):
        scheme_moments(tables)
    with pytest.raises(NotShownError, match="no network"):
        scheme_training(replace(tables, runs=tables.runs.assign(init="zeros")))


def test_figures_show_every_layer_and_every_scheme() -> None:
    moments, training = scheme_moments(made_up()), scheme_training(made_up())
    assert len(moments.data) == 2 * 2 * 4 * 4
    assert set(moments.data["runs"]) == {3}  # learning rates share their start
    titles = [axes.get_title() for axes in moments.figure.axes]
    assert titles == ["relu, forward", "relu, backward", "tanh, forward", "tanh, backward"]
    assert len(training.data) == 8
    he = training.data[(training.data["init"] == "he_normal") & (training.data["activation"] == "relu")]
    np.testing.assert_allclose(he["loss"], [(0.1 * 0.101 * 0.102) ** (1 / 3)])
    assert (training.data["low"] > 0.0).all()


def test_beside_wider_networks_of_a_depth_narrower_ones_decide_nothing() -> None:
    narrow = tuple(width // 2 for width in WIDTHS)
    both = with_twins(made_up(), {"model.hidden_units": narrow, "loss/train": 9.0})
    assert answer(both) == answer(made_up())
