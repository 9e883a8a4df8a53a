"""The Loss: one row of the table, a pytree whose hyperparameters are traced."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A hyperparameter of a family: its default and the closed range it may take."""

    name: str
    default: float
    low: float
    high: float
    meaning: str


@dataclasses.dataclass(frozen=True, eq=False)
class Loss:
    """A reconstruction loss with its read-out, floor and start.

    A registered pytree: `hyper` and `scalars` are its leaves, everything else is
    static. Two losses of one family therefore share a treedef, can be stacked with
    `jax.tree.map`, and are served by one compiled program. `hyper` is constant by
    definition (no derivative flows into it); what is to be trained is in `scalars`.

    Attributes:
      family: name of the row in LOSSES.
      kernel: `(raw, target, **hyper, **scalars) -> values`, one value per pixel; with
        `channels > 1` raw has a leading axis of blocks. A `whole` kernel also takes
        `weights` (an array or None) and returns one value per image, (batch,).
      link: raw to image in [0, 1].
      least: `(target, **hyper) -> infimum over raw`, per pixel.
      begin: `(mean, **hyper) -> raw` in numpy, (blocks, C), raw at which a constant
        image reads out as `mean`.
      unit: unit of the value.
      source: publication, and every deviation from it.
      formula: the value in plain text.
      channels: blocks of C channels in raw.
      parameters: the hyperparameters with their ranges, in keyword order.
      whole: the kernel reduces over pixels itself.
      per_image: images of a batch are scored one by one.
      tile_invariant: an image and its tiling score the same.
      hyper: value of each hyperparameter.
      scalars: initial value of each trainable scalar.
    """

    family: str
    kernel: Callable[..., jax.Array]
    link: Callable[[jax.Array], jax.Array]
    least: Callable[..., jax.Array]
    begin: Callable[..., np.ndarray]
    unit: str
    source: str
    formula: str
    channels: int = 1
    parameters: tuple[Parameter, ...] = ()
    whole: bool = False
    per_image: bool = True
    tile_invariant: bool = True
    hyper: dict[str, Any] = dataclasses.field(default_factory=dict)
    scalars: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Canonical name: the family and the arguments that differ from the default."""
        changed = [
            f"{p.name}={_literal(float(self.hyper[p.name]))}"
            for p in self.parameters
            if float(self.hyper[p.name]) != p.default
        ]
        return f"{self.family}({', '.join(changed)})" if changed else self.family

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
          target: image, float (batch, height, width, C), intensity in [0, 1].
          scalars: value of each trainable scalar, default `self.scalars`.
          weights: optional, of the target's shape, non-negative: the mean becomes
            sum(weights * value) / sum(weights) over each image, and 0 where an image
            has no weight. A mask is a weight of 0 and 1.

        Returns:
          Score of each image, (batch,), in raw's dtype. Computed in float32 at least.

        Raises:
          TypeError: an array is not floating.
          ValueError: shapes do not fit (losses never broadcast), or `scalars` has
            other names than the row.
        """
        wide = self._checked(raw, target, weights)
        raw_, target_ = raw.astype(wide), target.astype(wide)
        blocks = jnp.stack(jnp.split(raw_, self.channels, axis=-1))
        raw_ = blocks if self.channels > 1 else raw_
        arguments = self._arguments(wide) | self._trained(scalars, wide)
        if self.whole:
            weights_ = None if weights is None else weights.astype(wide)
            value = self.kernel(raw_, target_, weights=weights_, **arguments)
        else:
            value = image_mean(self.kernel(raw_, target_, **arguments), weights)
        return value.astype(raw.dtype)

    def read_out(self, raw: jax.Array) -> jax.Array:
        """Image in [0, 1], shape (batch, height, width, C) and dtype of raw."""
        _check_raw(self, raw)
        wide = jnp.promote_types(raw.dtype, jnp.float32)
        blocks = jnp.stack(jnp.split(raw.astype(wide), self.channels, axis=-1))
        return self.link(blocks if self.channels > 1 else blocks[0]).astype(raw.dtype)

    def floor(self, target: jax.Array) -> jax.Array:
        """Smallest value fn can take on each target, (batch,); -inf where unbounded."""
        check_floating(self.family, "target", target)
        wide = jnp.promote_types(target.dtype, jnp.float32)
        least = self.least(target.astype(wide), **self._arguments(wide))
        return image_mean(least, None).astype(target.dtype)

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

    def _checked(
        self, raw: jax.Array, target: jax.Array, weights: jax.Array | None
    ) -> jnp.dtype:
        _check_raw(self, raw)
        check_floating(self.family, "target", target)
        expected = (*target.shape[:-1], target.shape[-1] * self.channels)
        if target.ndim != 4 or raw.shape != expected:
            blocks = "" if self.channels == 1 else f" times {self.channels} blocks"
            raise ValueError(
                f"{self.family}: raw {raw.shape} does not fit target {target.shape}"
                f"{blocks} (batch, height, width, channels); losses never broadcast"
            )
        if weights is not None:
            check_floating(self.family, "weights", weights)
            if weights.shape != target.shape:
                raise ValueError(
                    f"{self.family}: weights {weights.shape} must have the shape of "
                    f"target {target.shape}"
                )
        common = jnp.promote_types(raw.dtype, target.dtype)
        return jnp.promote_types(common, jnp.float32)

    def _arguments(self, dtype: jnp.dtype) -> dict[str, jax.Array]:
        constant = jax.lax.stop_gradient(dict(self.hyper))
        return {name: jnp.asarray(value, dtype) for name, value in constant.items()}

    def _trained(
        self, scalars: Mapping[str, Any] | None, dtype: jnp.dtype
    ) -> dict[str, jax.Array]:
        given = self.scalars if scalars is None else scalars
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


