"""One sweep in this process, with the clock on what its driver does; the last line is JSON. For ``benchmarks.sizing``.

python -m benchmarks.driver OVERRIDE...
"""

import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

PARTS = {
    "composing": (
        "pipeline.compose.grid:jobs_of_grid",
        "pipeline.compose.jobs:checked_configs",
        "pipeline.sweep.resume:fingerprints_of",
        "pipeline.sweep.resume:resumption",
    ),
    "folders": (
        "pipeline.sweep.job_folder:StackedJob.create_folder",
        "pipeline.sweep.job_folder:StackedJob.append_log",
    ),
    "records": ("pipeline.tracking.records:record_of",),
    "tracking": ("pipeline.tracking.tracker:Tracker.log",),
    "ending": (
        "pipeline.tracking.tracker:Tracker.finish_sweep",
        "pipeline.tracking.tracker:Tracker.runs_with",
        "pipeline.tracking.tracker:Tracker.share_views",
        "pipeline.sweep.summary:Findings.__init__",
        "pipeline.sweep.summary:Findings.conclusion",
        "pipeline.sweep.summary:Findings.summary",
    ),
    "training": ("pipeline.executors.batch:train_batch",),
}
"""Part -> the functions whose time is its own; none of them calls one of another part."""


def main(overrides: Sequence[str]) -> None:
    """Runs the sweep, then prints seconds by part, those of the whole, and the peak of the memory in bytes."""
    seconds = dict.fromkeys(PARTS, 0.0)
    for part, functions in PARTS.items():
        for name in functions:
            _watch(name, part, seconds)
    sys.argv = ["pipeline.run", "-m", *overrides, "executor=inline"]
    # Only now: whoever imports a function that is watched gets the watched one.
    from pipeline.run import main as sweep
    from pipeline.system.command import NEW_OBJECTS_BEFORE_COLLECTION

    gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)
    start = time.perf_counter()
    sweep()
    whole = time.perf_counter() - start
    silent = [part for part, spent in seconds.items() if not spent]
    if silent:
        raise RuntimeError(f"not seen at work: {', '.join(silent)}; the functions in PARTS are not those of the driver")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(seconds | {"whole": whole, "memory": memory}))


def _watch(name: str, part: str, seconds: dict[str, float]) -> None:
    """Replaces a function, ``module:function`` or ``module:Class.method``, by one whose time is added up."""
    module, _, path = name.partition(":")
    *owner, attribute = path.split(".")
    place: Any = importlib.import_module(module)
    for each in owner:
        place = getattr(place, each)
    setattr(place, attribute, _timed(getattr(place, attribute), part, seconds))


def _timed(function: Callable[..., Any], part: str, seconds: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            seconds[part] += time.perf_counter() - start

    return timed


if __name__ == "__main__":
    main(sys.argv[1:])
