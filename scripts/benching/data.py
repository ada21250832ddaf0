"""Files to measure on. They lie in a folder that is removed at the end, and large ones as soon as they have served."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benching.running import MB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 1 << 18
# Files whose sums nobody needs repeat this many random values.
TILE = 1 << 22
# What one sample costs, from the size of its error.
TERMS = {
    "mse": lambda size: size * size,
    "l1": lambda size: size,
    "huber": lambda size: np.minimum(size, 1) * (size - np.minimum(size, 1) / 2),
}
DRAWS = {
    "normal": lambda random, shape: random.standard_normal(shape, dtype=np.float32),
    "unit": lambda random, shape: random.uniform(0.01, 0.99, shape).astype(np.float32),
    "log": lambda random, shape: np.log(random.uniform(0.01, 0.99, shape)).astype(np.float32),
}


@dataclass
class Data:
    """Makes files where they are first asked for."""

    folder: Path
    exact: dict[str, Any] = field(default_factory=dict)

    def pair(self, name: str, count: int) -> list[str]:
        """Two float32 arrays of normal values; `exact[name]` has their losses, summed in extended precision."""
        paths = [self.folder / f"{name}_{role}.npy" for role in ("pred", "target")]
        if name not in self.exact:
            self.exact[name] = _write_pair(paths, count)
        return [str(path) for path in paths]

    def array(self, kind: str, count: int, number: int = 0) -> str:
        """A float32 array of one of the kinds of DRAWS, made of repeated tiles."""
        random = np.random.default_rng(number)
        tile = DRAWS[kind](random, TILE)
        return self._tiled(f"{kind}{number}_{count}", tile, (count,))

    def logits(self, count: int, classes: int) -> list[str]:
        """A float32 array (n, classes) with about `count` elements, and n labels of 64 bits."""
        random, n = np.random.default_rng(0), max(1, count // classes)
        scores = self._tiled(f"logits{classes}", DRAWS["normal"](random, TILE), (n, classes))
        return [scores, self._tiled(f"labels{classes}", random.integers(0, classes, TILE), (n,))]

    def _tiled(self, name: str, tile: Any, shape: tuple[int, ...]) -> str:
        path = self.folder / f"{name}.npy"
        if not path.exists():
            count = int(np.prod(shape))
            with path.open("wb") as file:
                _write_header(file, tile.dtype, shape)
                for start in range(0, count, TILE):
                    tile[: min(TILE, count - start)].tofile(file)
        return str(path)

    def table(self, rows: int, suffix: str) -> str:
        """A table with the float64 columns pred and target, in one file."""
        path = self.folder / f"table_{rows}.{suffix}"
        if path.exists():
            return str(path)
        import pyarrow as pa
        from pyarrow import csv, parquet

        random = np.random.default_rng(0)
        table = pa.table({name: random.standard_normal(rows) for name in ("pred", "target")})
        if suffix == "csv":
            csv.write_csv(table, path, csv.WriteOptions(quoting_header="none"))
        else:
            parquet.write_table(table, path)
        return str(path)

    def forget(self, *patterns: str) -> None:
        """Remove files that no later measurement needs."""
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink()


def elements(size: float) -> int:
    """How many float32 values so many MB hold."""
    return max(1, int(size * MB / 4))


def _write_header(file: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_pair(paths: list[Path], count: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    totals = dict.fromkeys(TERMS, np.longdouble(0))
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file in files:
            _write_header(file, np.float32, (count,))
        for pair in _drawn_pairs(random, count):
            for file, values in zip(files, pair, strict=True):
                file.write(values.tobytes())
            size = np.abs(pair[0].astype(np.longdouble) - pair[1])
            totals = {loss: total + TERMS[loss](size).sum() for loss, total in totals.items()}
    return {loss: total / count for loss, total in totals.items()}


def _drawn_pairs(random: np.random.Generator, count: int) -> Iterator[Any]:
    for start in range(0, count, CHUNK):
        yield random.standard_normal((2, min(CHUNK, count - start)), dtype=np.float32)
