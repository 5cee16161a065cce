"""Validate the jobs of a sweep: each is composed and checked with its own options before any of them is trained."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from hydra.errors import HydraException

from pipeline.compose.cache import CachedComposition
from pipeline.compose.resolve import typed_values
from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.training.checks import check_against_data
from pipeline.training.fingerprint import fingerprint


class Job(NamedTuple):
    """One job.

    Attributes:
        number: its number in the sweep, which names its folder; the same in every start of the sweep.
        overrides: what Hydra composes it from.
        config: its checked configuration.
        fingerprint: of what it trains.
    """

    number: int
    overrides: Sequence[str]
    config: Config
    fingerprint: str


def checked_configs(
    composition: CachedComposition, jobs: Sequence[Sequence[str]], numbers: Sequence[int] | None = None
) -> list[Config]:
    """The checked configurations of jobs, given by their overrides.

    Equal groups are one object, so that the configurations of 100,000 jobs take little memory.

    Args:
        numbers: those of the jobs in their sweep; by default their places.

    Raises:
        InputError: a configuration is wrong, in one line that names the job; or a key is not one of all swept options.
    """
    known: dict[str, Any] = {}
    checked: set[tuple[int, ...]] = set()
    configs = []
    for number, overrides in zip(numbers or range(len(jobs)), jobs, strict=True):
        try:
            config = typed_values(composition.values(number, overrides))
            groups = {field.name: getattr(config, field.name) for field in fields(config)}
            groups = {name: known.setdefault(repr(group), group) for name, group in groups.items()}
            config = replace(config, **groups)
            # What has to fit the data is the same for every seed.
            if (alike := tuple(id(group) for name, group in groups.items() if name != "seed")) not in checked:
                check_against_data(config)
                checked.add(alike)
        except InputError as error:
            raise InputError(f"{error} (in job: {' '.join(overrides)})") from None
        except HydraException:
            _refuse_partial_keys(composition, jobs, overrides)
            raise
        configs.append(config)
    return configs


def settled_jobs(composition: CachedComposition, jobs: Sequence[Job]) -> list[Job]:
    """The jobs as they are once their numbers and folders are known, to which their values may refer.

    Raises:
        InputError: a job would train something else than what was looked for among the tracked runs.
    """
    configs = [
        job.config
        if composition.is_alike(job.overrides)
        else checked_configs(composition, [job.overrides], [job.number])[0]
        for job in jobs
    ]
    for job, config in zip(jobs, configs, strict=True):
        if fingerprint(config) != job.fingerprint:
            raise InputError(
                f"hydra.job.num: expected no value that depends on it, because this job is number {job.number} of a"
                f" sweep that goes on; say the values themselves, or rerun=true (in job: {' '.join(job.overrides)})"
            )
    return [job._replace(config=config) for job, config in zip(jobs, configs, strict=True)]


def _refuse_partial_keys(composition: CachedComposition, jobs: Sequence[Sequence[str]], failed: Sequence[str]) -> None:
    """Says which of the swept options have a key that the options of a failed job have not."""
    for override in set(failed) - set(chosen := composition.choices(failed) or ()):
        if composition.has_key(chosen, override):
            continue
        key = override.partition("=")[0].lstrip("+~")
        group = key.partition(".")[0]
        has_key: dict[str, bool] = {}
        for choices in dict.fromkeys(composition.choices(job) or () for job in jobs):
            for option in [choice for choice in choices if choice.startswith(f"{group}=")]:
                has_key[option.partition("=")[2]] = composition.has_key(choices, override)
        having = ",".join(option for option, has in has_key.items() if has)
        lacking = ",".join(option for option, has in has_key.items() if not has)
        if having:
            raise InputError(
                f"{key}: expected a key that every swept option has, but {group}={lacking} has it not; say"
                f" {group}={having}, and sweep the others without it"
            )
