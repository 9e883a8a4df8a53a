"""Are both sides the same network? The loss after one step from the same weights.

`python -m lossjax.suite.bench.same WORK` prints one JSON line. Both sides take a step
of plain gradient descent, so that one number holds forward pass, loss and all
gradients.
"""

import json
import sys
from typing import Any

import numpy as np

from lossjax.suite.bench.twin import Twin
from lossjax.suite.bench.works import Work, asked
from lossjax.suite.cli.errors import Exit
from lossjax.suite.cli.signals import run
from lossjax.suite.sweep import backend

RATE = 1.0


def main(arguments: list[str]) -> int:
    work = asked(" ".join(arguments))
    backend.devices(1)
    generator = np.random.default_rng(1)
    images = generator.uniform(size=(work.batch, *work.image)).astype(np.float32)
    ours, twin = _losses(work, images)
    facts = {"ours": ours, "twin": twin, "parameters": work.parameters}
    print(json.dumps(facts))
    return Exit.DONE


def _losses(work: Work, images: np.ndarray) -> tuple[list[float], list[float]]:
    """Loss before and after the step, on our side and on the other."""
    import jax
    import jax.numpy as jnp

    from lossjax import resolve
    from lossjax.models import autoencoders

    shape = autoencoders.Shape(work.image, 1, work.latent_dim, work.width)
    network, loss = autoencoders.build("conv_ae", shape), resolve("bce")
    batch = jnp.asarray(images)
    weights = network.init(jax.random.key(0), jnp.zeros(work.image[2]))

    def objective(weights: Any) -> jax.Array:
        return jnp.mean(loss.fn(network.apply(weights, batch).raw, batch))

    value, slope = jax.jit(jax.value_and_grad(objective))(weights)
    moved = jax.tree.map(lambda w, g: w - RATE * g, weights, slope)
    found = [float(value), float(jax.jit(objective)(moved))]
    return found, _twin(work, jax.tree.map(np.asarray, weights), images)


def _twin(work: Work, weights: Any, images: np.ndarray) -> list[float]:
    import torch
    from torch.nn import functional

    net = Twin(work)
    net.load_state_dict(
        {key: torch.tensor(value) for key, value in _translated(work, weights).items()}
    )
    optimiser = torch.optim.SGD(net.parameters(), RATE)
    batch = torch.tensor(images).permute(0, 3, 1, 2)
    found = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(net(batch), batch)
        found.append(loss.item())
        loss.backward()
        optimiser.step()
    return found


def _translated(work: Work, weights: Any) -> dict[str, np.ndarray]:
    """Our weights as the twin's: OIHW kernels, channels before pixels."""
    height, width, _ = work.image
    coarse = (height // 4, width // 4, work.width[1])
    encode, decode = weights["encode"], weights["decode"]
    dense = encode["kernel"].reshape(*coarse, -1).transpose(3, 2, 0, 1)
    back = decode["kernel"].reshape(-1, *coarse).transpose(3, 1, 2, 0)
    bias = decode["bias"].reshape(coarse).transpose(2, 0, 1)
    found = {
        "encode.weight": dense.reshape(work.latent_dim, -1),
        "encode.bias": encode["bias"],
        "decode.weight": back.reshape(-1, work.latent_dim),
        "decode.bias": bias.reshape(-1),
    }
    for index in (0, 1):
        layer = weights["down"][index]
        found[f"down{index + 1}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
        found[f"down{index + 1}.bias"] = layer["bias"]
    for name, layer in (("up1", weights["up"][0]), ("head", weights["head"])):
        kernel = layer["conv"]["kernel"][::-1, ::-1]  # cell i writes what lies behind
        inputs, outputs = kernel.shape[2], kernel.shape[3] // 4
        cells = kernel.reshape(2, 2, inputs, 2, 2, outputs)
        taps = cells.transpose(2, 5, 0, 3, 1, 4).reshape(inputs, outputs, 4, 4)
        found[f"{name}.weight"] = taps
        found[f"{name}.bias"] = layer["bias"]
    return found


if __name__ == "__main__":
    run(main, sys.argv[1:])
