"""Spelling suggestions: every key and option of ``conf/``, and which of them a mistyped one may stand for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CONF = Path(__file__).parents[2] / "conf"
PRESETS = "experiment"
"""The group whose files hold keys of all other groups."""
NAMING = ("name", "_target_")
"""Keys that a group's option is recognised by; users choose with ``group=option``."""
RENAMED = {
    "executor.partition": "executor.queue",
    "executor.time": "executor.walltime",
    "executor.array": "executor.jobs",
    "executor.maximum": "executor.jobs",
    "executor.sbatch": "executor.job_extra_directives",
    "executor.folder": "executor.log_directory",
}
"""Keys of former versions and of others' programs, and what they are here."""
FIELD_WORDS = {
    "activation": "act_fn activation_fn activation_function nonlinearity",
    "batch_size": "batch bs minibatch mini_batch minibatch_size",
    "bias": "use_bias",
    "constant": "ones",
    "cross_entropy": "ce nll log_loss bce xent categorical_crossentropy",
    "data": "dataset",
    "diagonal": "identity eye",
    "dtype": "precision",
    "experiment_name": "run_name project",
    "float32": "single",
    "float64": "double",
    "gd": "sgd",
    "he": "kaiming",
    "hidden_units": "hidden hidden_size hidden_dim hidden_layers hidden_layer_sizes n_hidden neurons units width",
    "identity": "linear none",
    "init": "initializer initialiser initialization initialisation init_scheme weight_init",
    "inline": "serial sequential sync",
    "l2": "lambda reg regularization penalty ridge alpha",
    "learning_rate": "eta rate step_size alpha",
    "logistic": "linear logreg logistic_regression softmax",
    "loss": "criterion objective loss_function",
    "measures": "metrics measurements",
    "mlp": "nn dnn neural_network perceptron",
    "model": "net network arch architecture",
    "normal": "gaussian gauss rand randn random",
    "optimizer": "solver algorithm",
    "path": "file filename csv",
    "plan": "dry_run",
    "processes": "local multiprocessing joblib parallel",
    "rerun": "force overwrite retrain",
    "scale": "std stddev sigma",
    "seed": "random_seed random_state rng",
    "separator": "sep delimiter",
    "sigmoid": "logistic",
    "squared_error": "mse mean_squared_error quadratic",
    "standardize": "normalize normalise scale",
    "steps": "iterations iters n_iter max_iter updates",
    "target": "label labels y target_column",
    "test_fraction": "test_size validation_fraction",
    "workers": "n_jobs n_workers num_workers threads parallel cpus",
    "xavier": "glorot",
}
"""A word of a key or an option, and what others call it."""
OTHER_UNITS = {
    "epoch epochs n_epochs num_epochs max_epochs": "training.steps counts updates; type training.steps=2000",
    "depth layers n_layers num_layers": "each hidden layer has its width; type 'model.hidden_units=[32,32]'",
    "seeds n_seeds num_seeds repeats n_runs": "several seeds are a sweep; type -m 'seed=range(5)'",
    "tracking_uri mlflow": "the environment names the store; type export MLFLOW_TRACKING_URI=sqlite:///mlflow.db",
}
"""What others ask for by other quantities, and what to type instead."""
LIKE = 0.7
"""Letters in common, from 0 to 1, from which one word may be a slip for another."""
ABBREVIATED = 0.95
"""How near an abbreviation is to its word."""
FEW = 3
"""With more candidates than this nothing is suggested."""


@cache
def options_by_group() -> dict[str, dict[str, tuple[str, ...]]]:
    """Group -> option -> the option's own keys."""
    options: dict[str, dict[str, tuple[str, ...]]] = {}
    for file in sorted(CONF.glob("[!_]*/*.yaml")):
        group = options.setdefault(file.parent.name, {})
        group[file.stem] = () if file.parent.name == PRESETS else tuple(_values(file))
    return options


