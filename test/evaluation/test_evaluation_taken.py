"""Which item was taken first, from where the items are."""

import numpy as np
import pytest

from adp_ros.evaluation.episodes import TakenWatch

POT, CARROT = np.array([0.1, -0.4, 0.03]), np.array([-0.1, -0.5, 0.02])


@pytest.fixture
def watch():
    """Two items, the pot is named."""
    return TakenWatch("pot", {"pot": POT, "carrot": CARROT})


def see(watch, pot=(0.0, 0.0, 0.0), carrot=(0.0, 0.0, 0.0)):
    """Show the items moved from their starts."""
    watch.see({"pot": POT + pot, "carrot": CARROT + carrot})


def test_nothing_is_taken_at_rest(watch):
    """A millimetre of creep is no taking."""
    see(watch, pot=(0.001, 0.0, 0.0))
    assert (watch.taken, watch.first, watch.candidates) == ("nothing", "", 2)


def test_lifted_first_counts(watch):
    """What is lifted later does not change it."""
    see(watch, pot=(0.0, 0.0, 0.03))
    see(watch, pot=(0.0, 0.0, 0.03), carrot=(0.0, 0.0, 0.05))
    assert (watch.taken, watch.first) == ("named", "pot")


def test_lifting_outweighs_pushing(watch):
    """An item that was brushed on the way is not the one that was taken."""
    see(watch, carrot=(0.04, 0.0, 0.0))
    assert watch.taken == "other"
    see(watch, carrot=(0.04, 0.0, 0.0), pot=(0.0, 0.0, 0.03))
    assert watch.taken == "named"


def test_tasks_without_an_item_say_nothing():
    """Wiping names no item."""
    watch = TakenWatch("", {"pot": POT})
    watch.see({"pot": POT + 1.0})
    assert watch.taken == ""


def test_starts_are_copied():
    """The twin may reuse its array."""
    place = POT.copy()
    watch = TakenWatch("pot", {"pot": place})
    place[2] += 0.1
    watch.see({"pot": place})
    assert watch.taken == "named"
