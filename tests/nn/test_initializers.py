"""Initialisers: moments within bounds from the sample size, PyTorch's distributions, biases, and refused settings."""

from collections.abc import Callable
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.errors import InputError
from pipeline.nn.arithmetic import Array
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.network import Architecture, Layer
from pipeline.numerics.draws import Draws
from pipeline.training.checks import check_against_data
from pipeline.training.loop import RunGenerators
from pipeline.training.stack import architecture_of, dataset_of, initial_parameters, train_stack
from tests.support.configurations import configuration

FAN_IN, FAN_OUT, GAIN, SCALE = 200, 300, 1.7, 0.05
HIDDEN = Layer(FAN_IN, FAN_OUT, "tanh", number=2, depth=3)
UNIFORM_KURTOSIS, NORMAL_KURTOSIS = 1.8, 3.0
# Scheme -> its settings, the paper's standard deviation as a function of the fans, and the kurtosis.
SCHEMES: dict[str, tuple[dict[str, Any], Callable[[int, int], float], float]] = {
    "uniform": ({"scale": SCALE}, lambda fan_in, fan_out: SCALE / sqrt(3.0), UNIFORM_KURTOSIS),
    "normal": ({"scale": SCALE}, lambda fan_in, fan_out: SCALE, NORMAL_KURTOSIS),
    "xavier_uniform": ({"gain": GAIN}, lambda fan_in, fan_out: GAIN * sqrt(2.0 / (fan_in + fan_out)), UNIFORM_KURTOSIS),
    "xavier_normal": ({"gain": GAIN}, lambda fan_in, fan_out: GAIN * sqrt(2.0 / (fan_in + fan_out)), NORMAL_KURTOSIS),
    "he_uniform": ({"gain": GAIN}, lambda fan_in, fan_out: GAIN * sqrt(2.0 / fan_in), UNIFORM_KURTOSIS),
    "he_normal": ({"gain": GAIN}, lambda fan_in, fan_out: GAIN * sqrt(2.0 / fan_in), NORMAL_KURTOSIS),
    "lecun_uniform": ({"gain": GAIN}, lambda fan_in, fan_out: GAIN * sqrt(1.0 / fan_in), UNIFORM_KURTOSIS),
    "lecun_normal": ({"gain": GAIN}, lambda fan_in, fan_out: GAIN * sqrt(1.0 / fan_in), NORMAL_KURTOSIS),
    "perturbed": ({"value": 0.0, "epsilon": SCALE}, lambda fan_in, fan_out: SCALE, NORMAL_KURTOSIS),
}
# The same distribution from torch.nn.init, which takes (fan_out, fan_in).
PYTORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform": ("uniform_", {"a": -SCALE, "b": SCALE}),
    "normal": ("normal_", {"std": SCALE}),
    "xavier_uniform": ("xavier_uniform_", {"gain": GAIN}),
    "xavier_normal": ("xavier_normal_", {"gain": GAIN}),
    "he_uniform": ("kaiming_uniform_", {"nonlinearity": "relu"}),
    "he_normal": ("kaiming_normal_", {"nonlinearity": "relu"}),
    "lecun_uniform": ("kaiming_uniform_", {"nonlinearity": "linear"}),
    "lecun_normal": ("kaiming_normal_", {"nonlinearity": "linear"}),
}


def drawn(name: str, seed: int = 0, layer: Layer = HIDDEN, **options: Any) -> Array:
    return INITIALIZERS[name](Draws(np.random.SeedSequence(seed)), layer, **options)


