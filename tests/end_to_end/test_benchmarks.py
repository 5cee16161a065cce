"""The benchmarks run: their quick modes print a table whose rows come from real trainings, sweeps and reports."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.commands import cost_of
from benchmarks.training import Target
from tests.support.command_line import PROJECT, command


def table_rows(output: str) -> list[list[str]]:
    """The cells of all Markdown rows, headings included, rules left out."""
    rows = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not set("".join(row)) <= set("-")]


def needs_peers() -> None:
    for peer in ("jax", "torch"):
        pytest.importorskip(peer, reason="needs: pip install -e '.[bench]'")


@pytest.mark.soak
def test_training_compares_sides_that_agree(tmp_path: Path) -> None:
    needs_peers()
    completed = command("benchmarks.training", "--quick", "--workloads", "S", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    agreement = re.search(
        r"All sides agree: after 3 steps the training losses differ by at most (\S+)\.\n", completed.stdout
    )
    assert agreement is not None
    assert 0.0 < float(agreement[1]) < 1e-6
    sides = [row[1] for row in table_rows(completed.stdout)[1:]]
    assert sides[:3] == ["ours, exact", "ours, blas", "JAX, steady"]
    assert len(sides) == 7


@pytest.mark.soak
def test_exact_products_keep_the_symmetry_that_peers_are_asked_for(tmp_path: Path) -> None:
    needs_peers()
    completed = command("benchmarks.symmetry_of_peers", "--quick", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    broken = {row[0]: row[1] for row in table_rows(completed.stdout)[1:]}
    assert broken.pop("ours, exact") == "0 of 2"
    assert len(broken) == 6


@pytest.mark.soak
def test_sweeps_are_tracked_whole_before_they_count(tmp_path: Path) -> None:
    completed = command("benchmarks.sweep", "--quick", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    rows = table_rows(completed.stdout)
    assert [row[0] for row in rows] == ["runs", "1", "3"]
    memory = int(rows[-1][3].removesuffix(" MiB"))
    assert 100 < memory < 4000  # MLflow alone takes over 100


@pytest.mark.soak
def test_sizing_sees_every_part_of_the_driver_at_work(tmp_path: Path) -> None:
    completed = command("benchmarks.sizing", "--quick", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    _, few, many, _, workload = table_rows(completed.stdout)
    for row in (few, many):
        parts = [float(cell) for cell in row[2:7]]
        assert min(parts) > 0.0
        assert float(row[7]) == pytest.approx(sum(parts), rel=0.01)
    training, driver, fed = (float(cell) for cell in workload[1:4])
    assert fed == pytest.approx(1000 * training / driver, abs=0.1)
    # What comes back: 407 numbers and twice 33 weights, in full precision.
    assert float(workload[4]) > (2 * 407 + 2 * 33) * 8 / 1000 / 2


@pytest.mark.soak
def test_the_driver_is_measured_beside_the_bare_cost(tmp_path: Path) -> None:
    completed = command("benchmarks.bare", "--quick", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    _, few, many = table_rows(completed.stdout)
    assert [few[0], many[0]] == ["2", "6"]
    for row in (few, many):
        driver, rows, files, ratio = (float(cell) for cell in row[1:5])
        assert min(driver, rows, files) > 0.0
        assert ratio == pytest.approx(driver / (rows + files), rel=0.02)


@pytest.mark.soak
def test_queries_of_the_ui_are_timed(tmp_path: Path) -> None:
    completed = command("benchmarks.queries", "--quick", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    rows = table_rows(completed.stdout)[1:]
    assert len({row[1] for row in rows}) == len(rows) == 6
    assert all(float(cell) > 0.0 for row in rows for cell in row[2:4])


@pytest.mark.soak
def test_resuming_and_stopping_are_timed(tmp_path: Path) -> None:
    completed = command("benchmarks.resume", "--quick", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    _, sweep, _, stopped = table_rows(completed.stdout)
    assert sweep[0] == "3"
    assert min(float(cell) for cell in sweep[1:]) > 0.0
    assert stopped[:2] == ["1", "130"]
    assert 0.0 < float(stopped[2]) == float(stopped[4]) < 60.0


@pytest.mark.soak
def test_the_report_is_timed_in_parts(swept: tuple[Path, str]) -> None:
    completed = command("benchmarks.report", "--here", folder=swept[0])
    assert completed.returncode == 0, completed.stderr
    seconds = json.loads(completed.stdout)
    assert seconds["loading"] > 0.0
    assert sum(seconds["figures"].values()) > seconds["claims"] > 0.0


def test_a_target_is_met_on_its_own_side_only() -> None:
    at_least, at_most = (Target("S", "a", "b", 2.0, at_least=kind) for kind in (True, False))
    assert [at_least.met_by(ratio) for ratio in (1.9, 2.0, 2.1)] == [False, True, True]
    assert [at_most.met_by(ratio) for ratio in (1.9, 2.0, 2.1)] == [True, True, False]


def test_the_memory_of_a_command_includes_that_of_its_children(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import time; held = bytes([1]) * 200_000_000; time.sleep(1)'])\n"
        "print('done')\n",
        encoding="utf-8",
    )
    cost = cost_of("parent", [], tmp_path, {"PYTHONPATH": f"{tmp_path}:{PROJECT}"})
    assert cost.output == "done\n"
    assert cost.seconds > 1.0
    assert 2e8 < cost.memory < 4e8
    with pytest.raises(RuntimeError, match="No module named nothing_here"):
        cost_of("nothing_here", [], tmp_path)
