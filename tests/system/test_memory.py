"""The memory of this machine, and what is refused for want of it."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.system import memory
from pipeline.system.memory import machine_memory, require_memory
from tests.support.command_line import PROJECT


def total_memory() -> int:
    """What the kernel says, in bytes."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    return int(fields["MemTotal"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="no /proc on this system")
def test_the_memory_of_the_machine_is_at_most_what_the_kernel_says() -> None:
    assert 0 < machine_memory() <= total_memory()


def test_a_limit_on_the_address_space_counts() -> None:
    limit = 1_500_000_000
    if resource.getrlimit(resource.RLIMIT_AS)[0] not in (resource.RLIM_INFINITY,):
        pytest.skip("the tests themselves run under a limit")
    completed = subprocess.run(
        [sys.executable, "-c", "from pipeline.system.memory import machine_memory; print(machine_memory())"],
        cwd=PROJECT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(completed.stdout) == min(limit, machine_memory())


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/job/step\n", {"job/memory.max": "3000", "job/step/memory.max": "max"}, [3000]),
        ("0::/job/step\n", {"memory.max": "7", "job/step/memory.max": "9"}, [7, 9]),
        ("0::/elsewhere/in/the/host\n", {"memory.max": "5000"}, [5000]),
        ("4:memory:/job\n2:cpu,cpuacct:/\n", {"memory/job/memory.limit_in_bytes": "42"}, [42]),
        ("4:cpu:/job\n", {"job/memory.max": "42"}, []),
        ("0::/job\n", {}, []),
    ],
)
def test_the_limits_of_all_surrounding_control_groups_count(
    tmp_path: Path, membership: str, limits: dict[str, str], expected: list[int]
) -> None:
    (tmp_path / "membership").write_text(membership, encoding="ascii")
    for name, limit in limits.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(limit + "\n", encoding="ascii")
    assert sorted(memory._group_limits(tmp_path / "membership", tmp_path / "cgroup")) == expected


def test_what_needs_more_is_refused_by_the_key_that_needs_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000)
    require_memory(100, {"a": 400, "b": 500}, {"a": 1, "b": 2})
    with pytest.raises(InputError, match=r"^b: expected .* 1 kB of memory here, got \[7\], .* needs about 1 kB$"):
        require_memory(100, {"a": 400, "b": 501}, {"a": 1, "b": (7,)})
