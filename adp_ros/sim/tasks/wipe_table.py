"""Wipe the stain off the table with the sponge."""

from typing import Final

from ..kinds.wipe import WipeTask
from ..stain import DirtPatch

TASK: Final = WipeTask(
    name="wipe_table",
    instruction="wipe the table",
    dirt=DirtPatch(columns=12, rows=8, cell=0.025),
)
