"""The way to a cluster: a scheduler that runs already, or processes on this machine that end with the run."""

from __future__ import annotations

import atexit
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.errors import InputError, MissingExtra, UsageError
from lossctl.lanes import lanes

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        found = set(client.run(version).values())
    except ModuleNotFoundError as error:
        message = f"The workers at {text} have no module '{error.name}'."
        raise ClusterLost(message, hint="Install there what is installed here: pip install lossctl.") from error
    if found != {__version__}:
        message = f"The workers at {text} have lossctl {', '.join(sorted(found))}, and this is {__version__}."
        raise ClusterLost(message, hint=f"Install it there: pip install lossctl=={__version__}.")


def version() -> str:
    """The version of lossctl that a worker has."""
    return __version__
