"""Datasets: uint8 NHWC images with disjoint train, validation and test splits."""

from experiments.data.dataset import DataError, Dataset, Split, check_memory
from experiments.data.outline import Outline, outline
from experiments.data.sources import DATASETS, Source, check, load

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Outline",
    "Source",
    "Split",
    "check",
    "check_memory",
    "load",
    "outline",
]
