"""Commands as a user types them, each in a process of its own."""

import os
import subprocess
import sys

from lossjax.suite.shipped import ROOT

# A sweep of seconds; a flag that is given again behind these replaces theirs.
SMALL = (
    "--config.models=mlp_ae",  # compiled in two thirds of a conv_ae's time
    "--config.losses=bce,mse",
    "--config.learning_rates=1e-3,1e-2,1e-1",
    "--config.seeds=0,1,2",
    "--config.train_steps=6",
    "--config.curve_points=2",
    "--config.latent_dim=2",
)


def python(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run to the end; stdout and stderr as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(**more),
        timeout=600,
    )


def environment(**more: str) -> dict[str, str]:
    base = {k: v for k, v in os.environ.items() if not k.startswith(("XLA_", "AWS_"))}
    return base | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", **more}
