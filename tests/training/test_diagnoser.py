"""The signal-to-noise ratio of gradients, on the host and on a device."""

import math

import numpy as np
import pytest

from lossjax.metrics.diagnostics import signal_to_noise
from lossjax.training import diagnoser


@pytest.mark.parametrize("batches", [1, 2, 8])
def test_what_stays_on_the_device_says_the_same(batches: int) -> None:
    generator = np.random.default_rng(0)
    shape = batches, 3, 500
    gradients = generator.normal(0.3, 1, shape).astype(np.float32)
    gradients[:, 1] *= 1e-6  # of a run that has nearly converged
    gradients[-1, 2, 7] = math.inf  # of one that has diverged
    moments = diagnoser._no_moments(gradients[0])
    for gradient in gradients:
        moments = diagnoser._added(moments, gradient)
    found = np.asarray(diagnoser._ratio(moments))
    assert found == pytest.approx(
        signal_to_noise(gradients, np.ones(gradients.shape[1], bool)),
        rel=1e-4,
        nan_ok=True,
    )
