"""Put the carrot into the blue pan."""

from typing import Final

from ..items import CARROT, PAN
from ..kinds.place import PlaceTask

TASK: Final = PlaceTask(
    name="carrot_to_pan",
    instruction="place the carrot on the blue pan",
    item=CARROT,
    target=PAN,
)
