"""The scripts that one would have written without lossctl: each prints the mean squared error."""

from __future__ import annotations

NUMPY = """
import sys, numpy as np
pred, target = map(np.load, sys.argv[1:])
print(((pred - target) ** 2).mean())
"""
TORCH = """
import sys, numpy, torch
pred, target = (torch.from_numpy(numpy.load(path)) for path in sys.argv[1:])
print(torch.nn.functional.mse_loss(pred, target).item())
"""
TORCH_GRADIENT = """
import sys, numpy, torch
pred, target = (torch.from_numpy(numpy.load(path)) for path in sys.argv[1:3])
loss = torch.nn.functional.mse_loss(pred.requires_grad_(), target)
loss.backward()
numpy.save(sys.argv[3], pred.grad.numpy())
print(loss.item())
"""
SKLEARN = """
import sys, numpy
from sklearn.metrics import mean_squared_error
print(mean_squared_error(*map(numpy.load, reversed(sys.argv[1:]))))
"""
TORCHMETRICS = """
import sys, numpy, torch
from torchmetrics.functional import mean_squared_error
print(mean_squared_error(*(torch.from_numpy(numpy.load(path)) for path in sys.argv[1:])).item())
"""
NUMPY_CSV = """
import sys, numpy as np
pred, target = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, unpack=True)
print(((pred - target) ** 2).mean())
"""
PANDAS = """
import sys, pandas
path = sys.argv[1]
table = pandas.read_parquet(path) if path.endswith("parquet") else pandas.read_csv(path)
print(((table.pred - table.target) ** 2).mean())
"""
POLARS = """
import sys, polars
path = sys.argv[1]
table = polars.scan_parquet(path) if path.endswith("parquet") else polars.scan_csv(path)
print(table.select(((polars.col("pred") - polars.col("target")) ** 2).mean()).collect().item())
"""
DUCKDB = """
import sys, duckdb
print(duckdb.sql(f"select avg((pred - target) * (pred - target)) from '{sys.argv[1]}'").fetchall()[0][0])
"""
PYARROW = """
import sys, numpy, pyarrow.csv, pyarrow.parquet
path = sys.argv[1]
table = pyarrow.parquet.read_table(path) if path.endswith("parquet") else pyarrow.csv.read_csv(path)
print(((table["pred"].to_numpy() - table["target"].to_numpy()) ** 2).mean())
"""
# Runs lossctl, and prints how many modules of pandas it has imported.
PANDAS_MODULES = """
import contextlib, io, sys
from lossctl.cli.program import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
print(sum(name.partition(".")[0] == "pandas" for name in sys.modules))
"""
# A table in one file: the package that each script needs, and the script.
OF_TABLES = {"polars": POLARS, "duckdb": DUCKDB, "pandas": PANDAS, "pyarrow": PYARROW}
