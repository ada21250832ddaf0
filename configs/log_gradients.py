"""Logs step, loss, gradient norm and learning rate of a training run to history.csv. Copy it; it needs torch alone.

`GradientNorms` and `history` stay as they are, and into a loop of one's own go the two lines of `train` that use `history`.
"""

import csv
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch


class GradientNorms:
    """Norms of the gradients by each parameter, seen by hooks on their way: before clipping, and in the scale of the loss."""

    def __init__(self, model):
        """Put a hook on each parameter that is trained."""
        self.each = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                # A lambda would see, whenever it runs, the name that the loop ended with.
                parameter.register_hook(partial(self._see, name))

    def _see(self, name, gradient):
        # In float32, since squares overflow in float16; and left on its device, since .item() makes a GPU wait.
        self.each[name] = torch.linalg.vector_norm(gradient.detach(), dtype=torch.float32)

    def take(self, scale=1.0):
        """Return the norms by name and that of all together, divided by the scale of the loss; and begin anew."""
        each = {name: norm.item() / scale for name, norm in self.each.items()}
        self.each.clear()
        return each, sum(norm**2 for norm in each.values()) ** 0.5


@contextmanager
def history(path, model):
    """Give a function that adds a line to a CSV file, to be called after each backward pass; it returns the norms by name."""
    norms = GradientNorms(model)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("step", "loss", "grad_norm", "lr"))

        def write(step, loss, lr, scale=1.0):
            each, total = norms.take(scale)
            lines.writerow((step, loss.item(), total, lr))
            # What is written by now outlives a crash.
            file.flush()
            return each

        yield write


def train(model, batches, *, clip=None, half=None, scale=65536.0):
    """Train, if wanted with a bound on the norm, and in a type of half the bits: torch.float16 or torch.bfloat16."""
    device = next(model.parameters()).device.type
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    # Only float16 needs a scale: bfloat16 has the exponents of float32.
    scaler = torch.amp.GradScaler(device, init_scale=scale, enabled=half is torch.float16)
    with history("history.csv", model) as write:
        for step, (inputs, targets) in enumerate(batches):
            optimizer.zero_grad()
            with torch.autocast(device, dtype=half, enabled=half is not None):
                loss = torch.nn.functional.mse_loss(model(inputs), targets)
            scaler.scale(loss).backward()
            write(step, loss, optimizer.param_groups[0]["lr"], scaler.get_scale())
            if clip is not None:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            scaler.step(optimizer)
            scaler.update()


if __name__ == "__main__":
    torch.manual_seed(0)
    data = torch.randn(20, 16, 3)
    train(torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)), [(x, x[:, :1]) for x in data])
