"""The table of studies: the one place that a new study is added to."""

import types
from collections.abc import Mapping

from experiments.studies import (
    aa,
    matched_scale,
    planted_noise,
    planted_variance,
    vae_pytorch,
)
from experiments.studies.study import Study

STUDIES: Mapping[str, Study] = types.MappingProxyType(
    {
        study.name: study
        for study in (
            Study(
                "aa",
                "one loss against itself: how often is a difference seen?",
                "99 % binomial limit of a 5 % test",
                aa.conclude,
                aa.grids,
            ),
            Study(
                "planted_noise",
                "is the loss that fits the noise found, for six laws of noise?",
                "maximum likelihood, quasi-likelihood (Wedderburn 1974)",
                planted_noise.conclude,
                planted_noise.grids,
            ),
            Study(
                "planted_variance",
                "is the best g of power(g) where a planted variance puts it?",
                "quasi-likelihood (Wedderburn 1974): g* = 1 - a",
                planted_variance.conclude,
                planted_variance.grids,
            ),
            Study(
                "vae_pytorch",
                "does the whole variational path give the number of a known VAE?",
                "pytorch/examples/vae: 105.59 nats on MNIST test after 10 epochs",
                vae_pytorch.conclude,
                vae_pytorch.grids,
                columns=vae_pytorch.COLUMNS,
                steps={"floor": vae_pytorch.floor},
                needs=("mnist",),
            ),
            Study(
                "matched_scale",
                "BCE and MSE VAEs look different: how much is only the noise scale?",
                "sigma^2 = beta / (2 c) (Rybkin and others 2021); mean reductions that "
                "collapse (users of VAE code, many)",
                matched_scale.conclude,
                matched_scale.grids,
                columns=matched_scale.COLUMNS,
                steps={"pictures": matched_scale.pictures},
                needs=("mnist",),
            ),
        )
    }
)
