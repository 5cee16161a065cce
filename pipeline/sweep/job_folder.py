"""Hydra's output folder of every job: ``.hydra/{config,hydra,overrides}.yaml`` and the job's log.

Hydra composes the job once more and writes the YAML with a pure Python dumper, 80 ms a job. Here a C dumper writes it,
and what all jobs of the same choices share is composed and written once and copied as text: 1 ms a job. The files hold
the same content. A job whose folder depends on more than its number or overrides is composed as by Hydra.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from pipeline.compose.cache import KEPT_CHOICES, CachedComposition
from pipeline.compose.dump import plain, yaml_text

VARYING_SECTIONS = ("job", "overrides", "runtime")
"""The sections of ``hydra`` that differ between jobs of the same choices."""
LOG_FILE = "job_logging.handlers.file.filename"


@dataclass
class JobFolder:
    """The folder of one job, and where and how it logs, if its logging has a file."""

    path: Path
    log_file: Path | None
    layout: str | None

    def append_log(self, logger: str, level: int, message: str) -> None:
        """Writes one line into the job's log, in the format configured for it."""
        if self.log_file is None:
            return
        line = logging.Formatter(self.layout).format(logging.LogRecord(logger, level, "", 0, message, None, None))
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class JobFolders:
    """Makes the folders of one sweep's jobs."""

    def __init__(self, composition: CachedComposition, sweep_dir: str) -> None:
        self.composition = composition
        self._sweep_dir = sweep_dir
        self._shared = lru_cache(maxsize=KEPT_CHOICES)(self._composed_choices)

    def create(self, number: int, overrides: Sequence[str]) -> JobFolder:
        """Writes the folder of a job."""
        choices, task = self.composition.choices(overrides), self.composition.sections(overrides)
        shared = self._shared(choices) if choices is not None else None
        if shared is None or task is None:
            return self._create_composed(number, overrides)
        job = shared.hydra["job"] | {"num": number, "id": number}
        job["override_dirname"] = self.composition.override_dirname(overrides, job["config"]["override_dirname"])
        known = {f"${{hydra.job.{key}}}": str(job[key]) for key in ("num", "id", "name", "override_dirname")}
        subdir = _substituted(shared.hydra["sweep"]["subdir"], known)
        path = (Path(self._sweep_dir) / subdir).absolute() if subdir is not None else Path()
        log_file = _substituted(shared.log_file, known | {"${hydra.runtime.output_dir}": str(path)})
        if subdir is None or log_file is None:
            return self._create_composed(number, overrides)
        own = {
            "job": {key: job[key] for key in ("num", "id", "override_dirname")},
            "overrides": {"task": list(overrides)},
            "runtime": {"output_dir": str(path)},
        }
        texts = dict(shared.texts)
        for section, values in own.items():
            changed = {key: yaml_text({key: value}) for key, value in values.items()}
            texts[section] = _nested_section(section, shared.varying_texts[section] | changed)
        _write_folder(
            path / shared.hydra["output_subdir"],
            config="".join(section.text for section in task),
            hydra="".join(texts.values()),
            overrides=yaml_text(list(overrides)),
        )
        return JobFolder(path, Path(log_file), shared.layout)

    def _create_composed(self, number: int, overrides: Sequence[str]) -> JobFolder:
        config = self.composition.prepare(number, overrides)
        hydra = config.hydra
        path = Path(hydra.runtime.output_dir)
        path.mkdir(parents=True, exist_ok=True)
        if hydra.output_subdir is not None:
            _write_folder(
                path / hydra.output_subdir,
                config=yaml_text({str(key): plain(config._get_node(key)) for key in config if key != "hydra"}),
                hydra="".join(_section(str(key), plain(hydra._get_node(key))) for key in hydra),
                overrides=yaml_text(plain(hydra.overrides.task)),
            )
        log_file = OmegaConf.select(hydra, LOG_FILE) if _logs_to_file(hydra) else None
        return JobFolder(path, None if log_file is None else Path(log_file), _layout(hydra))

    def _composed_choices(self, choices: tuple[str, ...]) -> "_Shared | None":
        """What all jobs of the same choices share, or None where that is not enough to write their folders."""
        config = self.composition.compose(choices)
        hydra = plain(config.hydra)
        if hydra["output_subdir"] is None or not _logs_to_file(config.hydra):
            return None
        # The folder of a sweep is the same for all jobs unless it refers to something of theirs.
        if "${" in re.sub(r"\$\{now:[^{}]*\}", "", hydra["sweep"]["dir"]):
            return None
        log_file = str(OmegaConf.select(config.hydra.job_logging.handlers, "file")._get_node("filename")._value())
        texts = {key: _section(key, value) for key, value in hydra.items()}
        varying = {
            section: {key: yaml_text({key: value}) for key, value in hydra[section].items()}
            for section in VARYING_SECTIONS
        }
        return _Shared(hydra, texts, varying, log_file, _layout(config.hydra))


