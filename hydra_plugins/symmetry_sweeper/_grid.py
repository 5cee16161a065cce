"""The jobs of one grid: how many there are is known before they are listed."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, isfinite

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override, RangeSweep

from pipeline.errors import InputError
from pipeline.footprint import check_jobs


def jobs_of(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job of a grid.

    Raises:
        InputError: there is no job, or more than fit into memory.
    """
    # A later override of a key replaces an earlier one.
    counts = {override.get_key_element(): _values_of(override) for override in overrides}
    for key, count in counts.items():
        if count == 0:
            raise InputError(f"{key}: expected at least one value in the sweep, got none")
    check_jobs(counts)
    (jobs,) = BasicSweeper.split_arguments(list(overrides), None)
    return jobs


def _values_of(override: Override) -> int:
    """How many values a key takes."""
    if not override.is_discrete_sweep():
        return 1
    if not isinstance(override._value, RangeSweep):
        return sum(1 for _ in override.sweep_string_iterator())
    span = override._value
    assert span.start is not None
    assert span.stop is not None
    key, numbers = override.get_key_element(), (span.start, span.stop, span.step)
    if not all(isinstance(number, int) or isfinite(number) for number in numbers) or span.step == 0:
        raise InputError(f"{key}: expected a range of finite numbers with a step that is not 0, got {numbers}")
    # Not in floats, which the distance may overflow.
    start, stop, step = map(Fraction, numbers)
    return max(0, ceil((stop - start) / step))