def image_mean(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Mean over all axes but the first, weighted where weights are given."""
    axes = tuple(range(1, values.ndim))
    if weights is None:
        return jnp.mean(values, axis=axes)
    share = weights.astype(values.dtype)
    # where, not 0 * value: a masked pixel may hold anything, nan and inf included.
    counted = jnp.where(share > 0, values, 0) * share
    total = jnp.sum(share, axis=axes)
    return jnp.sum(counted, axis=axes) / jnp.where(total > 0, total, 1)


def parse(text: str, table: Mapping[str, Loss]) -> Loss:
    """The row of `table` that `name` or `name(keyword=number, ...)` names.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    shown = text if len(text) <= 60 else text[:57] + "..."
    name, keywords = _call(text, shown)
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown loss {shown!r}{hint} valid: {', '.join(table)}")
    row = table[name]
    values = dict(row.hyper)
    for keyword, value in keywords:
        values[keyword] = _in_range(row, keyword, value)
    if values == row.hyper:
        return row
    return dataclasses.replace(row, hyper=values)


def _call(text: str, shown: str) -> tuple[str, list[tuple[str, float]]]:
    """Name and keyword numbers of a call expression, evaluated by no one."""
    form = "a loss is written name or name(keyword=number, ...)"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read loss {shown!r}: {form}") from error
    if isinstance(tree, ast.Name):
        return tree.id, []
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
        raise ValueError(f"cannot read loss {shown!r}: {form}")
    if tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise ValueError(f"loss {shown!r}: every argument needs its keyword; {form}")
    seen: list[tuple[str, float]] = []
    for keyword in tree.keywords:
        field = str(keyword.arg)
        if field in dict(seen):
            raise ValueError(f"loss {shown!r}: {field} is given twice")
        seen.append((field, _number(keyword.value, field, shown)))
    return tree.func.id, seen


def _number(node: ast.expr, field: str, shown: str) -> float:
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    plain = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    if not plain:
        raise ValueError(
            f"loss {shown!r}: {field}={ast.unparse(node)[:40]} is not a finite number"
        )
    try:
        # + 0.0 turns -0.0 into 0.0: one value, one canonical name.
        return sign * float(node.value) + 0.0  # type: ignore[attr-defined]
    except OverflowError as error:
        raise ValueError(f"loss {shown!r}: {field} is not a finite number") from error


def _in_range(row: Loss, keyword: str, value: float) -> float:
    ranges = {p.name: p for p in row.parameters}
    if keyword not in ranges:
        near = difflib.get_close_matches(keyword, ranges, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        takes = ", ".join(ranges) if ranges else "no arguments"
        raise ValueError(
            f"{row.family} has no argument {keyword!r}{hint}; it takes {takes}"
        )
    p = ranges[keyword]
    if not (math.isfinite(value) and p.low <= value <= p.high):
        raise ValueError(
            f"{row.family}: {keyword}={_literal(value)} must be between "
            f"{_literal(p.low)} and {_literal(p.high)} ({p.meaning})"
        )
    return value


def _literal(value: float) -> str:
    """Shortest decimal that reads back as the same float; whole numbers bare."""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e9 else repr(value)


def check_floating(family: str, argument: str, array: Any) -> None:
    if not jnp.issubdtype(jnp.result_type(array), jnp.floating):
        raise TypeError(
            f"{family}: {argument} must be floating, got {jnp.result_type(array)}"
        )


def _check_raw(loss: Loss, raw: Any) -> None:
    check_floating(loss.family, "raw", raw)
    if raw.ndim != 4 or raw.shape[-1] % loss.channels:
        raise ValueError(
            f"{loss.family}: raw {raw.shape} must be (batch, height, width, "
            f"C x {loss.channels})"
        )
