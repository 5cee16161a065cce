"""Any command line ends in a checked plan or in one clear line: no traceback, no hang, nothing half tracked.

The command runs in this process up to the point where it would open the tracking store, which comes after all checks.
"""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import yaml
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from pipeline.tracking import tracker as tracking
from tests.support.configurations import CONF
from tests.support.endings import CHEAP, ending_of

FEW_JOBS = ("-m", "model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0,1")
TINY = ("data=iris", "model.hidden_units=[2]", "training.steps=1", "training.batch_size=16")
FOLDERS = [path for path in CONF.iterdir() if path.is_dir()]
GROUPS = {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in FOLDERS}


def keys_of(values: object, prefix: str = "") -> Iterator[str]:
    """All dotted keys below nested plain values."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield f"{prefix}{key}"
            yield from keys_of(value, f"{prefix}{key}.")


def keys_in(path: Path) -> Iterator[str]:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in ("defaults", "hydra"):
        values.pop(key, None)
    prefix = "" if path.parent.name in ("conf", "experiment") else f"{path.parent.name}."
    return keys_of(values, prefix)


KEYS = sorted({key for path in CONF.rglob("*.yaml") for key in keys_in(path)})
NUMBERS = (
    "0", "1", "-1", "2", "3", "1.5", "1e-9", "-0.0", "1e400", "-inf", "nan", str(10**40), str(-(2**63)), "2**3", "0x10",
    "1_000", "007",
)  # fmt: skip
WORDS = (
    "null", "true", "no", "", "''", '""', "a b", "ä∂", "abc", "'quoted'", "'", '"', "[", "]", "{", "}", "[]", "{}",
    "[8]", "[8,8]", "[0]", "[-3]", "[[8]]", "[null]", "[a,b]", "{a:1}", "{name:mlp}", "{name:foo}", "{a:{b:[1,{c:2}]}}",
    "mlp", "tanh", "???", "\\", "a\\,b", "a\nb", "${seed}", "${model}", "${model.name}", "${absent}", "${seed", "$seed",
    "${oc.env:ABSENT}", "${oc.env:ABSENT,3}", "${hydra:job.num}", "${oc.create:{a:1}}", "${oc.decode:'['}",
    "${oc.select:x,1}", "${now:%Y}", "${training.steps}", "${training}", "${.name}", "${..seed}", "${hydra.job.name}",
    "moons.csv", "../..", "~", "~nobody/x", "/dev/zero", "/dev/null", "/proc/self/mem", "/", ".", "x" * 300,
)  # fmt: skip
SWEEPS = (
    "1,2", "1,a", "1,,2", ",", "range(3)", "range(0)", "range(3,0)", "range(0,1,0.3)", "range(0,1,0)", "range(1e9)",
    "range(1e400)", "range(a)", "range(", "range(3,step=-1)", "range(0,3,nan)", "choice(1,2)", "choice()", "choice(a,b",
    "interval(0,1)", "glob(*)", "glob([x*,h*],exclude=he*)", "glob(z*)", "shuffle(1,2,3)", "shuffle(range(4))",
    "sort(3,1,2)", "sort(3,a)", "tag(x,choice(1,2))", "int(1.5)", "int(a)", "float(1)", "str(1)", "bool(x)",
    "json_str({a:1})", "extend_list(1)", "[1,2],[3]", "{a:1},{b:2}", "foo(1)", "null,1", "mlp,logistic",
    "zeros,mirrored", "1,1,1",
)  # fmt: skip
HYDRA = (
    "hydra.verbose=true", "hydra.job.chdir=true", "hydra.job.name=x", "hydra.run.dir=here", "hydra.sweep.dir=there",
    "hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.subdir=same", "hydra.mode=MULTIRUN", "hydra.mode=RUN",
    "hydra.mode=foo", "hydra/launcher=basic", "hydra/launcher=foo", "hydra/launcher=joblib", "hydra/sweeper=foo",
    "hydra.sweeper.max_batch_size=1", "hydra.sweeper.max_batch_size=0", "hydra.sweeper.max_batch_size=-1",
    "hydra.sweeper.max_batch_size=a", "hydra.sweeper.params=3", "hydra.sweeper.params=null",
    "hydra.sweeper.params={seed:3}", "hydra.sweeper.grids=[]", "hydra.sweeper.grids=3",
    "hydra.sweeper.grids=[{seed:range(2)}]", "hydra.sweeper.large=3", "hydra.sweeper.size=large", "hydra.absent=1",
    "hydra.output_subdir=null", "hydra/job_logging=disabled", "hydra/job_logging=none",
    "+hydra.job.env_set.A=b", "hydra.job_logging.root.level=FOO", "hydra=3", "~hydra", "hydra.job.env_set={A:b}",
    "hydra.searchpath=[file://absent]", "hydra.sweep.dir=", "hydra.run.dir=null", "hydra.sweep=null",
    "hydra.launcher=null", "~hydra.sweeper.params",
)  # fmt: skip
FLAGS = (
    "--cfg", "--cfg=job", "--cfg=all", "--cfg=foo", "--resolve", "--package=model", "--package=absent", "--info",
    "--info=all", "--info=foo", "--help", "--hydra-help", "--version", "--run", "--absent", "-x",
    "--config-name=absent", "-cn=config", "--config-path=absent", "--config-dir=absent", "--shell-completion", "-sc",
    "--", "--experimental-rerun=absent", "-m",
)  # fmt: skip

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
keys = st.sampled_from([*KEYS, *GROUPS]) | text
values = st.sampled_from([*NUMBERS, *WORDS]) | text
choices = st.sampled_from([f"{group}={option}" for group, options in GROUPS.items() for option in [*options, "absent"]])
prefixes = st.sampled_from(("", "", "", "+", "++", "~"))
suffixes = st.sampled_from(("", "", "", "", "@copy", "@model:", ".x", ".0", ".name"))
assignments = st.builds("{}{}{}={}".format, prefixes, keys, suffixes, values)
swept = st.builds("{}{}={}".format, prefixes, keys | st.sampled_from(sorted(GROUPS)), st.sampled_from(SWEEPS))
overrides = choices | assignments | swept | st.sampled_from(HYDRA)
strange = st.sampled_from(FLAGS) | text
commands = st.builds(
    lambda few, arguments: [*few, *arguments],
    st.sampled_from(((), FEW_JOBS)),
    st.lists(st.integers(0, 9).flatmap(lambda number: strange if number == 9 else overrides), min_size=1, max_size=4),
)
small = st.lists(
    st.sampled_from([f"{group}={option}" for group in ("model", "init", "optimizer") for option in GROUPS[group]])
    | st.builds(
        "{}={}".format,
        st.sampled_from(("seed", "init.value", "optimizer.learning_rate", "training.batch_size", "model.hidden_units",
                         "model.dropout", "model.activation", "training.l2", "arithmetic", "data.limit", "rerun")),
        st.sampled_from((*NUMBERS, "null", "[3]", "[3,2]", "true", "blas", "relu", "${seed}", "1,2", "range(3)",
                         "exact,blas")),
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def checked_ending(folder: Path, arguments: list[str]) -> str:
    """How one command line ends, which must be well, and leave nothing where runs are tracked.

    ``--hypothesis-show-statistics`` counts the endings.
    """
    ending, said = ending_of(folder, arguments)
    if ending == "refused":
        assert said.strip()
        assert len(said.splitlines()) == 1, said
        assert len(said) < 1000
    assert not (folder / "mlflow.db").exists()
    assert not (folder / "mlruns").exists()
    return ending


@settings(**CHEAP, max_examples=10)
@given(commands)
@example([*FEW_JOBS, "hydra.sweeper.grids=[]"])
@example([*FEW_JOBS, "hydra.sweeper.max_batch_size=-1"])
@example(["hydra.mode=foo"])
@example(["-m", "\x17|#\x98\x13\x1d"])
@example(["optimizer=1,,2"])
@example([*FEW_JOBS, "hydra/sweeper=basic"])
@example([*FEW_JOBS, "seed=range(1e9)", "seed=range(3)"])
@example(["experiment.0=${model.name}", "question.name.0="])
def test_any_command_line_ends_in_a_checked_plan_or_in_one_line(folder: Path, arguments: list[str]) -> None:
    event(checked_ending(folder, arguments))


@pytest.mark.soak
@settings(**CHEAP, max_examples=2000)
@given(commands)
def test_many_command_lines_end_so(folder: Path, arguments: list[str]) -> None:
    event(checked_ending(folder, arguments))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("range(1e400)", "a range of finite numbers with a step that is not 0, got (0, inf, 1)"),
        ("range(0)", "at least one value in the sweep, got none"),
        ("range(1e12)", "a sweep that fits into the "),
    ],
)
def test_a_grid_that_nobody_could_list_is_refused(folder: Path, values: str, complaint: str) -> None:
    ending, said = ending_of(folder, ["-m", f"seed={values}"])
    assert ending == "refused"
    assert said.startswith(f"seed: expected {complaint}")


@pytest.mark.parametrize("launcher", ["basic", "stacked"])
@pytest.mark.parametrize("few", [(), FEW_JOBS], ids=["run", "sweep"])
def test_jobs_that_would_track_into_folders_of_their_own_are_refused(
    folder: Path, few: tuple[str, ...], launcher: str
) -> None:
    """A relative path, that of ``mlflow.db`` too, leads elsewhere from there."""
    ending, said = ending_of(folder, [*few, f"hydra/launcher={launcher}", "hydra.job.chdir=true"])
    assert (ending, said.partition(",")[0]) == ("refused", "hydra.job.chdir: expected false")


def test_variables_for_jobs_are_refused_where_jobs_have_no_process_of_their_own(folder: Path) -> None:
    """Hydra's own launcher would number the remaining jobs of a sweep that goes on as if none were missing."""
    _, said = ending_of(folder, [*FEW_JOBS, "+hydra.job.env_set.A=b"])
    assert said.startswith("hydra.job.env_set: expected no variables with hydra/launcher=stacked")
    ending, _ = ending_of(folder, [*FEW_JOBS, "+hydra.job.env_set.A=b", "hydra/launcher=basic"])
    assert ending == "checked"


