"""A Dask cluster in a process of its own, for the tests: workers are real processes, and all of it listens on 127.0.0.1 alone.

It says its address, then obeys lines: `kill` ends one worker as soon as it is in the middle of somebody's tasks, and says how
many were done and how many not; `ports` says what the process tree listens on. It ends with its standard input.
"""

import logging
import os
import signal
import sys
import time
from contextlib import suppress

import psutil
from distributed import LocalCluster

PATIENCE = 60


def kill(cluster):
    """Kill a worker that has work to do, once some tasks are done and many are not."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        states = [task.state for task in list(cluster.scheduler.tasks.values())]
        done, left = states.count("memory"), sum(state in {"processing", "queued", "waiting"} for state in states)
        busy = [worker for worker in list(cluster.scheduler.workers.values()) if worker.processing]
        if done > 1 and left > len(states) // 2 and busy:
            os.kill(pid_of(cluster, busy[0].name), signal.SIGKILL)
            return f"killed {done} {left}"
        time.sleep(0.001)
    return "nothing to kill"


def pid_of(cluster, name):
    """The process of a worker."""
    return cluster.workers[name].pid


def ports(*_):
    """Every address that this process and its workers listen on."""
    tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return " ".join(sorted({one for process in tree for one in listened_to(process)}))


def listened_to(process):
    """The addresses of one process: none once it has ended."""
    with suppress(psutil.NoSuchProcess):
        return [one.laddr.ip for one in process.net_connections("tcp") if one.status == "LISTEN"]
    return []


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main():
    logging.disable(logging.CRITICAL)
    workers = int(sys.argv[1])
    address = "127.0.0.1:0"
    options = {"host": "127.0.0.1", "dashboard_address": address, "worker_dashboard_address": address}
    with LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit="1GiB", **options) as cluster:
        say(cluster.scheduler_address)
        for line in sys.stdin:
            say({"kill": kill, "ports": ports}[line.strip()](cluster))


if __name__ == "__main__":
    main()
