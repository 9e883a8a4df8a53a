"""Datasets: uint8 NHWC images with disjoint train, validation and test splits."""

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import Dataset, Split, check_memory
from lossjax.suite.data.outline import Outline, outline
from lossjax.suite.data.sources import DATASETS, Source, canonical, check, load

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Outline",
    "Source",
    "Split",
    "canonical",
    "check",
    "check_memory",
    "load",
    "outline",
]
