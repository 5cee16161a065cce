"""Whole training runs against PyTorch: same start, same batches, same losses and weights hundreds of steps later."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeline import names
from pipeline.config.schema import Config
from pipeline.nn.arithmetic import Array
from pipeline.training.loop import RunGenerators
from pipeline.training.stack import RunResult, dataset_of, train_stack
from tests.support.configurations import configuration

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: bench)")

pytestmark = pytest.mark.slow
STEPS = 300
SEED = 1
"""A start near which trajectories keep together: of others Adam makes a change of 1e-12 up to 1e7 times as large."""


@pytest.fixture(scope="module", autouse=True)
def one_pytorch_thread() -> Iterator[None]:
    """Handing such small tensors to a second thread makes them a hundred times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# blas: both sides round each operation by 2**-53, in another order; 300 steps of contracting descent, with numbers
# below 10, leave less than 300 * 10 * 2**-53 of that.
# exact: operands are rounded by 2**-22 = 2e-7 of their largest element, so losses are off by a few times as much and
# weights by up to learning rate * 300 steps = 90 times as much; Adam, which divides by the root of the second moment,
# magnifies that further where a gradient is small.
LOSS_TOLERANCES = {"blas": 1e-12, "exact": 5e-6}
WEIGHT_TOLERANCES = {"blas": 1e-12, "exact": 1e-3}
OPTIMIZERS: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "gd": ({"optimizer.learning_rate": 0.3}, lambda groups: torch.optim.SGD(groups, lr=0.3)),
    "momentum": (
        {"optimizer.learning_rate": 0.05, "optimizer.momentum": 0.8},
        lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.8),
    ),
    "adam": (
        {"optimizer.learning_rate": 0.01, "optimizer.beta1": 0.8, "optimizer.beta2": 0.99, "optimizer.epsilon": 1e-6},
        lambda groups: torch.optim.Adam(groups, lr=0.01, betas=(0.8, 0.99), eps=1e-6),
    ),
}


def reference(config: Config, result: RunResult, build: Callable[[Any], Any]) -> tuple[dict[int, float], Array]:
    """Mean training loss at every measured step, and the final parameters (P,), from PyTorch's own layers."""
    dataset, architecture = dataset_of(config.data), result.architecture
    layers = [
        torch.nn.Linear(*fans, dtype=torch.float64)
        for fans in zip(architecture.widths, architecture.widths[1:], strict=False)
    ]
    with torch.no_grad():
        for layer, block in zip(layers, architecture.blocks(result.initial[None]), strict=True):
            layer.weight.copy_(torch.from_numpy(block[0, :, :-1].copy()))
            layer.bias.copy_(torch.from_numpy(block[0, :, -1].copy()))
    weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
    optimizer = build(
        [{"params": weights, "weight_decay": config.optimizer.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    )
    inputs, labels = torch.from_numpy(dataset.train_inputs.copy()), torch.from_numpy(dataset.train_labels.copy())

    def mean_loss(chosen: Any) -> Any:
        signal = inputs[chosen]
        for layer in layers[:-1]:
            signal = torch.tanh(layer(signal))
        outputs = layers[-1](signal)
        if outputs.shape[1] == 1:
            return torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels[chosen].double())
        return torch.nn.functional.cross_entropy(outputs, labels[chosen])

    curve, batches, everything = {}, batches_of(config, len(labels)), torch.arange(len(labels))
    measured = [step for step, _ in result.curves[names.LOSS_TRAIN]]
    for step in range(config.training.steps + 1):
        if step:
            optimizer.zero_grad()
            penalty = sum((weight**2).sum() for weight in weights)
            (mean_loss(next(batches)) + 0.5 * config.training.l2 * penalty).backward()
            optimizer.step()
        if step in measured:
            curve[step] = mean_loss(everything).item()
    blocks = [torch.cat([layer.weight, layer.bias[:, None]], dim=1) for layer in layers]
    return curve, np.concatenate([block.detach().numpy().ravel() for block in blocks])


def batches_of(config: Config, examples: int) -> Iterator[Any]:
    """The run's own batches: each epoch in a new order from its stream, the last batch of an epoch smaller."""
    generator, size = RunGenerators.from_seed(config.seed).batches, config.training.batch_size
    while True:
        order = torch.arange(examples) if size is None else torch.from_numpy(generator.permutation(examples))
        yield from order.split(size or examples)


def assert_same_training(overrides: dict[str, Any], build: Callable[[Any], Any]) -> None:
    defaults = {
        "model.hidden_units": [8, 6], "init": "xavier_uniform", "training.steps": STEPS, "training.measure_at": 12,
        "training.l2": 0.0, "seed": SEED,
    }  # fmt: skip
    config = configuration(defaults | overrides)
    (result,) = train_stack([config])
    curve, final = reference(config, result, build)
    ours = dict(result.curves[names.LOSS_TRAIN])
    assert list(ours) == list(curve)
    np.testing.assert_allclose(
        list(ours.values()), list(curve.values()), rtol=0.0, atol=LOSS_TOLERANCES[config.arithmetic]
    )
    np.testing.assert_allclose(result.final, final, rtol=0.0, atol=WEIGHT_TOLERANCES[config.arithmetic])
    # The comparison means something: the loss fell, and the weights went far beyond the tolerances.
    assert curve[STEPS] < 0.9 * curve[0]
    assert np.abs(result.final - result.initial).max() > 0.1


@pytest.mark.parametrize("arithmetic", LOSS_TOLERANCES)
@pytest.mark.parametrize("batch_size", [None, 32], ids=["full batch", "minibatches"])
@pytest.mark.parametrize("data", ["moons", "iris"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_equals_pytorch(name: str, data: str, batch_size: int | None, arithmetic: str) -> None:
    settings, build = OPTIMIZERS[name]
    chosen = {"optimizer": name, "data": data, "training.batch_size": batch_size, "arithmetic": arithmetic}
    assert_same_training(settings | chosen, build)


@pytest.mark.parametrize("arithmetic", LOSS_TOLERANCES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_l2_is_a_penalty_on_the_weights_alone(name: str, arithmetic: str) -> None:
    settings, build = OPTIMIZERS[name]
    chosen = {"optimizer": name, "data": "iris", "training.batch_size": 32, "arithmetic": arithmetic}
    assert_same_training(settings | chosen | {"training.l2": 0.05}, build)


@pytest.mark.parametrize("arithmetic", LOSS_TOLERANCES)
def test_weight_decay_is_that_of_adamw_on_the_weights_alone(arithmetic: str) -> None:
    chosen = {"optimizer": "adam", "data": "iris", "training.batch_size": 32, "arithmetic": arithmetic}
    chosen |= {"optimizer.learning_rate": 0.01, "optimizer.weight_decay": 0.5}
    assert_same_training(chosen, lambda groups: torch.optim.AdamW(groups, lr=0.01))
