"""A table of the program's own: trained on as a file, kept where the runs are, and known again."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import names
from symmetry_lab import InputError, sweep

KEYS = (
    *("data.target=kind", "model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0", "training.steps=2"),
    *("training.batch_size=null", "executor=inline"),
)
FRAME = pd.DataFrame(
    {"size": np.linspace(0.5, 2.0, 20), "colour": ["red", "blue"] * 10, 3: range(20, 0, -1), "kind": list("aabba") * 4}
)


@pytest.mark.usefixtures("with_database")
def test_a_tracked_frame_is_kept_and_resumed(here: Path) -> None:
    first = sweep(*KEYS, frame=FRAME)
    (kept,) = (here / "data").iterdir()
    pd.testing.assert_frame_equal(first, sweep(*KEYS, frame=FRAME.copy()))
    assert list((here / "data").iterdir()) == [kept]
    assert first["data.path"].tolist() == [f"data/{kept.name}"]
    FRAME.to_csv(here / "same.csv", index=False)
    pd.testing.assert_frame_equal(first, sweep("data=csv", "data.path=same.csv", *KEYS))


def test_an_untracked_frame_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "temporary, (it's)").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here / "temporary, (it's)"))
    runs = sweep(*KEYS, frame=FRAME.set_index("size", drop=False), track=False)
    assert runs[names.LOSS_TRAIN].notna().all()
    assert [*map(str, here.rglob("*"))] == [str(here / "temporary, (it's)")]


@pytest.mark.usefixtures("here")
def test_what_is_no_truth_value_does_not_decide_whether_runs_are_tracked(here: Path) -> None:
    with pytest.raises(InputError, match=r"^track: expected True or False, got 'no'$"):
        sweep(*KEYS, track="no")  # type: ignore[arg-type]
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("frame", "more", "message"),
    [
        ([[1, 2]], [], "frame: expected a pandas DataFrame, got list"),
        (FRAME, ["data=iris"], "frame: expected no other data beside it, got data=iris"),
        (FRAME, ["data.path=a.csv"], "frame: expected no other data beside it, got data.path=a.csv"),
        (
            FRAME.set_axis(["a", "a", "b", "kind"], axis=1),
            [],
            "frame: expected what a Parquet file can hold, got: Dupl",
        ),
        (FRAME.assign(size=["1", 2] * 10), [], "frame: expected what a Parquet file can hold, got: "),
        (
            FRAME.assign(size=[[1, 2]] * 20),
            [],
            "data.drop: ",
        ),
        (FRAME.assign(size=pd.to_timedelta([*range(4)] * 5, "s")), [], "data.drop: "),
        (FRAME.assign(size=1j), [], "frame: expected what a Parquet file can hold, got: "),
        (FRAME[:0], [], "data.path: "),
        (FRAME, ["data.target=sort"], "data.target: "),
    ],
)
def test_a_wrong_frame_is_one_line(frame: pd.DataFrame, more: list[str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        sweep(*KEYS, *more, frame=frame, track=False)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
