"""The book of findings that answers read: a key for each, by study."""

import types
from collections.abc import Mapping

_NEURON = (
    "{}: epochs until the output is below 0.5, quadratic over cross-entropy at the "
    "same rate"
)
_REMOVED = "share of the difference in {} that the matched scale removes"
_DRAWS = "{} draws a pixel that is white 3 times in 10 at"

# What a study calls each finding in its summary.
FINDINGS: Mapping[str, Mapping[str, str]] = types.MappingProxyType(
    {
        "bce_floor": {
            "lowest_at_target": "least at p = y, for 21 grey levels: largest distance",
            "floor_is_entropy": "least value is H(y): largest distance",
            "shared_minimum": "bce, mse, mae and log_cosh are least at p = y",
            "floor_mnist": "floor of mnist, nats a pixel",
            "floor_digits": "floor of digits, nats a pixel",
            "perfect": "a perfect prediction of (.5, .3, .5, .9)",
            "imperfect": "an imperfect one, (.1, .3, .5, .8)",
            "asymmetry": "the asymmetry: excess at p = .1 over excess at p = .3",
            "bce_draws": _DRAWS.format("bce"),
            "mse_draws": _DRAWS.format("mse"),
            "mae_draws": _DRAWS.format("mae"),
            "log_cosh_draws": _DRAWS.format("log_cosh"),
        },
        "gradients": {
            "bce_fades": "bce: exponent of decay at a wrong answer",
            "mse_fades": "mse: exponent of decay at a wrong answer",
            "bce_algebra": "bce: dL/dz against algebra",
        },
        "surgery": {
            "white_saturation": (
                "adam, white, tuned: what makes `mse` worse is saturation"
            ),
        },
        "saturated_neuron": {
            "moderate_start": _NEURON.format("w = 0.6, b = 0.9"),
            "bad_start": _NEURON.format("w = b = 2"),
        },
        "matched_scale": {
            "kl_ratio": "KL of bce over that of mse, both summed",
            "matched_variance": (
                "variance of the Gaussian whose code costs the KL of bce"
            ),
            "removed_mse": _REMOVED.format("mse"),
            "removed_ssim": _REMOVED.format("ssim"),
            "removed_knn": _REMOVED.format("knn_accuracy"),
            "pull": "scale that bce's own pull implies, in intensity",
            "bce_mean": "bce: KL with a mean over pixels",
            "mse_mean": "mse: KL with a mean over pixels",
        },
        "hinton_pca": {
            "logistic": (
                "linear code, sigmoid + bce (logistic PCA): squared error per image"
            ),
            "squared": "linear code, sigmoid + mse: squared error per image",
            "linear": "linear code, no sigmoid, mse, clipped: squared error per image",
            "pca": "PCA, 30 components: squared error per image",
        },
        "bce_practice": {
            "never_negative": "targets in [0, 1]: least value seen",
            "slope_above_white": "a target of 1.2: slope where z is large",
            "infinite_from": (
                "sigmoid first: the logit from which the loss is infinite, float32"
            ),
            "clipped_at": "clip at 1e-7: the most that the loss can say, y = 0",
            "stuck_from": "clip at 1e-7: logit from which the gradient is 0",
            "tanh_is_bce": "log cosh z - y z is bce of (y + 1)/2 at 2z, less log 2",
            "unbounded": "a target of -1: loss at z = -40, nats",
        },
        "pixel_accuracy": {
            "perfect": "accuracy of a perfect reconstruction of MNIST, per cent",
            "black": "accuracy of an all-black picture on MNIST, per cent",
            "ceiling": "a perfect picture scores the share of pixels at 0 or 255",
        },
        "cb_panels": {
            "floor_dark": "floor of y = 0.1, nats",
            "floor_grey": "floor of y = 0.3, nats",
            "lambda_is_y": "value where sigmoid(z) = y = 0.3, nats",
            "spread": (
                "standard deviation of a pixel of mean 0.3, continuous Bernoulli"
            ),
            "spread_coin": "standard deviation of a pixel of mean 0.3, coin",
        },
        "cb_warp": {
            "as_lambda": "E(p) at gamma = 0, trained with BCE, nats per image",
            "as_mean": "E(p) at gamma = 0, trained with BCE, μ⁻¹, nats per image",
            "of_the_law": "E(p) at gamma = 0, trained on p, nats per image",
        },
    }
)
