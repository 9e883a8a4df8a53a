"""The Loss: one row of the table, a pytree whose hyperparameters are traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax import canary
from lossjax.losses.checks import (
    Parameter,
    as_floating,
    literal,
    working_dtype,
)
from lossjax.losses.claims import Claims, functional, own_names
from lossjax.losses.links import sigmoid


@dataclasses.dataclass(frozen=True, eq=False)
class Loss:
    """A reconstruction loss with its read-out, floor, start and claims.

    A registered pytree: `hyper` and `scalars` are its leaves, everything else is
    static. Two losses of one family therefore share a treedef, can be stacked with
    `jax.tree.map`, and are served by one compiled program. The target and `hyper` are
    data: no derivative flows into them. What is to be trained is in `scalars`.

    Attributes:
      family: name of the row in LOSSES.
      kernel: `(raw, target, **hyper, **scalars) -> values`, one value per pixel; with
        `channels > 1` raw has a leading axis of blocks. A `whole` kernel also takes
        `weights` (an array or None) and returns one value per image, (batch,).
      link: raw to image in [0, 1].
      least: `(target, **hyper) -> infimum over raw` (and scalars), per pixel.
      begin: `(mean, **hyper) -> raw` in numpy, (blocks, C), where a constant image
        reads out as `mean`.
      unit: unit of the value.
      formula: the value of a pixel in plain text.
      source: publication, and every deviation from it.
      claims: what `lossjax.certificates.certify` checks and the loss card prints.
      channels: blocks of C channels in raw.
      parameters: the hyperparameters with their ranges, in keyword order.
      whole: the kernel reduces over pixels itself.
      per_image: images of a batch are scored one by one.
      tile_invariant: an image and its tiling score the same.
      own_gradient: the gradient is made and is not that of the value.
      smallest: smallest height and width that can be scored, in pixels.
      law: what exp(-value) of a pixel is: "density" of a grey value, "levels" (the
        probability of one of 256 grey levels), "binary" (the probability of black or
        white, a grey counting as its share of both), "" where it is none.
      stretch: dt/dy where the density is that of another variable t(y).
      hyper: value of each hyperparameter.
      scalars: initial value of each trainable scalar.
    """

    family: str
    kernel: Callable[..., jax.Array]
    link: Callable[[jax.Array], jax.Array]
    least: Callable[..., jax.Array]
    begin: Callable[..., np.ndarray]
    unit: str
    formula: str
    source: str
    claims: Claims
    channels: int = 1
    parameters: tuple[Parameter, ...] = ()
    whole: bool = False
    per_image: bool = True
    tile_invariant: bool = True
    own_gradient: bool = False
    smallest: int = 1
    law: str = ""
    stretch: float = 1.0
    hyper: dict[str, Any] = dataclasses.field(default_factory=dict)
    scalars: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Canonical name: the family and the arguments that differ from the default.

        A mix, whose family has losses in brackets, always shows its weight.
        """
        return self.named({})

    def named(self, texts: Mapping[str, str]) -> str:
        """The name with other texts in the place of some arguments' values."""
        nests = self.family.endswith(")")
        values = {
            p.name: texts.get(p.name, literal(float(self.hyper[p.name])))
            for p in self.parameters
            if nests or p.name in texts or float(self.hyper[p.name]) != p.default
        }
        shown = [f"{name}={value}" for name, value in values.items()]
        if not shown:
            return self.family
        head = f"{self.family[:-1]}, " if nests else f"{self.family}("
        return f"{head}{', '.join(shown)})"

    @property
    def elicits(self) -> str:
        """What the loss elicits from random targets with these hyperparameters."""
        return functional(self.claims.elicits, own_names(self.hyper, self.scalars))

    def fn(
        self,
        raw: jax.Array,
        target: jax.Array,
        scalars: Mapping[str, Any] | None = None,
        *,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        """Score each image: the mean over pixels and channels.

        Args:
          raw: decoder output before any link, float (batch, height, width,
            C * channels); blocks of C channels follow one another.
          target: image, float (batch, height, width, C), intensity in [0, 1]
            (`check_targets` checks that once, outside jit).
          scalars: value of each trainable scalar, default `self.scalars`.
          weights: optional, of the target's shape, non-negative: the mean becomes
            sum(weights * value) / sum(weights) over each image, and 0 where an image
            has no weight. A mask is a weight of 0 and 1; what raw and target hold at
            a pixel of weight 0, nan and inf included, changes no value and no gradient.

        Returns:
          Score of each image, (batch,), in raw's dtype. Computed in float32 at least.

        Raises:
          TypeError: an array is not floating.
          ValueError: shapes do not fit (losses never broadcast), an image is too
            small, a hyperparameter is out of its range, or `scalars` has other names
            than the row.

        >>> import jax.numpy as jnp
        >>> from lossjax import resolve
        >>> grey = jnp.full((1, 8, 8, 1), 0.25)
        >>> score = resolve("bce").fn(jnp.zeros((1, 8, 8, 1)), grey)
        >>> print(f"{score[0]:.4f}")
        0.6931
        """
        canary.warn_where_late()
        raw = as_floating(self.family, "raw", raw)
        blocks, true, weights, arguments = self._operands(raw, target, scalars, weights)
        if self.whole:
            value = self.kernel(blocks, true, weights=weights, **arguments)
        else:
            value = image_mean(self.kernel(blocks, true, **arguments), weights)
        return value.astype(raw.dtype)

    def terms(
        self,
        raw: jax.Array,
        target: jax.Array,
        scalars: Mapping[str, Any],
        *,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        """What `fn` is the mean of: one value a pixel, or an image's where `whole`.

        So that losses side by side are summed together. Takes what `fn` does.
        """
        if self.whole:
            return self.fn(raw, target, scalars, weights=weights)
        raw = as_floating(self.family, "raw", raw)
        blocks, true, weights, arguments = self._operands(raw, target, scalars, weights)
        values = self.kernel(blocks, true, **arguments)
        return values if weights is None else weighted(values, weights)

    def _operands(
        self,
        raw: jax.Array,
        target: jax.Array,
        scalars: Mapping[str, Any] | None,
        weights: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array, jax.Array | None, dict[str, jax.Array]]:
        """What the kernel takes, checked, in the type it computes in; and weights."""
        target = as_floating(self.family, "target", target)
        if weights is not None:
            weights = as_floating(self.family, "weights", weights)
        self._check(raw, target, weights)
        wide = working_dtype(raw, target)
        blocks = self._blocks(raw, wide)
        true = jax.lax.stop_gradient(target.astype(wide))
        if weights is not None:
            weights = weights.astype(wide)
            blocks, true = _unseen(blocks, true, weights)
        arguments = self._arguments(wide) | self._trained(scalars, wide)
        return blocks, true, weights, arguments

    def read_out(self, raw: jax.Array) -> jax.Array:
        """Image in [0, 1], shape (batch, height, width, C) and dtype of raw."""
        raw = as_floating(self.family, "raw", raw)
        self._check_raw(raw)
        wide = working_dtype(raw)
        return self.link(self._blocks(raw, wide)).astype(raw.dtype)

    def floor(
        self, target: jax.Array, *, weights: jax.Array | None = None
    ) -> jax.Array:
        """Smallest value fn can take on each target, (batch,); -inf where unbounded.

        With the weights that are given to fn.
        """
        target = as_floating(self.family, "target", target)
        if target.ndim != 4:
            raise ValueError(
                f"{self.family}: target {target.shape} must be (batch, height, width, "
                "channels)"
            )
        wide = working_dtype(target)
        true = target.astype(wide)
        if weights is not None:
            weights = as_floating(self.family, "weights", weights).astype(wide)
            true = jnp.where(weights > 0, true, 0.5)
        least = self.least(true, **self._arguments(wide))
        return image_mean(least, weights).astype(target.dtype)

    def start(self, mean: np.ndarray) -> np.ndarray:
        """Raw (C * channels,) whose read-out is the constant image `mean` (C,).

        The mean is kept half a grey level away from 0 and 1, where a link may need
        an infinite raw output.
        """
        inside = np.clip(
            np.atleast_1d(np.asarray(mean, np.float64)), 1 / 510, 509 / 510
        )
        hyper = {name: np.asarray(value) for name, value in self.hyper.items()}
        return np.asarray(self.begin(inside, **hyper), np.float64).reshape(-1)

    def _blocks(self, raw: jax.Array, dtype: jnp.dtype) -> jax.Array:
        raw = raw.astype(dtype)
        if self.channels == 1:
            return raw
        blocks = raw.reshape(
            *raw.shape[:-1], self.channels, raw.shape[-1] // self.channels
        )
        return jnp.moveaxis(blocks, -2, 0)

    def _check(
        self, raw: jax.Array, target: jax.Array, weights: jax.Array | None
    ) -> None:
        self._check_raw(raw)
        shape = target.shape
        if target.ndim != 4 or raw.shape != (*shape[:-1], shape[-1] * self.channels):
            blocks = "" if self.channels == 1 else f" with {self.channels} blocks of C"
            raise ValueError(
                f"{self.family}: raw {raw.shape} does not fit target {shape}{blocks} "
                "(batch, height, width, channels); losses never broadcast"
            )
        if min(shape[1:3]) < self.smallest:
            raise ValueError(
                f"{self.family}: height and width of target {shape} must be at least "
                f"{self.smallest}"
            )
        if weights is not None and weights.shape != shape:
            raise ValueError(
                f"{self.family}: weights {weights.shape} must have the shape of "
                f"target {shape}"
            )

    def _check_raw(self, raw: jax.Array) -> None:
        if raw.ndim != 4 or raw.shape[-1] % self.channels:
            raise ValueError(
                f"{self.family}: raw {raw.shape} must be (batch, height, width, "
                f"{self.channels} x C)"
            )

    def _arguments(self, dtype: jnp.dtype) -> dict[str, jax.Array]:
        for p in self.parameters:
            value = self.hyper[p.name]
            # Traced and stacked values come from losses that were checked when made.
            if isinstance(value, int | float):
                p.check(self.family, value)
        constant = jax.lax.stop_gradient(dict(self.hyper))
        return {name: jnp.asarray(value, dtype) for name, value in constant.items()}

    def _trained(
        self, scalars: Mapping[str, Any] | None, dtype: jnp.dtype
    ) -> dict[str, jax.Array]:
        given = self.scalars if scalars is None else scalars
        if not isinstance(given, Mapping):
            raise TypeError(
                f"{self.family}: scalars must be a mapping of names to values, got "
                f"{type(given).__name__}; weights are given by keyword, weights=..."
            )
        if set(given) != set(self.scalars):
            raise ValueError(
                f"{self.family}: scalars {sorted(given)} must be {sorted(self.scalars)}"
            )
        return {name: jnp.asarray(value).astype(dtype) for name, value in given.items()}


jax.tree_util.register_dataclass(
    Loss,
    data_fields=["hyper", "scalars"],
    meta_fields=[
        field.name
        for field in dataclasses.fields(Loss)
        if field.name not in ("hyper", "scalars")
    ],
)


def row(
    family: str,
    kernel: Callable[..., jax.Array],
    *parameters: Parameter,
    link: Callable[[jax.Array], jax.Array] = sigmoid,
    least: Callable[..., jax.Array] | None = None,
    begin: Callable[..., np.ndarray] | None = None,
    **fields: Any,
) -> Loss:
    """A Loss with sigmoid link and floor 0 unless said otherwise, hyper at default."""
    return Loss(
        family,
        kernel,
        link,
        least or _zero,
        begin or logit,
        parameters=parameters,
        hyper={p.name: p.default for p in parameters},
        **fields,
    )


def _unseen(
    blocks: jax.Array, target: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Raw output and target with masked pixels replaced, before a kernel sees them.

    Leaving their values out afterwards would not do: a gradient of 0 times nan is nan.
    Raw 0 against mid-grey is a right answer behind a sigmoid, without any pull.
    """
    seen = weights > 0
    target = jnp.where(seen, target, 0.5)
    return jnp.where(jnp.broadcast_to(seen, blocks.shape), blocks, 0), target


def _zero(target: jax.Array, **_: jax.Array) -> jax.Array:
    return jnp.zeros_like(target)


def logit(mean: np.ndarray, **_: Any) -> np.ndarray:
    """Start of a sigmoid read-out."""
    return np.log(mean) - np.log1p(-mean)


def image_mean(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Mean over all axes but the first, weighted where weights are given."""
    axes = tuple(range(1, values.ndim))
    if weights is None:
        return jnp.mean(values, axis=axes)
    share = weights.astype(values.dtype)
    total = jnp.sum(share, axis=axes)
    counted = jnp.sum(_counted(values, share), axis=axes)
    return counted / jnp.where(total > 0, total, 1)


def weighted(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Values whose plain mean over an image is their weighted one."""
    share = weights.astype(values.dtype)
    mean = jnp.mean(share, axis=tuple(range(1, share.ndim)), keepdims=True)
    return _counted(values, share) / jnp.where(mean > 0, mean, 1)


def _counted(values: jax.Array, share: jax.Array) -> jax.Array:
    # where, not 0 * value: a masked value may be inf.
    return jnp.where(share > 0, values, 0) * share