def pytorch_sample(name: str, fan_in: int, fan_out: int, tensors: int = 1) -> Array:
    """The elements of so many tensors, flat."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: bench)")
    function, keywords = PYTORCH[name]
    generator, sample = torch.Generator().manual_seed(0), torch.empty(tensors, fan_out, fan_in, dtype=torch.float64)
    for tensor in sample:
        getattr(torch.nn.init, function)(tensor, generator=generator, **keywords)
    # PyTorch's He and LeCun schemes take their gain from the nonlinearity; ours is a factor on top.
    return (GAIN if function.startswith("kaiming") else 1.0) * sample.numpy().ravel()


def assert_moments(sample: Array, deviation: float, kurtosis: float) -> None:
    # Standard errors: of the mean sigma / sqrt(n), of the second moment sigma**2 * sqrt((kurtosis - 1) / n). Five of
    # them: a true scheme fails one time in a million, and a fan mistaken for the other is off by hundreds.
    assert abs(sample.mean()) < 5.0 * deviation / sqrt(sample.size)
    assert abs((sample**2).mean() / deviation**2 - 1.0) < 5.0 * sqrt((kurtosis - 1.0) / sample.size)


def test_every_scheme_is_covered_and_gives_float64_of_the_layer_s_shape() -> None:
    options = {name: settings for name, (settings, _, _) in SCHEMES.items()} | {
        "zeros": {}, "constant": {"value": 0.3}, "orthogonal": {"gain": None},
        "duplicated": {"copies": 4, "gain": GAIN}, "mirrored": {"gain": GAIN}, "merged": {"copies": 4, "gain": GAIN},
        "constant_layers": {"values": (0.3, None, 0.3), "gain": GAIN},
        "small_layers": {"small": 2, "epsilon": 0.1, "gain": GAIN}, "diagonal": {"scale": SCALE},
        "soft_committee": {"scale": 0.5, "epsilon": 0.1},
    }  # fmt: skip
    assert set(options) == set(INITIALIZERS)
    for name, settings in options.items():
        weights = drawn(name, **settings)
        assert (weights.shape, weights.dtype) == ((FAN_IN, FAN_OUT), np.float64)
        assert weights.tobytes() == drawn(name, **settings).tobytes()


@pytest.mark.parametrize("name", SCHEMES)
def test_moments(name: str) -> None:
    options, deviation_of, kurtosis = SCHEMES[name]
    sample, deviation = drawn(name, **options), deviation_of(FAN_IN, FAN_OUT)
    assert_moments(sample, deviation, kurtosis)
    if kurtosis == UNIFORM_KURTOSIS:
        bound = deviation * sqrt(3.0)
        # The largest of 60,000 uniform draws comes within a thousandth of the bound (it misses with e**-60).
        assert 0.999 * bound < np.abs(sample).max() <= bound


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTORCH)
def test_distribution_equals_pytorch_s(name: str) -> None:
    sample = drawn(name, **SCHEMES[name][0]).ravel()
    # Fixed seeds, so this passes or fails for ever; equal distributions had a chance of 1 in 1000 to fail.
    assert stats.ks_2samp(sample, pytorch_sample(name, FAN_IN, FAN_OUT)).pvalue > 1e-3


@cache
def stack_of(name: str, seeds: range = range(50)) -> tuple[Architecture, Array]:
    """What runs of a network 64-40-30-10, trained as one stack, start from: (R, P)."""
    overrides = {"init": name, "training.steps": 0, "data.limit": 100, "model.hidden_units": [40, 30]}
    overrides |= {f"init.{key}": value for key, value in SCHEMES[name][0].items()}
    results = train_stack([configuration(overrides | {"seed": seed}) for seed in seeds])
    return results[0].architecture, np.stack([result.initial for result in results])


@pytest.mark.parametrize("name", SCHEMES)
def test_moments_in_a_stack_of_50_runs(name: str) -> None:
    architecture, parameters = stack_of(name)
    assert architecture.widths == (64, 40, 30, 10)
    _, deviation_of, kurtosis = SCHEMES[name]
    for weights in architecture.weights(parameters):
        assert_moments(weights, deviation_of(*weights.shape[1:]), kurtosis)
        assert len({run.tobytes() for run in weights}) == 50
    assert not any(biases.any() for biases in architecture.biases(parameters))
    assert stack_of(name, range(7, 8))[1].tobytes() == parameters[7].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTORCH)
def test_distribution_in_a_stack_of_50_runs_equals_pytorch_s(name: str) -> None:
    architecture, parameters = stack_of(name)
    for weights in architecture.weights(parameters):
        sample = pytorch_sample(name, *weights.shape[1:], tensors=50)
        assert stats.ks_2samp(weights.ravel(), sample).pvalue > 1e-3  # as for a single run


@pytest.mark.parametrize("family", ["uniform", "normal"])
def test_schemes_of_a_family_share_the_draw_of_a_seed(family: str) -> None:
    members = [name for name in PYTORCH if name.endswith(family)]
    assert len(members) == 4

    def standard_draw(name: str, seed: int) -> Array:
        options, deviation_of, _ = SCHEMES[name]
        return drawn(name, seed, **options) / deviation_of(FAN_IN, FAN_OUT)

    first = standard_draw(members[0], seed=3)
    for name in members[1:]:
        # Fewer than nine roundings of 2**-53 lie between.
        np.testing.assert_allclose(standard_draw(name, seed=3), first, rtol=1e-15)
    assert not np.isclose(standard_draw(members[0], seed=4), first).all()


def test_constants_and_perturbed_constants() -> None:
    assert not drawn("zeros").any()
    assert (drawn("constant", value=-0.3) == -0.3).all()
    assert drawn("perturbed", value=0.1, epsilon=0.0).tobytes() == drawn("constant", value=0.1).tobytes()
    small, large = (drawn("perturbed", seed=5, value=0.1, epsilon=epsilon) - 0.1 for epsilon in (1e-3, 1e-1))
    # Adding and subtracting 0.1 loses a unit of 2**-53 of it each, against deviations of 1e-3 and more.
    np.testing.assert_allclose(large, 100.0 * small, rtol=0.0, atol=1e-13)
    assert_moments(large, 0.1, NORMAL_KURTOSIS)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(40, 40), (60, 25), (25, 60)])
def test_orthogonal_has_orthonormal_rows_or_columns_times_the_gain(fan_in: int, fan_out: int) -> None:
    weights = drawn("orthogonal", layer=Layer(fan_in, fan_out, "relu", number=1, depth=2), gain=GAIN)
    gram = weights.T @ weights if fan_in >= fan_out else weights @ weights.T
    # Householder QR is orthogonal to within a small multiple of 60 * 2**-53.
    np.testing.assert_allclose(gram, GAIN**2 * np.eye(min(fan_in, fan_out)), rtol=0.0, atol=1e-13)


@pytest.mark.slow
def test_orthogonal_is_distributed_like_pytorch_s() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: bench)")
    layer, corners, torch_generator = Layer(4, 3, None, number=2, depth=2), [], torch.Generator().manual_seed(0)
    reference = torch.empty(3, 4, dtype=torch.float64)
    for seed in range(1000):
        torch.nn.init.orthogonal_(reference, generator=torch_generator)
        corners.append((drawn("orthogonal", seed, layer, gain=None)[0, 0], reference[0, 0].item()))
    ours, theirs = zip(*corners, strict=True)
    # One element of each matrix, so that the draws are independent. Without moving the signs of R into Q all
    # corners would have one sign.
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


def test_orthogonal_takes_the_gain_of_the_activation_and_1_for_the_output_layer() -> None:
    for activation, gain in {"tanh": 5.0 / 3.0, "relu": sqrt(2.0), "identity": 1.0, None: 1.0}.items():
        layer = Layer(5, 4, activation, number=2, depth=3 if activation else 2)
        by_default, explicitly = (drawn("orthogonal", layer=layer, gain=value) for value in (None, gain))
        assert by_default.tobytes() == explicitly.tobytes()


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"init": "duplicated", "init.copies": 3, "model.hidden_units": [9, 10]}, "init.copies: .* got 3 for width 10"),
        ({"init": "mirrored", "model.hidden_units": [5]}, "model.hidden_units: .* got 5"),
        ({"init": "mirrored", "model.activation": "relu"}, "model.activation: .* got relu"),
        ({"init": "orthogonal", "model.activation": "gelu"}, "init.gain: .*gelu.* got null"),
        ({"init": "normal", "init.scale": 0.0}, "init.scale: .* got 0"),
        ({"init": "small_layers", "init.small": 3}, "init.small: expected at most the 2 layers .* got 3"),
    ],
)
def test_settings_that_do_not_fit_the_network_name_their_key(overrides: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}"):
        check_against_data(configuration(overrides))


def test_diagonal_units_hear_one_unit_each() -> None:
    np.testing.assert_array_equal(
        drawn("diagonal", layer=Layer(2, 3, None, 1, 1), scale=0.5), [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    )


def test_biases_have_their_own_scale_and_draw() -> None:
    base = {"model.hidden_units": [4000, 300]}
    architecture = architecture_of(configuration(base), dataset_of(configuration(base).data))

    def start(scale: float, seed: int = 3) -> Array:
        init = configuration(base | {"init.bias_scale": scale}).init
        return initial_parameters(architecture, init, RunGenerators.from_seed(seed))[None]

    weights, biases = architecture.weights, architecture.biases
    for one, other in zip(weights(start(0.0)), weights(start(0.5)), strict=True):
        np.testing.assert_array_equal(one, other)
    drawn_biases = biases(start(0.5))
    assert_moments(np.concatenate(drawn_biases, axis=1), 0.5, NORMAL_KURTOSIS)
    assert not any(values.any() for values in biases(start(0.0)))
    # The same draw, scaled by a power of two.
    for one, other in zip(drawn_biases, biases(start(1.0)), strict=True):
        np.testing.assert_array_equal(2.0 * one, other)
    assert not np.isin(biases(start(0.5, seed=4))[0], drawn_biases[0]).any()
