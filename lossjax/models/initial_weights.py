"""Initial weights of a network: one draw for all layers, alike for every loss."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.models.network import Shape

# Standard deviation of a standard normal cut off at -2 and 2.
_TRUNCATED_DEVIATION = 0.87962566103423978


def initial_weights(
    weights: Any, shape: Shape, key: jax.Array, start: jax.Array
) -> Any:
    """Initial values of all weights: LeCun normal kernels, zero biases, `start`.

    One draw serves all kernels (compiled random numbers are dear), the head's last and
    only for its first block, so that nothing depends on the number of blocks. The
    head's further blocks start at zero: constants, given by `start`.

    Raises:
      ValueError: no layer is called head, or it has no bias.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(weights)
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves
    ]
    if "head/bias" not in paths:
        found = ", ".join(dict.fromkeys(path.split("/")[0] for path in paths))
        raise ValueError(
            f"a body's last layer is self.head, with a bias; its layers are: {found} "
            "(CONTRIBUTING.md, A model, step 1)"
        )
    shapes = [leaf.shape for _, leaf in leaves]
    kernels = [i for i, path in enumerate(paths) if path.endswith("kernel")]
    kernels.sort(key=lambda i: (paths[i].startswith("head"), i))
    sizes = [
        math.prod(shapes[i]) // (shape.blocks if paths[i].startswith("head") else 1)
        for i in kernels
    ]
    draws = jax.random.truncated_normal(key, -2, 2, (sum(sizes),), jnp.float32)
    values = [jnp.zeros(s, jnp.float32) for s in shapes]
    parts = jnp.split(draws, np.cumsum(sizes)[:-1])
    for i, part in zip(kernels, parts, strict=True):
        fan_in = math.prod(shapes[i][:-1])
        part = part / (_TRUNCATED_DEVIATION * math.sqrt(fan_in))
        if paths[i].startswith("head"):
            part = part.reshape(-1, shape.image[2]) * shape.head_scale
            further = (shape.blocks - 1) * shape.image[2]
            part = jnp.pad(part, ((0, 0), (0, further)))
        values[i] = part.reshape(shapes[i])
    bias = paths.index("head/bias")
    values[bias] = jnp.tile(start, shapes[bias][0] // start.shape[0])
    return jax.tree.unflatten(tree, values)
