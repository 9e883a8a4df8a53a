"""Is it the loss, or its pairing with the sigmoid? One condition of the loss surgery.

bce and mse with every part of mse's gradient taken away or given: saturation, weighting
of pixels, scale; mse with the sigmoid's derivative taken as 1; losses on a linear
output. The argument names one of the 16 conditions of the study `surgery`: optimiser,
how the last layer starts, and whether every arm has its own best rate. All of them, and
the shares: ./run.sh reproduce surgery. It has 8 seeds; here are the 9 that can decide
between 11 losses.

Command: ./run.sh sweep --config=configs/surgery.py:adam-white-tuned
Device and time: 2 CPU cores, about one minute.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
Expected: `mse` ends at 4.6 times the test mse of `bce`, `mse[straight_through]` at 1.00
times and `mse_linear` at 0.67 times.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

PARTS = ("saturation", "weighting", "scale")
# Which of mse's parts an arm has.
GAME: dict[str, frozenset[str]] = {
    "bce": frozenset(),
    "bce[mse_norm]": frozenset({"scale"}),
    "bce[weigh+bce_norm]": frozenset({"weighting"}),
    "bce[weigh+mse_norm]": frozenset({"weighting", "scale"}),
    "mse[unweigh+bce_norm]": frozenset({"saturation"}),
    "mse[unweigh+mse_norm]": frozenset({"saturation", "scale"}),
    "mse[bce_norm]": frozenset({"saturation", "weighting"}),
    "mse": frozenset(PARTS),
}
BESIDE = ("mse[straight_through]", "mse_linear", "mae_linear")
STARTS: dict[str, dict[str, float]] = {
    "head x 1": {},
    "head x 3": {"head_scale": 3.0},
    "head x 10": {"head_scale": 10.0},
    "white": {"start_logit": 8.0},
}
RATES = {
    "adam": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "sgd": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
}
EQUAL = {"adam": 1e-2, "sgd": 0.3}
POLICIES = ("tuned", "equal")
SEEDS = 8


def get_config(condition: str = "adam-white-tuned") -> ConfigDict:
    return one_of(sweeps(), condition)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each condition."""
    quick = size == "quick"
    return {
        name_of(optimiser, start, policy): Sweep(
            datasets=("digits",),
            models=("conv_ae",),
            losses=(*GAME, *BESIDE),
            learning_rates=RATES[optimiser]
            if policy == "tuned"
            else (EQUAL[optimiser],),
            seeds=tuple(range(2 if quick else SEEDS)),
            train_steps=20 if quick else 200,
            batch_size=64,
            latent_dim=8,
            width=(4, 4) if quick else (16, 32),
            optimiser=optimiser,
            primary_metric="mse",
            **STARTS[start],  # type: ignore[arg-type]
        )
        for optimiser in RATES
        for start in (("head x 1", "white") if quick else STARTS)
        for policy in (("equal",) if quick else POLICIES)
    }


def name_of(optimiser: str, start: str, policy: str) -> str:
    """The name of a condition's sweep."""
    return f"{optimiser}, {start}, {policy}"
