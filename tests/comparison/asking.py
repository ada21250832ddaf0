"""`compare` without a process: the document of a comparison, as `--format json` would hold it."""

import json

import numpy as np

from lossctl.commands.compare import Comparing, run, wanted_of
from lossctl.report import strict
from lossctl.request.arguments import compute_spec
from lossctl.sources.source import Given


def compared(losses, sources, **options):
    """The report, the error it ends with, and what was said."""
    said = []
    given = {name: Given(text=options[name]) for name in ("weights", "mask") if name in options}
    chosen = Comparing(**options | given)
    wanted = wanted_of(chosen, sources)
    report, error = run(compute_spec([losses], chosen, set(options)), wanted, said.append, document=True)
    return report, error, said


def document(losses, sources, **options):
    return json.loads(json.dumps(strict(compared(losses, sources, **options)[0].document)))


def entries(losses, sources, **options):
    """The comparisons by loss and system, and by group where there are any."""
    found = document(losses, sources, **options)["comparisons"]
    return {(one["loss"], one["system"], *([one["group"]] if "group" in one else [])): one for one in found}


def save(folder, **arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array))


def table(path, **columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(str(entry) for entry in row) for row in rows)]) + "\n")
