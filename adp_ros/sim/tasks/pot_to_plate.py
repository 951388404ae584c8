"""Put the orange pot into the green plate."""

from typing import Final

from ..items import GREEN_PLATE, POT
from ..kinds.place import PlaceTask

TASK: Final = PlaceTask(
    name="pot_to_plate",
    instruction="pick up the orange pot and place it in the green plate",
    item=POT,
    target=GREEN_PLATE,
)
