"""What an override may be, whatever composes it: a single run, a multirun, or one of its jobs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig

from pipeline.compose.cache import CachedComposition
from pipeline.compose.config_loader import ConfigLoader
from pipeline.compose.grid import jobs_of_grid
from pipeline.compose.jobs import checked_configs
from pipeline.compose.resolve import checked_config
from pipeline.config.parse import parse_config
from pipeline.errors import InputError
from pipeline.sweep import job as task
from pipeline.sweep import launch
from pipeline.training.fingerprint import fingerprint
from tests.compose.test_cache import loader_of
from tests.support.configurations import CONF, configuration


def project_loader(extra: Path | None = None) -> ConfigLoader:
    path: ConfigSearchPath = loader_of(CONF).get_search_path()
    if extra is not None:
        path.append("user", f"file://{extra}")
        path.get_path().append(path.get_path().pop(-2))  # The schema stays last.
    return ConfigLoader(path)


@pytest.fixture(scope="module")
def loader() -> ConfigLoader:
    return project_loader()


def composed(loader: ConfigLoader, mode: RunMode, *overrides: str) -> DictConfig:
    return loader.load_configuration("config", [*overrides, f"hydra.mode={mode.name}"], mode)


def checked(loader: ConfigLoader, arguments: list[str], *sweeps: str) -> list[Any]:
    """The configurations of a grid, checked as the sweeper does."""
    master = composed(loader, RunMode.MULTIRUN, *arguments, *sweeps)
    jobs = jobs_of_grid(OverridesParser.create(config_loader=loader).parse_overrides([*sweeps, *arguments]))
    return checked_configs(CachedComposition(loader, master), jobs)


LISTS = [
    ("init=[zeros,constant]", "say: -m init=zeros,constant"),
    ("model=[mlp]", "say: model=mlp"),
    ("data=[]", "say: data=OPTION"),
    ("optimizer=[gd, adam]", "say: -m optimizer=gd,adam"),
    ("training=[default,default]", "say: -m training=default,default"),
    ("executor=[inline,processes]", "say: executor=inline"),
    ("experiment=[zero,rounding]", "say: experiment=zero"),
    ("+data@extra=[moons,xor]", "say: -m +data@extra=moons,xor"),
    ("hydra/launcher=[basic,stacked]", "say: hydra/launcher=basic"),
    ("hydra/job_logging=[default,none]", "say: hydra/job_logging=default"),
]


@pytest.mark.parametrize("mode", [RunMode.RUN, RunMode.MULTIRUN])
@pytest.mark.parametrize(("override", "advice"), LISTS)
def test_a_list_for_a_group_is_refused(loader: ConfigLoader, mode: RunMode, override: str, advice: str) -> None:
    with pytest.raises(InputError, match="expected one option, got the list") as caught:
        composed(loader, mode, "seed=1", override)
    assert str(caught.value).endswith(advice)
    assert "\n" not in str(caught.value)


def test_a_job_or_a_file_may_hold_no_such_list_either(loader: ConfigLoader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"init: expected one option, got the list \[zeros\]; say: init=zeros"):
        checked(loader, [], "init=[zeros],[constant]")
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    file.write_text("# @package _global_\ndefaults: [override /init: [zeros, constant]]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"experiment/mine: defaults: init: expected one option, .* say: init=zeros"):
        composed(project_loader(tmp_path), RunMode.RUN, "experiment=mine")


def test_lists_that_add_up_or_are_values_stay_lists(loader: ConfigLoader) -> None:
    config = composed(loader, RunMode.RUN, "hydra/env=[default]", "model.hidden_units=[3,4]", "measures=[movement]")
    assert config.model.hidden_units == [3, 4]


@pytest.mark.parametrize(
    ("arguments", "sweeps"),
    [
        (["data.noise=0.1"], ["data=moons,circles"]),
        (["init.scale=0.1"], ["init=normal,uniform"]),
        (["init.gain=2", "data.noise=0.1"], ["init=he_normal,orthogonal", "data=moons,circles", "seed=1,2"]),
        (["~optimizer.momentum", "+optimizer.momentum=0.5"], ["optimizer=momentum"]),
    ],
)
def test_a_key_that_every_swept_option_has_is_one(
    loader: ConfigLoader, arguments: list[str], sweeps: list[str]
) -> None:
    configs = checked(loader, arguments, *sweeps)
    key, _, value = arguments[-1].partition("=")
    assert {config.flattened()[key.lstrip("+")] for config in configs} == {float(value)}
    master = composed(loader, RunMode.MULTIRUN, *arguments, *sweeps)
    assert list(master.hydra.overrides.task) == [*arguments, *sweeps]


@pytest.mark.parametrize(
    ("arguments", "sweeps", "lacking", "having"),
    [
        (["optimizer.momentum=0.5"], ["optimizer=gd,momentum,adam"], "optimizer=gd,adam", "optimizer=momentum"),
        (["init.value=1"], ["init=constant,zeros,perturbed"], "init=zeros", "init=constant,perturbed"),
        (["seed=1"], ["data=digits,moons", "data.noise=0.1,0.2"], "data=digits", "data=moons"),
        (["data.noise=0.1"], ["data=iris,circles", "init=zeros,constant"], "data=iris", "data=circles"),
    ],
)
def test_a_key_of_some_swept_options_is_refused_with_those_that_have_it(
    loader: ConfigLoader, arguments: list[str], sweeps: list[str], lacking: str, having: str
) -> None:
    with pytest.raises(InputError, match="expected a key that every swept option has") as caught:
        checked(loader, arguments, *sweeps)
    assert f"but {lacking} has it not; say {having}, and" in str(caught.value)


@pytest.mark.parametrize("override", ["training.stepz=1", "init.scal=1", "colour=red", "seed.x=1"])
def test_a_key_that_no_option_has_is_still_for_hydra_to_refuse(loader: ConfigLoader, override: str) -> None:
    with pytest.raises(ConfigCompositionException):
        checked(loader, [override], "init=normal,uniform")
    with pytest.raises(ConfigCompositionException):
        composed(loader, RunMode.RUN, override)


@pytest.mark.parametrize("override", ["hydra.nothing=1", "hydra.sweeper.nothing=1"])
def test_a_key_of_hydra_is_none_of_the_jobs(loader: ConfigLoader, override: str) -> None:
    with pytest.raises(ConfigCompositionException):
        composed(loader, RunMode.MULTIRUN, override)


def test_an_interval_names_no_values(loader: ConfigLoader) -> None:
    for sweep in ("optimizer.learning_rate=interval(0.1,1)", "seed=int(interval(0,9))"):
        with pytest.raises(InputError, match=r"expected values, such as 0.1,1 or range\(5\), got .*interval\("):
            checked(loader, [], sweep)


NUMBERS = {
    "seed": 7, "training.steps": 12, "training.batch_size": 5, "data.limit": 90, "data.seed": 3,
    "model.hidden_units": [4, 5], "optimizer.learning_rate": 0.25, "training.l2": 1e-3, "init.gain": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_may_come_as_text(key: str) -> None:
    number = NUMBERS[key]
    text = [str(each) for each in number] if isinstance(number, list) else str(number)
    assert fingerprint(configuration({key: text})) == fingerprint(configuration({key: number}))


def test_an_environment_variable_may_hold_a_whole_number(loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    override = "seed=${oc.env:SLURM_ARRAY_TASK_ID}"
    for text, seed in (("7", 7), ("0012", 12)):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", text)
        assert checked_config(composed(loader, RunMode.RUN, override)).seed == seed
        (config,) = checked(loader, [override])
        assert config.seed == seed
    for text in ("7.5", "-1", "", "seven"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", text)
        with pytest.raises(InputError, match=rf"seed: expected a whole number >= 0, got '{text}'"):
            checked_config(composed(loader, RunMode.RUN, override))


def test_text_stays_text() -> None:
    assert configuration({"experiment_name": "2024"}).experiment_name == "2024"
    with pytest.raises(InputError, match=r"model\.bias: expected true or false"):
        parse_config(configuration().composed() | {"model": {**configuration().composed()["model"], "bias": "1"}})


def asked(loader: ConfigLoader, mode: RunMode, *overrides: str) -> None:
    config = composed(loader, mode, *overrides)
    try:
        GlobalHydra.instance().initialize(Hydra("run", loader))
        task.check_asked([checked_config(config)], config.hydra)
    finally:
        GlobalHydra.instance().clear()


def test_a_prepared_sweep_is_no_single_run(loader: ConfigLoader, tmp_path: Path) -> None:
    for name in sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")):
        with pytest.raises(InputError, match=f"experiment={name}: expected a sweep, so say -m too"):
            asked(loader, RunMode.RUN, f"experiment={name}")
    asked(loader, RunMode.RUN, "experiment=rounding", "question=null")
    asked(loader, RunMode.MULTIRUN, "experiment=rounding")
    asked(loader, RunMode.RUN)

    (tmp_path / "experiment").mkdir()
    for name, content in (("wide", "seed: 7"), ("swept", "hydra: {sweeper: {params: {seed: '1,2'}}}")):
        file = tmp_path / "experiment" / f"{name}.yaml"
        file.write_text(f"# @package _global_\n{content}\n", encoding="utf-8")
    own = project_loader(tmp_path)
    asked(own, RunMode.RUN, "experiment=wide")
    with pytest.raises(InputError, match="experiment=swept: expected a sweep"):
        asked(own, RunMode.RUN, "experiment=swept")


def test_a_plan_trains_nothing_where_nobody_plans(loader: ConfigLoader) -> None:
    with pytest.raises(InputError, match=r"plan: expected false for a single run \(or a sweep: -m\), got true"):
        asked(loader, RunMode.RUN, "plan=true")
    with pytest.raises(InputError, match="hydra/sweeper=symmetry, the one that plans, got hydra/sweeper=basic"):
        asked(loader, RunMode.MULTIRUN, "plan=true", "hydra/sweeper=basic")


def test_a_measure_that_tracks_nothing_is_told_under_a_sweeper_that_does_not_ask(
    loader: ConfigLoader, caplog: pytest.LogCaptureFixture
) -> None:
    lacking = ("hydra/sweeper=basic", "model=logistic", "measures=[balance]")
    asked(loader, RunMode.MULTIRUN, *lacking)
    assert [record.getMessage()[:29] for record in caplog.records] == ["measures: expected no balance"]
    caplog.clear()
    asked(loader, RunMode.MULTIRUN, "hydra/sweeper=basic", "model=mlp", "measures=[balance]")
    assert not caplog.records


def test_the_launcher_asks_too_under_any_sweeper(
    loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "Launch", lambda *arguments: pytest.fail("trains"))
    master = composed(loader, RunMode.MULTIRUN, "hydra/sweeper=basic", "data=iris", "hydra.job.name=run")
    context: Any = SimpleNamespace(config_loader=loader, callbacks=None)
    with pytest.raises(InputError, match="plan: expected hydra/sweeper=symmetry"):
        launch.launch_stacked(context, master, [["seed=1"], ["plan=true"]], [0, 1], None)
