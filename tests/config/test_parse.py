"""The configuration: every option composes and works; every mistake is one line that names the key."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from pipeline.compose.resolve import checked_config
from pipeline.config.options import option_types
from pipeline.config.parse import parse_config
from pipeline.config.schema import FAMILIES
from pipeline.errors import InputError, MissingExtraError
from pipeline.executors.inline import InlineExecutor
from pipeline.executors.interface import open_executor
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import train_stack
from tests.support.configurations import CONF, configuration

GROUPS = ("model", "init", "data", "optimizer", "training", "executor", "experiment")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.fixture
def users_files(tmp_path: Path) -> dict[str, list[str]]:
    """Overrides that the data options for users' own files need."""
    table = tmp_path / "table.csv"
    table.write_text("x,y,kind\n" + "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(40)), encoding="utf-8")
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    images.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(i % 251 for i in range(160)))
    labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 40]) + bytes(i % 2 for i in range(40)))
    pd.read_csv(table).to_parquet(tmp_path / "table.parquet")
    np.savez(tmp_path / "arrays.npz", inputs=np.arange(80.0).reshape(40, 2) % 7, labels=np.arange(40) % 2)
    return {
        "csv": [f"data.path={table}", "data.target=kind"],
        "parquet": [f"data.path={tmp_path / 'table.parquet'}", "data.target=kind"],
        "idx": [f"data.path={images}"],
        "npz": [f"data.path={tmp_path / 'arrays.npz'}"],
    }


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_trains(group: str, option: str, users_files: dict[str, list[str]]) -> None:
    small = ["training.steps=3", "training.batch_size=null"]
    try:
        config = checked_config(composed(f"{group}={option}", *users_files.get(option, []), *small))
    except MissingExtraError as error:
        pytest.skip(str(error))
    if group in ("model", *FAMILIES):
        assert getattr(config, group).name == option
    (result,) = train_stack([config])
    assert result.diverged_at is None
    assert result.last["loss/train"] < 10.0


@pytest.mark.parametrize("group", FAMILIES)
def test_every_function_of_a_family_has_one_yaml_file_with_exactly_its_keys(group: str) -> None:
    files = {path.stem: yaml.safe_load(path.read_text()) for path in (CONF / group).glob("*.yaml")}
    assert files.keys() == FAMILIES[group].keys()
    common = {"init": set(), "optimizer": {"weight_decay"}, "data": {"test_fraction", "seed", "standardize", "limit"}}
    for name, function in FAMILIES[group].items():
        assert files[name].keys() == {"name", *option_types(function), *common[group]}, name


def test_a_configuration_survives_the_way_through_plain_values() -> None:
    config = configuration({"init": "perturbed", "model.hidden_units": [3, 4], "data": "moons"})
    assert parse_config(config.composed()) == config


def test_the_fingerprint_changes_with_everything_that_determines_the_result() -> None:
    base = fingerprint(configuration())
    question = {"name": "mine", "asks": "Does it?", "predicts": "It does."}
    elsewhere = {"executor": "inline"}, {"executor.workers": 3}, {"plan": True}, {"experiment_name": "elsewhere"}
    for irrelevant in (*elsewhere, {"size": "large"}, {"question": question}):
        assert fingerprint(configuration(irrelevant)) == base
    different = [{"seed": 1}, {"data.seed": 1}, {"data.limit": 300}, {"optimizer.learning_rate": 0.2},
                 {"init.gain": 2.0}, {"arithmetic": "blas"}, {"training.measure_at": 20},
                 {"model.bias": False}, {"init.bias_scale": 0.1}, {"optimizer.rate_factors": [1.0, 1.0]},
                 {"measures": ["weight_norm"]}]  # fmt: skip
    assert len({base, *(fingerprint(configuration(change)) for change in different)}) == len(different) + 1


class Needy(InlineExecutor):
    """Cannot be created from a configuration."""

    def __init__(self, room: int, other: int) -> None:
        super().__init__(room)


class Raising(InlineExecutor):
    """Is never created."""

    def __init__(self, room: int) -> None:
        raise TypeError("no\ngood")


def makes_nothing(room: int) -> None:
    """No executor."""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Raising", "got tests.config.test_parse.Raising (TypeError: no good)"),
        ("makes_nothing", "NoneType has no submit"),
    ],
)
def test_what_makes_no_executor_is_told_in_one_line(name: str, words: str) -> None:
    config = checked_config(composed("executor=inline", f"executor._target_=tests.config.test_parse.{name}"))
    with pytest.raises(InputError, match=re.escape(words)):
        open_executor(config.executor)


@pytest.mark.parametrize(
    ("whole", "written"),
    [
        (["training.steps=1000"], ["training.steps=1e3"]),
        (["seed=100", "training.batch_size=64"], ["seed=1e2", "training.batch_size=64.0"]),
        (["model.hidden_units=[8,100]"], ["model.hidden_units=[8.0,1e2]"]),
        (["data=blobs", "data.classes=3", "data.limit=90"], ["data=blobs", "data.classes=3.0", "data.limit=9e1"]),
        (["executor.workers=2"], ["executor.workers=2.0"]),
    ],
)
def test_a_whole_number_is_one_however_it_is_written(whole: list[str], written: list[str]) -> None:
    few = ["model=mlp", "training.measure_at=10"]
    expected, config = checked_config(composed(*whole, *few)), checked_config(composed(*written, *few))
    assert repr(config) == repr(expected)
    assert fingerprint(config) == fingerprint(expected)


