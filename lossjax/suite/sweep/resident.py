"""A dataset on the devices, and the scores of trained runs on it."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax import CODE_METRICS, METRICS, Loss
from lossjax.metrics.images import share_right
from lossjax.suite.data import Dataset
from lossjax.suite.data.dataset import shown
from lossjax.suite.store.test_images import (
    Drawn,
    Hunt,
    Kept,
    class_means,
    classes_of,
    group_means,
)
from lossjax.suite.sweep.latent import LatentMeasure
from lossjax.training.replicas import (
    Blocks,
    Layout,
    blocks_of,
    put_everywhere,
    spread,
)
from lossjax.training.scoring import Scorer

_GALLERY = 8  # test images whose read-outs are kept with every run
_CODE_IMAGES = 10_000  # most training images whose codes judge a code
_DISTANCES = 2**30  # bytes that distances between codes may take of an accelerator
_ABREAST = 256  # codes judged at once there, at most


def gallery_of(count: int) -> np.ndarray:
    """Places of the kept images among `count` test images: evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(_GALLERY, count)).astype(int))


@dataclasses.dataclass(frozen=True)
class Scored:
    """What was measured of every slot."""

    metrics: dict[str, np.ndarray]  # {"val_mse": (slots,), "test_mse": ...}
    gallery: np.ndarray  # uint8 (slots, kept, height, width, channels) read-outs
    kept: tuple[Kept, ...]  # of single test images, by slot
    drawn: tuple[Drawn, ...] = ()  # by slot; only of variational models


