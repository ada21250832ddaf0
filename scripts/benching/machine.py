"""What the figures were measured on."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("lossctl", "numpy", "pyarrow", "torch", "typer", "rich", "distributed")
OTHERS = ("polars", "duckdb", "pandas", "scikit-learn", "torchmetrics")


def describe() -> dict[str, Any]:
    """Processor, memory, system, versions and date."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "avx512": avx512(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "busy": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "libraries": {name: found for name in (*LIBRARIES, *OTHERS) if (found := installed(name))},
        "absent": [name for name in OTHERS if not installed(name)],
    }


def processor() -> str:
    """The model of the processor, as the system names it."""
    return known("model name") or platform.processor() or platform.machine()


def known(name: str) -> str:
    """A line of /proc/cpuinfo; nothing where there is no such file."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if sys.platform == "linux" else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def avx512() -> bool | None:
    """Whether NumPy's loops with AVX-512 run here; None where NumPy does not say."""
    try:
        found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    except (KeyError, TypeError):
        return None
    return any(name.startswith(("AVX512", "X86_V4")) for name in found)


def installed(name: str) -> str:
    """The version of a package, or nothing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def sentences(machine: dict[str, Any]) -> str:
    """The description, for people."""
    wide = {True: "with AVX-512", False: "without AVX-512", None: "AVX-512 unknown"}[machine["avx512"]]
    versions = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    absent = f" Not installed: {', '.join(machine['absent'])}." if machine["absent"] else ""
    return (
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores, {wide}; {machine['memory_gb']} GB of memory; "
        f"{machine['system']}; load {machine['busy']} before the first run. Python {machine['python']}; {versions}.{absent}"
    )
