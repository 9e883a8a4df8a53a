"""Planted variance: is the best point of the knob where theory puts it?

Question: targets scatter around the clean image with variance s^a, s = p (1 - p). Does
the response curve over power(g) have its optimum at g* = 1 - a?

Source: the best weight of a residual is one over its variance (Wedderburn 1974, quasi-
likelihood); the gradient of power(g) in the logit weighs a residual by s^g, the
derivative of the sigmoid is s, so the weight is s^(g-1) and g* = 1 - a.

Protocol: 21 values of g from -0.5 to 2 on the images of `planted_noise` (8x8, four
latents, logits of standard deviation 4, linear_ae), noise of variance scale^2 s^a,
judged by `mse` on clean test images. Every value of g is tuned and trained as in any
sweep. A trial's curve is the mean over seeds of log mse; its optimum is that of a
parabola through the points within 0.75 of the least; the interval is Student's t over
trials.
"""

import types
from collections.abc import Mapping

from experiments.config import Sweep

TRIALS, QUICK = 10, 2
VALUES = tuple(-0.5 + 0.125 * k for k in range(21))
KNOB: Mapping[str, float] = types.MappingProxyType(
    {"power" if g == 0.5 else f"power(g={g:g})": g for g in VALUES}
)
LAWS: Mapping[str, tuple[float, float]] = types.MappingProxyType(
    # exponent a, and the scale that gives each about the same noise
    {"a = 0": (0.0, 0.3), "a = 0.5": (0.5, 0.55), "a = 1": (1.0, 1.0)}
)


def grids(quick: bool) -> dict[str, Sweep]:
    """One sweep a law, its trials the datasets."""
    return {
        name: Sweep(
            datasets=tuple(
                f"linear_decoder(latents=4, logit_sd=4.0, count=900, noise='variance', "
                f"scale={scale}, exponent={exponent}, seed={trial})"
                for trial in range(QUICK if quick else TRIALS)
            ),
            models=("linear_ae",),
            losses=tuple(KNOB),
            learning_rates=(1e-2, 3e-2, 1e-1),
            tuning_seeds=(1000, 1001),
            seeds=tuple(range(3 if quick else 10)),
            train_steps=200,
            batch_size=64,
            latent_dim=4,
            curve_points=1,
            primary_metric="mse",
        )
        for name, (exponent, scale) in LAWS.items()
    }
