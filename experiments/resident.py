"""A dataset on the devices, and the scores of trained runs on it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from experiments.data import Dataset
from lossjax import CODE_METRICS, METRICS, Loss
from lossjax.replicas import Blocks, blocks_of, put_everywhere
from lossjax.scoring import Scorer

_GALLERY = 8  # test images whose read-outs are kept with every final run
_CODE_IMAGES = 10_000  # most training images whose codes judge a code


def gallery_of(count: int) -> np.ndarray:
    """Places of the kept images among `count` test images: evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(_GALLERY, count)).astype(int))


class Resident:
    """A dataset's splits on every device of a mesh, uint8."""

    def __init__(self, source: Dataset, mesh: Mesh) -> None:
        images = np.asarray(source.train.images)
        self.mean: np.ndarray = images.mean((0, 1, 2), dtype=np.float64) / 255
        self.train: jax.Array = put_everywhere(images, mesh)
        self._blocks: dict[str, Blocks] = {
            "val": blocks_of(np.asarray(source.validation.images)),
            "test": blocks_of(np.asarray(source.test.images)),
            "train": blocks_of(images[:_CODE_IMAGES]),
        }
        self.validation: Blocks = put_everywhere(self._blocks["val"], mesh)
        self._labels = {
            "train": source.train.labels,
            "val": source.validation.labels,
            "test": source.test.labels,
        }
        self._tested = len(source.test.images)
        self._judges: dict[str, Any] = {}

    def scores(
        self,
        scorer: Scorer,
        weights: jax.Array,
        active: np.ndarray,
        loss: Loss,
        *,
        final: bool,
        tick: Callable[[int], None],
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Every metric of every slot, and the read-outs of the kept test images.

        Returns:
          {"val_mse": (slots,), ...}, with "test_..." and the metrics of the code where
          `final`; and uint8 (slots, kept, height, width, channels), empty where not.
        """
        scores: dict[str, np.ndarray] = {}
        kept: list[np.ndarray] = []
        for split in ("val", "test") if final else ("val",):
            blocks = self._blocks[split]
            parts = []
            for images in blocks.images:
                metrics, read_outs = scorer.scores(weights, active, loss, images)
                parts.append({name: np.asarray(v) for name, v in metrics.items()})
                if split == "test":
                    first = (len(parts) - 1) * len(images)
                    places = gallery_of(self._tested) - first
                    places = places[(places >= 0) & (places < len(images))]
                    kept.append(np.asarray(read_outs)[:, places])
                tick(0)
            for name in METRICS:
                values = _whole([part[name] for part in parts], blocks)
                scores[f"{split}_{name}"] = values.mean(1, dtype=np.float64)
        if final and self._labels["train"] is not None:
            scores |= self._code_scores(scorer, weights, active, tick)
        gallery = np.concatenate(kept, 1) if kept else np.zeros(0, np.uint8)
        return scores, gallery

    def _code_scores(
        self,
        scorer: Scorer,
        weights: jax.Array,
        active: np.ndarray,
        tick: Callable[[int], None],
    ) -> dict[str, np.ndarray]:
        """What the codes say of the labels."""
        codes: dict[str, np.ndarray] = {}
        for split, blocks in self._blocks.items():
            parts = []
            for images in blocks.images:
                parts.append(np.asarray(scorer.codes(weights, active, images)))
                tick(0)
            codes[split] = _whole(parts, blocks)
        scores: dict[str, np.ndarray] = {}
        for split in ("val", "test"):
            for name in CODE_METRICS:
                judge = self._judge(split, name)
                values = np.full(len(active), np.nan)
                for place in np.flatnonzero(active):
                    values[place] = judge(codes["train"][place], codes[split][place])
                    tick(0)
                scores[f"{split}_{name}"] = values
        return scores

    def _judge(self, split: str, name: str) -> Any:
        """A code metric compiled for the labels of a split."""
        key = f"{split}_{name}"
        if key not in self._judges:
            near = jnp.asarray(self._labels["train"])[:_CODE_IMAGES]
            far = jnp.asarray(self._labels[split])
            fn = CODE_METRICS[name].fn
            self._judges[key] = jax.jit(lambda a, b: fn(a, near, b, far))
        return self._judges[key]


def _whole(parts: list[np.ndarray], blocks: Blocks) -> np.ndarray:
    """(slots, images, ...) of a split from its blocks', without the filling."""
    return np.concatenate(parts, axis=1)[:, blocks.weights.reshape(-1) > 0]