def _values(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    bases = [base for base in values.get("defaults", []) if isinstance(base, str) and base != "_self_"]
    inherited = {key: value for base in bases for key, value in _values(file.with_name(f"{base}.yaml")).items()}
    return inherited | {key: value for key, value in values.items() if key not in (*NAMING, "defaults", "hydra")}


@cache
def known_keys() -> Mapping[str, tuple[str, ...]]:
    """Dotted key -> the options of its group that have it; none where it does not depend on the option."""
    keys: dict[str, tuple[str, ...]] = dict.fromkeys(options_by_group(), ())
    for key, value in _values(CONF / "config.yaml").items():
        nested = value if key in options_by_group() else None
        keys |= {key: ()} if nested is None else {f"{key}.{inner}": () for inner in nested}
    for group, options in options_by_group().items():
        for key in dict.fromkeys(key for own in options.values() for key in own):
            holders = tuple(option for option, own in options.items() if key in own)
            keys[f"{group}.{key}"] = () if len(holders) == len(options) else holders
    return keys


def nearest(given: str, candidates: Iterable[str]) -> list[str]:
    """The few dotted names that ``given`` may stand for: their last part is meant or like it, then their group.

    >>> nearest("learnrate", known_keys()), nearest("optimizer.lr", known_keys())
    (['optimizer.learning_rate'], ['optimizer.learning_rate'])
    >>> nearest("optimizer.epsilom", known_keys()), nearest("epsilom", known_keys())
    (['optimizer.epsilon'], ['init.epsilon', 'optimizer.epsilon'])
    >>> nearest("zero", ["zeros", "normal"]), nearest("colour", known_keys())
    (['zeros'], [])
    >>> nearest("bs", known_keys()), nearest("glorot_uniform", ["xavier_uniform", "xavier_normal"])
    (['training.batch_size'], ['xavier_uniform'])
    """
    group, _, name = given.lower().replace("-", "_").replace("/", ".").rpartition(".")
    scores = {}
    for candidate in dict.fromkeys(candidates):
        own_group, _, own_name = candidate.lower().rpartition(".")
        translated = [_likeness(word, own_name) for word in _in_our_words(name)]
        likeness = max(_likeness(name, own_name), *(each for each in translated if each >= ABBREVIATED), 0.0)
        if likeness >= LIKE:
            scores[candidate] = likeness, SequenceMatcher(None, group, own_group).ratio()
    best = [candidate for candidate, score in scores.items() if score == max(scores.values())]
    return best if len(best) <= FEW else []


def _in_our_words(name: str) -> list[str]:
    """What a name of others may be called here, as a whole and word by word; itself where that is nothing else."""
    words = {part: [own for own, others in FIELD_WORDS.items() if part in others.split()] for part in name.split("_")}
    whole = [own for own, others in FIELD_WORDS.items() if name in others.split()]
    return [*whole, "_".join(own[0] if own else part for part, own in words.items())]


def _likeness(given: str, word: str) -> float:
    if given == word:
        return 1.0
    return ABBREVIATED if _abbreviates(given, word) else SequenceMatcher(None, given, word).ratio()


def _abbreviates(given: str, word: str) -> bool:
    """Whether ``given`` is a word of a compound, or beginnings of its first words: ``lr``, ``hidden``, ``eps``."""
    parts = word.split("_")
    if given in parts:
        return True
    beginnings = [f"(?:{'|'.join(part[:end] for end in range(len(part), 0, -1))})" for part in parts]
    leading = (beginnings[: count + 1] for count in range(len(beginnings)))
    return len(given) > 1 and any(re.fullmatch("_?".join(pattern), given) for pattern in leading)


def did_you_mean(given: str, candidates: Iterable[str]) -> str:
    """A question to append to a message, or nothing where no candidate is near.

    >>> did_you_mean("rellu", ["tanh", "relu"]), did_you_mean("swish", ["tanh", "relu"])
    (' (did you mean relu?)', '')
    """
    near = nearest(given, candidates)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def unknown_key(key: str, allowed: Sequence[str], owner: str = "") -> str:
    """One line for a key that does not exist here: which is near, what the chosen option has, which options have it.

    Args:
        allowed: what the key's group has, without the group's name.
        owner: what has these, such as ``init=zeros``.

    >>> unknown_key("init.epsilon", ["bias_scale"], "init=zeros")
    'init.epsilon: no such key; init=zeros has bias_scale; it belongs to init=perturbed, small_layers, soft_committee'
    >>> unknown_key("mom", ["seed"])
    'mom: no such key (did you mean optimizer.momentum, of optimizer=momentum?)'
    """
    if new := RENAMED.get(key):
        return f"{key}: no such key; it is {new} now, of {_holders(new)}"
    group, _, name = key.rpartition(".")
    for words, advice in OTHER_UNITS.items():
        if name.lower() in words.split():
            return f"{key}: no such key; {advice}"
    here = [f"{group}.{name}" if group else name for name in allowed]
    has = f"; {owner or group or 'the top level'} has {', '.join(allowed) or 'no keys'}"
    if holders := _holders(key):
        return f"{key}: no such key{has}; it belongs to {holders}"
    near = {meant: "" if meant in here else _holders(meant) for meant in meant_by(key, here)}
    listed = " or ".join(f"{meant}, of {holders}" if holders else meant for meant, holders in near.items())
    hint = f" (did you mean {listed}?)" if near else ""
    return f"{key}: no such key{hint}{has if near.keys() <= set(here) else ''}"


def meant_by(key: str, here: Iterable[str]) -> list[str]:
    """The keys that one which does not exist here may stand for."""
    if key.rpartition(".")[2] in " ".join(OTHER_UNITS).split():
        return []
    if key in known_keys():
        return [key]
    near = nearest(key, [*here, *known_keys()])
    return [meant for meant in near if meant in here] or near


def _holders(key: str) -> str:
    options = known_keys().get(key)
    return f"{key.partition('.')[0]}={', '.join(options)}" if options else ""
