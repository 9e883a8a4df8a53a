"""A trained autoencoder, rebuilt from what a sweep has kept of it."""

import dataclasses
import functools
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax import own_code, platform, resolve, trust
from lossjax.losses.loss import Loss
from lossjax.models.network import Network
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.store import parameters, places
from lossjax.suite.store.results import Run
from lossjax.suite.sweep.programs import network_of
from lossjax.training.objective import network_target
from lossjax.training.replicas import BLOCK
from lossjax.training.weights import unnamed


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A run's network: `model(images)` gives its output images.

    Images are uint8, or float in [0, 1], of the size that it was trained on: (n,
    height, width, channels), without channels where there is one. They are not
    corrupted, also where the model was trained to remove noise.

    Attributes:
      run: what was trained.
      image: (height, width, channels).
      params: its weights, a tree of arrays.
      loss: whose read-out makes the output image.
      network: the functions of the weights, `network.apply(params, images)`.
    """

    run: Run
    image: tuple[int, int, int]
    params: Any
    loss: Loss
    network: Network

    def __call__(self, images: Any) -> np.ndarray:
        """Output images in [0, 1], float32 (n, height, width, channels)."""
        return self._each(self._output, self._intensity(images))

    def raw(self, images: Any) -> np.ndarray:
        """Raw output, before the loss's read-out."""
        return self._each(self._raw, self._intensity(images))

    def encode(self, images: Any) -> np.ndarray:
        """Codes (n, latent_dim); of a variational model their means.

        Raises:
          UserError: it is a model of the user's own that has no method `encode`.
        """
        if not self.network.latent_dim:
            raise UserError(f"{self.run.model}: has no method encode(images)")
        return self._each(self._code, self._intensity(images))

    def decode(self, codes: Any) -> np.ndarray:
        """Output images of codes (n, latent_dim).

        Raises:
          UserError: the codes have another shape, or it is a model of the user's own
            that has no method `decode`.
        """
        if not self.network.latent_dim:
            raise UserError(f"{self.run.model}: has no method decode(code)")
        codes = np.asarray(codes, np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.network.latent_dim:
            raise UserError(
                f"decode: codes of shape {codes.shape}; valid is (n, "
                f"{self.network.latent_dim})"
            )
        try:
            return self._each(self._decoded, codes)
        except ValueError as error:
            raise UserError(error) from None

    @functools.cached_property
    def _raw(self) -> Callable[[Any, jax.Array], jax.Array]:
        return jax.jit(lambda params, x: self._applied(params, x).raw)

    @functools.cached_property
    def _output(self) -> Callable[[Any, jax.Array], jax.Array]:
        return jax.jit(lambda p, x: self.loss.read_out(self._applied(p, x).raw))

    @functools.cached_property
    def _code(self) -> Callable[[Any, jax.Array], jax.Array]:
        return jax.jit(lambda params, x: self._applied(params, x).code)

    @functools.cached_property
    def _decoded(self) -> Callable[[Any, jax.Array], jax.Array]:
        return jax.jit(lambda p, z: self.loss.read_out(self.network.decode(p, z)))

    def _applied(self, params: Any, images: jax.Array) -> Any:
        return self.network.apply(params, network_target(self.network, images))

    def _each(self, function: Any, values: np.ndarray) -> np.ndarray:
        """A block at a time, as a sweep scores; the last one is filled up.

        So what is computed of an image does not depend on how many there are.
        """
        filling = [(0, -len(values) % BLOCK), *[(0, 0)] * (values.ndim - 1)]
        filled = np.pad(values, filling)
        parts = [
            np.asarray(function(self.params, jnp.asarray(filled[k : k + BLOCK])))
            for k in range(0, len(filled), BLOCK)
        ]
        return np.concatenate(parts)[: len(values)]

    def _intensity(self, images: Any) -> np.ndarray:
        images = np.asarray(images)
        if images.ndim == 3 and self.image[2] == 1:
            images = images[..., None]
        if images.shape[1:] != self.image or not len(images):
            raise UserError(
                f"images of shape {images.shape}; this model takes (n, "
                f"{', '.join(map(str, self.image))})"
            )
        if images.dtype == np.uint8:
            return images.astype(np.float32) / np.float32(255)
        if images.dtype.kind != "f" or not 0 <= images.min() <= images.max() <= 1:
            raise UserError(
                f"images of {images.dtype} from {images.min():g} to {images.max():g}; "
                "valid are uint8, or floats in [0, 1]"
            )
        return images.astype(np.float32)


def load(run: str | PathLike[str]) -> TrainedModel:
    """See `lossjax.load`."""
    place = places.parse(fspath(run))
    path = place if place.name == parameters.FILE else place / parameters.FILE
    try:
        kept = parameters.read(path)
    except FileNotFoundError:
        raise UserError(
            f"{place}: holds no {parameters.FILE}; ./run.sh sweep --keep_models=best "
            "with the same config and --out keeps those of the runs that count"
        ) from None
    except ValueError as error:
        raise UserError(error) from None
    platform.prepare()
    sweep = Sweep.from_json(dict(kept.config))
    _check_own_code(sweep, kept.run, path)
    try:
        loss = resolve(kept.run.loss)
        sizes = kept.run.model, kept.run.latent_dim, loss.channels
        network = network_of(sweep, kept.image, *sizes)
        params = unnamed(network, kept.arrays)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return TrainedModel(kept.run, kept.image, params, loss, network)


def _check_own_code(sweep: Sweep, run: Run, path: Path) -> None:
    """The user's own files must be those that the run was trained with.

    Raises:
      UserError: one has changed, or the name of it may be somebody else's.
    """
    trained = dict(own.rpartition("=")[::2] for own in sweep.own_code)
    for text in (run.model, run.loss):
        if (place := own_code.place_of(text)) is None:
            continue
        if why := trust.refusal(path.parent):
            raise UserError(f"{path} names code, {place.file}, and {why}")
        try:
            now = own_code.digest(place.file)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        if trained.get(place.file) != now:
            raise UserError(
                f"{place.file}: has changed since {path} was trained with it; bring "
                f"back the file of sha256 {trained.get(place.file, 'unknown')[:16]}"
            )