def test_an_empty_sweep_and_a_bad_batch_size_are_refused(folder: Path) -> None:
    """Hydra itself would take them, train nothing and say nothing."""
    _, said = ending_of(folder, [*FEW_JOBS, "hydra.sweeper.grids=[]"])
    assert said == "hydra.sweeper.grids: expected at least one grid, got none"
    _, said = ending_of(folder, [*FEW_JOBS, "hydra.sweeper.max_batch_size=-1"])
    assert said == "hydra.sweeper.max_batch_size: expected a whole number >= 1 or null, got -1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which commands train for one step."""
    folder = tmp_path_factory.mktemp("store")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    tracking.Tracker("symmetry")
    yield folder
    mlflow.set_tracking_uri(before)


def runs_in(folder: Path) -> dict[str, str]:
    """Run id -> status."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return {run.info.run_id: run.info.status for run in client.search_runs(["1"], max_results=50_000)}


@settings(**CHEAP, max_examples=8)
@given(small, st.booleans())
def test_a_command_that_trains_tracks_all_of_its_runs_or_none(
    store: Path, arguments: list[str], is_sweep: bool
) -> None:
    before = runs_in(store)
    ending, said = ending_of(store, [*(FEW_JOBS if is_sweep else ()), *TINY, *arguments], tracks=True)
    after = runs_in(store)
    if ending == "refused":
        assert len(said.splitlines()) == 1, said
        assert after == before
    else:
        assert set(after.values()) <= {"FINISHED"}
