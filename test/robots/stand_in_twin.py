"""An arm behind the stand-in of the SDK that moves as it is told at once, in a thread."""

import threading
import time
from contextlib import contextmanager

import numpy as np

from adp_ros.geometry import euler_xyz_from_rotation
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.jaco2.stand_in import StandInMemory, next_point
from adp_ros.robots.kinematics import Chain, gravity_torque

TICK = 0.01


class IdealArm:
    """Takes one point per 10 ms off the queue, and writes what the sensors of an arm would say."""

    def __init__(self, path):
        self.memory = StandInMemory(path, create=True)
        self.arm = self.memory.arm
        self.arm.robot_type, self.arm.call_us = 3, 0
        self.model = arm_model("j2n6s300")
        self.joints = self.model.home.copy()
        self.moved = []  # (time, speed of the tool)
        self.fingers = np.full(3, 3000.0)
        self._ending = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._ending.set()
        self._thread.join()
        del self.arm
        self.memory.close()

    def _run(self):
        due = time.monotonic()
        while not self._ending.is_set():
            due += TICK
            time.sleep(max(0.0, due - time.monotonic()))
            self._step(next_point(self.arm))

    def _step(self, point):
        arm, speed = self.arm, 0.0
        if point is not None and arm.control:
            if point.type == 7:
                jacobian = Chain.at(self.model, self.joints).jacobian()
                twist = np.array(point.values[:6])
                self.joints = self.joints + TICK * np.linalg.solve(jacobian, twist)
                speed = float(np.linalg.norm(twist[:3]))
            self.fingers = self.fingers + TICK * np.array(point.fingers)
        self.moved.append((time.monotonic(), speed))
        arm.homes_done, arm.finger_inits_done = arm.homes, arm.finger_inits
        self._write()

    def _write(self):
        arm, joints = self.arm, self.joints
        pose = Chain.at(self.model, joints).tool
        angles = euler_xyz_from_rotation(pose.rotation)
        gravity = gravity_torque(self.model, joints)
        arm.sequence += 1
        arm.joints[:6] = np.degrees(joints).tolist()
        arm.torques[:6] = gravity.tolist()
        arm.pose[:] = [*pose.position.tolist(), *angles.tolist()]
        arm.fingers[:] = self.fingers.tolist()
        arm.sequence += 1
        arm.twin_time = time.monotonic()


@contextmanager
def ideal_arm(path):
    """An arm while the context lasts."""
    arm = IdealArm(path)
    try:
        yield arm
    finally:
        arm.close()