@dataclass
class _Shared:
    """What the folders of jobs with the same choices share.

    Attributes:
        hydra: the ``hydra`` section as plain values, interpolations unresolved.
        texts: its sections as YAML, in order.
        varying_texts: section -> key -> YAML, of the sections in which some keys vary.
        log_file: name of the log file, unresolved.
        layout: format of a line in it.
    """

    hydra: dict[str, Any]
    texts: dict[str, str]
    varying_texts: dict[str, dict[str, str]]
    log_file: str
    layout: str | None


class StackedJob(JobReturn):
    """One job and what it returned.

    Its configurations are composed when somebody asks for them, because a sweep may have 100,000.
    """

    def __init__(self, folders: JobFolders, number: int, overrides: Sequence[str], task_name: str) -> None:
        super().__init__(overrides=overrides, working_dir=str(Path.cwd()), task_name=task_name)
        self._folders = folders
        self.number = number
        self._folder: JobFolder | None = None

    def compose(self) -> DictConfig:
        """The whole configuration of the job, which becomes Hydra's current one."""
        return self._folders.composition.prepare(self.number, self.overrides or [])

    def create_folder(self) -> None:
        """Writes the folder of the job."""
        self._folder = self._folders.create(self.number, self.overrides or [])

    def append_log(self, logger: str, level: int, message: str) -> None:
        """Writes one line into the job's log."""
        assert self._folder is not None
        self._folder.append_log(logger, level, message)

    def complete(self, value: Any) -> None:
        """Sets the value of the task function, or the exception that it raised; nothing is logged after that."""
        self._folder = None
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


def _logs_to_file(hydra: DictConfig) -> bool:
    used = OmegaConf.select(hydra.job_logging, "root.handlers") or ()
    return "file" in used and OmegaConf.select(hydra.job_logging, "handlers.file") is not None


def _layout(hydra: DictConfig) -> str | None:
    formatter = OmegaConf.select(hydra.job_logging, "handlers.file.formatter")
    layout = OmegaConf.select(hydra.job_logging, f"formatters.{formatter}.format")
    return None if layout is None else str(layout)


def _substituted(text: str, known: Mapping[str, str]) -> str | None:
    """The text with the known interpolations replaced, or None if it holds others."""
    rest = text
    for interpolation, value in known.items():
        text = text.replace(interpolation, value)
        rest = rest.replace(interpolation, "")
    return None if "${" in rest else text


def _section(key: str, values: Any) -> str:
    return _indented(yaml_text({key: values}))


def _nested_section(key: str, texts: Mapping[str, str]) -> str:
    return _indented(f"{key}:\n" + _indented("".join(texts.values())))


def _indented(text: str) -> str:
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


def _write_folder(folder: Path, config: str, hydra: str, overrides: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("config.yaml", config), ("hydra.yaml", f"hydra:\n{hydra}"), ("overrides.yaml", overrides)):
        (folder / name).write_text(text, encoding="utf-8")
