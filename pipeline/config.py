"""Typed configuration: what a run is, and the checks that come before anything is trained or tracked.

``conf/`` holds every default. The classes here hold the types. Initialisers, optimisers and data sources bring their
own keys: the keyword-only parameters of their function, with the annotated ranges. Every mistake ends in an
``InputError`` of one line: the key, what is allowed, what came.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache, cached_property
from typing import Annotated, Any, Literal, get_type_hints

from annotated_types import Ge, Lt
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.activations import ACTIVATIONS
from pipeline.arithmetic import ARITHMETICS
from pipeline.described import OneOf, one_line
from pipeline.errors import InputError, shown
from pipeline.initializers import INITIALIZERS
from pipeline.losses import LOSSES
from pipeline.measures import MEASURES
from pipeline.optimizers import OPTIMIZERS
from pipeline.options import STRICT, callable_named, checked_options
from pipeline.ranges import FROM_TEXT, Count, Fraction, NonNegative
from pipeline.sources import SOURCES

Seed = Annotated[int, Ge(0), FROM_TEXT]
EXACT_INTEGERS = 2**53
"""Below this float64 holds every whole number; stores of metrics know no more steps either."""


class Group:
    """A group of keys. Many configurations share one, so what is derived from it is kept with it."""

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Its keys in the shape of ``conf/``; not to be changed."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
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
    """Group ``data``: a source, the keyword arguments of its function, and what all sources share."""

    name: Annotated[str, OneOf(SOURCES)]
    options: dict[str, Any]
    test_fraction: Fraction
    seed: Seed
    standardize: bool
    limit: Count | None


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

    steps: Annotated[int, Ge(0), Lt(EXACT_INTEGERS), FROM_TEXT]
    batch_size: Count | None
    l2: NonNegative
    loss: Annotated[str, OneOf(LOSSES)] | None
    measure_at: Annotated[int, Ge(2), Lt(EXACT_INTEGERS), FROM_TEXT]


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
    """Everything that defines one run, where it is trained, and where it is tracked."""

    model: ModelConfig
    init: InitConfig
    data: DataConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    seed: Seed
    arithmetic: Annotated[str, OneOf(ARITHMETICS)]
    dtype: Literal["float64", "float32"]
    measures: tuple[Annotated[str, OneOf(MEASURES)], ...]
    experiment_name: str
    question: QuestionConfig | None
    size: Literal["default", "large"]
    rerun: bool
    executor: ExecutorConfig
    plan: bool

    def composed(self) -> dict[str, Any]:
        """The configuration as nested plain values, in the shape of ``conf/``; ``parse_config`` reads it back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: dict(value.plain) if isinstance(value, Group) else value for key, value in values.items()}

    def scientific(self) -> dict[str, Any]:
        """The part of ``composed`` that determines the result: what it is for, and where it happens, is left out."""
        return {key: value for key, value in self.composed().items() if key not in UNSCIENTIFIC}

    def flattened(self) -> dict[str, Any]:
        """The part of ``scientific`` with dotted keys; a group's own key holds the name of its chosen option."""
        flat: dict[str, Any] = {}
        for key, value in self.scientific().items():
            if isinstance(value, dict):
                flat[key] = value.pop("name", None)
                flat |= {f"{key}.{inner_key}": inner_value for inner_key, inner_value in value.items()}
            else:
                flat[key] = value
        return {key: value for key, value in flat.items() if key != "training"}


UNTRACKED = ("executor", "plan")
"""Keys that say how the work is done, not what it is: they are no part of a tracked configuration."""
UNSCIENTIFIC = ("experiment_name", "question", "size", "rerun", *UNTRACKED)
FAMILIES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "init": INITIALIZERS,
    "data": SOURCES,
    "optimizer": OPTIMIZERS,
}


def parse_config(composed: Mapping[str, Any]) -> Config:
    """The composed configuration (nested plain values) as a checked ``Config``.

    Raises:
        InputError: a key is missing, unknown or of the wrong type, or two keys contradict each other.
    """
    nested = {
        key: _with_options(key, value) if key in FAMILIES and isinstance(value, Mapping) else value
        for key, value in composed.items()
    }
    if isinstance(nested.get("executor"), Mapping):
        nested["executor"] = _with_target(nested["executor"])
    try:
        # Strict validation takes a list for a tuple and a mapping for a dataclass only from JSON.
        config = _validator().validate_json(json.dumps(nested))
    except ValidationError as error:
        raise InputError(one_line(error, Config, nested)) from None
    for contradiction in _contradictions(config):
        raise InputError(contradiction)
    return config


def _with_options(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Moves the keys that belong to the chosen option's function into ``options``, checked against its signature."""
    name, family = values.get("name"), FAMILIES[group]
    if not isinstance(name, str) or name not in family:
        given = shown(name) if "name" in values else "nothing"
        raise InputError(f"{group}: expected one of {', '.join(family)}, got {given}")
    common = [field.name for field in fields(get_type_hints(Config)[group])]
    shared = {key: value for key, value in values.items() if key in common}
    own = {key: value for key, value in values.items() if key not in common}
    others = [key for key in common if key not in ("name", "options")]
    return {"options": checked_options(group, f"{group}={name}", family[name], own, others)} | shared


def _with_target(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the class that trains."""
    target = values.get("_target_")
    function = callable_named("executor._target_", target)
    own = {key: value for key, value in values.items() if key != "_target_"}
    return {"target": target, "options": checked_options("executor", str(target), function, own)}


@cache
def _validator() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def _contradictions(config: Config) -> Iterator[str]:
    """One line for every pair of keys that cannot go together."""
    model, init = config.model, config.init
    if model.name == "logistic" and model.hidden_units:
        given = shown(model.hidden_units)
        yield f"model.hidden_units: expected [] for logistic regression (or model=mlp), got {given}"
    if model.name == "logistic" and model.activation is not None:
        yield f"model.activation: expected null for logistic regression (or model=mlp), got {model.activation}"
    if model.name == "logistic" and model.dropout:
        yield f"model.dropout: expected 0 for logistic regression, which has no hidden units, got {model.dropout}"
    if model.name == "mlp" and not model.hidden_units:
        yield "model.hidden_units: expected at least one width for model=mlp (or model=logistic), got []"
    if model.name == "mlp" and model.activation is None:
        yield f"model.activation: expected one of {', '.join(ACTIVATIONS)} for model=mlp, got null"
    if config.dtype == "float32" and config.arithmetic == "exact":
        yield "dtype: expected float64 with arithmetic=exact (or arithmetic=blas), got float32"
    if init.bias_scale and not model.bias:
        yield f"init.bias_scale: expected 0 with model.bias=false (there are no biases), got {init.bias_scale}"
    if "separator" in config.measures and model.name != "logistic":
        yield f"measures: expected no separator with model={model.name} (or logistic), got {list(config.measures)}"
    factors, layers = config.optimizer.rate_factors, len(model.hidden_units) + 1
    if factors is not None and len(factors) != layers:
        yield f"optimizer.rate_factors: expected {layers} numbers, one for each layer (or null), got {shown(factors)}"
