"""Training of a stack: from checked configurations that can train together to one result per run."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from pipeline.config.schema import Config, DataConfig, InitConfig
from pipeline.data.dataset import Dataset
from pipeline.measures.reference_optimum import Optimum, reference_optimum
from pipeline.nn.arithmetic import ARITHMETICS, Array
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.losses import LOSSES, label_noise, loss_name, output_count, targets_of
from pipeline.nn.network import Architecture
from pipeline.nn.optimizers import Optimizer
from pipeline.nn.problem import Part, Problem, prepared_part
from pipeline.training.datasets import SizedCache, dataset_of
from pipeline.training.loop import RunGenerators, log_spaced_steps, train
from pipeline.training.recording import Recording

Curve = list[tuple[int, float]]


@dataclass
class RunResult:
    """The result of training one run.

    Attributes:
        architecture: its shape.
        data: digest of the data set it was trained on.
        initial: (P,), the parameters before the first step.
        final: (P,), the parameters at the end, or when the run diverged.
        curves: metric key -> measured (step, value) pairs, steps ascending.
        diverged_at: the step at which weights or training loss stopped being finite, or None.
        optimum: for logistic regression, whether a reference optimum exists; else None.
        recording: its weights at all measured steps, where the configuration asks for them; else None.
    """

    architecture: Architecture
    data: str
    initial: Array
    final: Array
    curves: dict[str, Curve] = field(default_factory=dict)
    diverged_at: int | None = None
    optimum: str | None = None
    recording: Recording | None = None

    @property
    def last(self) -> dict[str, float]:
        """The last measured value of every metric."""
        return {key: curve[-1][1] for key, curve in self.curves.items()}


def architecture_of(config: Config, dataset: Dataset) -> Architecture:
    """The shape of a run's network: the data decide how many inputs and outputs it has, ``model`` the rest."""
    widths = (dataset.train_inputs.shape[1], *config.model.hidden_units, output_count(len(dataset.classes)))
    return Architecture(widths, config.model.activation, config.model.bias, config.model.dropout)


def stack_key(config: Config) -> str:
    """A key that is equal for runs which can train as one stack.

    They may differ in seed, initialisation, the numbers of the optimiser, and in whether they are recorded.
    """
    shared = config.scientific()
    del shared["seed"], shared["init"], shared["record_weights"]
    optimizer = config.optimizer
    shared["optimizer"] = [optimizer.name, optimizer.weight_decay > 0.0, optimizer.rate_factors is not None]
    return json.dumps(shared, sort_keys=True)


def train_stack(configs: Sequence[Config], digest: str | None = None) -> list[RunResult]:
    """Trains runs that share a ``stack_key`` together; every run gets the bits that it would get alone.

    Args:
        configs: R checked configurations.
        digest: that their data set must have, as for ``dataset_of``.

    Returns:
        R results in the same order.
    """
    shared = configs[0]
    dataset = dataset_of(shared.data, digest)
    architecture = architecture_of(shared, dataset)
    problem = shared_problem(shared, dataset, architecture)
    optimum = _reference_optimum(shared, digest)
    generators = [RunGenerators.from_seed(config.seed) for config in configs]
    initial = np.stack(
        [
            initial_parameters(architecture, config.init, generator)
            for config, generator in zip(configs, generators, strict=True)
        ]
    ).astype(shared.dtype)
    results = [
        RunResult(
            architecture, dataset.digest, start, start, optimum=None if optimum is None else optimum.status,
            recording=Recording.of(problem) if config.is_recorded else None,
        )
        for config, start in zip(configs, initial, strict=True)
    ]  # fmt: skip
    optimizer = stack_optimizer(configs, architecture, initial)
    for measured in train(problem, initial, optimizer, generators, shared.measures, optimum):
        for run in np.flatnonzero(measured.recorded):
            results[run].final = measured.parameters[run].copy()
            results[run].diverged_at = measured.step if measured.diverged[run] else None
            if (recording := results[run].recording) is not None:
                recording.add(measured.step, problem, measured.parameters[run])
            for key, values in measured.metrics.items():
                results[run].curves.setdefault(key, []).append((measured.step, float(values[run])))
    return results


