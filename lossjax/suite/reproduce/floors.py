"""A step of several studies: the least BCE that any network can reach on a dataset."""

import math

import numpy as np
import pandas as pd

from lossjax.suite.reproduce.study import Task


def floors(task: Task) -> pd.DataFrame:
    """The floor of every split of the data, computed and counted."""
    import jax
    import jax.numpy as jnp

    from lossjax import LOSSES

    floor = jax.jit(LOSSES["bce"].floor)

    def mean_floor(images_u8: np.ndarray) -> float:
        return float(jnp.mean(floor(jnp.asarray(images_u8, jnp.float64) / 255)))

    lines = []
    with jax.enable_x64(True):
        for name, dataset in task.data.items():
            for split, content in dataset.splits.items():
                images = np.asarray(content.images)
                size = 500
                parts = [images[i : i + size] for i in range(0, len(images), size)]
                total = math.fsum(mean_floor(part) * len(part) for part in parts)
                counts = np.bincount(images.ravel(), minlength=256)
                lines.append(
                    {
                        "dataset": name,
                        "split": split,
                        "images": len(images),
                        "pixels": int(np.prod(dataset.image_shape)),
                        "floor": total / len(images),
                        "counted": _counted(counts),
                        "black": counts[0] / counts.sum(),
                        "white": counts[255] / counts.sum(),
                    }
                )
    return pd.DataFrame(lines)


def _counted(counts: np.ndarray) -> float:
    """Mean entropy of pixels with so many of each of the 256 levels."""
    y = np.arange(1, 255) / 255
    entropy = -y * np.log(y) - (1 - y) * np.log1p(-y)
    return float(np.sum(counts[1:255] * entropy) / counts.sum())
