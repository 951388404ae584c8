"""Items that are made one early come in order, once, with their errors in their place."""

import threading

import pytest

from adp_ros.bags.pictures import one_ahead

PATIENCE = 10.0  # [s]


def test_items_come_in_their_order():
    """Nothing is lost or doubled, whatever the items are."""
    items = [0, None, "", (), 4]
    assert list(one_ahead(iter(items))) == items
    assert list(one_ahead(iter([]))) == []


def test_an_item_is_made_while_the_one_before_it_is_used():
    """The second item is ready before it is asked for; the third is not begun."""
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    ahead = one_ahead(items())
    assert next(ahead) == 0
    assert made[1].wait(PATIENCE)
    assert not made[2].is_set()
    ahead.close()
    assert not made[2].is_set()


def test_an_error_comes_where_its_item_would_have_come():
    """What was made before it is not lost."""

    def items():
        yield 1
        yield 2
        raise OSError("disk gone")

    ahead = one_ahead(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)
