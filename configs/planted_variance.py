"""power(g) for 21 values of g, where a target's variance follows [p (1 - p)]^a.

The six sweeps of the study `planted_variance`: three laws, 400 steps and 200.

Command: ./run.sh sweep --config=configs/planted_variance.py:a=1-400steps
         ./run.sh reproduce planted_variance (all six)
Device and time: 2 CPU cores, about 17 minutes for all six.
Data: made as it is needed, 6 or 10 sets of 900 images of 8x8 for each law.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

TRIALS = {400: 6, 200: 10}  # by training steps; the first decides
STEPS = next(iter(TRIALS))
VALUES = tuple(-0.5 + 0.125 * k for k in range(21))
KNOB = {"power" if g == 0.5 else f"power(g={g:g})": g for g in VALUES}
# Exponent a, and the scale that gives each about the same noise.
LAWS = {"a = 0": (0.0, 0.3), "a = 0.5": (0.5, 0.55), "a = 1": (1.0, 1.0)}


def get_config(name: str = "a=1-400steps") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each law and number of steps; small ones are of few steps and seeds."""
    quick = size == "quick"
    return {
        grid(law, steps): Sweep(
            datasets=tuple(
                f"linear_decoder(latents=4, logit_sd=4.0, count=900, noise='variance', "
                f"scale={scale}, exponent={exponent}, seed={trial})"
                for trial in range(2 if quick else count)
            ),
            models=("linear_ae",),
            losses=tuple(KNOB),
            learning_rates=(1e-2, 3e-2, 1e-1),
            seeds=tuple(range(2 if quick else 10)),
            train_steps=200 if quick else steps,
            batch_size=64,
            latent_dim=4,
            curve_points=1,
            primary_metric="mse",
        )
        for steps, count in TRIALS.items()
        for law, (exponent, scale) in LAWS.items()
        if steps == STEPS or not quick
    }


def grid(law: str, steps: int) -> str:
    """The name of a law's sweep."""
    return f"{law}, {steps} steps"
