"""Blocks on a cluster: Dask carries the work to where cores are, and brings back what each block came to.

The scheduler runs already, or `local` starts processes on this machine that end with the run. The work is pickled once and
lies with every worker; a task is a range of blocks, which a worker reads from its own place in shared or object storage. What
comes back is handed on in the order of blocks, so that no bit depends on who did what, or on a worker that was lost on the
way: Dask gives its tasks to another one.
"""

from __future__ import annotations

import atexit
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from lossctl import __version__
from lossctl.engine.threads import lanes
from lossctl.errors import InputError, LossctlError, MissingExtra, UsageError
from lossctl.progress import watch
from lossctl.sources.readers import keep_memory
from lossctl.sources.stored import kept_open

LOCAL = "local"
# Seconds to wait for the scheduler, and for the first worker.
PATIENCE = 10


class ClusterLost(InputError):
    """The cluster cannot be reached, or went away in the middle."""


@dataclass(frozen=True)
class Address:
    """What `--cluster` names: a scheduler, or as many worker processes on this machine."""

    scheduler: str = ""
    workers: int = 0


def parse_address(text: str) -> Address:
    """Read `local`, `local:4`, or the address of a scheduler such as `tcp://10.0.0.1:8786`.

    Raises: UsageError.
    """
    name, _, count = text.partition(":")
    if name == LOCAL and (not count or (count.isdecimal() and int(count))):
        return Address(workers=lanes(int(count or 0)))
    if "://" not in text or not text.rpartition(":")[2].isdecimal():
        message = f"'{text}' is no cluster."
        raise UsageError(message, hint="Write --cluster tcp://HOST:8786 for a Dask scheduler, or --cluster local:4.")
    return Address(scheduler=text)


@cache
def client_of(text: str) -> Any:
    """Connect once a run. Workers of this machine listen on the loopback address alone, and end with the run.

    Raises: ClusterLost, MissingExtra.
    """
    address = parse_address(text)
    try:
        import distributed
    except ImportError as error:
        raise MissingExtra("distributed", "--cluster", "'lossctl[cluster]'") from error
    try:
        client = _started(distributed, address)
        atexit.register(client.close, timeout=2)
        _check_workers(client, text)
    except (OSError, TimeoutError) as error:
        message = f"No cluster answers at {text}: {str(error).splitlines()[0] if str(error) else type(error).__name__}."
        raise ClusterLost(message, hint="See that the scheduler runs: dask scheduler --host 127.0.0.1.") from error
    return client