def shared_problem(config: Config, dataset: Dataset, architecture: Architecture) -> Problem:
    """The training problem of a configuration, its data prepared as operands."""
    training, arithmetic = config.training, ARITHMETICS[config.arithmetic]

    def part(inputs: Array, labels: Array) -> Part:
        targets = targets_of(labels, len(dataset.classes)).T
        return prepared_part(
            inputs.astype(config.dtype),
            targets.astype(config.dtype),
            labels if dataset.classes else None,
            architecture,
            arithmetic,
        )

    loss = loss_name(training.loss, len(dataset.classes))
    return Problem(
        architecture=architecture,
        arithmetic=arithmetic,
        loss=LOSSES[loss](architecture.widths[-1], arithmetic.functions),
        l2=training.l2,
        steps=training.steps,
        batch_size=training.batch_size,
        measured_steps=log_spaced_steps(training.steps, training.measure_at),
        train=part(dataset.train_inputs, dataset.train_labels),
        test=part(dataset.test_inputs, dataset.test_labels),
        unit=dataset.unit,
        teacher=None if dataset.teacher is None else dataset.teacher.astype(config.dtype),
        label_noise=label_noise(loss, config.data.label_noise),
    )


def initial_parameters(architecture: Architecture, init: InitConfig, generators: RunGenerators) -> Array:
    """The initial parameters (P,) of one run, drawn for it alone, layer by layer."""
    parameters = np.zeros((1, architecture.parameter_count))
    for weights, layer in zip(architecture.weights(parameters), architecture.layers, strict=True):
        weights[0] = INITIALIZERS[init.name](generators.initial, layer, **init.options)
    if init.bias_scale:
        for biases in architecture.biases(parameters):
            biases[0] = init.bias_scale * generators.biases.normal(biases.shape[1:])
    return parameters[0]


def stack_optimizer(configs: Sequence[Config], architecture: Architecture, parameters: Array) -> Optimizer:
    """The update rule of a stack, its hyperparameters a column each: one number per run."""

    def column(numbers: Sequence[float]) -> Array:
        return np.array(numbers, parameters.dtype)[:, None]

    first = configs[0].optimizer
    hyperparameters = {key: column([config.optimizer.options[key] for config in configs]) for key in first.options}
    if first.rate_factors is not None:
        factors = np.array([config.optimizer.rate_factors for config in configs], parameters.dtype)
        parameters_per_layer = [rows * columns for rows, columns in architecture.block_shapes]
        hyperparameters["learning_rate"] = hyperparameters["learning_rate"] * factors.repeat(
            parameters_per_layer, axis=1
        )
    return Optimizer(
        first.name,
        parameters,
        hyperparameters,
        weight_decay=column([config.optimizer.weight_decay for config in configs]),
        weight_mask=architecture.weight_mask.astype(parameters.dtype),
    )


def _reference_optimum(config: Config, digest: str | None) -> Optimum | None:
    """The optimum of a model without hidden units: of logistic regression, or of linear regression."""
    if config.model.name != "logistic":
        return None
    training = config.training
    return _optimum(json.dumps([asdict(config.data), digest, training.l2, config.model.bias, training.loss]))


def _computed_optimum(key: str) -> Optimum:
    data, digest, l2, bias, loss = json.loads(key)
    dataset = dataset_of(DataConfig(**data), digest)
    classes = len(dataset.classes)
    targets = targets_of(dataset.train_labels, classes)
    return reference_optimum(dataset.train_inputs, targets, l2=l2, bias=bias, loss=loss_name(loss, classes))


_optimum = SizedCache(_computed_optimum, size=lambda optimum: optimum.objective.examples.nbytes)
