"""The controller's part of ``adp-ros replay``."""

from ...recording.bag import Bag
from ...recording.bag_reader import BagReader
from ...recording.controller_beside import Replay
from ...recording.controller_replay import ControllerLog, ControllerReplay, Offers
from ...recording.controller_settings import controller_settings
from ...recording.events import read_events


def controller_replay(bag: Bag) -> Replay | None:
    """Return what puts chunks through controller and safety; None without an arm in the bag.

    It reads the arm's samples by itself, wherever it runs: nothing else needs them.

    Raises:
        ConfigError: A recorded setting of the controller is not allowed.
    """
    contents = bag.contents
    if not contents.robot_type:
        return None
    settings = controller_settings(contents.parameters("controller_node"), contents.robot_type)

    def replay(offers: Offers) -> ControllerLog:
        reader = BagReader(bag.path)
        events = read_events(reader, contents.robot_type, contents.windows)
        log = ControllerReplay(settings, contents.robot_type, offers).run(events)
        for problem in reader.problems:
            if problem not in contents.problems:
                log.note(problem)
        return log

    return replay