def _started(distributed: Any, address: Address) -> Any:
    """Connect to a scheduler, or start one with its workers.

    Raises: ClusterLost, OSError, TimeoutError.
    """
    import logging

    # Each of its modules has a level of its own; what matters comes as an exception.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("distributed", "tornado")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if address.scheduler:
        return distributed.Client(address.scheduler, timeout=PATIENCE, set_as_default=False)
    try:
        with _uninterrupted():
            cluster = distributed.LocalCluster(
                n_workers=address.workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:
        # What Dask makes of a worker that ends before it has said that it is there.
        message = f"A worker of --cluster local:{address.workers} ended while it started: {error}"
        raise ClusterLost(message, hint="It may lack memory: use fewer workers, or --jobs instead.") from error
    atexit.register(cluster.close, timeout=5)
    return distributed.Client(cluster, set_as_default=False)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C waiting, which a terminal sends to all: processes started meanwhile never see it, and this one ends them."""
    # It unblocks the signal after its own start, so that comes first.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_workers(client: Any, text: str) -> None:
    """Wait for a worker, and see that it has this very version.

    Raises: ClusterLost.
    """
    client.wait_for_workers(1, timeout=PATIENCE)
    try:
        result = set(client.run(version).values())
    except ModuleNotFoundError as error:
        message = f"The workers at {text} have no module '{error.name}'."
        raise ClusterLost(message, hint="Install there what is installed here: pip install lossctl.") from error
    if result != {__version__}:
        message = f"The workers at {text} have lossctl {', '.join(sorted(result))}, and this is {__version__}."
        raise ClusterLost(message, hint=f"Install it there: pip install lossctl=={__version__}.")


def version() -> str:
    """The version of lossctl that a worker has."""
    return __version__


Item = TypeVar("Item")
Result = TypeVar("Result")

# Tasks for each thread of the cluster: enough that the slowest does not hold up the rest for long.
SHARE = 8
# Blocks of a task at most: what is lost with a worker, and what comes back at once.
MOST = 256
RETRIES = 3
# glibc's names for what mallopt sets, and the largest array that a block makes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 1 << 25


def on_cluster(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    take: Callable[[Result], None],
    address: str,
    combine: Callable[[Iterable[Result]], Result] | None = None,
) -> None:
    """Apply `work` to every item on the cluster at `address`; `take` gets results in the order of items.

    With `combine` a worker makes one result of those of a task, in their order, and `take` gets that.

    Raises: what `work` raises, of several the earliest; ClusterLost, MissingExtra, UsageError.
    """
    client = client_of(address)
    _spread(client, _parcel((work, combine)), items, take)


def _spread(client: Any, parcel: bytes, items: Sequence[Any], take: Callable[[Any], None]) -> None:
    shared = client.scatter(parcel, broadcast=True, hash=True)
    size = _size(len(items), sum(client.nthreads().values()))
    edges = [*range(0, len(items), size), len(items)]
    watch().begin("computing", len(items))
    futures = [
        client.submit(run_task, shared, items[start:stop], pure=False, retries=RETRIES, priority=-start)
        for start, stop in pairwise(edges)
    ]
    try:
        for number, future in enumerate(futures):
            found = _result(future)
            if isinstance(found, Refused):
                raise found.error
            for result in found:
                take(result)
            watch().step(edges[number + 1] - edges[number])
            # What has been taken in is let go.
            futures[number] = None
    finally:
        client.cancel([future for future in futures if future is not None])


def _size(items: int, threads: int) -> int:
    return max(1, min(MOST, items // (SHARE * max(1, threads))))


def _result(future: Any) -> Any:
    """What a task brings back.

    Raises: what it raised, and ClusterLost where nobody could do it.
    """
    from concurrent.futures import CancelledError

    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker, NoValidWorkerError

    try:
        return future.result()
    except KilledWorker as error:
        message = "The workers that were given one part of the data died, one after another."
        raise ClusterLost(message, hint="They may lack memory: use fewer threads a worker, or see their logs.") from error
    except (CancelledError, FutureCancelledError, CommClosedError, NoValidWorkerError, TimeoutError) as error:
        message = f"The cluster was lost in the middle: {type(error).__name__}."
        raise ClusterLost(message, hint="Run it again, or compute parts: --part K/N --partial FILE, then merge.") from error
    except ModuleNotFoundError as error:
        message = f"A worker of the cluster has no module '{error.name}'."
        raise ClusterLost(message, hint="Install on every worker what is installed here: pip install lossctl.") from error


def _parcel(work: Any) -> bytes:
    """The work with everything that it needs, as bytes.

    Raises: UsageError for what lives in this process alone.
    """
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(work))
    except LossctlError:
        raise
    except Exception as error:
        raise UsageError(f"This cannot be sent to a cluster: {error}.", hint="Leave out --cluster.") from error


@dataclass(frozen=True)
class Refused:
    """What lossctl raised on a worker: it would raise it again however often the task is given out."""

    error: LossctlError


def run_task(parcel: bytes, items: Sequence[Any]) -> list[Any] | Refused:
    """Do one task on a worker: the work on each of its blocks, in order, up to the first that is refused."""
    try:
        work, combine = _unpacked(parcel)
        with kept_open():
            result = map(work, items)
            return [combine(result)] if combine else list(result)
    except LossctlError as error:
        return Refused(error)


@lru_cache(maxsize=4)
def _unpacked(parcel: bytes) -> tuple[Callable[[Any], Any], Callable[[Iterable[Any]], Any] | None]:
    import cloudpickle

    _keep_memory()
    work, combine = cloudpickle.loads(parcel)
    return work, combine


def _keep_memory() -> None:
    """The same as `blocks.keep_memory` for a worker of Dask's, whose environment fixes glibc's thresholds far lower.

    Setting them is heard all the same. Without it, blocks take five times as long.
    """
    import ctypes

    keep_memory()
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_TRIM_THRESHOLD, 2 * KEPT)
        mallopt(M_MMAP_THRESHOLD, KEPT)
