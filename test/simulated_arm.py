"""An ideal arm and a policy in simulated time, for tests of the controller."""

import numpy as np

from adp_ros.control.controller import Controller
from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.control.place import Place
from adp_ros.robots.kinematics import Chain
from adp_ros.types import (
    ActionConvention,
    Chunk,
    EnableSample,
    FingersSample,
    JointsSample,
    Pose,
    PoseSample,
    TorqueSample,
)

TICK = 0.01


class SimulatedArm:
    """Moves as commanded after some ticks of delay, and measures itself with a little noise."""

    def __init__(self, model, seed=0, delay=2, share=1.0):
        self.model = model
        self.joints = model.home.copy()
        self.push = np.zeros(6)
        self.share = share
        self._queue = [np.zeros(6)] * delay
        self._chain = (None, None)  # of these joints
        self._rng = np.random.default_rng(seed)

    def move(self, command):
        """Take one command, or none; joint speeds come at once."""
        twist = np.zeros(6)
        if command is not None and command.joint_speeds is not None:
            self._queue = [np.zeros(6)] * len(self._queue)
            self.joints = self.joints + TICK * self.share * command.joint_speeds
            return
        if command is not None:
            twist = np.concatenate([command.twist.linear, command.twist.angular])
        self._queue.append(self.share * twist)
        told = self._queue.pop(0)
        if told.any():
            self.joints = self.joints + TICK * np.linalg.solve(self.chain().jacobian(), told)

    def chain(self):
        """Return the chain at the true joints; made anew only when they have changed."""
        if self._chain[0] is not self.joints:
            self._chain = (self.joints, Chain.at(self.model, self.joints))
        return self._chain[1]

    def measure(self):
        """Return torque, joints and tool pose."""
        noise = self._rng.normal(0.0, 1e-6, 9)
        chain = self.chain()
        gravity = chain.gravity_torque(self.model)
        torque = gravity + self.push + self._rng.normal(0.0, 0.02, 6)
        pose = Pose(chain.tool.position + noise[6:], chain.tool.rotation)
        return torque, self.joints + noise[:6], pose


class Bench:
    """Controller, arm and clock; samples arrive every 20 ms, chunks when ``answer`` says so."""

    def __init__(self, settings=None, **arm):
        self.controller = Controller(settings or ControllerSettings())
        self.arm = SimulatedArm(self.controller.model, **arm)
        self.now = 100.0
        self.alive = {"torque", "pose", "joints", "fingers"}
        self.opening = 1.0  # of the hand
        self.enabled = False  # a person holds the enabling device
        self.apart = 0.0  # [m] by which the tool pose is wrong
        self.outputs = []
        self.answer = None
        self._chunks = []

    def tick(self, asleep=0.0):
        """Advance by 10 ms; return the controller's output."""
        self.now += TICK
        if round(self.now / TICK) % 2 == 0:
            self.sample()
        for chunk in [c for at, c in self._chunks if at <= self.now]:
            self.controller.offer(chunk, self.now)
        self._chunks = [(at, c) for at, c in self._chunks if at > self.now]
        output = self.controller.tick(self.now, asleep)
        self.arm.move(output.command)
        if output.request is not None and self.answer is not None:
            delay, actions = self.answer(output.request)
            self._chunks.append((self.now + delay, self.chunk(output.request.window, actions)))
        self.outputs.append(output)
        return output

    def run(self, seconds):
        """Tick for a time; return this bench."""
        for _ in range(round(seconds / TICK)):
            self.tick()
        return self

    def sample(self):
        """Hand the arm's measurements to the controller."""
        torque, joints, pose = self.arm.measure()
        take = self.controller.take
        if "joints" in self.alive:
            take(JointsSample("joint_state", joints, self.now, self.now))
        if "pose" in self.alive:
            pose = Pose(pose.position + [self.apart, 0.0, 0.0], pose.rotation)
            take(PoseSample(pose, self.now, self.now))
        if self.enabled:
            take(EnableSample(True, self.now))
        if "fingers" in self.alive:
            take(FingersSample(self.opening, self.now))
        if "torque" in self.alive:
            take(TorqueSample(torque, self.now))

    def chunk(self, window, actions, stamp=None):
        """Make a chunk of now."""
        return Chunk(
            actions=np.asarray(actions, dtype=np.float64),
            stamp=self.now if stamp is None else stamp,
            window=window,
            step_period=0.1,
            convention=ActionConvention(),
        )

    def started(self):
        """Arm and start."""
        self.run(0.8)
        self.controller.start(self.now)
        return self

    @property
    def status(self):
        """State of the machine."""
        return self.controller.status

    @property
    def tool(self):
        """True tool position."""
        return self.arm.chain().tool.position

    def place(self):
        """True posture."""
        return Place.at(self.arm.model, self.arm.joints, self.arm.chain().tool)


def speeds(outputs):
    """Linear speed of each output, 0 where nothing was sent."""
    return np.array(
        [0.0 if o.command is None else np.linalg.norm(o.command.twist.linear) for o in outputs]
    )


def steady(linear, steps=8, opening=1.0):
    """Actions that move at a constant velocity in [m/s]."""
    actions = np.zeros((steps, 7))
    actions[:, :3] = 0.1 * np.array(linear)
    actions[:, 6] = opening
    return actions
