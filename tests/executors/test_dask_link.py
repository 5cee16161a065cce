"""Dask on two machines whose link is cut while they train: two network namespaces, joined by a cable of our own."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from analysis.audit import Audit
from tests.support.dask_processes import Cluster
from tests.support.sweeps import JOBS, SWEEP, HaltedTraining, audited, completed_apart, started, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("with_database")]
SILENCE = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}
"""After how long without an answer a link counts as cut; 30 s if nobody says so."""

pytest.importorskip("distributed", reason="needs: pip install distributed")


class Link(NamedTuple):
    """A cable to another network namespace.

    Attributes:
        here: address of this end.
        there: address of the other end.
    """

    here: str
    there: str
    namespace: str

    @property
    def across(self) -> tuple[str, ...]:
        """The command that runs another one at the other end."""
        return "ip", "netns", "exec", self.namespace

    def set(self, state: str) -> None:
        """Plugs the cable out at the other end (down) or in again (up)."""
        ip("-n", self.namespace, "link", "set", "cable", state)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=True)


@pytest.fixture
def link() -> Iterator[Link]:
    # Addresses for tests of networks (RFC 2544), which no other network has.
    subnet = f"198.18.{secrets.randbelow(256)}"
    name = f"lab{secrets.token_hex(4)}"
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made here: {error}")
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "cable", "netns", name)
        ip("address", "add", f"{subnet}.1/24", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "address", "add", f"{subnet}.2/24", "dev", "cable")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", "cable", "up")
        yield Link(f"{subnet}.1", f"{subnet}.2", name)
    finally:
        ip("netns", "delete", name)


def printed(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8")


def test_a_cut_link_costs_no_run_and_its_worker_can_join_again(tmp_path: Path, link: Link, undisturbed: Audit) -> None:
    halted = HaltedTraining(tmp_path)
    environment = SILENCE | halted.environment
    with closing(Cluster(tmp_path, link.here, **environment)) as there:
        here, remote = there.start_worker(), there.start_worker(*link.across)
        there.wait_for_workers(2)
        chosen = ("executor=dask", f"executor.address={there.address}")
        with started(tmp_path, *SWEEP, *chosen, **environment) as process:
            assert wait_for(tmp_path, "jobs: best loss", process), printed(tmp_path)
            link.set("down")
            halted.end()
            assert process.wait(timeout=300) == 0, printed(tmp_path)
        # The sweep has waited for what was there.
        assert f"Remove worker addr: tcp://{link.there}:" in there.output
        assert "Traceback" not in printed(tmp_path)
        audited(tmp_path, like=undisturbed)

        # The worker gives up too. Whoever supervises it starts it again; without the other one it trains alone.
        assert remote.wait(timeout=120) == 0, there.output
        link.set("up")
        os.killpg(here.pid, signal.SIGKILL)
        there.start_worker(*link.across)
        more = completed_apart(tmp_path, *SWEEP, "seed=range(5)", *chosen, **SILENCE)
        assert f"{JOBS} already tracked, 16 to train" in more
        audited(tmp_path, jobs=JOBS + 16)
