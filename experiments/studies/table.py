"""The table of studies: the one place that a new study is added to."""

import types
from collections.abc import Mapping

from experiments.studies import (
    aa,
    bce_floor,
    bce_practice,
    cb_panels,
    gradients,
    hinton_pca,
    improper,
    keras_blog,
    link_and_start,
    matched_scale,
    pixel_accuracy,
    planted_noise,
    planted_variance,
    saturated_neuron,
    surfaces,
    surgery,
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
            Study(
                "saturated_neuron",
                "how long does one neuron take to unlearn, by either cost?",
                "Nielsen 2015, Neural Networks and Deep Learning, chapter 3",
                saturated_neuron.conclude,
                steps={"descents": saturated_neuron.descents},
            ),
            Study(
                "gradients",
                "gradient against logit for every loss: which ones saturate?",
                "Goodfellow, Bengio and Courville 2016, section 6.2.2.2",
                gradients.conclude,
                steps={"curves": gradients.curves},
            ),
            Study(
                "surfaces",
                "cost over two weights: where are the plateaus?",
                "Glorot and Bengio 2010, figure 5",
                surfaces.conclude,
                steps={"shares": surfaces.shares, "surface": surfaces.surface},
            ),
            Study(
                "link_and_start",
                "does a bad start hurt squared error more, behind a sigmoid?",
                "Golik, Doetsch and Ney 2013",
                link_and_start.conclude,
                link_and_start.grids,
                columns=("diag_stuck_share", "diag_saturated_share"),
            ),
            Study(
                "surgery",
                "is it the loss, or its pairing with the sigmoid?",
                "Goodfellow, Bengio and Courville 2016, section 6.2.2.2 (S3)",
                surgery.conclude,
                surgery.grids,
                columns=("diag_stuck_share", "diag_saturated_share"),
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
