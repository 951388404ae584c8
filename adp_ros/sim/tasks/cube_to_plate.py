"""Put the blue cube onto the white plate."""

from typing import Final

from ..items import CUBE, WHITE_PLATE
from ..kinds.place import PlaceTask

TASK: Final = PlaceTask(
    name="cube_to_plate",
    instruction="place the blue cube on the plate",
    item=CUBE,
    target=WHITE_PLATE,
    not_with=("green_plate",),
)
