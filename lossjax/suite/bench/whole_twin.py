"""The runs of a digits sweep as a plain PyTorch script: `whole_twin ROWS [THREADS]`.

ROWS is a report's rows.csv: the same losses, rates and seeds are trained, one after the
other, for the same steps, and scored by mse, psnr and mae on the same splits.
That is less than our sweep does: no other metric, no codes, no report.
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from lossjax.suite.bench.twin import Twin
from lossjax.suite.bench.works import WORKS
from lossjax.suite.cli.errors import Exit
from lossjax.suite.cli.signals import run

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def power(raw: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """power(g=0.5) in closed form."""

    def integral(t: torch.Tensor) -> torch.Tensor:
        t = t.clamp(1e-6, 1 - 1e-6)
        return (0.5 - y) * torch.asin(2 * t - 1) - torch.sqrt(t * (1 - t))

    return (integral(torch.sigmoid(raw)) - integral(y)).mean()


def continuous_bernoulli(raw: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -torch.distributions.ContinuousBernoulli(logits=raw).log_prob(y).mean()


def ssim(raw: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 - SSIM with a 7x7 window of equal weights."""
    p = torch.sigmoid(raw)
    mean = lambda x: functional.avg_pool2d(x, 7, 1)  # noqa: E731
    mp, my = mean(p), mean(y)
    vp, vy = mean(p * p) - mp * mp, mean(y * y) - my * my
    both = mean(p * y) - mp * my
    c1, c2 = 1e-4, 9e-4
    index = (2 * mp * my + c1) * (2 * both + c2)
    return 1 - (index / ((mp * mp + my * my + c1) * (vp + vy + c2))).mean()


def losses() -> dict[str, Loss]:
    p = torch.sigmoid
    return {
        "bce": functional.binary_cross_entropy_with_logits,
        "mse": lambda z, y: functional.mse_loss(p(z), y),
        "mae": lambda z, y: functional.l1_loss(p(z), y),
        "huber": lambda z, y: functional.huber_loss(p(z), y, delta=0.1),
        "log_cosh": lambda z, y: torch.log(torch.cosh(p(z) - y)).mean(),
        "charbonnier": lambda z, y: torch.sqrt((p(z) - y) ** 2 + 1e-6).mean(),
        "mse_linear": functional.mse_loss,
        "power": power,
        "continuous_bernoulli": continuous_bernoulli,
        "ssim": ssim,
    }


def main(arguments: list[str]) -> int:
    rows, *threads = arguments
    if threads:
        torch.set_num_threads(int(threads[0]))
    work = WORKS["32 digits"]
    digits = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
    train, validation, test = digits[:1197], digits[1197:1497], digits[1497:]
    table = losses()
    with Path(rows).open(encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    scores = []
    for row in runs:
        torch.manual_seed(int(row["seed"]))
        net, loss = Twin(work), table[row["loss"]]
        rate, steps = float(row["learning_rate"]), int(row["train_steps"])
        optimiser = torch.optim.Adam(net.parameters(), rate)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for step in range(steps):
            if step % (len(train) // work.batch) == 0:
                batches = torch.randperm(len(train)).split(work.batch)
            images = train[batches[step % (len(train) // work.batch)]]
            optimiser.zero_grad()
            loss(net(images), images).backward()
            optimiser.step()
            fall.step()
        with torch.no_grad():
            for split in (validation, test):
                image = net(split)
                if row["loss"] != "mse_linear":
                    image = torch.sigmoid(image)
                error = ((image.clamp(0, 1) - split) ** 2).mean((1, 2, 3))
                psnr = -10 * torch.log10(error.clamp(min=1e-10))
                mae = (image - split).abs().mean()
                scores.append([error.mean().item(), psnr.mean().item(), mae.item()])
    print(json.dumps({"runs": len(runs), "last": scores[-1]}))
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
