"""Data flows one way: which module may import which, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
FLOORS = [
    {
        "errors", "memory", "ranges", "names", "addresses", "relocate",
        "interrupts", "commands", "drivers", "files_written", "standard_output", "text_table",
        "arithmetic", "activations", "losses", "layer", "initializers", "symmetry",
    },
    {"network", "optimizers", "optimum", "cells", "reading", "files", "sources", "data"},
    {"measurements", "measures", "training"},
    {
        "known_keys", "described", "options", "config", "footprint", "datasets", "stacking", "cache_fit", "composition",
        "repairs", "complaints", "configuration_files", "hydra_yaml", "config_loader", "cached_composition",
        "checked_jobs", "executors", "sweep", "plan", "estimate",
    },
    {
        "environment", "records", "journal", "delivery", "stores", "tracked_runs", "leftovers", "writers",
        "transactions", "curves", "parent_run", "views", "tracking", "summary", "next_steps",
    },
    {"task", "run", "__main__"},
]  # fmt: skip
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}
LIBRARY_FLOORS = {"hydra": 3, "omegaconf": 3, "mlflow": 4}
"""The lowest floor on which a library may be imported."""


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def pipeline_modules(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("pipeline.")}


def room(path: Path) -> str:
    """A module of ``pipeline``, or the package in it that a file belongs to."""
    return path.relative_to(PROJECT / "pipeline").parts[0].removesuffix(".py")


PIPELINE = sorted(path for path in (PROJECT / "pipeline").rglob("*.py") if room(path) != "__init__")
ANALYSIS = sorted((PROJECT / "analysis").rglob("*.py"))


def test_every_module_has_a_floor() -> None:
    assert {room(path) for path in PIPELINE} == set(FLOOR)


@pytest.mark.parametrize("path", PIPELINE, ids=lambda path: path.stem)
def test_a_module_imports_only_from_its_floor_or_below(path: Path) -> None:
    floor = FLOOR[room(path)]
    for module in pipeline_modules(imported(path)):
        assert FLOOR[module] <= floor, f"pipeline.{path.stem} (floor {floor}) imports pipeline.{module}"
    for name in imported(path):
        library = name.split(".")[0]
        assert library not in ("analysis", "hydra_plugins", "benchmarks")
        assert LIBRARY_FLOORS.get(library, 0) <= floor, f"pipeline.{path.stem} imports {library}"


@pytest.mark.parametrize("path", ANALYSIS, ids=lambda path: path.stem)
def test_analysis_takes_only_names_and_the_form_of_commands_from_the_pipeline(path: Path) -> None:
    assert pipeline_modules(imported(path)) <= {"names", "addresses", "errors", "relocate", "commands"}
    assert not any(name.startswith("hydra") for name in imported(path))


def test_no_module_multiplies_matrices_behind_the_arithmetic() -> None:
    """A raw @ beside the chosen product would round; the reference optimum is independent of it on purpose."""
    for path in PIPELINE:
        if path.stem in ("arithmetic", "optimum"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        operators = [node for node in ast.walk(tree) if isinstance(node, ast.MatMult)]
        calls = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        assert not operators, path.stem
        assert not {"matmul", "dot", "tensordot", "inner"} & set(calls), path.stem


def test_files_stay_small_enough_to_hold_in_the_head() -> None:
    folders = ("pipeline", "analysis", "hydra_plugins", "benchmarks")
    sizes = {
        path: len(path.read_text().splitlines()) for folder in folders for path in (PROJECT / folder).rglob("*.py")
    }
    assert {path.name: size for path, size in sizes.items() if size > 250} == {}
