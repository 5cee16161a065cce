"""Wrong commands, end to end: one line says what is allowed and what to type, before anything is tracked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.compose.repairs import explained, more_than_one, parsed
from pipeline.system.command import check_encoding
from tests.support.command_line import PROJECT, command
from tests.support.endings import after_the_shell, ending_of

BAD_COMMANDS = [
    (["--experimental-rerun=job.pickle"], "--experimental-rerun: not offered"),
    (["--e", "job.pickle"], "--e: no such flag"),
    (["--multi", "seed=0,1"], "--multi: no such flag (did you mean --multirun?)"),
    (["--cfg", "foo"], "--cfg/-c: invalid choice: 'foo'"),
    (["--seed", "3"], "--seed: no such flag; keys have no dashes: seed=3"),
    (["--learning-rate=0.1"], "--learning-rate: no such flag; keys have no dashes: optimizer.learning_rate=0.1"),
    (["seed=1", "-m", "init=zeros"], "'init=zeros': expected all keys side by side, before or after the flags"),
    (["lr=0.1"], "lr: no such key (did you mean optimizer.learning_rate?)"),
    (["learning_rate=0.1"], "learning_rate: no such key (did you mean optimizer.learning_rate?)"),
    (["optimizer.lr=0.1"], "optimizer.lr: no such key (did you mean optimizer.learning_rate?); optimizer=gd has"),
    (["model.units=[8]"], "model.units: no such key (did you mean model.hidden_units?)"),
    (
        ["eps=1"],
        "(did you mean init.epsilon, of init=perturbed, small_layers, soft_committee or optimizer.epsilon,"
        " of optimizer=adam?)",
    ),
    (
        ["init.epsilon=0.1"],
        "no such key; init=xavier_uniform has gain, bias_scale; it belongs to init=perturbed, small",
    ),
    (["init=zeros", "init.epsilon=0.1"], "no such key; init=zeros has bias_scale; it belongs to init=perturbed, small"),
    (["executor.jobs=3"], "executor.jobs: no such key; executor=processes has workers; it belongs to executor="),
    (["executor=slurm", "executor.array=3"], "executor.array: no such key; it is executor.jobs now, of executor=htco"),
    (["executor.partition=long"], "executor.partition: no such key; it is executor.queue now, of executor=htcondor"),
    (["~executor.workers"], "executor.workers: expected no ~ before it, for it is null already"),
    (["~data.limit"], "data.limit: expected no ~ before it, for it is null already"),
    (["+experiment=rounding"], "+experiment=rounding: groups take no +; type experiment=rounding"),
    (["-m", "+experiment=rounding"], "+experiment=rounding: groups take no +; type experiment=rounding"),
    (["++init=zeros"], "++init=zeros: groups take no +; type init=zeros"),
    (
        ["optimizer.learning_rate=0,1"],
        "-m optimizer.learning_rate=0,1 hydra.sweeper.params=null (with a decimal point: optimizer.learning_rate=0.1)",
    ),
    (["model.hidden_units=8,8"], "(as a list: 'model.hidden_units=[8,8]')"),
    (["experiment_name=a,b"], "(as one text: 'experiment_name=\"a,b\"')"),
    (
        ["seed=interval(0,1)"],
        "seed=interval(0,1): several values are a sweep: python -m pipeline.run -m 'seed=interval(0",
    ),
    (["-m", "training.l2=0.1", "training.l2=0,01"], "(with a decimal point: training.l2=0.01)"),
    (["seed=[0,1]"], "seed: expected a whole number >= 0, got [0, 1] (several values are a sweep: -m seed=0,1)"),
    (["-m", "seed=0", "optimizer.learning_rate=0,1"], "(with a decimal point: optimizer.learning_rate=0.1)"),
    (["-m", "seed=0", "training.l2=0,01"], "got '01'"),
    (["init=zero"], "got 'zero' (did you mean zeros?)"),
    (["training.stepz=3"], "training.stepz: no such key (did you mean training.steps?)"),
    (["modle=mlp"], "modle: no such key (did you mean model?)"),
    (["init=foo"], "init: expected one of constant"),
    (["experiment=foo"], "experiment: expected one of collapse, conservation, depth, logistic"),
    (["seed=range("], "seed=range("),
    (["seed=1,2"], "seed=1,2: several values are a sweep: python -m pipeline.run -m seed=1,2"),
    (["training=3"], "training: expected one of default, got 3"),
    (["hydra/launcher=null"], "hydra/launcher: expected the name of an option, got null"),
    (["init=null"], "init: expected one of constant, constant_layers, diagonal"),
    (["init={zeros: 1}"], "init.zeros: no such key; init=xavier_uniform has gain, bias_scale"),
    (["model.hidden_units.a=3"], "'model.hidden_units.a=3': invalid literal"),
    (["=3"], "'=3': expected key=value"),
    (["="], "'=': expected key=value"),
    (["measures=[overlaps]"], "measures: expected no overlaps without a teacher (data=teacher), got data=digits"),
    (
        ["model.hidden_units=[1]", "measures=[distance_modulo_sign]"],
        "measures: expected no distance_modulo_sign, for no",
    ),
    (
        ["model=logistic", "measures=[balance]"],
        "measures: expected no balance, for no job has what it measures, got it",
    ),
    (
        ["-m", "model=mlp", "init=zeros,normal", "model.activation=relu", "measures=[distance_modulo_sign]"],
        "got it with model.hidden_units=[32] and model.activation=relu",
    ),
    (["model.dropout=2"], "model.dropout: expected a number >= 0 and < 1, got 2"),
    (["data=csv", "data.path=absent.csv", "data.target=y"], "absent.csv"),
    (["-m", "init.value=1,2", "init=constant,zeros"], "init.value"),
    (["-m", "dtype=float32,float64", "model=mlp"], "dtype: expected float64 with arithmetic=exact"),
    (["-m", "training.batch_size=64,2000", "model=mlp"], "training.batch_size: expected at most 1438"),
    (["-m", "experiment_name=a,b", "model=mlp", "init=zeros", "seed=0"], "experiment_name: expected one"),
    (
        ["-m", "experiment=rounding,stochasticity", "model=mlp", "init=zeros"],
        "experiment: expected one",
    ),
    (["executor=threads"], "executor: expected one of dask, htcondor, inline, lsf, oar, pbs, processes, sge, slurm"),
    (
        ["executor.worker=2"],
        "executor.worker: no such key (did you mean executor.workers?); executor=processes has workers",
    ),
    (["plan=true"], "plan: expected false for a single run (or a sweep: -m), got true"),
    (["experiment=rounding"], "experiment=rounding: expected a sweep, so say -m too"),
    (["-m", "init=[zeros,constant]"], "init: expected one option, got the list [zeros,constant]; say: -m init=zeros"),
    (["+init=[zeros,constant]"], "say: -m init=zeros,constant"),
    (["-m", "hydra/sweeper=basic", "plan=true", "init=zeros"], "plan: expected hydra/sweeper=symmetry"),
    (["-m", "executor=inline,processes"], "executor: expected one for the whole sweep"),
    (["-m", "experiment=rounding", "size=huge"], "size: expected one of default, large, got 'huge'"),
]

# given: what the shell hands over, of which the first argument that cannot be read is explained
UNREADABLE = [
    (["init=zeros,", "constant"], "init=zeros,constant"),
    (["seed=1", "init=zeros,", "constant,", "normal"], "init=zeros,constant,normal"),
    (["model", "=", "mlp"], "model=mlp"),
    (["model", "=mlp"], "model=mlp"),
    (["model=", "mlp"], "model=mlp"),
    (["model = mlp"], "model=mlp"),
    (["model:mlp"], "model=mlp"),
    (["seed==3"], "seed=3"),
    (["model.hidden_units=[64,32"], "model.hidden_units=[64,32]"),
    (["model.hidden_units=[64,", "32]"], "model.hidden_units=[64,32]"),
    (["model.hidden_units=(8,8)"], "model.hidden_units=[8,8]"),
    (["model.hidden_units=[8;8]"], "model.hidden_units=[8,8]"),
    (["model.hidden_units={8,8}"], "model.hidden_units=[8,8]"),
    (["optimizer.rate_factors=[1,2]]"], "optimizer.rate_factors=[1,2]"),
    (["seed=range(5"], "seed=range(5)"),
    (["init=(zeros)"], "init=zeros"),
    (["seed=3,"], "seed=3"),
    (['init="zeros'], 'init="zeros"'),
    (["data.path=${x"], "data.path=${x}"),
    (["data.path=my", "nice", "file.csv"], "data.path=my nice file.csv"),
    (["experiment_name=foo(1)"], 'experiment_name="foo(1)"'),
    (["seed=\u20183\u2019"], "seed='3'"),
    (["init=\u201czeros\u201d"], 'init="zeros"'),
    (["training.l2=\u22121"], "training.l2=-1"),
    (["data.path=\u201ca b.csv\u201d"], 'data.path="a b.csv"'),
]


@pytest.mark.parametrize(("arguments", "meant"), UNREADABLE, ids=lambda value: " ".join(value))
def test_what_hydra_cannot_read_is_answered_with_what_to_type(arguments: list[str], meant: str) -> None:
    given = next(argument for argument in arguments if parsed(argument) is None)
    message = explained(given, arguments)
    assert len(message.splitlines()) == 1
    assert after_the_shell(message.rpartition("; type ")[2]) == [meant]
    assert parsed(meant) is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mlp", "expected key=value (did you mean model=mlp?)"),
        ("model", "expected model=OPTION, one of logistic, mlp"),
        ("seed", "expected seed=VALUE, got the key alone"),
        ("learning_rate", "expected key=value (did you mean optimizer.learning_rate?)"),
        ("init=constant init.value=3", "expected one key in each argument; type init=constant init.value=3"),
        ("\u2013m", "'\u2013m': expected a plain dash; type -m"),
        ("\u2014multirun", "expected a plain dash; type --multirun"),
        ("seed =3", "expected one = between key and value; type seed=3"),
        ("seed=rang(5)", "got rang (did you mean range?)"),
        ("'seed=3'", "cannot be read from \"'seed=3'\" on; special characters need quotes"),
    ],
)
def test_what_has_no_one_meaning_is_told_as_far_as_it_was_read(given: str, words: str) -> None:
    assert words in explained(given, [given])


@pytest.mark.parametrize(
    "name",
    ["t (1).csv", "it's.csv", 'say "so".csv', "it's \"so\".csv", "ä.csv", "a=b.csv", "a,b.csv", "a{b}.csv", "[1].csv",
     "#x;y&z.csv", "$(x) `y`.csv", "C:\\a (1)\\b.csv", "~/a (b)!.csv", "=", "(", "☃ \\"],
)  # fmt: skip
def test_a_name_that_needs_quotes_is_printed_with_those_that_survive_the_shell(name: str) -> None:
    given = f"data.path={name}"
    swept = parsed(given)
    message = more_than_one(given, [given]) if swept and swept.is_sweep_override() else explained(given, [given])
    typed = message.rpartition("; type ")[2] if "; type " in message else message.rpartition("as one text: ")[2][:-1]
    (argument,) = after_the_shell(typed)
    override = parsed(argument)
    assert override is not None
    assert str(override.value()) == name


@pytest.mark.parametrize(("arguments", "words"), BAD_COMMANDS, ids=lambda value: " ".join(value))
def test_a_wrong_command_ends_in_one_line_before_anything_is_tracked(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    ending, said = ending_of(tmp_path, arguments)
    assert ending == "refused"
    assert len(said.splitlines()) == 1, said
    assert words in said
    assert {path.name for path in tmp_path.iterdir()} <= {"outputs", "multirun"}


def test_a_wrong_command_ends_so_in_a_process_of_its_own(tmp_path: Path) -> None:
    completed = command("pipeline.run", "lr=0.1", folder=tmp_path)
    assert completed.returncode == 1
    assert completed.stderr == (
        "lr: no such key (did you mean optimizer.learning_rate?); type optimizer.learning_rate=0.1\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "pipeline"], "type python -m pipeline.run"),
        (["-m", "analysis"], "type python -m analysis.report"),
        ([str(PROJECT / "pipeline" / "run.py"), "seed=range(3)"], "type python -m pipeline.run 'seed=range(3)'"),
        ([str(PROJECT / "analysis" / "audit.py"), "--digest"], "type python -m analysis.audit --digest"),
        (["-m", "pipeline.run", os.fsdecode(b"seed=\xff")], r"argument 1: expected text in UTF-8, got b'seed=\xff'"),
        (["-m", "analysis.audit", os.fsdecode(b"\xff")], r"argument 1: expected text in UTF-8, got b'\xff'"),
    ],
    ids=["pipeline", "analysis", "path", "path in analysis", "bytes", "bytes for another command"],
)  # fmt: skip
def test_what_is_no_command_is_answered_by_the_one_that_is(arguments: list[str], words: str, tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT)}, capture_output=True
    )
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert words in completed.stderr.decode()


@pytest.mark.parametrize("kind", ["folder", "setting"])
def test_bytes_that_are_no_text_are_refused_before_anything_is_tracked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = os.fsdecode(b"caf\xe9")
    folder = tmp_path / foreign
    folder.mkdir()
    monkeypatch.chdir(folder if kind == "folder" else tmp_path)
    if kind == "setting":
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", foreign)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    expected = {"folder": "the working folder", "setting": "MLFLOW_EXPERIMENT_NAME"}[kind]
    with pytest.raises(SystemExit, match=rf"^{expected}: expected text in UTF-8, got b'.*caf\\xe9'$"):
        check_encoding()


def test_a_working_folder_that_is_gone_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit, match=r"^the working folder: expected one that exists, [^\n]*; type cd FOLDER$"):
        check_encoding()
