"""The plan of the building, held against the code: contracts of imports, sizes of suites and files, the picture."""

import ast
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("symmetry_lab", "pipeline", "analysis", "hydra_plugins", "benchmarks")
    for path in (PROJECT / folder).rglob("*.py")
)
MOST_ROOMS, MOST_LINES = 9, 250
GROWING = ("analysis/figures",)
"""A suite that has a room for each family of figures."""
PRIVATE = re.compile(r"^(?:hydra\._internal|mlflow\.[\w.]*\._)|^(?:mlflow\.store|mlflow\.tracking\._)")
PRIVATE_ROOMS = ("pipeline/compose/", "pipeline/tracking/store/", "pipeline/sweep/", "hydra_plugins/", "benchmarks/")
"""Where the inside of a library may be imported: each use is a place to look at when that library changes."""


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(settings["tool"]["importlinter"]["contracts"])


def layers(container: str) -> list[str]:
    """The suites of a package, the highest first."""
    (found,) = [contract["layers"] for contract in contracts() if contract.get("containers") == [container]]
    assert isinstance(found, list)
    return found


def test_the_contracts_of_imports_are_kept() -> None:
    # In a process of its own, because it disables the loggers of all modules that are loaded.
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in SOURCES if name_of(path).startswith(("symmetry_lab", "pipeline", "analysis"))}),
    ids=name_of,
)
def test_a_suite_has_a_plan_and_few_rooms(folder: Path) -> None:
    plan = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    rooms = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    assert plan is not None
    if folder.parent.name != "questions":  # All questions have the same rooms.
        assert {room for room in rooms if not re.search(rf"\b{room}\b", plan)} == set()
    assert len(rooms) <= MOST_ROOMS or name_of(folder) in GROWING


def test_files_stay_small_enough_to_hold_in_the_head() -> None:
    files = [*SOURCES, *(PROJECT / "tests").rglob("*.py")]
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


def test_the_inside_of_libraries_is_used_in_few_rooms() -> None:
    uses = {name_of(path): [name for name in imported(path) if PRIVATE.match(name)] for path in SOURCES}
    assert {name for name, found in uses.items() if found and not name.startswith(PRIVATE_ROOMS)} == set()


def test_no_module_multiplies_matrices_behind_the_arithmetic() -> None:
    """A raw @ beside the chosen product would round; the reference optimum is independent of it on purpose."""
    for path in SOURCES:
        if not name_of(path).startswith("pipeline/") or path.stem in ("arithmetic", "reference_optimum"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        operators = [node for node in ast.walk(tree) if isinstance(node, ast.MatMult)]
        calls = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        assert not operators, path
        assert not {"matmul", "dot", "tensordot", "inner"} & set(calls), path


def test_a_wrong_key_is_told_before_mlflow_is_loaded(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv[1:] = ['lr=1']\nfrom pipeline.run import main\n"
        "try: main()\nexcept SystemExit: print('mlflow' in sys.modules, 'hydra' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "False True\n"


def test_the_picture_of_the_readme_is_that_of_the_contracts() -> None:
    """Each arrow of what calls whom leads down, or to the suite itself, and each suite of the pipeline is there."""
    (picture,) = re.findall(r"```mermaid\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    floors = {suite: -floor for floor, layer in enumerate(layers("pipeline")) for suite in re.split(r"\s*\|\s*", layer)}
    shown = dict(re.findall(r'(\w+)\["(?:\S+\.)?(\w+)<br>', picture))
    calls = [
        (shown[start], shown[end])
        for line in picture.splitlines()
        for start, end in pairwise(re.findall(r"\w+(?=\s*-->|$)", line) if "-->" in line else [])
        if start in shown and end in shown
    ]
    assert calls
    assert {(start, end) for start, end in calls if floors[start] < floors[end]} == set()
    suites = {path.name for path in (PROJECT / "pipeline").iterdir() if (path / "__init__.py").exists()}
    assert set(shown.values()) >= suites
