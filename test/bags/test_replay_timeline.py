"""Order and time of what was recorded, also where a clock was set back."""

from adp_ros.bags.contents import Event, Kind, elapsed, in_order

SECOND = 1_000_000_000


def events(*times_s):
    """Events at times in [s]; the value is their number."""
    return [Event(Kind.POSE, round(time * SECOND), i) for i, time in enumerate(times_s)]


def test_events_are_sorted_by_time_and_equal_ones_keep_their_order():
    """A recorder that was held up writes one topic after the other; time puts them right."""
    ordered = in_order(events(1.0, 1.02, 1.04, 1.0, 1.02, 1.04))
    assert [event.value for event in ordered] == [0, 3, 1, 4, 2, 5]


def test_what_came_before_a_clock_was_set_back_stays_before():
    """Nothing is sorted across a jump of more than a second."""
    ordered = in_order(events(100.0, 101.0, 50.1, 50.0, 51.0))
    assert [event.value for event in ordered] == [0, 1, 3, 2, 4]


def test_time_goes_on_where_a_clock_was_set_back():
    """Elapsed time begins with 0 and never goes back."""
    times = [time for time, _ in elapsed(in_order(events(100.0, 101.0, 50.0, 50.5)))]
    assert times == [0.0, 1.0, 1.0, 1.5]


def test_no_events_are_no_time():
    """An empty bag has no time."""
    assert in_order([]) == []
    assert list(elapsed([])) == []
