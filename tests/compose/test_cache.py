"""Cached composition against Hydra's own, node by node, over all forms of overrides."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.base import Container, Node

from pipeline.compose.cache import CachedComposition, keep_current_hydra
from pipeline.compose.jobs import checked_configs
from pipeline.compose.resolve import resolved_values
from pipeline.errors import InputError
from tests.support.configurations import CONF

FILES = {
    "config.yaml": """
        defaults: [model: mlp, data: digits, _self_, experiment: null]
        seed: 0
        title: run of ${model.name} ${seed}
        home: ${oc.env:HOME}
        job: ${hydra:job.num}
        nested: {list: [1, 2, {deep: x}], empty: {}, "null": null}
        hydra: {job: {config: {override_dirname: {exclude_keys: [seed]}}}}
    """,
    "model/mlp.yaml": "{name: mlp, units: [32], rate: 0.1}",
    "model/logistic.yaml": "{name: logistic, units: [], rate: '${seed}'}",
    "data/digits.yaml": "{name: digits, limit: null}",
    "data/moons.yaml": "{defaults: [noise: low], name: moons}",
    "data/noise/low.yaml": "{level: 0.1}",
    "data/noise/high.yaml": "{level: 0.5}",
    "experiment/wide.yaml": "# @package _global_\n{defaults: [override /model: mlp], model: {units: [512]}, seed: 7}",
    "experiment/named.yaml": "# @package _global_\n{hydra: {job: {name: other}}, seed: 8}",
}
Result = TypeVar("Result")
FORMS = [
    "model=logistic", "model=mlp", "data=moons", "data/noise=high", "data@copy=digits", "+data@copy=digits", "~data",
    "~data=digits", "~data=moons", "experiment=wide", "experiment=named", "+experiment=wide", "model=unknown",
    "seed=3",
    "seed='3'", "seed=null", "seed=1.5e-3", "seed=${model.rate}", "seed=${hydra:job.num}", "+seed=4", "++seed=5",
    "++added=1", "+added={a:1,b:[2,3]}", "+deep.new.key=1", "~seed", "~seed=0", "~nested.list", "unknown=1",
    "model.rate=0.5", "model.units=[1,2]", "model={rate:9}", "+model={extra:9}", "nested.empty={x:1}", "title='a,b=c'",
    "title=\"{x}\"", "title=", "home=${oc.env:USER,nobody}", "nested.list.0=7", "nested.list=[a,${seed}]", "seed=1,2",
    "seed=range(3)", "hydra.job.name=x", "hydra/job_logging=disabled", "seed=[", "model=[mlp,logistic]", "title=äö ü",
]  # fmt: skip


def loader_of(folder: Path) -> ConfigLoaderImpl:
    setup_globals()
    with initialize_config_dir(str(folder), version_base="1.3"):
        return GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> ConfigLoaderImpl:
    folder = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return loader_of(folder)


def master_of(loader: ConfigLoaderImpl, *overrides: str) -> DictConfig:
    return loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)


def outline(node: Node) -> object:
    """Everything that tells two nodes apart: types, flags, raw values, caches, and the order of keys."""
    known = node._metadata
    kind = (type(node), known.ref_type, known.object_type, known.optional, known.key, known.flags)
    if not isinstance(node, Container) or node._is_none() or node._is_missing() or node._is_interpolation():
        return kind, node._value()
    cached = {name: dict(values) for name, values in known.resolver_cache.items()}
    if isinstance(node, ListConfig):
        return kind, cached, [outline(child) for child in node._content]
    assert isinstance(node, DictConfig)
    return kind, cached, [(key, outline(child)) for key, child in node._content.items()]


def attempt(function: Callable[..., Result], *arguments: object) -> tuple[Result | None, str]:
    """What a function gives, or the type and message of what it raises."""
    try:
        return function(*arguments), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def running(config: DictConfig, number: int) -> DictConfig:
    """A job's configuration as ``run_job`` makes it Hydra's current one."""
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
        HydraConfig.instance().cfg = config  # type: ignore[assignment]
        config.hydra.runtime.output_dir = str(Path(config.hydra.sweep.dir, str(config.hydra.sweep.subdir)).absolute())
    return config


def compared(composition: CachedComposition, loader: ConfigLoaderImpl, master: DictConfig, overrides: list[str]) -> str:
    """Asserts that both compositions agree, in what they give or in what they raise; returns which it was."""
    expected, complaint = attempt(loader.load_sweep_config, master, overrides)
    if complaint:
        assert attempt(composition.compose, overrides) == (None, complaint)
        assert attempt(composition.values, 3, overrides) == (None, complaint)
        return "raised"
    given = composition.compose(overrides)
    assert expected is not None
    assert outline(given) == outline(expected)
    if (sections := composition.sections(overrides)) is not None:
        task = OmegaConf.masked_copy(expected, [str(key) for key in expected if key != "hydra"])
        assert "".join(section.text for section in sections) == OmegaConf.to_yaml(task)
    with keep_current_hydra():
        expected_values, complaint = attempt(resolved_values, running(expected, 3))
    assert attempt(composition.values, 3, overrides) == (expected_values, complaint)
    return "composed" if sections is None else "composed in sections"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_override_alone_and_repeated(loader: ConfigLoaderImpl, form: str) -> None:
    master = master_of(loader)
    composition = CachedComposition(loader, master)
    for overrides in ([form], ["seed=1", form, "model.rate=2"]):
        compared(composition, loader, master, overrides)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(FORMS), min_size=2, max_size=5))
def test_any_combination_of_forms(loader: ConfigLoaderImpl, overrides: list[str]) -> None:
    master = master_of(loader, "hydra.job.name=swept")
    compared(CachedComposition(loader, master), loader, master, overrides)


def test_a_grid_over_groups_and_values_shares_compositions(loader: ConfigLoaderImpl) -> None:
    master = master_of(loader)
    calls: list[list[str]] = []
    compose = loader.load_sweep_config

    def counted(master: DictConfig, overrides: list[str]) -> DictConfig:
        calls.append(overrides)
        return compose(master, overrides)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "load_sweep_config", counted)
        composition = CachedComposition(loader, master)
        grid = product(["mlp", "logistic"], ["digits", "moons"], range(5))
        composed = [composition.compose([f"model={m}", f"data={d}", f"seed={s}"]) for m, d, s in grid]
        composition.compose(["model=mlp", "data=digits", "+new=1", "++seed=[2]", "~title"])
    assert len(calls) == 4
    assert [config.seed for config in composed] == [0, 1, 2, 3, 4] * 4
    composed[0].model.units.append(1)  # a copy: the next job does not see it
    assert composition.compose(["model=mlp", "data=digits"]).model.units == [32]


def test_the_default_sweep_of_the_project() -> None:
    loader = loader_of(CONF)
    master = master_of(loader)
    composition = CachedComposition(loader, master)
    jobs = [
        ["model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=3"],
        ["experiment=rounding", "model.hidden_units=[10]", "arithmetic=blas", "seed=0"],
        ["model=logistic", "data=moons", "optimizer=adam", "training.batch_size=null", "experiment_name=x"],
        ["executor=inline", "seed=1"],
        ["executor.workers=2", "+executor.more={a: 1}"],
    ]
    assert [compared(composition, loader, master, job) for job in jobs] == ["composed in sections"] * 5
    configs = checked_configs(composition, jobs[:3])
    assert [config.model.name for config in configs] == ["mlp", "mlp", "logistic"]
    same, other = checked_configs(composition, [["seed=1"], ["seed=2"]])
    assert same.data is other.data
    with pytest.raises(InputError, match=r"seed: expected a whole number >= 0, got -1 \(in job: seed=-1\)"):
        checked_configs(composition, [["seed=1"], ["seed=-1"]])
