"""The arm behind a policy server that fails for good: it rests after the last good action.

Twin and controller run in simulated time, as in a rollout; where no chunk comes, none is offered,
as the inference node does it.
"""

import numpy as np
import pytest
from scripted_server import ScriptedServer
from test_remote_faults import CAUSES, policy_of

from adp_ros.control.safety_machine import Status
from adp_ros.errors import PolicyError
from adp_ros.evaluation.rollout import ArmLoop
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.sim.base_controller import TICK
from adp_ros.types import Chunk, Observation

STEP = 10  # ticks
LATENCY = 10  # ticks from question to chunk
FAULTS = (
    "silent", "closes", "aborts", "repeats", "reorders", "text", "garbage", "short",
    "nan", "no_key", "other_checkpoint", "restarts_other", "restarts_http",
)  # fmt: skip


class Behind:
    """Controller and twin behind a remote policy."""

    def __init__(self, policy):
        self.policy = policy
        self.loop = ArmLoop(RolloutConfig(task="wipe_table", seed=1))
        self.question = 0
        self.arriving = None
        self.causes = []
        self.good = {}  # number of a chunk -> the number that each of its actions holds
        self.actions = []  # number in the action of each tick, None without one
        self.speeds = []

    def run(self, ticks):
        """Let time pass."""
        for _ in range(ticks):
            loop = self.loop
            loop.advance()
            if self.arriving is not None and self.arriving[0] <= loop.ticks:
                loop.controller.offer(self.arriving[1], loop.now)
                self.arriving = None
            output = loop.control()
            if output.request is not None and self.arriving is None:
                self.ask(output.request)
            action = loop.controller.action
            self.actions.append(None if action is None else action.action[2])
            twist = output.command.twist if output.command else None
            still = np.zeros(6)
            self.speeds.append(
                np.abs(still if twist is None else np.r_[twist.linear, twist.angular]).max()
            )

    def ask(self, request):
        """Ask about a picture of its own."""
        self.question += 1
        rgb = np.full((24, 32, 3), self.question, np.uint8)
        try:
            actions = self.policy.predict(Observation((rgb,), "wipe the table")).actions
        except PolicyError as error:
            self.causes.append(str(error))
            return
        self.good[self.question] = actions[0, 2]
        actions = actions * [0, 0, 1, 0, 0, 0, 0]  # straight up, the hand as it is
        chunk = Chunk(
            actions, self.loop.now, request.window, STEP * TICK, self.policy.info.convention
        )
        self.arriving = (self.loop.ticks + LATENCY, chunk)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_arm_rests_within_a_step_after_the_last_good_action(fault):
    """Only good chunks' actions are executed; 0.1 s after their end less than 1 mm/s is commanded.

    The ramp's own tail takes four ticks more to exactly nothing.
    """
    with ScriptedServer("openpi", fault, 2, own=True, lasting=True) as scripted:
        policy = policy_of(scripted, 0.3 if fault == "silent" else 20.0)
        behind = Behind(policy)
        behind.loop.rest()
        behind.loop.controller.start(behind.loop.now)
        behind.run(330)
        policy.close()
    executed = [number for number in behind.actions if number is not None]
    good = list(behind.good.values())  # a step may hold shares of two actions
    assert min(good) - 1e-12 <= min(executed) and max(executed) <= max(good) + 1e-12
    assert executed == sorted(executed) and executed[-1] == pytest.approx(max(good))
    assert len(executed) > 5 * STEP and behind.causes
    assert any(words in cause for cause in behind.causes for words in CAUSES[fault])
    last = max(n for n, number in enumerate(behind.actions) if number is not None)
    assert max(behind.speeds[: last + 1]) > 0.02  # [m/s]: it did move
    assert max(behind.speeds[last + 1 + STEP :]) < 1e-3
    assert max(behind.speeds[last + 1 + STEP + 5 :]) == 0.0
    assert behind.loop.controller.status is not Status.ARMED
