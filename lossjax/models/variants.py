"""A model with its arguments: noise on the input, and what makes it variational."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lossjax.losses.checks import Choice, Parameter, literal
from lossjax.models.bodies import BODIES
from lossjax.models.corruption import CORRUPTIONS, Corruption
from lossjax.models.network import Latent

CLEAN = "none"
DENOISING: tuple[Parameter | Choice, ...] = (
    Choice("noise", CLEAN, (CLEAN, *CORRUPTIONS), "corruption of the input"),
    Parameter(
        "amount",
        0.3,
        0.001,
        1.0,
        "standard deviation of gaussian noise, share of the values hit by other noise",
    ),
)
VARIATIONAL: tuple[Parameter | Choice, ...] = (
    Choice("body", "conv", tuple(BODIES), "layers around the code"),
    Parameter("beta", 1.0, 0.0, 1e6, "weight of KL, reconstruction summed over pixels"),
    Parameter("free_bits", 0.0, 0.0, 100.0, "nats of each code unit that cost nothing"),
    Parameter("dequantise", 0.0, 0.0, 1.0, "1: pixels are (255 y + u)/256 throughout"),
    Parameter(
        "warp",
        0.0,
        -0.5,
        0.5,
        "contrast of input and target: -0.5 black or white, 0 as it is, 0.5 all grey",
    ),
    Parameter(
        "clip", 0.0, 0.0, 0.25, "sigmoid of raw output: at least so far from 0, 1"
    ),
)


@dataclasses.dataclass(frozen=True)
class Model:
    """A row of MODELS: an architecture and the arguments it takes.

    Attributes:
      family: name of the row.
      layers: the layers around the code, unless `body` is an argument.
      parameters: the arguments with their ranges, in keyword order.
      variational: the code is a normal law and not a point.
      arguments: value of each.
    """

    family: str
    layers: str
    parameters: tuple[Parameter | Choice, ...]
    variational: bool
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Canonical name: the family and the arguments that differ from the default."""
        changed = [
            f"{p.name}={_literal(self.arguments[p.name])}"
            for p in self.parameters
            if self.arguments[p.name] != p.default
        ]
        return f"{self.family}({', '.join(changed)})" if changed else self.family

    @property
    def body(self) -> str:
        """The layers around the code: one of the words of the argument `body`."""
        return str(self.arguments.get("body", self.layers))

    @property
    def corrupt(self) -> Corruption | None:
        """(key, images) -> input of a training step; None leaves the images alone."""
        noise, amount = self.arguments["noise"], self.arguments["amount"]
        if noise == CLEAN:
            return None
        law = CORRUPTIONS[noise]
        return lambda key, images: law(key, images, amount)

    @property
    def latent(self) -> Latent | None:
        """How the code is drawn and paid for; None where it is a point."""
        if not self.variational:
            return None
        values = self.arguments
        return Latent(
            values["beta"],
            values["free_bits"],
            bool(values["dequantise"]),
            values["warp"],
            values["clip"],
        )

    def with_arguments(self, values: Mapping[str, Any]) -> Model:
        """The row with other arguments, already checked one by one.

        Raises:
          ValueError: the values do not go together; one line.
        """
        whole = {**self.arguments, **values}
        if "amount" in values and whole["noise"] == CLEAN:
            valid = ", ".join(CORRUPTIONS)
            raise ValueError(
                f"{self.family}: amount={literal(values['amount'])} needs noise=..., "
                f"one of {valid}"
            )
        if values.get("dequantise", 0) not in (0, 1):
            raise ValueError(
                f"{self.family}: dequantise={literal(values['dequantise'])} must be "
                "0 or 1"
            )
        return dataclasses.replace(self, arguments=whole)


def row(family: str, *, body: str, variational: bool = False) -> Model:
    """A Model that takes noise, and what a variational one takes; all at default."""
    parameters = (*(VARIATIONAL if variational else ()), *DENOISING)
    defaults = {p.name: p.default for p in parameters}
    return Model(family, body, parameters, variational, defaults)


def _literal(value: float | str) -> str:
    return f'"{value}"' if isinstance(value, str) else literal(value)
