"""Wipe the stain off the table with the sponge."""

from typing import Final

from .task import DirtPatch, WipeTask

TASK: Final = WipeTask(
    name="wipe_table",
    instruction="wipe the table",
    dirt=DirtPatch(columns=12, rows=8, cell=0.025),
)
