"""Batches and answers in a folder: for workers that the driver cannot reach, but that see the same files.

Every step is one renaming, which of several processes only one succeeds with, and which is done or not done when
somebody dies::

    waiting/NUMBER          a batch that nobody has taken
    taken/NUMBER.WORKER     the same file, while that worker trains it
    answers/NUMBER.WORKER   what became of it
    workers/WORKER          there since that worker began
    driver                  the driver's name, touched while it lives

Batches and answers are pickles, so the folder is closed to other users.
"""

import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from pipeline.errors import InputError
from pipeline.executors.batch import Trained
from pipeline.executors.remote_work import Work, train_elsewhere, without_code
from pipeline.system.atomic_file import write_atomically
from pipeline.system.process_identity import is_gone, this_driver

SILENCE = 600.0
"""Seconds for which a driver may be busy; workers of one that is silent for longer end."""


class Exchange:
    """The driver's side.

    Args:
        parent: where the folder is made, with a name that no other has.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="sweep-", dir=parent.resolve()))
        for name in ("waiting", "taken", "answers", "workers"):
            (self.folder / name).mkdir()
        write_atomically(self.folder / "driver", this_driver().encode())

    def show_life(self) -> None:
        """Tells the workers that somebody waits for their answers."""
        (self.folder / "driver").touch()

    def put(self, number: int, work: Work) -> None:
        """Offers a batch under a number that no other has."""
        write_atomically(self.folder / "waiting" / str(number), pickle.dumps(work))

    def waiting(self) -> int:
        """How many batches nobody has taken."""
        return len(_visible(self.folder / "waiting"))

    def has_begun(self, worker: str) -> bool:
        """Whether a worker ever came so far as to ask for a batch."""
        return (self.folder / "workers" / worker).exists()

    def taken_by(self, worker: str) -> list[int]:
        """The numbers of the batches that a worker holds."""
        return [_number(path) for path in _visible(self.folder / "taken") if path.name.endswith(f".{worker}")]

    def put_back(self, number: int, worker: str) -> None:
        """Offers what a dead worker held to others; if it has answered after all, nothing happens."""
        with suppress(FileNotFoundError):
            (self.folder / "taken" / f"{number}.{worker}").rename(self.folder / "waiting" / str(number))

    def withdraw(self, number: int) -> None:
        """Takes a batch back, whoever has it."""
        (self.folder / "waiting" / str(number)).unlink(missing_ok=True)
        for path in _visible(self.folder / "taken"):
            if _number(path) == number:
                path.unlink(missing_ok=True)

    def answers(self) -> Iterator[tuple[int, Trained | InputError]]:
        """What has come since the last call; a batch that was given to two workers is answered twice."""
        for path in _visible(self.folder / "answers"):
            yield _number(path), pickle.loads(path.read_bytes())  # noqa: S301
            path.unlink()


def abandoned(parent: Path) -> list[Path]:
    """The folders in which a driver of this machine was killed; its workers may still be there."""
    found = []
    for sign in parent.glob("sweep-*/driver"):
        with suppress(OSError):  # Its driver has just ended, or is another user's.
            if is_gone(sign.read_text(encoding="utf-8")):
                found.append(sign.parent)
    return found


def remove(folder: Path) -> None:
    """Deletes a folder; workers that are still there find nothing, and end."""
    # Under another name first, so that a worker which writes meanwhile cannot keep a part of it.
    with suppress(FileNotFoundError):
        rmtree(folder.rename(folder.with_name(f".{folder.name}")), ignore_errors=True)


def work_through(folder: Path, worker: str, leaves: Callable[[], bool]) -> None:
    """The worker's side: trains what waits in a folder, batch after batch, until there is nothing.

    Args:
        worker: a name that no other worker has.
        leaves: whether to take no further batch, though there may be some.
    """
    # The folder vanishes when the driver has ended; nobody waits for an answer then.
    with suppress(FileNotFoundError):
        while _is_waited_for(folder, worker) and not leaves() and (taken := _taken(folder, worker)):
            answer = _answer(taken)
            # Not ``write_atomically``, which would make anew a folder that is meant to have vanished.
            partial = folder / "answers" / f".{taken.name}"
            partial.write_bytes(pickle.dumps(answer))
            partial.rename(folder / "answers" / taken.name)
            taken.unlink()
            if isinstance(answer, InputError):
                return


def _is_waited_for(folder: Path, worker: str) -> bool:
    """Shows that a worker is there, and tells whether its driver is."""
    sign = folder / "workers" / worker
    sign.touch()
    # Both files were touched on the same server, so that only its clock counts.
    return sign.stat().st_mtime <= (folder / "driver").stat().st_mtime + SILENCE


def _taken(folder: Path, worker: str) -> Path | None:
    for path in _visible(folder / "waiting"):
        target = folder / "taken" / f"{path.name}.{worker}"
        with suppress(FileNotFoundError):  # Somebody else was faster.
            path.rename(target)
            return target
    return None


def _answer(taken: Path) -> Trained | InputError:
    try:
        return train_elsewhere(pickle.loads(taken.read_bytes()))  # noqa: S301
    except InputError as error:
        return error
    except Exception as error:
        return without_code(error)


def _visible(folder: Path) -> list[Path]:
    """The files of a folder, oldest number first, without those that are still being written."""
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_number)


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])
