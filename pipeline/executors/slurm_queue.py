"""squeue and scancel: the states of the jobs that share a name, without accounting, and their end."""

import subprocess
from typing import NamedTuple

ANSWERING, CLOSING = 30.0, 3.0
"""Seconds that one of Slurm's commands may take, and the last one, while a user waits for the end."""
UNFINISHED = {
    "PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING", "SIGNALING", "STAGE_OUT",
    "STOPPED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
}  # fmt: skip
"""States (squeue(1), JOB STATE CODES) after which something is still to come."""


class JobState(NamedTuple):
    """A job's state in Slurm's words, and the reason for it."""

    state: str
    reason: str

    @property
    def is_over(self) -> bool:
        return self.state not in UNFINISHED


GONE = JobState("GONE", "")
"""Of a job that Slurm has forgotten."""


def job_states(name: str) -> dict[str, JobState]:
    """The state of every job of a name that Slurm remembers, by the job's number.

    Raises:
        subprocess.SubprocessError: Slurm does not answer.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", f"--name={name}", "--format=%i|%T|%r"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=ANSWERING).stdout
    return {job: JobState(state, reason) for job, state, reason in (line.split("|", 2) for line in answer.splitlines())}


def cancel(name: str) -> None:
    """Cancels all jobs of a name.

    Raises:
        subprocess.SubprocessError: Slurm does not answer.
    """
    subprocess.run(["scancel", f"--name={name}"], check=True, capture_output=True, timeout=CLOSING)
