"""Hydra for a caller in this process: it composes as on the command line, and leaves nothing of it behind."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction

from pipeline import PROJECT
from pipeline.compose.config_loader import ConfigLoader

VERSION = "1.3"
"""Whose defaults of Hydra count."""


@contextmanager
def open_hydra() -> Iterator[Hydra]:
    """A context with a Hydra over ``conf``; what the caller has of Hydra's is as before in the end."""
    instance, current, runtime, base = (
        GlobalHydra.instance(),
        HydraConfig.instance(),
        JobRuntime(),
        version.VersionBase(),
    )
    before = instance.hydra, current.cfg, runtime.get("name"), base.getbase()
    instance.clear()
    version.setbase(VERSION)
    try:
        hydra = Hydra("run", ConfigLoader(create_config_search_path(str(PROJECT / "conf"))))
        instance.initialize(hydra)
        yield hydra
    finally:
        GlobalHydra.set_instance(instance)  # Hydra's own ``initialize`` leaves a copy.
        instance.hydra, current.cfg = before[:2]
        runtime.set("name", before[2])
        base.version_base = before[3]  # Hydra's own ``setbase`` takes no base that was never set.


@contextmanager
def open_multirun(hydra: Hydra, task: TaskFunction, overrides: Sequence[str]) -> Iterator[tuple[Sweeper, list[str]]]:
    """A context with the sweeper of a multirun and the overrides of its jobs; Hydra's callbacks are called around it.

    The caller's logging is left alone.

    Raises:
        What Hydra raises.
    """
    arguments = [*overrides, "hydra.mode=MULTIRUN"]
    master = hydra.compose_config("config", arguments, RunMode.MULTIRUN)
    callbacks = Callbacks(master)
    callbacks.on_multirun_start(config=master, config_name="config")
    context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
    sweeper = Plugins.instance().instantiate_sweeper(config=master, hydra_context=context, task_function=task)
    yield sweeper, list(master.hydra.overrides.task)
    callbacks.on_multirun_end(config=master, config_name="config")
