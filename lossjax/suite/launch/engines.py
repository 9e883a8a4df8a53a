"""The engines: one row each, and nothing else knows their names."""

import types
from collections.abc import Mapping

from lossjax.suite.launch import gcloud, kubernetes, ray, sky, slurm
from lossjax.suite.launch.plan import Engine

ENGINES: Mapping[str, Engine] = types.MappingProxyType(
    {
        "sky": sky.ENGINE,
        "gcloud": gcloud.ENGINE,
        "k8s": kubernetes.ENGINE,
        "slurm": slurm.ENGINE,
        "ray": ray.ENGINE,
    }
)
