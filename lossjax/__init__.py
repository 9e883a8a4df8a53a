"""Reconstruction losses with read-outs, floors and certificates, in pure JAX."""

from lossjax.checks import Parameter, check_targets
from lossjax.latent_metrics import LATENT_METRICS, LatentMetric
from lossjax.loss import Loss
from lossjax.losses import LOSSES, resolve
from lossjax.metrics import CODE_METRICS, METRICS, CodeMetric, Margin, Metric

# Raised by hand whenever a change moves a number that a sweep stores.
NUMERICS: int = 2

__all__ = [
    "CODE_METRICS",
    "LATENT_METRICS",
    "LOSSES",
    "METRICS",
    "NUMERICS",
    "CodeMetric",
    "LatentMetric",
    "Loss",
    "Margin",
    "Metric",
    "Parameter",
    "check_targets",
    "resolve",
]
