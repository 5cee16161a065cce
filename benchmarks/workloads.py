"""What is trained: the workloads, and each of them as plain arrays that every side starts from."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hydra import compose, initialize_config_dir
from scipy.special import logsumexp

from pipeline.compose.resolve import checked_config
from pipeline.config.schema import Config
from pipeline.nn.arithmetic import Array
from pipeline.training.datasets import dataset_of
from pipeline.training.loop import RunGenerators
from pipeline.training.stack import train_stack

CONF = Path(__file__).resolve().parents[1] / "conf"
PLAIN_DESCENT = (
    "model=mlp",
    "optimizer=gd",
    "optimizer.learning_rate=0.5",
    "training.l2=0",
    "training.batch_size=null",
    "training.measure_at=2",
    "data.test_fraction=0",
)


@dataclass(frozen=True)
class Workload:
    """One kind of training.

    Attributes:
        text: what it is, for the reader.
        overrides: as on the command line, after ``PLAIN_DESCENT``; IDX_FOLDER stands for the synthetic images.
        runs: how many are trained side by side.
        few, many: the two numbers of steps whose difference is timed.
    """

    text: str
    overrides: tuple[str, ...]
    runs: int
    few: int
    many: int

    def quick(self) -> "Workload":
        """Few steps of at most eight runs: to see that everything works."""
        return replace(self, runs=min(self.runs, 8), many=2 * self.few)


# L: 9984 examples are 78 full batches, so that no side has to handle a smaller last batch. Its steps are whole epochs.
WORKLOADS = {
    "S": Workload("moons 200 x 2, 8 units, full batch", ("data=moons", "model.hidden_units=[8]"), 512, 20, 420),
    "M": Workload("digits 1797 x 64, 32 units, full batch", ("data=digits", "model.hidden_units=[32]"), 16, 5, 65),
    "D": Workload(
        "digits 1797 x 64, 3 layers of 32 units, full batch",
        ("data=digits", "model.hidden_units=[32,32,32]"),
        8, 5, 65,
    ),
    "L": Workload(
        "synthetic images 9984 x 784, 256 units, batches of 128",
        ("data=idx", "data.path=IDX_FOLDER", "data.limit=9984", "model.hidden_units=[256]", "training.batch_size=128",
         "optimizer.learning_rate=0.02"),
        4, 78, 390,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """R runs as plain arrays; L layers, d features, k outputs.

    Attributes:
        configs: R configurations that differ in their seed.
        inputs: (n, d) float64.
        labels: (n,) int64.
        weights: of each layer, (R, fan_in, fan_out): where every side starts.
        biases: of each layer, (R, fan_out).
    """

    configs: tuple[Config, ...]
    inputs: Array
    labels: Array
    weights: list[Array]
    biases: list[Array]

    @property
    def learning_rate(self) -> float:
        return float(self.configs[0].optimizer.options["learning_rate"])

    @property
    def batch_size(self) -> int:
        return self.configs[0].training.batch_size or len(self.inputs)

    @property
    def targets(self) -> Array:
        """(n, k) float64: one column of 0 and 1 for two classes, else one-hot rows."""
        outputs = self.weights[-1].shape[2]
        one_hot = self.labels[:, None] == np.arange(outputs)
        return self.labels[:, None].astype(np.float64) if outputs == 1 else one_hot.astype(np.float64)

    def first(self, runs: int) -> "Problem":
        """The same problem with its first runs only."""
        return replace(
            self,
            configs=self.configs[:runs],
            weights=[weights[:runs] for weights in self.weights],
            biases=[biases[:runs] for biases in self.biases],
        )

    def batches(self, steps: int) -> Array | None:
        """(steps, R, batch) example indices, those that our trainer draws; None for the full batch.

        Raises:
            ValueError: the batches do not divide the examples.
        """
        if self.batch_size == len(self.inputs):
            return None
        if len(self.inputs) % self.batch_size:
            raise ValueError(f"batch_size: expected a divisor of {len(self.inputs)}, got {self.batch_size}")
        epochs = -(-steps * self.batch_size // len(self.inputs))
        generators = [RunGenerators.from_seed(config.seed).batches for config in self.configs]
        orders = [np.concatenate([run.permutation(len(self.inputs)) for _ in range(epochs)]) for run in generators]
        batches: Array = np.stack(orders).reshape(len(orders), -1, self.batch_size)[:, :steps].swapaxes(0, 1)
        return np.ascontiguousarray(batches)

    def losses(self, weights: Sequence[Array], biases: Sequence[Array]) -> Array:
        """(R,), the mean cross-entropy over all examples; the judge of all sides, so it uses none of their code."""
        signal = np.broadcast_to(self.inputs, (len(weights[0]), *self.inputs.shape))
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            signal = (np.tanh(signal) if layer else signal) @ weight + bias[:, None, :]
        if signal.shape[2] == 1:
            each = np.logaddexp(0.0, signal[:, :, 0]) - self.labels * signal[:, :, 0]
        else:
            each = logsumexp(signal, axis=2) - signal[:, np.arange(len(self.labels)), self.labels]
        mean: Array = each.mean(axis=1)
        return mean

    def flops(self) -> int:
        """Additions and multiplications in the matrix products of one run and step.

        A layer takes 2 * batch * fan_in * fan_out forward, as many for the gradient of its weights and, except for
        the first layer, as many for the deltas of the layer below. Biases and elementwise work are not counted.
        """
        sizes = [weights.shape[1] * weights.shape[2] for weights in self.weights]
        return 2 * self.batch_size * (3 * sum(sizes) - sizes[0])


def configuration(*overrides: str) -> Config:
    """Plain gradient descent with overrides as on the command line, composed by Hydra and checked."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return checked_config(compose("config", [*PLAIN_DESCENT, *overrides]))


def problem_of(config: Config, runs: int) -> Problem:
    """The runs with the seeds 0 .. runs - 1 as plain arrays; the start is the one that our trainer uses."""
    configs = tuple(replace(config, seed=seed) for seed in range(runs))
    results = train_stack([with_steps(config, 0) for config in configs])
    initial, architecture = np.stack([result.initial for result in results]), results[0].architecture
    dataset = dataset_of(config.data)
    return Problem(
        configs,
        dataset.train_inputs,
        dataset.train_labels,
        [np.ascontiguousarray(weights) for weights in architecture.weights(initial)],
        [np.ascontiguousarray(biases) for biases in architecture.biases(initial)],
    )


def with_steps(config: Config, steps: int) -> Config:
    return replace(config, training=replace(config.training, steps=steps))


@contextmanager
def problem(workload: Workload) -> Iterator[Problem]:
    """The workload's problem; its synthetic images, if it has any, exist as files while the context is open."""
    with TemporaryDirectory() as folder:
        if "data=idx" in workload.overrides:
            write_images(Path(folder))
        overrides = [override.replace("IDX_FOLDER", folder) for override in workload.overrides]
        yield problem_of(configuration(*overrides), workload.runs)


def write_images(folder: Path, examples: int = 10_000, size: int = 28, classes: int = 10) -> None:
    """Writes images in MNIST's format: a random pattern for each class, half hidden under noise."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 128, (classes, size, size))
    labels = generator.integers(0, classes, examples)
    images = patterns[labels] + generator.integers(0, 128, (examples, size, size))
    for name, values in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        header = struct.pack(f">4B{values.ndim}I", 0, 0, 0x08, values.ndim, *values.shape)
        (folder / name).write_bytes(header + values.astype(np.uint8).tobytes())
