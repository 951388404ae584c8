"""Names of the metadata records that a bag carries besides its messages."""

from typing import Final

ORIGIN: Final = "adp_ros/origin"
PARAMETERS: Final = "adp_ros/parameters"  # one record per node
CHECKPOINT: Final = "adp_ros/checkpoint"
FILE: Final = "adp_ros/file"  # contents of a settings file that a node read
