"""One loss of several by a traced index: losses that share one compiled program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.loss import Loss


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Like the one Loss that `which` points to; a registered pytree, all of it traced.

    A network is compiled once for all of them: only the branch that is chosen runs
    where replicas are mapped one after the other, every branch where they lie side by
    side. There are always two branches or more, so that the network around them is
    compiled alike however many losses a sweep has.

    Attributes:
      which: int32, index into `losses`.
      losses: of equal `channels`.
    """

    which: Any
    losses: tuple[Loss, ...]

    @classmethod
    def of(cls, loss: Loss, among: Sequence[Loss]) -> OneOf:
        """The choice of `loss`, with its hyperparameters, among others' families.

        Args:
          loss: the one that is chosen.
          among: one loss of each family, that of `loss` too, in any fixed order.

        Raises:
          ValueError: the family is not among them, or they cannot share a program.
        """
        families = [other.family for other in among]
        if loss.family not in families:
            raise ValueError(f"OneOf: {loss.family} is not among {families}")
        if {other.channels for other in among} != {loss.channels}:
            raise ValueError(f"OneOf: {families} differ in channels")
        at = families.index(loss.family)
        losses = [loss if k == at else other for k, other in enumerate(among)]
        if len(losses) == 1:
            losses *= 2
        return cls(np.int32(at), tuple(losses))

    @property
    def scalars(self) -> dict[str, Any]:
        """Initial values of the trained scalars, as many as the loss with most has.

        A loss takes the first of them in the order of its own names.
        """
        each = [[one.scalars[k] for k in sorted(one.scalars)] for one in self.losses]
        found = {}
        for place in range(max(map(len, each))):
            value: Any = jnp.zeros(jnp.shape(self.which))
            for index, own in enumerate(each):
                if place < len(own):
                    value = jnp.where(self.which == index, own[place], value)
            found[f"{place:03}"] = value
        return found

    def fn(
        self,
        raw: jax.Array,
        target: jax.Array,
        scalars: Any = None,
        *,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        """As Loss.fn: (batch,), in the unit of the loss that is chosen."""
        given = self.scalars if scalars is None else scalars
        values = [given[name] for name in sorted(given)]

        def branch(one: Loss) -> Any:
            own = dict(zip(sorted(one.scalars), values, strict=False))
            return lambda r, t: one.fn(r, t, own, weights=weights)

        branches = [branch(one) for one in self.losses]
        return jax.lax.switch(jnp.asarray(self.which), branches, raw, target)

    def read_out(self, raw: jax.Array) -> jax.Array:
        """As Loss.read_out: an image in [0, 1]."""
        links = {one.link: one for one in self.losses}
        place = {link: index for index, link in enumerate(links)}
        table = jnp.array([place[one.link] for one in self.losses])
        branches = [one.read_out for one in links.values()]
        return jax.lax.switch(table[self.which], branches, raw)


jax.tree_util.register_dataclass(OneOf, data_fields=["which", "losses"], meta_fields=[])
