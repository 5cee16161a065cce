"""The jobs of a sweep and their checked configurations, composed as the command line does."""

from types import SimpleNamespace
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from pipeline.compose.cache import CachedComposition
from pipeline.compose.jobs import checked_configs
from pipeline.config.schema import Config
from tests.support.configurations import CONF


def jobs(*arguments: str, **replaced: Any) -> list[list[str]]:
    """The jobs of ``python -m pipeline.run -m`` with these arguments."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        master = compose("config", list(arguments), return_hydra_config=True)
        keys = {key: value for key, value in master.hydra.sweeper.items() if key != "_target_"}
        # By name: Hydra loads the modules of plugins anew.
        (plugin,) = [each for each in Plugins.instance().discover(Sweeper) if each.__name__ == "SymmetrySweeper"]
        sweeper: Any = plugin(**keys | replaced)
        sweeper.hydra_context = SimpleNamespace(config_loader=GlobalHydra.instance().config_loader())
        return sweeper.jobs(list(arguments))


def configs(*arguments: str) -> list[Config]:
    """The checked configurations of ``python -m pipeline.run -m`` with these arguments."""
    overrides = jobs(*arguments)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        master = compose("config", list(arguments), return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        return checked_configs(CachedComposition(loader, master), overrides)
