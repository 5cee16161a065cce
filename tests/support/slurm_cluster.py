"""A real Slurm cluster of two nodes on loopback, as processes of whoever runs the tests, who may kill them."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "srun", "scontrol")
SBIN = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])

CONFIGURATION = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory={memory}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory={memory}
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=ALL PriorityTier=2 MaxTime=INFINITE State=UP
"""
MEMORY = 8000
"""Megabytes that each node says it has."""
SAVING = 6.0
"""Seconds after which the controller has saved what happened."""


def missing_programs() -> list[str]:
    """What of Slurm is not installed here."""
    return [program for program in PROGRAMS if shutil.which(program, path=SBIN) is None]


class SlurmCluster:
    """A controller and two nodes.

    Args:
        folder: for configuration, state and logs; its path must be short, for it holds a socket.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("state", "munge", "spool-n1", "spool-n2"):
            (folder / name).mkdir()
        for name, mode in ((".", 0o755), ("munge", 0o711)):
            (folder / name).chmod(mode)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.configuration = folder / "slurm.conf"
        self.configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                user=getpass.getuser(),
                ports=_free_ports(3),
                folder=folder,
                memory=MEMORY,
            ),
            encoding="utf-8",
        )
        munge = folder / "munge"
        self._run(
            "munged", f"--key-file={key}", f"--socket={munge}/socket", f"--pid-file={munge}/pid",
            f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--force",
        )  # fmt: skip
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: set(self.run("sinfo", "--noheader", "--format=%T").split()) == {"idle"})

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.configuration)}

    def run(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        return self._run(*command).stdout

    def start_controller(self) -> None:
        self._run("slurmctld")

    def kill_controller(self) -> None:
        """Kills the controller when it has saved its state, which it does every five seconds: a lost one is lost."""
        time.sleep(SAVING)
        self._kill("slurmctld.pid")

    def start_node(self, node: str) -> None:
        self._run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """A node that loses its power: its daemon and whatever runs on it end at once."""
        on_node = [job for job, where in self.running().items() if where == node]
        processes = [pid for job in on_node for pid in self.processes_of(job)]
        self._kill(f"slurmd-{node}.pid")
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def running(self) -> dict[str, str]:
        """The node of every running job."""
        lines = self.run("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i %N").splitlines()
        return dict(line.split() for line in lines)

    def processes_of(self, job: str) -> list[int]:
        """Process ids of a job, those of Slurm that watch over it included: the children last."""
        (number,) = self.run("squeue", "--noheader", "--format=%A", f"--jobs={job}").split()
        found = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if f"SLURM_JOB_ID={number}\0".encode() in environment.read_bytes():
                    found.append(int(environment.parent.name))
        watching = subprocess.run(
            ["pgrep", "--full", rf"slurmstepd: \[{number}\."], capture_output=True, text=True, check=False
        )
        return [*map(int, watching.stdout.split()), *sorted(found)]

    def close(self) -> None:
        """Ends all jobs and daemons."""
        with suppress(subprocess.SubprocessError):
            self.run("scancel", f"--user={getpass.getuser()}")
            wait_until(lambda: not self.running(), seconds=10)
        for name in (*(f"slurmd-{node}.pid" for node in NODES), "slurmctld.pid", "munge/pid"):
            self._kill(name)

    def _kill(self, name: str) -> None:
        with suppress(OSError, ValueError):
            os.kill(int((self._folder / name).read_text(encoding="utf-8")), signal.SIGKILL)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=os.environ | {"PATH": SBIN} | self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Returns when a condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """A cluster that ends with the context."""
    cluster = SlurmCluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()


def _free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports
