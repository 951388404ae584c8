"""The keyboard as an enabling device: held while the terminal repeats the key."""

from adp_ros.cli.enable import held_key


def _states(presses, until, step=0.02):
    """Time -> held, for a space bar that the terminal reports at these times; q at the end."""
    now, waiting = [0.0], list(presses)

    def pressed():
        now[0] = round(now[0] + step, 3)
        if now[0] >= until:
            return b"q"
        if waiting and now[0] >= waiting[0]:
            waiting.pop(0)
            return b" "
        return b""

    states = {}
    for held in held_key(pressed, lambda: now[0]):
        states[now[0]] = held
    return states


def test_key_is_held_through_the_delay_before_it_repeats():
    """Half a second to the first repetition, 30 a second from then on, until it is let go."""
    repeats = [0.1, *[0.6 + k / 30 for k in range(30)]]
    states = _states(repeats, 3.0)
    assert not states[0.08]
    assert all(held for at, held in states.items() if 0.1 <= at <= 1.6)
    assert not any(held for at, held in states.items() if at >= repeats[-1] + 0.2)


def test_one_press_is_no_hold():
    """It ends when the repetitions stay out."""
    states = _states([0.1], 2.0)
    assert states[0.12] and not states[0.9]
