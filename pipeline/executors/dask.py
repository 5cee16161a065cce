"""Executor for Dask: trains on the workers of a running scheduler, or of one that lives as long as the sweep.

Dask gives the batches of a dead worker to another one. What it cannot survive is the end of the scheduler or of the
connection to it; then everything that has not arrived is submitted again, as soon as there is a scheduler.
"""

import asyncio
import atexit
import logging
import time
from asyncio import CancelledError
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ExecutorLostError, InputError, MissingExtraError
from pipeline.executors.batch import Batch, Failure, Trained, given_up
from pipeline.executors.interface import PER_SLOT, TRIES
from pipeline.executors.remote_work import train_elsewhere, without_code, work_of
from pipeline.ranges import Count
from pipeline.system.signals import ignore_signals, pause
from pipeline.training.batching import cores

try:
    import dask
    from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin
    from distributed.comm import CommClosedError
    from distributed.deploy.spec import SpecCluster, close_clusters
    from distributed.security import Security
except ImportError:
    raise MissingExtraError("dask", "distributed", "executor=dask") from None

log = logging.getLogger(__name__)
# At the end of this process Dask would complain of a cluster that a signal found starting; its workers end anyhow.
atexit.unregister(close_clusters)
# Dask logs tracebacks of what is survived; what is not comes back as an error.
for name in ("distributed", "distributed.client", "tornado.application"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

LOOPBACK = "127.0.0.1"
DASHBOARD = f"{LOOPBACK}:0"
TLS_FILES = ("tls_ca_file", "tls_cert", "tls_key")
"""As options of ``dask scheduler`` and ``dask worker`` call them."""
TLS_KEYS = f"{{{', '.join(f'{key}: FILE' for key in TLS_FILES)}}}"
TLS_ROLES = ("client", "scheduler", "worker")
OWN_SCHEDULER = {
    "distributed.scheduler.allowed-failures": TRIES - 1,
    # A batch that only waits at a worker when it dies would count as one that kills.
    "distributed.scheduler.worker-saturation": 1.0,
}
"""Dask's settings for a scheduler in this process."""
PAUSE = 0.01
"""Seconds between two looks at what is done."""
COUNTING_INTERVAL = 1.0
"""Seconds between two looks at how many workers there are."""
CONNECTING, CLOSING, ENDING = 10.0, 2.0, 10.0
"""Seconds for the first and the last words, which no scheduler hears that is not there, and to end one's own."""
PATIENCE = 60.0
"""Seconds to wait for a scheduler that was there before, and for a result that is said to be ready."""


class ClientExecutor:
    """What trains through a Dask client, wherever scheduler and workers are."""

    _client: Client
    _cluster: SpecCluster | None = None

    def __init__(self) -> None:
        self._under_way: dict[Future, Batch] = {}
        self._ready: list[tuple[Batch, Trained]] = []

    def _connect(self, address: str, security: Security | None) -> None:
        self._address, self._security = address, security
        try:
            self._client = self._new_client(CONNECTING)
        except TypeError:  # What Dask says where TLS has no certificate.
            raise InputError(f"executor.security: expected {TLS_KEYS} for {address}, got null") from None
        except (OSError, ValueError, RuntimeError) as error:
            cause = f"{address}: {error.__cause__ or error}"
            raise InputError(f"executor.address: expected a Dask scheduler, got {cause}") from None

    def _new_client(self, patience: float) -> Client:
        return Client(self._address, set_as_default=False, timeout=patience, security=self._security)

    def submit(self, batch: Batch) -> None:
        # Each time under another name: Dask takes what has the name of something known as done.
        self._under_way[self._client.submit(train_elsewhere, work_of(batch), pure=False)] = batch

    def wait(self) -> bool:
        while not self._ready and self._under_way:
            self._collect()
            if not self._ready:
                pause(PAUSE)
        return bool(self._ready)

    def done(self) -> list[tuple[Batch, Trained]]:
        self._collect()
        done, self._ready = self._ready, []
        return done

    def _collect(self) -> None:
        if not self._under_way:
            return
        try:
            for future in [future for future in self._under_way if future.done()]:
                if (trained := _trained(self._under_way[future], future)) is not None:
                    self._ready.append((self._under_way.pop(future), trained))
                    # A result that somebody still wants would be computed again when the worker that has it dies.
                    future.release()
        except (CancelledError, FutureCancelled, CommClosedError, TimeoutError):
            self._start_over()
        else:
            if self._client.status != "running":
                self._start_over()

    def _start_over(self) -> None:
        """Submits again what has not arrived, over a new connection."""
        log.warning(f"The scheduler {self._address} was lost; {len(self._under_way)} batches are submitted again")
        lost = list(self._under_way.values())
        self._under_way.clear()
        self._close_client()
        try:
            self._client = self._new_client(PATIENCE)
        except OSError:
            raise ExecutorLostError(f"No Dask scheduler at {self._address} for {PATIENCE:.0f} s") from None
        for batch in lost:
            self.submit(batch)

    def close(self) -> None:
        self._under_way.clear()
        self._close_client()
        if self._cluster is not None:
            with suppress(TimeoutError, AssertionError):  # It asserts that it could submit every job.
                self._cluster.close(timeout=ENDING)

    def _close_client(self) -> None:
        """Ends the connection; a scheduler that still runs forgets what it was given."""
        with suppress(TimeoutError):
            self._client.close(timeout=CLOSING)


class DaskExecutor(ClientExecutor):
    """Trains on Dask workers; each is best started with one thread (``dask worker ADDRESS --nthreads 1``).

    Args:
        room: the most workers of its own that this machine has memory and work for.
        address: where a scheduler runs already; None for an own one on this machine, which only this process reaches.
        workers: how many workers an own scheduler gets; None for one on each core.
        security: the user's own certificate (``TLS_FILES``); None for that of Dask's configuration with an address, and
            for a new one, which only this process and its workers have, with an own scheduler.

    Raises:
        InputError: nobody answers at the address.
    """

    def __init__(
        self, room: int, *, address: str | None, workers: Count | None, security: dict[str, str] | None
    ) -> None:
        super().__init__()
        self._counted_at, self._workers = 0.0, 1
        if address is not None:
            if workers is not None:
                raise InputError(f"executor.workers: expected null with executor.address, got {workers}")
            self._connect(address, tls_of(security))
            return
        with dask.config.set(OWN_SCHEDULER):
            self._cluster = LocalCluster(
                n_workers=min(workers or cores(), room),
                threads_per_worker=1,
                memory_limit=0,
                host=LOOPBACK,
                dashboard_address=DASHBOARD,
                security=tls_of(security) or True,
            )
        self._connect(self._cluster.scheduler_address, self._cluster.security)
        self._client.register_plugin(_DeafWorker())

    @property
    def slots(self) -> int:
        now = time.monotonic()
        if now > self._counted_at + COUNTING_INTERVAL and self._client.status == "running":
            self._counted_at = now
            with suppress(OSError):  # The scheduler has just gone; whoever waits will see it.
                self._workers = max(1, len(self._client.nthreads()))
        return self._workers

    @property
    def capacity(self) -> int:
        return PER_SLOT * self.slots


def tls_of(security: dict[str, str] | None) -> Security | None:
    """TLS with the user's own certificate, which serves as that of client, scheduler and workers.

    Raises:
        InputError: not these files, or they cannot be read.
    """
    if security is None:
        return None
    expected = f"executor.security: expected PEM files as {TLS_KEYS}"
    given = ", ".join(f"{key}: {file}" for key, file in security.items())
    if sorted(security) != sorted(TLS_FILES):
        raise InputError(f"{expected}, got {{{given}}}")
    own = {f"tls_{role}_{part}": security[f"tls_{part}"] for role in TLS_ROLES for part in ("cert", "key")}
    made = Security(require_encryption=True, tls_ca_file=security["tls_ca_file"], **own)
    try:
        made.get_connection_args("client")
    except OSError as error:
        raise InputError(f"{expected}, got {{{given}}} ({error})") from None
    return made


def new_tls(folder: Path) -> Security:
    """TLS with a new certificate, for whoever can read a folder."""
    made = Security.temporary()
    for file, text in zip(TLS_FILES, (made.tls_ca_file, made.tls_client_cert, made.tls_client_key), strict=True):
        (folder / file).write_text(text, encoding="utf-8")
    return tls_of({file: str(folder / file) for file in TLS_FILES})


class _DeafWorker(WorkerPlugin):  # type: ignore[misc]
    """A worker of an own cluster, which is a child of this process."""

    def setup(self, worker: Worker) -> None:
        ignore_signals()


def _trained(batch: Batch, future: Future) -> Trained | None:
    """The outcome of a batch that is done; None if its worker took it along to its end, and others train it again.

    Raises:
        InputError: a worker could not or would not train it, which other batches will not change.
    """
    # Dask's own waiting would last until the batch is trained again, and hold up all others.
    arriving = asyncio.run_coroutine_threadsafe(asyncio.wait_for(future, PATIENCE), future.client.loop.asyncio_loop)
    while not wait([arriving], timeout=PAUSE).done:
        if not future.done():
            arriving.cancel()
            return None
    try:
        trained: Trained = arriving.result()
    except KilledWorker as error:
        cause = f"{error.allowed_failures + 1} workers died while they trained this batch"
        return given_up(batch, Failure(f"{cause}, the last one {error.last_worker.address}", str(error)))
    except (CancelledError, FutureCancelled, CommClosedError, TimeoutError, InputError):
        raise
    except Exception as error:
        raise without_code(error) from None
    return trained
