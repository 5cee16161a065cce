"""Parse a composed configuration into the typed ``Config``, and refuse keys that contradict each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pipeline.config.messages import annotation_at, basis, one_line
from pipeline.config.options import EXECUTOR_METHODS, as_json, checked_options, checked_target, option_types
from pipeline.config.schema import FAMILIES, Config
from pipeline.data.examples import TEACHERS
from pipeline.errors import InputError, shown
from pipeline.measures import has_metrics
from pipeline.nn.activations import ACTIVATIONS


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
        nested["executor"] = checked_target("executor", nested["executor"], EXECUTOR_METHODS)
    try:
        config = _validator().validate_json(as_json("configuration", nested))
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
    common = _common_keys(group)
    shared = {key: value for key, value in values.items() if key in common}
    own = {key: value for key, value in values.items() if key not in common}
    others = [key for key in common if key not in ("name", "options")]
    return {"options": checked_options(group, f"{group}={name}", family[name], own, others)} | shared


def annotation_of(key: str) -> Any:
    """The annotation of a dotted key, whichever option has it; None where only an executor knows it."""
    group, _, name = key.rpartition(".")
    for function in FAMILIES.get(group, {}).values():
        if name in option_types(function):
            return option_types(function)[name]
    try:
        return annotation_at(Config, key.split("."))
    except (KeyError, TypeError):
        return None


def kind_of(key: str) -> Any:
    """The type of a key's values, such as ``float`` or ``tuple``; None where only an executor knows it."""
    annotation = annotation_of(key)
    return None if annotation is None else basis(annotation)


@cache
def _common_keys(group: str) -> list[str]:
    return [field.name for field in fields(get_type_hints(Config)[group])]


@cache
def _validator() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def check_measures(configs: Sequence[Config]) -> None:
    """Refuses a measurement that no job of a command has anything of; jobs of another model may lack it.

    Raises:
        InputError: there is one.
    """
    for name in dict.fromkeys(name for config in configs for name in config.measures):
        models = [config.model for config in configs if name in config.measures]
        if not any(has_metrics(name, model.hidden_units, is_odd=_is_odd(model.activation)) for model in models):
            units, activation = shown(models[0].hidden_units), models[0].activation or "null"
            raise InputError(
                f"measures: expected no {name}, for no job has what it measures, got it with"
                f" model.hidden_units={units} and model.activation={activation}"
            )


def _is_odd(activation: str | None) -> bool:
    return activation is not None and ACTIVATIONS[activation].odd


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
    is_teacher = config.data.name in TEACHERS
    is_regression = is_teacher or config.data.options.get("task") == "regression"
    with_quantities = f"with data={config.data.name}" if is_teacher else "with data.task=regression"
    if is_regression and config.training.loss == "cross_entropy":
        yield f"training.loss: expected squared_error (or null) {with_quantities}, got cross_entropy"
    if is_regression and (of_classes := sorted({"separator", "frequency_gap"} & {*config.measures})):
        yield f"measures: expected none of classes {with_quantities}, got {', '.join(of_classes)}"
    if "overlaps" in config.measures and not is_teacher:
        teachers = ", ".join(sorted(TEACHERS))
        yield f"measures: expected no overlaps without a teacher (data={teachers}), got data={config.data.name}"
    is_class = not is_regression and config.training.loss != "squared_error"
    if is_class and config.data.label_noise > 1.0:
        yield (
            "data.label_noise: expected at most 1 with the cross-entropy, the probability that a label is replaced (or"
            f" training.loss=squared_error: a standard deviation), got {config.data.label_noise:g}"
        )
    factors, layers = config.optimizer.rate_factors, len(model.hidden_units) + 1
    if factors is not None and len(factors) != layers:
        yield f"optimizer.rate_factors: expected {layers} numbers, one for each layer (or null), got {shown(factors)}"
