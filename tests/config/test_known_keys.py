"""What a name that does not exist here may stand for."""

import pytest

from pipeline.compose.repairs import typed
from pipeline.config.known_keys import FIELD_WORDS, OTHER_UNITS, known_keys, meant_by, nearest, options_by_group
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.losses import LOSSES


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("lr=0.1", "optimizer.learning_rate=0.1"),
        ("eta=0.1,1", "optimizer.learning_rate=0.1,1"),
        ("dropout_rate=0.1", "model.dropout=0.1"),
        ("model.width=64", "'model.hidden_units=[64]'"),
        ("iterations=100", "training.steps=100"),
        ("batch=32", "training.batch_size=32"),
        ("bs=null", "training.batch_size=null"),
        ("weight_decay=0.1", "optimizer.weight_decay=0.1"),
        ("lambda=0.1", "training.l2=0.1"),
        ("dataset=moons", "data=moons"),
        ("nonlinearity=relu", "model.activation=relu"),
        ("network=mlp", "model=mlp"),
        ("random_state=3", "seed=3"),
        ("precision=float64", "dtype=float64"),
        ("measure=movement", "'measures=[movement]'"),
        ("network=transformer", ""),
        ("force=yes", ""),
        ("training/steps=3", "training.steps=3"),
        ("rng=range(3)", "'seed=range(3)'"),
        ("epochs=5", None),
        ("alpha=0.1", None),
    ],
)
def test_another_word_for_a_key_is_turned_into_what_to_type(given: str, meant: str | None) -> None:
    key, _, value = given.partition("=")
    found = meant_by(key, ["seed", "measures", "dtype", *options_by_group()])
    assert (typed(found[0], value) if len(found) == 1 else None) == meant


def test_every_word_of_others_leads_to_a_key_or_an_option() -> None:
    options = [option for own in options_by_group().values() for option in own]
    values = [*ACTIVATIONS, *LOSSES, "float64", "float32"]
    for own, others in FIELD_WORDS.items():
        for other in others.split():
            near = {*nearest(other, known_keys()), *nearest(other, options), *nearest(other, values)}
            assert any(own in name.rpartition(".")[2] for name in near), (other, near)


def test_a_word_for_another_quantity_is_not_taken_for_ours() -> None:
    assert not {*" ".join(OTHER_UNITS).split()} & {*" ".join(FIELD_WORDS.values()).split()}
    assert [meant_by(word, ["seed"]) for word in ("epochs", "model.depth", "n_seeds")] == [[], [], []]
