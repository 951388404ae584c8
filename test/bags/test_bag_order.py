"""Order and time of a bag's messages, also where a clock was set."""

import numpy as np

from adp_ros.bags.bag_order import order_messages

SECOND = 1_000_000_000
ARM, CAMERA, STATE = 0, 1, 2
NAMES = ("/arm", "/camera", "/state")


def order(*messages, late=()):
    """Order messages (time in [s], topic); returns numbers, elapsed times in [s], problems."""
    times = np.array([round(time * SECOND) for time, _ in messages], dtype=np.int64)
    topics = np.array([topic for _, topic in messages], dtype=np.int64)
    found = order_messages(times, topics, late, NAMES)
    return found.rows.tolist(), (found.elapsed / SECOND).round(3).tolist(), found.problems


def arm(*times):
    """Messages of the arm."""
    return [(time, ARM) for time in times]


def test_messages_are_sorted_by_time_and_equal_ones_keep_their_order():
    """A recorder that was held up writes one topic after the other; time puts them right."""
    rows, _, problems = order(*arm(1.0, 1.02, 1.04, 1.0, 1.02, 1.04))
    assert rows == [0, 3, 1, 4, 2, 5]
    assert problems == ()


def test_what_came_before_a_clock_was_set_back_stays_before():
    """Nothing is sorted across a jump of more than a second within a topic."""
    rows, _, problems = order(*arm(100.0, 101.0, 50.1, 50.0, 51.0))
    assert rows == [0, 1, 3, 2, 4]
    assert problems == ("time goes back by 50.9 s in /arm",)


def test_time_goes_on_where_a_clock_was_set_back():
    """Elapsed time begins with 0 and never goes back."""
    _, elapsed, _ = order(*arm(100.0, 101.0, 50.0, 50.5))
    assert elapsed == [0.0, 1.0, 1.0, 1.5]


def test_topics_one_after_the_other_are_no_clock_that_was_set():
    """A backward step between different topics says nothing; all are put in one order."""
    messages = arm(10.0, 20.0, 30.0) + [(time, STATE) for time in (11.0, 21.0, 31.0)]
    rows, elapsed, problems = order(*messages)
    assert rows == [0, 3, 1, 4, 2, 5]
    assert elapsed == [0.0, 1.0, 10.0, 11.0, 20.0, 21.0]
    assert problems == ()


def test_a_seldom_topic_follows_the_clock_that_the_others_show():
    """Its first message after the step is later than its last one before, and still comes after."""
    messages = [*arm(9.0), (10.0, STATE), *arm(19.9, 20.0), (17.1, STATE), *arm(17.2, 17.3)]
    rows, elapsed, problems = order(*messages)
    assert rows == [0, 1, 2, 3, 4, 5, 6]
    assert elapsed == [0.0, 1.0, 10.9, 11.0, 11.0, 11.1, 11.2]
    assert problems == ("time goes back by 2.8 s in /arm",)


def test_pictures_that_were_written_late_are_no_clock_that_was_set():
    """A recorder holds pictures until it knows that they were used."""
    messages = [*arm(1.0, 2.0, 3.0), (0.5, CAMERA), *arm(4.0), (0.4, CAMERA)]
    late, elapsed, problems = order(*messages, late=(CAMERA,))
    assert late == [5, 3, 0, 1, 2, 4]
    assert elapsed[-1] == 3.6
    assert problems == ()


def test_messages_in_no_order_are_sorted_and_said_to_be():
    """Time that goes back again and again is no clock."""
    times = np.random.default_rng(0).permutation(100).tolist()
    rows, elapsed, problems = order(*arm(*times))
    assert [times[row] for row in rows] == list(range(100))
    assert elapsed == [float(time) for time in range(100)]
    assert len(problems) == 1
    assert "again and again: messages are put in the order of time" in problems[0]


def test_a_clock_that_was_set_ahead_leaves_no_gap():
    """Topics that are sent all the time stop for no time when the clock is set; time goes on."""
    times = [0.02 * i for i in range(100)] + [3600.0 + 0.02 * i for i in range(100)]
    _, elapsed, problems = order(*arm(*times))
    assert elapsed[99] == elapsed[100] == 1.98
    assert elapsed[-1] == 3.96
    assert problems == ("time goes ahead by 3598.0 s in all topics",)


def test_a_pause_between_seldom_messages_is_kept():
    """A second or a minute without a message is nothing where messages are that seldom."""
    _, elapsed, problems = order(*arm(0.0, 1.0, 61.0, 63.0))
    assert elapsed == [0.0, 1.0, 61.0, 63.0]
    assert problems == ()


def test_a_message_from_another_age_does_not_stretch_the_bag():
    """One message of 1970 before all others: nobody waits for half a century."""
    _, elapsed, problems = order((0.0, STATE), *arm(1e9, 1e9 + 1.0))
    assert elapsed == [0.0, 0.0, 1.0]
    assert problems == ("time goes ahead by 1000000000.0 s in all topics",)


def test_no_messages_are_no_time():
    """An empty bag has no time."""
    assert order() == ([], [], ())
