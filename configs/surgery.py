"""Is it the loss, or its pairing with the sigmoid? One condition of the loss surgery.

bce and mse with every part of mse's gradient taken away or given: saturation, weighting
of pixels, scale; mse with the sigmoid's derivative taken as 1; mse on a linear output.
The argument names one of the 6 conditions of the study `surgery`: how the last layer
starts, and Adam with a rate for every arm or gradient descent with one for all. All of
them, and the table: ./run.sh reproduce surgery. It has 6 seeds; here are the 9 that
can decide between 10 losses.

Command: ./run.sh sweep --config=configs/surgery.py:adam-white2-tuned
Device and time: 2 CPU cores, about one minute.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
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
STRAIGHT, LINEAR = "mse[straight_through]", "mse_linear"
USUAL = "usual"
# Logit at which every pixel starts; the usual start is the mean image.
STARTS: dict[str, dict[str, float]] = {
    USUAL: {},
    "white 2": {"start_logit": 2.0},
    "white 8": {"start_logit": 8.0},
}
TUNED, EQUAL = "tuned", "equal"
ADAM, SGD = "adam", "sgd"
RATES: dict[tuple[str, str], tuple[float, ...]] = {
    (ADAM, TUNED): (3e-3, 1e-2, 3e-2),
    (SGD, EQUAL): (0.3,),
}
SEEDS = 6
STEPS = 1000


def get_config(condition: str = "adam-white2-tuned") -> ConfigDict:
    return one_of(sweeps(), condition)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each condition."""
    quick = size == "quick"
    return {
        name_of(optimiser, start, policy): Sweep(
            datasets=("digits",),
            models=("conv_ae",),
            losses=(*GAME, STRAIGHT, LINEAR),
            learning_rates=rates,
            seeds=tuple(range(2 if quick else SEEDS)),
            train_steps=20 if quick else STEPS,
            batch_size=64,
            latent_dim=8,
            width=(4, 4) if quick else (16, 32),
            optimiser=optimiser,
            curve_points=STEPS // 10,  # steps to a threshold are read off the curve
            primary_metric="mse",
            **STARTS[start],  # type: ignore[arg-type]
        )
        for (optimiser, policy), rates in RATES.items()
        for start in STARTS
        if policy == EQUAL or not quick
    }


def name_of(optimiser: str, start: str, policy: str) -> str:
    """The name of a condition's sweep."""
    return f"{optimiser}, {start}, {policy}"
