"""The public names, imported when first used; see `__init__.py`."""

from . import platform as platform
from .losses import LOSSES as LOSSES
from .losses import resolve as resolve
from .losses.checks import Parameter as Parameter
from .losses.checks import check_targets as check_targets
from .losses.loss import Loss as Loss
from .metrics.images import CODE_METRICS as CODE_METRICS
from .metrics.images import METRICS as METRICS
from .metrics.images import CodeMetric as CodeMetric
from .metrics.images import Margin as Margin
from .metrics.images import Metric as Metric
from .metrics.latent_variables import LATENT_METRICS as LATENT_METRICS
from .metrics.latent_variables import LatentMetric as LatentMetric
from .suite.interface import compare as compare
from .suite.interface import load as load
from .suite.interface import recommend as recommend

NUMERICS: int
