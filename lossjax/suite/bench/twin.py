"""The PyTorch side of a pair, written as one would who knows PyTorch.

The same network to the last parameter, the same batches from memory, Adam, binary
cross-entropy on logits. Spoken to as `lossjax.suite.bench.ours` is; `vmap` trains all
replicas in one program (torch.func), otherwise they are trained one after the other.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lossjax.suite.bench.works import Work, asked
from lossjax.suite.cli.errors import Exit
from lossjax.suite.cli.signals import run


class Twin(nn.Module):
    """`conv_ae` with two stages; images are (batch, channels, height, width)."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        height, width, channels = work.image
        first, second = work.width
        self.coarse = (second, height // 4, width // 4)
        size = second * height * width // 16
        self.down1 = nn.Conv2d(channels, first, 4, 2, 1)
        self.down2 = nn.Conv2d(first, second, 4, 2, 1)
        self.encode = nn.Linear(size, work.latent_dim)
        self.decode = nn.Linear(work.latent_dim, size)
        self.up1 = nn.ConvTranspose2d(second, first, 4, 2, 1)
        self.head = nn.ConvTranspose2d(first, channels, 4, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.down1(images))
        hidden = functional.relu(self.down2(hidden))
        code = self.encode(hidden.flatten(1))
        hidden = functional.relu(self.decode(code)).unflatten(1, self.coarse)
        hidden = functional.relu(self.up1(hidden))
        return self.head(hidden)


def main(arguments: list[str]) -> int:
    name, *options = arguments or [""]
    given = dict(option.split("=") for option in options)
    if "core" in given:
        os.sched_setaffinity(0, {int(given["core"])})
    if "threads" in given:
        torch.set_num_threads(int(given["threads"]))
    work = asked(name)
    replicas = int(given.get("replicas", work.replicas))
    torch.manual_seed(0)
    make = _side_by_side if "vmap" in given else _in_turn
    go = make(work, replicas, given)
    for _ in range(3):
        go()
    facts = {
        "parameters": sum(p.numel() for p in Twin(work).parameters()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        for _ in range(int(line)):
            go()
        seconds = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)
    return Exit.DONE


def _batches(work: Work, given: dict[str, str]) -> Callable[[], torch.Tensor]:
    height, width, channels = work.image
    shape = (work.images, channels, height, width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8).float() / 255
    last = "channels_last" in given

    def batch() -> torch.Tensor:
        taken = images[torch.randint(0, work.images, (work.batch,))]
        return taken.contiguous(memory_format=torch.channels_last) if last else taken

    return batch


def _in_turn(work: Work, replicas: int, given: dict[str, str]) -> Callable[[], None]:
    """One step of every replica."""
    nets = [Twin(work) for _ in range(replicas)]
    if "channels_last" in given:
        nets = [net.to(memory_format=torch.channels_last) for net in nets]
    called = [torch.compile(net) if "compile" in given else net for net in nets]
    optimisers = [torch.optim.Adam(net.parameters(), 1e-3) for net in nets]
    batch = _batches(work, given)

    def go() -> None:
        for net, optimiser in zip(called, optimisers, strict=True):
            images = batch()
            optimiser.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(net(images), images)
            loss.backward()
            optimiser.step()

    return go


def _side_by_side(
    work: Work, replicas: int, given: dict[str, str]
) -> Callable[[], None]:
    """One step of all replicas in one program, as torch.func has it."""
    nets = [Twin(work) for _ in range(replicas)]
    stacked, _ = torch.func.stack_module_state(nets)
    weights = {key: value.detach() for key, value in stacked.items()}
    skeleton = nets[0]
    batch = _batches(work, given)

    def objective(weights: dict[str, Any], images: torch.Tensor) -> torch.Tensor:
        raw = torch.func.functional_call(skeleton, weights, (images,))
        return functional.binary_cross_entropy_with_logits(raw, images)

    gradients = torch.vmap(torch.func.grad(objective))
    trained = [value.requires_grad_() for value in weights.values()]
    optimiser = torch.optim.Adam(trained, 1e-3)

    def go() -> None:
        images = torch.stack([batch() for _ in range(replicas)])
        plain = {key: value.detach() for key, value in weights.items()}
        for key, slope in gradients(plain, images).items():
            weights[key].grad = slope
        optimiser.step()

    return go


if __name__ == "__main__":
    run(main, sys.argv[1:])
