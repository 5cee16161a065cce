"""Expand a grid of overrides into the jobs of a sweep, counting them before they are listed."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override, RangeSweep

from pipeline.errors import InputError
from pipeline.training.footprint import check_jobs


def jobs_of_grid(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job of a grid. Of several overrides of one key the last one counts.

    Raises:
        InputError: a key takes no value or a range without an end, or there are more jobs than fit into memory.
    """
    spanning = {override.get_key_element(): override for override in overrides}
    check_jobs({key: _value_count(key, override) for key, override in spanning.items()})
    (jobs,) = BasicSweeper.split_arguments([*spanning.values()], None)
    return jobs


def _value_count(key: str, override: Override) -> int:
    """How many values a key takes."""
    if not override.is_sweep_override():
        return 1
    if not override.is_discrete_sweep():
        raise InputError(
            f"{key}: expected values, such as 0.1,1 or range(5), got"
            f" {str(override.input_line).partition('=')[2]}, which says only between which they are"
        )
    if isinstance(span := override._value, RangeSweep):
        numbers: Any = (span.start, span.stop, span.step)
        start, stop, step = numbers
        try:
            count = ceil((stop - start) / step)
        except (ArithmeticError, ValueError):
            raise InputError(
                f"{key}: expected a range of finite numbers with a step that is not 0, got {numbers}"
            ) from None
    else:
        count = sum(1 for _ in override.sweep_string_iterator())
    if count < 1:
        raise InputError(f"{key}: expected at least one value in the sweep, got none")
    return count
