"""A task of a known kind, made of items that two other tasks use."""

from adp_ros.sim.items import POT, WHITE_PLATE
from adp_ros.sim.kinds.place import PlaceTask

TASK = PlaceTask(
    name="pot_to_white",
    instruction="put the orange pot on the white plate",
    item=POT,
    target=WHITE_PLATE,
    time_limit=3.0,
)
