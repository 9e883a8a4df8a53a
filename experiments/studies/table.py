"""The table of studies: the one place that a new study is added to."""

import types
from collections.abc import Mapping

from experiments.studies import (
    aa,
    bce_floor,
    bce_practice,
    cb_panels,
    hinton_pca,
    improper,
    keras_blog,
    pixel_accuracy,
    planted_noise,
    planted_variance,
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
                "bce_floor",
                "BCE is not 0 at a perfect prediction: what is it, and is it least?",
                "datascience.stackexchange 97200; floors of datasets",
                bce_floor.conclude,
                steps=bce_floor.STEPS,
                needs=("digits", "patches"),
                wishes=("mnist",),
            ),
            Study(
                "bce_practice",
                "negative losses, NaN, tanh outputs: what breaks BCE in practice?",
                "issues of Lasagne and Keras; the bits of a float32",
                bce_practice.conclude,
                steps=bce_practice.STEPS,
            ),
            Study(
                "hinton_pca",
                "PCA, logistic PCA and a deep autoencoder by squared error",
                "Hinton and Salakhutdinov 2006, figure 2B",
                hinton_pca.conclude,
                hinton_pca.grids,
                steps=hinton_pca.STEPS,
                needs=("mnist",),
            ),
            Study(
                "keras_blog",
                "the Keras tutorial's autoencoders, with the floor drawn",
                "Chollet, Building Autoencoders in Keras, 2016",
                keras_blog.conclude,
                keras_blog.grids,
                keras_blog.COLUMNS,
                keras_blog.STEPS,
                needs=("mnist",),
            ),
            Study(
                "cb_panels",
                "the continuous Bernoulli law: normaliser, densities, mean, warps",
                "Loaiza-Ganem and Cunningham 2019, figure 1",
                cb_panels.conclude,
                steps=cb_panels.STEPS,
            ),
            Study(
                "improper",
                "focal loss and GCE: where do they send a grey pixel?",
                "Charoenphakdee et al. 2021; Zhang and Sabuncu 2018",
                improper.conclude,
                improper.grids,
                steps=improper.STEPS,
            ),
            Study(
                "pixel_accuracy",
                "why does an autoencoder's accuracy stop at 81 %?",
                "stackoverflow 56519500",
                pixel_accuracy.conclude,
                steps=pixel_accuracy.STEPS,
                needs=("digits", "patches"),
                wishes=("mnist",),
            ),
        )
    }
)
