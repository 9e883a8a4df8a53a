"""Measures what a variational model has besides a reconstruction, for every slot."""

from collections.abc import Callable

import jax
import numpy as np
from numpy.typing import ArrayLike

from lossjax import LATENT_METRICS
from lossjax.losses.loss import Loss
from lossjax.metrics.latent_variables import IW_SAMPLES, Facts, Terms
from lossjax.models.autoencoders import Network
from lossjax.suite.store.test_images import Drawn
from lossjax.training.replicas import Blocks, Replica
from lossjax.training.variational import VariationalScorer

_SAMPLES = 16  # pictures drawn from the prior
_PAIRS, _STEPS = 3, 8  # of test images, and pictures from one to the other
_PLACED = 500  # most test images of the map


class LatentMeasure:
    """The runs of one family after training, one a slot."""

    def __init__(
        self,
        scorer: VariationalScorer,
        network: Network,
        replicas: Replica,
        weights: jax.Array,
    ) -> None:
        self._scorer, self._network = scorer, network
        self._replicas, self._weights = replicas, weights
        self._noise: np.ndarray | None = None
        self._means: np.ndarray = np.zeros((0, 0, 0))

    def measure(
        self, split: str, blocks: Blocks, tick: Callable[[int], None]
    ) -> dict[str, np.ndarray]:
        """Every row of LATENT_METRICS: (slots, images), or (slots,) of the split.

        "val" must come first: the scale that it shows is used on other splits.
        """
        parts: list[Terms] = []
        samples = IW_SAMPLES if split == "test" else 0
        for place, images in enumerate(blocks.images):
            made = self._scorer.terms(
                self._replicas, self._weights, images, place, samples
            )
            parts.append(Terms(*(np.asarray(leaf) for leaf in made)))
            tick(0)
        real = blocks.weights.reshape(-1) > 0
        terms = Terms(
            *(
                np.concatenate(leaves, axis=1)[:, real]
                for leaves in zip(*parts, strict=True)
            )
        )
        self._means = terms.mean
        if self._noise is None:
            self._noise = np.sqrt(terms.error.mean(axis=1, dtype=np.float64))
        latent, loss = self._network.latent, self._replicas.loss
        assert latent is not None and isinstance(loss, Loss)
        pixels = self._network.pixels
        flat = np.asarray(blocks.images).reshape(-1, *blocks.images.shape[2:])[real]
        facts = Facts(
            loss.law,
            loss.stretch,
            latent.beta,
            pixels.size(flat),
            self._noise,
            warped=latent.warp != 0,
            levels=pixels.levels,
        )
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            return {name: m.fn(terms, facts) for name, m in LATENT_METRICS.items()}

    def draw(self, gallery: np.ndarray, labels: ArrayLike | None) -> tuple[Drawn, ...]:
        """Pictures and the map, by slot; after the test split was measured.

        The codes of samples are the same for every loss and seed; `gallery` are the
        places of the test images between which is interpolated.
        """
        slots, count, units = self._means.shape
        prior = np.random.default_rng(0).standard_normal((_SAMPLES, units))
        ends = gallery[: 2 * (min(2 * _PAIRS, len(gallery)) // 2)]
        ends = self._means[:, ends].reshape(slots, -1, 2, 1, units)
        path = np.linspace(0, 1, _STEPS).reshape(-1, 1)
        between = ends[:, :, 0] * (1 - path) + ends[:, :, 1] * path
        pairs = between.shape[1]
        codes = np.concatenate(
            [
                np.broadcast_to(prior, (slots, *prior.shape)),
                between.reshape(slots, pairs * _STEPS, units),
            ],
            axis=1,
        )
        shown = np.asarray(
            self._scorer.pictures(
                self._replicas, self._weights, codes.astype(np.float32)
            )
        )
        placed = np.linspace(0, count - 1, min(_PLACED, count)).astype(int)
        known = None if labels is None else np.asarray(labels)[placed]
        if known is not None and (known.min() < 0 or known.max() > 255):
            known = None
        return tuple(
            Drawn(
                own[:_SAMPLES],
                own[_SAMPLES:].reshape(pairs, _STEPS, *own.shape[1:]),
                _flat(means)[placed],
                None if known is None else known.astype(np.uint8),
            )
            for own, means in zip(shown, self._means, strict=True)
        )


def _flat(means: np.ndarray) -> np.ndarray:
    """Codes (n, k) on their two principal axes, (n, 2) float32; as they are if k = 2.

    An axis points where its largest weight is positive, so that the sign is no chance.
    """
    if means.shape[1] < 2:
        means = np.pad(means, ((0, 0), (0, 1)))
    if means.shape[1] == 2 or not np.isfinite(means).all():
        return means[:, :2].astype(np.float32)
    wide = means - means.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(wide, full_matrices=False)[2][:2]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(2), largest])[:, None]
    return (wide @ axes.T).astype(np.float32)