class Resident:
    """A dataset's splits on every device of a mesh."""

    def __init__(self, source: Dataset, mesh: Mesh, mapping: str) -> None:
        images = np.asarray(source.train.images)
        self._mesh = mesh
        self.mean: np.ndarray = _mean(images)
        held = np.asarray(source.validation.images)
        self.spread = _spread(held, self.mean)
        self.train: jax.Array = put_everywhere(images, mesh)
        self._blocks: dict[str, Blocks] = {
            "val": blocks_of(held),
            "test": blocks_of(np.asarray(source.test.images)),
            "train": blocks_of(images[:_CODE_IMAGES]),
        }
        self.validation: Blocks = put_everywhere(self._blocks["val"], mesh)
        # Known when a reader is compiled, which makes it fast.
        self._labels: dict[str, jax.Array] = {
            split: jnp.asarray(own.labels[:most])
            for split, own, most in (
                ("train", source.train, _CODE_IMAGES),
                ("val", source.validation, None),
                ("test", source.test, None),
            )
            if own.labels is not None
        }
        self._tested = len(source.test.images)
        known = source.test.labels
        self._classes = known if len(classes_of(known)[0]) else None
        self._abreast = 1
        turn = Layout(mesh.size, mesh.size, "map")
        if mapping == "vmap":
            judged = len(source.validation) + len(source.test)
            pairs = 4 * judged * min(len(images), _CODE_IMAGES)
            self._abreast = max(1, min(_ABREAST, _DISTANCES // pairs))
            turn = Layout(mesh.size, mesh.size * self._abreast, "vmap")
        self._judge = spread(self._read, mesh, turn, shared=0, idle=True)

    def scores(
        self,
        scorer: Scorer,
        weights: jax.Array,
        active: np.ndarray,
        losses: Sequence[Loss],
        *,
        worst_by: str,
        tick: Callable[[int], None],
        latent: LatentMeasure | None = None,
    ) -> Scored:
        """Every metric of every slot, on validation and test images.

        `losses` are those of the slots; `worst_by` names the metric by which test
        images are worst; `latent` measures what a variational model has besides.
        """
        scores: dict[str, np.ndarray] = {}
        gallery = np.zeros(0, np.uint8)
        kept: tuple[Kept, ...] = ()
        hunt = Hunt(worst_by, METRICS[worst_by].direction)
        for split in ("val", "test"):
            blocks = self._blocks[split]
            parts: list[dict[str, np.ndarray]] = []
            pictured: list[np.ndarray] = []
            for place, images in enumerate(blocks.images):
                weights_of = blocks.weights[place]
                metrics, read_outs = scorer.scores(
                    weights, active, losses, images, place
                )
                parts.append({name: np.asarray(v) for name, v in metrics.items()})
                if split == "test":
                    first = (len(parts) - 1) * len(images)
                    places = gallery_of(self._tested) - first
                    places = places[(places >= 0) & (places < len(images))]
                    pictures = np.asarray(read_outs)
                    pictured.append(pictures[:, places])
                    real = int(np.count_nonzero(weights_of))
                    own = parts[-1][worst_by][:, :real]
                    hunt.look(first, own, shown(images[:real]), pictures[:, :real])
                tick(0)
            whole = {n: _whole([part[n] for part in parts], blocks) for n in METRICS}
            if latent is not None:
                more = latent.measure(split, blocks, tick)
                scores |= {f"{split}_{n}": v for n, v in more.items() if v.ndim == 1}
                whole |= {n: v for n, v in more.items() if v.ndim == 2}
            for name, values in whole.items():
                scores[f"{split}_{name}"] = values.mean(1, dtype=np.float64)
            if split == "test":
                gallery = np.concatenate(pictured, 1)
                kept = self._kept(whole, hunt)
        if "train" in self._labels and scorer.coded:
            scores |= self._code_scores(scorer, weights, active, tick)
        drawn: tuple[Drawn, ...] = ()
        if latent is not None:
            drawn = latent.draw(gallery_of(self._tested), self._labels.get("test"))
        return Scored(scores, gallery, kept, drawn)

    def _kept(self, scores: dict[str, np.ndarray], hunt: Hunt) -> tuple[Kept, ...]:
        """Of scores (slots, images) of the test images, by metric; one of each slot."""
        groups = np.stack([group_means(own) for own in scores.values()], 1)
        classes: Sequence[np.ndarray | None] = [None] * len(groups)
        if (names := self._classes) is not None:
            each = [class_means(own, names) for own in scores.values()]
            classes = list(np.stack(each, 1))
        return tuple(
            Kept(tuple(scores), own, hunt.found(slot), classes[slot])
            for slot, own in enumerate(groups)
        )

    def rehearse_scores(self, scorer: Scorer, weights: jax.Array, loss: Loss) -> None:
        """Compile what scores images ahead of the first call of `scores`.

        `weights` are those of slots that rest: nothing else is computed.
        """
        resting = np.zeros(len(weights), np.bool_)
        for split in ("val", "test"):
            images = self._blocks[split].images[0]
            scorer.scores(weights, resting, [loss] * len(weights), images)

    def rehearse_codes(self, scorer: Scorer, weights: jax.Array) -> None:
        """Compile what judges codes, likewise."""
        if "train" not in self._labels or not scorer.coded:
            return
        resting = np.zeros(len(weights), np.bool_)
        codes, places = {}, self._turn(len(weights), 0)
        for split, blocks in self._blocks.items():
            code = scorer.codes(weights, resting, blocks.images[0])
            shape = len(places), int(blocks.weights.sum()), code.shape[-1]
            codes[split] = np.zeros(shape, code.dtype)
        self._judge(resting[places], codes)

    def _read(self, codes: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Every code metric of one slot: each reader is fitted once for both splits."""
        names = self._labels["train"]
        held = jnp.concatenate([codes["val"], codes["test"]])
        cut = len(codes["val"])
        scores = {}
        for name, metric in CODE_METRICS.items():
            read = metric.reader(codes["train"], names)(held)
            for split, own in (("val", read[:cut]), ("test", read[cut:])):
                scores[f"{split}_{name}"] = share_right(own, self._labels[split])
        return scores

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
        scores = {
            f"{split}_{name}": np.full(len(active), np.nan)
            for split in ("val", "test")
            for name in CODE_METRICS
        }
        for turn in range(-(-len(active) // self._mesh.size // self._abreast)):
            places = self._turn(len(active), turn)
            if not active[places].any():
                continue
            mine = {split: own[places] for split, own in codes.items()}
            for name, values in self._judge(active[places], mine).items():
                scores[name][places] = np.where(active[places], values, np.nan)
            tick(0)
        return scores

    def _turn(self, slots: int, turn: int) -> np.ndarray:
        """The slots whose codes are judged in one call: a few of each device.

        A call stays short, and distances between all images of few codes fit.
        """
        each = slots // self._mesh.size
        first = np.arange(self._mesh.size)[:, None] * each
        own = np.arange(turn * self._abreast, (turn + 1) * self._abreast)
        return (first + np.minimum(own, each - 1)).ravel()


def _whole(parts: list[np.ndarray], blocks: Blocks) -> np.ndarray:
    """(slots, images, ...) of a split from its blocks', without the filling."""
    return np.concatenate(parts, axis=1)[:, blocks.weights.reshape(-1) > 0]


def _mean(images: np.ndarray) -> np.ndarray:
    """Mean intensity (channels,) of the pixels that count."""
    if images.dtype == np.uint8:
        return images.mean((0, 1, 2), dtype=np.float64) / 255
    return np.asarray(np.nanmean(images, (0, 1, 2), dtype=np.float64))


def _spread(images_u8: np.ndarray, mean: np.ndarray) -> float:
    """Mean squared error of one colour, mean (channels,), as every image's read-out."""
    if images_u8.dtype != np.uint8:
        each = (np.nanmean((one - mean) ** 2) for one in images_u8)
        return float(np.mean(list(each)))
    levels = np.arange(256) / 255
    errors = [
        np.bincount(images_u8[..., channel].ravel(), minlength=256)
        @ (levels - own) ** 2
        for channel, own in enumerate(mean)
    ]
    return float(sum(errors) / images_u8.size)
