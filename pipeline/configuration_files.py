"""Bounds for the configuration files that Hydra reads: a few bytes of YAML may stand for more than a machine holds.

An alias repeats a value without spelling it again, and aliases of aliases multiply. OmegaConf makes a copy of each.
"""

from contextlib import suppress
from pathlib import Path

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from pipeline.errors import InputError
from pipeline.system.memory import in_units

LARGEST = 100_000
"""Bytes of a file; those of this project have less than 3,000."""
MOST_VALUES = 10_000
"""Values in a file, each counted as often as aliases repeat it."""


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's reader of files, which refuses what would take for ever.

    It has the name of Hydra's own: Hydra, when it looks for its plugins again, takes it for that one and leaves it.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """What Hydra reads.

        Raises:
            InputError: the file has too many bytes or values.
        """
        path = (Path(self.path) / self._normalize_file_name(config_path)).resolve()
        with suppress(FileNotFoundError):  # Hydra says so.
            check_size(path)
        return super().load_config(config_path)


def bound_files() -> None:
    """Lets Hydra read its configuration files, in this process, within bounds."""
    Plugins.instance()  # Hydra's own reader is registered then, and comes no more.
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


def check_size(path: Path) -> None:
    """Refuses a file that is too large to be a configuration, as it lies there or with its aliases written out.

    Raises:
        InputError: it is.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise InputError(f"{path}: expected a configuration of at most {in_units(LARGEST)}, got {in_units(size)}")
    content = path.read_bytes()
    if b"*" not in content:
        return
    # What is no YAML, or too deep, Hydra complains of.
    with suppress(yaml.YAMLError, RecursionError):
        values = _values_below(yaml.compose(content, Loader=yaml.SafeLoader), {})
        if values > MOST_VALUES:
            raise InputError(f"{path}: expected at most {MOST_VALUES} values, aliases written out, got {values:.3g}")


def _values_below(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for.

    Args:
        known: the numbers of nodes that were counted, by their ids; a node that holds itself counts once in itself.
    """
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.SequenceNode):
            known[id(node)] += sum(_values_below(each, known) for each in node.value)
        elif isinstance(node, yaml.MappingNode):
            known[id(node)] += sum(_values_below(value, known) for _, value in node.value)
    return known[id(node)]
