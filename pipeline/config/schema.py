"""The typed configuration of a run: one dataclass a group, whose defaults stand in ``conf/``."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from typing import Annotated, Any, Literal

from annotated_types import Ge, Len, Lt
from pydantic.dataclasses import dataclass

from pipeline import names
from pipeline.config.messages import OneOf
from pipeline.config.options import STRICT
from pipeline.data.sources import SOURCES
from pipeline.measures import MEASURES
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.losses import LOSSES
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.ranges import EXACT_INTEGERS, Count, Fraction, NonNegative, Whole

Seed = Annotated[Whole, Ge(0)]


class Group:
    """Base of the groups. Many configurations share a group, so what is derived from it is kept with it."""

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Its keys in the shape of ``conf/``; not to be changed.

        A key with a default in this schema is younger than runs that are tracked: at its default it is left out, so
        that these keep their fingerprints and params, and their configurations are still read.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)  # type: ignore[arg-type]
                  if getattr(self, field.name) != field.default}  # fmt: skip
        return values | values.pop("options", {})


@dataclass(frozen=True, config=STRICT)
class ModelConfig(Group):
    """Group ``model``; logistic regression is the network without hidden units."""

    name: Literal["logistic", "mlp"]
    hidden_units: tuple[Count, ...]
    activation: Annotated[str, OneOf(ACTIVATIONS)] | None
    bias: bool
    dropout: Fraction


@dataclass(frozen=True, config=STRICT)
class InitConfig(Group):
    """Group ``init``: a scheme, the keyword arguments of its function, and the standard deviation of the biases."""

    name: Annotated[str, OneOf(INITIALIZERS)]
    options: dict[str, Any]
    bias_scale: NonNegative


@dataclass(frozen=True, config=STRICT)
class DataConfig(Group):
    """Group ``data``: a source, the keyword arguments of its function, and what all sources share.

    ``label_noise`` changes no example: each step draws it anew (``nn.losses``).
    """

    name: Annotated[str, OneOf(SOURCES)]
    options: dict[str, Any]
    test_fraction: Fraction
    seed: Seed
    standardize: bool
    limit: Count | None
    label_noise: NonNegative = 0.0


@dataclass(frozen=True, config=STRICT)
class OptimizerConfig(Group):
    """Group ``optimizer``: a rule, the keyword arguments of its function, decoupled weight decay, rates per layer."""

    name: Annotated[str, OneOf(OPTIMIZERS)]
    options: dict[str, Any]
    weight_decay: NonNegative
    rate_factors: tuple[NonNegative, ...] | None


@dataclass(frozen=True, config=STRICT)
class TrainingConfig(Group):
    """Group ``training``: a batch_size of None takes the full batch, a loss of None the cross-entropy."""

    steps: Annotated[Whole, Ge(0), Lt(EXACT_INTEGERS)]
    batch_size: Count | None
    l2: NonNegative
    loss: Annotated[str, OneOf(LOSSES)] | None
    measure_at: Annotated[Whole, Ge(2), Lt(EXACT_INTEGERS)]


@dataclass(frozen=True, config=STRICT)
class QuestionConfig(Group):
    """What a prepared sweep is for; it changes no result.

    Attributes:
        name: that of its file in ``conf/experiment``.
        asks: the question in one sentence.
        predicts: the statement under test.
    """

    name: str
    asks: str
    predicts: str


@dataclass(frozen=True, config=STRICT)
class ExecutorConfig(Group):
    """Group ``executor``: the class that trains, and its keyword arguments; it changes no result."""

    target: str
    options: dict[str, Any]

    @cached_property
    def plain(self) -> dict[str, Any]:
        return {"_target_": self.target, **self.options}


@dataclass(frozen=True, config=STRICT)
class Config:
    """Everything that defines one run, where it is trained, and where it is tracked.

    ``record_weights`` lists the seeds of which the runs are recorded, so that one sweep may record a part of its runs.
    """

    model: ModelConfig
    init: InitConfig
    data: DataConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    seed: Seed
    arithmetic: Annotated[str, OneOf(ARITHMETICS)]
    dtype: Literal["float64", "float32"]
    measures: tuple[Annotated[str, OneOf(MEASURES)], ...]
    record_weights: tuple[Seed, ...]
    experiment_name: Annotated[str, Len(1, 500)]
    question: QuestionConfig | None
    size: Literal["default", "large"]
    rerun: bool
    executor: ExecutorConfig
    plan: bool

    @property
    def is_recorded(self) -> bool:
        """Whether the weights of this run are kept at every measured step, not only at both ends."""
        return self.seed in self.record_weights

    def composed(self) -> dict[str, Any]:
        """The configuration as nested plain values, in the shape of ``conf/``; ``parse_config`` reads it back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: dict(value.plain) if isinstance(value, Group) else value for key, value in values.items()}

    def scientific(self) -> dict[str, Any]:
        """The part of ``composed`` that determines the result: what it is for, and where it happens, is left out."""
        return {key: value for key, value in self.composed().items() if key not in UNSCIENTIFIC}

    def flattened(self) -> dict[str, Any]:
        """The part of ``scientific`` with dotted keys; a group's own key holds the name of its chosen option."""
        return names.with_dotted_keys(self.scientific())


UNTRACKED = ("executor", "plan")
"""Keys that say how the work is done, not what it is: they are no part of a tracked configuration."""
UNSCIENTIFIC = ("experiment_name", "question", "size", "rerun", *UNTRACKED)
FAMILIES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "init": INITIALIZERS,
    "data": SOURCES,
    "optimizer": OPTIMIZERS,
}
