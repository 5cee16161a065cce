"""The jobs of one grid: how many there are is known before they are listed."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, isfinite

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override, RangeSweep

from pipeline.errors import InputError
from pipeline.training.footprint import check_jobs


def jobs_of(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job of a grid.

    Raises:
        InputError: there is no job, or more than fit into memory.
    """
    (jobs,) = BasicSweeper.split_arguments(bounded(overrides), None)
    return jobs


def check_batch_size(max_batch_size: int | None) -> None:
    """Refuses batches of no jobs, which Hydra would take for none at all.

    Raises:
        InputError: the size is below 1.
    """
    if max_batch_size is not None and max_batch_size < 1:
        raise InputError(f"hydra.sweeper.max_batch_size: expected a whole number >= 1 or null, got {max_batch_size}")


def bounded(overrides: Sequence[Override]) -> list[Override]:
    """The overrides that span a grid, one for each key: a later one replaces an earlier one, which may be endless.

    Raises:
        InputError: the grid is endless, empty or giant.
    """
    spanning = {override.get_key_element(): override for override in overrides}
    counts = {key: _values_of(override) for key, override in spanning.items()}
    for key, count in counts.items():
        if count == 0:
            raise InputError(f"{key}: expected at least one value in the sweep, got none")
    check_jobs(counts)
    return list(spanning.values())


def _values_of(override: Override) -> int:
    """How many values a key takes."""
    if not override.is_sweep_override():
        return 1
    if not override.is_discrete_sweep():
        raise InputError(
            f"{override.get_key_element()}: expected values, such as 0.1,1 or range(5), got"
            f" {str(override.input_line).partition('=')[2]}, which says only between which they are"
        )
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
