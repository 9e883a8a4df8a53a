"""VAEs with the continuous Bernoulli law and with BCE at nine contrasts of MNIST.

By default at three of them, binary, raw and flat, to look at in a report; `:warp` is
all nine, the sweep of the study `cb_warp`.

Command: ./run.sh sweep --config=configs/cb_warp.py --config.datasets=idx:DIR
         ./run.sh reproduce cb_warp --data=mnist=idx:DIR (all nine)
Device and time: 2 CPU cores, about 5 minutes (the study's runs took 12 s each).
Data: MNIST, 10,000 / 909 / 1,818 images of 28x28.
Expected: where a code holds something the test elbo_cb of continuous_bernoulli above
          the elbo_cb_mean of bce, and that above its elbo_cb.
"""

import dataclasses

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

CLIP = 1e-4  # the source's least lambda
CB, BCE = "continuous_bernoulli", "bce"
GAMMAS = (-0.5, -0.25, 0.0, 0.15, 0.25, 0.3, 0.35, 0.4, 0.45)
SOURCE_GAMMAS = tuple(round(-0.5 + 0.05 * k, 2) for k in range(20))
IMAGES = 12_728  # of which 10,000 train
EPOCH = 200  # batches of 50 in 10,000
EPOCHS = 12


def get_config(name: str = "three") -> ConfigDict:
    whole = sweeps()["warp"]
    three = dataclasses.replace(whole, models=_models(-0.5, 0.0, 0.3))
    return one_of({"three": three, "warp": whole}, name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One over the warps; in full every warp and image of the source, 100 epochs."""
    whole = Sweep(
        datasets=("mnist",),
        models=_models(*GAMMAS),
        losses=(BCE, CB),
        learning_rates=(1e-3,),
        seeds=(0, 1, 2, 3),
        train_steps=EPOCHS * EPOCH,
        batch_size=50,
        latent_dim=20,
        hidden=(500, 500),
        max_examples=IMAGES,
        start_logit=0.0,
        schedule="constant",
        curve_points=1,
        primary_metric="knn_accuracy",
    )
    small = dataclasses.replace(
        whole,
        models=_models(0.0, 0.3),
        seeds=(0,),
        train_steps=20,
        max_examples=600,
    )
    full = dataclasses.replace(
        whole,
        models=_models(*SOURCE_GAMMAS),
        train_steps=100 * 60_000 // 50,
        max_examples=None,
    )
    return {"warp": {"quick": small, "full": full}.get(size, whole)}


def model(gamma: float) -> str:
    """The model's canonical name."""
    own = f", warp={gamma:g}" if gamma else ""
    return f'vae(body="mlp", dequantise=1{own}, clip={CLIP:g})'


def _models(*gammas: float) -> tuple[str, ...]:
    return tuple(model(gamma) for gamma in gammas)
