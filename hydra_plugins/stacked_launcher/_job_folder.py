"""The folder that Hydra leaves of every job: ``.hydra/{config,hydra,overrides}.yaml`` and the job's log.

Hydra writes the YAML with a pure Python dumper in about 20 ms a job. Here a C dumper writes it, and the sections that
all jobs of the same choices share are written once and copied as text: about 1 ms. The files hold the same content.
"""

import logging
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf._utils import is_float, is_int, yaml_is_bool

from pipeline.cached_composition import CachedComposition

VARYING_SECTIONS = ("job", "overrides", "runtime")
"""The sections of ``hydra`` that differ between jobs of the same choices."""


class JobFolders:
    """Makes the folders of one sweep's jobs."""

    def __init__(self, composition: CachedComposition) -> None:
        self._composition = composition
        self._shared_text: dict[tuple[str, str], str] = {}

    def compose(self, job: int, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job as ``hydra.core.utils.run_job`` prepares it: number and output folder set.

        It becomes Hydra's current configuration, which the ``hydra`` resolver reads.
        """
        config = self._composition.compose(overrides)
        with open_dict(config):
            config.hydra.job.id = job
            config.hydra.job.num = job
            HydraConfig.instance().cfg = config  # type: ignore[assignment]
            folder = Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)
            config.hydra.runtime.output_dir = str(folder.absolute())
        return config

    def create(self, config: DictConfig) -> Path:
        """Writes the folder of a composed job and returns it."""
        hydra = config.hydra
        folder = Path(hydra.runtime.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        if hydra.output_subdir is not None:
            output = folder / hydra.output_subdir
            output.mkdir(exist_ok=True)
            task = {key: _plain(config._get_node(key)) for key in config if key != "hydra"}
            _write(output / "config.yaml", _dumped(task))
            _write(output / "hydra.yaml", "hydra:\n" + "".join(self._sections(hydra)))
            _write(output / "overrides.yaml", _dumped(_plain(hydra.overrides.task)))
        return folder

    def _sections(self, hydra: DictConfig) -> list[str]:
        choices = repr(hydra.runtime.choices)
        texts = []
        for key in hydra:
            if key in VARYING_SECTIONS:
                texts.append(_section(hydra, str(key)))
                continue
            shared = (choices, str(key))
            if shared not in self._shared_text:
                self._shared_text[shared] = _section(hydra, str(key))
            texts.append(self._shared_text[shared])
        return texts


class StackedJob(JobReturn):
    """One job and what it returned.

    Its configurations are composed when somebody asks for them, because a sweep may have 100,000.
    """

    def __init__(self, folders: JobFolders, number: int, overrides: Sequence[str], task_name: str) -> None:
        super().__init__(overrides=overrides, working_dir=str(Path.cwd()), task_name=task_name)
        self._folders = folders
        self._number = number
        self._log: tuple[Path, str] | None = None

    def compose(self) -> DictConfig:
        """The whole configuration of the job, which becomes Hydra's current one."""
        return self._folders.compose(self._number, self.overrides or [])

    def create_folder(self) -> DictConfig:
        """Composes the job, writes its folder and returns the configuration."""
        config = self.compose()
        self._folders.create(config)
        self._log = _log_file(config)
        return config

    def append_log(self, logger: str, level: int, message: str) -> None:
        """Writes one line into the job's log file, if its logging has one, in the format configured for it."""
        if self._log is None:
            return
        path, layout = self._log
        line = logging.Formatter(layout).format(logging.LogRecord(logger, level, "", 0, message, None, None))
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def complete(self, value: Any) -> None:
        """Sets the value of the task function, or the exception that it raised."""
        self.return_value = value
        self.status = JobStatus.FAILED if isinstance(value, BaseException) else JobStatus.COMPLETED

    @property
    def cfg(self) -> DictConfig | None:
        config = self.compose()
        return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])

    @cfg.setter
    def cfg(self, value: DictConfig | None) -> None:
        """The constructor of the base class sets None."""

    @property
    def hydra_cfg(self) -> DictConfig | None:
        return OmegaConf.masked_copy(self.compose(), ["hydra"])

    @hydra_cfg.setter
    def hydra_cfg(self, value: DictConfig | None) -> None:
        """The constructor of the base class sets None."""


def _log_file(config: DictConfig) -> tuple[Path, str] | None:
    """Where a job logs, and the layout of a line, or None if its logging has no file."""
    logging_config = config.hydra.job_logging
    handler = OmegaConf.select(logging_config, "handlers.file")
    if handler is None or "file" not in (OmegaConf.select(logging_config, "root.handlers") or ()):
        return None
    return Path(handler.filename), str(OmegaConf.select(logging_config, f"formatters.{handler.formatter}.format"))


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]
    """OmegaConf's own dumper quotes texts that YAML would read as something else; so does this one."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        quoted = yaml_is_bool(text) or is_int(text) or is_float(text)
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="'" if quoted else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _plain(node: Any) -> Any:
    if OmegaConf.is_config(node):
        return OmegaConf.to_container(node, enum_to_str=True)
    value = node._value()
    return value.name if isinstance(value, Enum) else value


def _section(config: DictConfig, key: str) -> str:
    text = _dumped({key: _plain(config._get_node(key))})
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


def _dumped(values: Any) -> str:
    return str(yaml.dump(values, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