BAD_INPUT = [
    # overrides, words that the one line must hold: key, what is allowed, what came
    (["training.steps=abc"], ["training.steps", "a whole number >= 0", "'abc'"]),
    (["training.steps=-1"], ["training.steps", "a whole number >= 0", "-1"]),
    (["training.steps=1e300"], ["training.steps", "a whole number >= 0", "1e+300"]),
    (["training.steps=1.5"], ["training.steps", "a whole number >= 0", "1.5"]),
    (["training.steps=true"], ["training.steps", "a whole number >= 0", "True"]),
    (["training.batch_size=0"], ["training.batch_size", "a whole number >= 1 or null", "0"]),
    (["training.batch_size=5000"], ["training.batch_size", "at most 1438", "5000"]),
    (["training.l2=-0.1"], ["training.l2", "a number >= 0", "-0.1"]),
    (["training.l2=nan"], ["training.l2", "a number >= 0", "nan"]),
    (["training.loss=hinge"], ["training.loss", "one of cross_entropy, squared_error or null", "'hinge'"]),
    (["training.measure_at=1"], ["training.measure_at", "a whole number >= 2", "1"]),
    (["optimizer.learning_rate=0"], ["optimizer.learning_rate", "a number > 0", "0"]),
    (["optimizer.learning_rate=inf"], ["optimizer.learning_rate", "a number > 0", "inf"]),
    (["optimizer=momentum", "optimizer.momentum=1.0"], ["optimizer.momentum", "a number >= 0 and < 1", "1.0"]),
    (["optimizer.weight_decay=x"], ["optimizer.weight_decay", "a number >= 0", "'x'"]),
    (["model.activation=swish"], ["model.activation", "one of tanh", "'swish'"]),
    (["model.activation=null"], ["model.activation", "one of tanh", "null"]),
    (["model.hidden_units=32"], ["a list of whole numbers >= 1", "got 32 (type 'model.hidden_units=[32]')"]),
    (["measures=balance"], ["a list of one of", "(type 'measures=[balance]')"]),
    (["model.activation=rellu"], ["one of tanh", "got 'rellu' (did you mean relu?)"]),
    (["training.loss=squared"], ["one of cross_entropy", "got 'squared' (did you mean squared_error?)"]),
    (["model.hidden_units=[8,0]"], ["model.hidden_units", "a list of whole numbers >= 1", "[8, 0]"]),
    (["model.hidden_units=[]"], ["model.hidden_units", "at least one width", "[]"]),
    (["model.bias=3"], ["model.bias", "true or false", "3"]),
    (["model.dropout=1.0"], ["model.dropout", "a number >= 0 and < 1", "1.0"]),
    (["model=logistic", "model.hidden_units=[4]"], ["model.hidden_units", "[]", "[4]"]),
    (["model=logistic", "model.activation=tanh"], ["model.activation", "null", "tanh"]),
    (["model=logistic", "model.dropout=0.5"], ["model.dropout", "0", "0.5"]),
    (["init=mirrored", "model.activation=relu"], ["model.activation", "tanh, erf, identity", "relu"]),
    (["init=mirrored", "model.hidden_units=[7]"], ["model.hidden_units", "even", "7"]),
    (["init=duplicated", "init.copies=5"], ["init.copies", "divisor", "5", "32"]),
    (["init=duplicated", "init.copies=0"], ["init.copies", "a whole number >= 1", "0"]),
    (["init=orthogonal", "model.activation=gelu"], ["init.gain", "a number", "gelu", "null"]),
    (["init=uniform", "init.scale=-1"], ["init.scale", "a number > 0", "-1"]),
    (["init=constant", "init.value=big"], ["init.value", "a number", "'big'"]),
    (["dtype=float32"], ["dtype", "float64", "float32", "arithmetic=blas"]),
    (["dtype=float16"], ["dtype", "one of float64, float32", "'float16'"]),
    (["arithmetic=exakt"], ["arithmetic", "one of exact, blas", "'exakt'"]),
    (["seed=-1"], ["seed", "a whole number >= 0", "-1"]),
    (["seed=null"], ["seed", "a whole number >= 0", "None"]),
    (["experiment_name=3"], ["experiment_name", "text", "3"]),
    (["size=huge"], ["size", "one of default, large", "'huge'"]),
    (["data=teacher", "data.units=9"], ["data.units", "a whole number >= 1 and <= 8", "9"]),
    (["data=whitened", "data.correlations=[2]"], ["data.correlations", "a list of numbers >= 0 and <= 1", "2"]),
    (["measures=[weight_norm,mood]"], ["measures", "a list of one of", "weight_norm", "'mood'"]),
    (["measures=[separator]"], ["measures", "no separator", "model=mlp", "['separator']"]),
    (["executor.workers=0"], ["executor.workers", "a whole number >= 1 or null", "0"]),
    (["+executor.wurkers=2"], ["executor.wurkers", "no such key", "workers"]),
    (["executor=inline", "+executor.workers=2"], ["executor.workers", "no such key", "InlineExecutor has no keys"]),
    (["executor._target_=mine.Executor"], ["executor._target_", "'mine.Executor'", "No module named 'mine'"]),
    (["executor._target_=pipeline.names.TAGS"], ["executor._target_", "'pipeline.names.TAGS'"]),
    (["executor._target_=pipeline.names.LOSS_TEST"], ["executor._target_", "a class", "'pipeline.names.LOSS_TEST'"]),
    (["executor._target_=builtins.int"], ["executor._target_", "submit, wait, done, close, got 'builtins.int'"]),
    (["executor._target_=pathlib.Path"], ["executor._target_", "without submit, wait, done, close"]),
    (["executor._target_=collections.OrderedDict"], ["executor._target_", "without submit, wait, done, close"]),
    (["executor._target_=builtins.iter"], ["executor._target_", "'builtins.iter', whose keys cannot be checked"]),
    (["executor._target_=builtins.print"], ["executor._target_", "'builtins.print', whose keys cannot be checked"]),
    (["executor=inline", "executor._target_=os.getcwd"], ["executor._target_", "(room, *, keys), got os.getcwd"]),
    (["executor=inline", "executor._target_=tests.config.test_parse.Needy"], ["executor._target_", "'other'"]),
    (["~executor"], ["executor", "a group of keys", "nothing"]),
    (["plan=maybe"], ["plan", "true or false", "'maybe'"]),
    (["measures=weight"], ["measures", "'weight' (did you mean weight_norm?)"]),
    (["question={name: mine}"], ["question.asks", "text", "nothing"]),
    (["question=mine"], ["question", "a group of keys or null", "'mine'"]),
    (["init.bias_scale=-1"], ["init.bias_scale", "a number >= 0", "-1"]),
    (["init.bias_scale=0.1", "model.bias=false"], ["init.bias_scale", "0", "model.bias=false", "0.1"]),
    (["optimizer.rate_factors=[1.0]"], ["optimizer.rate_factors", "2 numbers", "[1.0]"]),
    (["optimizer.rate_factors=[1.0,-1.0]"], ["optimizer.rate_factors", "a list of numbers >= 0 or null", "-1.0"]),
    (["init=constant_layers", "init.values=[0.1]"], ["init.values", "2 numbers", "[0.1]"]),
    (["init=constant_layers", "init.values=[a,b]"], ["init.values", "a list of a number or null", "['a', 'b']"]),
    (["+training.stepz=5"], ["training.stepz", "no such key", "training.steps"]),
    (["+colour=red"], ["colour", "no such key", "model, init, data"]),
    (["~training.steps"], ["training.steps", "a whole number >= 0", "nothing"]),
    (["~init"], ["init", "nothing"]),
    (["+init.value=3"], ["init.value: no such key; init=xavier_uniform has gain", "init=constant, perturbed"]),
    (["init=zeros", "+init.epsilon=1"], ["init=zeros has bias_scale; it belongs to init=perturbed, small_layers"]),
    (["+optimizer.lr=1"], ["optimizer.lr", "(did you mean optimizer.learning_rate?); optimizer=gd has"]),
    (["data=csv"], ["data.path", "text", "nothing"]),
    (["data=csv", "data.path=/nowhere.csv", "data.target=x"], ["data.path", "/nowhere.csv"]),
    (["data=idx", "data.path=/nowhere"], ["data.path", "/nowhere"]),
    (["data.limit=100000"], ["data.limit", "1797", "100000"]),
    (["data.test_fraction=1.5"], ["data.test_fraction", "a number >= 0 and < 1", "1.5"]),
    (["data=breast_cancer", "data.standardize=false"], ["data.standardize", "true", "false"]),
    (["data=blobs", "data.classes=1"], ["data.classes", ">= 2", "1"]),
    (["experiment_name=${oc.env:SYMMETRY_LAB_BYTES}"], ["text in UTF-8", "experiment_name"]),
    (["data=csv", "data.target=x", "data.path=${oc.env:SYMMETRY_LAB_BYTES}"], ["data: expected text in UTF-8", "path"]),
    (["seed=${oc.env:SYMMETRY_LAB_UNSET}"], ["seed", "SYMMETRY_LAB_UNSET"]),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "words"), BAD_INPUT, ids=lambda value: " ".join(value))
def test_bad_input_is_told_in_one_line(overrides: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMMETRY_LAB_BYTES", os.fsdecode(b"caf\xe9"))
    with pytest.raises(InputError) as caught:
        checked_config(composed(*overrides))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    for word in words:
        assert word in message, message


def test_a_wrong_structure_is_told_too() -> None:
    values: dict[str, Any] = configuration().composed()
    for group in ("model", "init", "data", "optimizer", "training"):
        with pytest.raises(InputError, match=group):
            parse_config(values | {group: 3})
