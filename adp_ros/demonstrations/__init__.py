"""Episodes that a policy learns from: one folder per data set, one file per episode.

Scripted experts, policies that are corrected, and teleoperation write the same format.
"""

from .dataset import Dataset, DatasetInfo, create_dataset, open_dataset
from .episode import Demonstration, Frames, Landmarks
from .labels import chunk_labels
from .no_ops import NoOpFilter

__all__ = [
    "Dataset",
    "DatasetInfo",
    "Demonstration",
    "Frames",
    "Landmarks",
    "NoOpFilter",
    "chunk_labels",
    "create_dataset",
    "open_dataset",
]
