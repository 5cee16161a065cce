"""What an answer to a mistake says to type is accepted, and does what was asked for."""

import sys
from pathlib import Path

import pytest

from pipeline import relocate
from pipeline.compose.repairs import more_than_one
from tests.support.endings import after_the_shell, ending_of

# what others call it: what the answer says to type, and nothing but this
OTHER_WORDS = [
    ("momentum=0.9", "optimizer=momentum optimizer.momentum=0.9"),
    ("hidden=64", "'model.hidden_units=[64]'"),
    ("epochs=5", "training.steps=2000"),
    ("data.name=moons", "data=moons"),
    ("n_jobs=2", "executor.workers=2"),
    ("exp=rounding", ""),
    ("init.std=0.1", ""),
]


@pytest.mark.parametrize(("given", "typed"), OTHER_WORDS, ids=lambda value: value)
def test_words_of_others_are_answered_by_what_to_type_which_is_accepted(given: str, typed: str, tmp_path: Path) -> None:
    ending, said = ending_of(tmp_path, [given])
    assert (ending, said.partition("; type ")[2]) == ("refused", typed)
    assert not typed or ending_of(tmp_path, after_the_shell(typed))[0] == "checked"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("init=glorot", "did you mean xavier_normal or xavier_uniform?"),
        ("measures=[hesian]", "did you mean hessian?"),
        ("record_weights=yes", "for example 'record_weights=[0]'"),
        ("rerun=yes", "type rerun=true"),
        ("training.batch_size=full", "type training.batch_size=null"),
        ("experiment_name=12", "type 'experiment_name=\"12\"'"),
        ("optimizer.learning_rate=[0.1,1]", "several values are a sweep: -m optimizer.learning_rate=0.1,1"),
        ("measures=stability,hessian", "as a list: 'measures=[stability,hessian]'"),
        ("record_weights=range(3)", "as a list: 'record_weights=[0,1,2]'"),
    ],
    ids=lambda value: value,
)
def test_words_of_others_for_a_value_are_answered_by_ours(given: str, hint: str, tmp_path: Path) -> None:
    _, said = ending_of(tmp_path, [given])
    assert said.endswith(f"({hint})")


@pytest.mark.parametrize(
    ("given", "swept"),
    [
        ("measures=movement,balance", "measures=[movement],[balance]"),
        ("record_weights=range(2)", "record_weights=[0],[1]"),
        ("model.hidden_units=[8],[8,8]", "model.hidden_units=[8],[8,8]"),
        ("seed=range(2)", "seed=range(2)"),
    ],
)
def test_the_sweep_that_is_advised_is_accepted_and_spans_nothing_else(given: str, swept: str, tmp_path: Path) -> None:
    message = more_than_one(given, ["model=mlp", given])
    advised = after_the_shell(message.partition("python -m pipeline.run ")[2].partition(" (as ")[0])
    assert advised == ["-m", "model=mlp", swept, "hydra.sweeper.params=null"]
    assert ending_of(tmp_path, advised)[0] == "checked"


def test_a_wrong_option_of_relocate_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["relocate", "--foo"])
    with pytest.raises(SystemExit, match=r"^python -m pipeline.relocate: unrecognized arguments: --foo$"):
        relocate.main()
