"""The twin behind a stand-in for Kinova's SDK: the arm of ``robot:=stand-in``."""

import os
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from ..geometry import euler_xyz_from_rotation
from ..robots.jaco2.sdk_types import PositionType
from ..robots.jaco2.stand_in import StandInArm, StandInMemory, memory_path, next_point
from ..robots.kinematics import gravity_torque
from ..robots.robot import Robot
from ..sim.base_controller import Driver, DriverMode, VelocityPoint
from ..sim.shared_twin import SharedTwin
from ..sim.twin import ArmReading
from .node_process import run_node
from .sim_node import SimNode

_OPENING: Final = np.full(3, -5000.0)  # [ticks/s]
_OPEN: Final = 100.0  # [ticks]
_SPEED_SHARE: Final = 0.5  # the SDK gives half the joint speeds


class StandInLink:
    """The twin's end of the memory that it shares with the library.

    Args:
        arm: The memory.
        twin: What takes the commands.
        robot: The arm, for its type and its gravity.
    """

    def __init__(self, arm: StandInArm, twin: SharedTwin, robot: Robot) -> None:
        self._arm = arm
        self._twin = twin
        self._model = robot.arm("dm_control")
        arm.robot_type = 7 if robot.robot_type[2] == "s" else 3
        arm.twin_time = time.monotonic()
        self._fingers = np.zeros(3)

    def take_commands(self) -> None:
        """Pass on one point and what else was asked for since the last tick."""
        self._arm.twin_time = time.monotonic()
        with self._twin.driver() as driver:
            self._switch(driver)
            self._go_home(driver)
            self._move(driver)

    def _switch(self, driver: Driver) -> None:
        stopped = driver.mode is DriverMode.STOPPED
        if self._arm.control and stopped:
            driver.start()
        elif not self._arm.control and not stopped:
            driver.stop()

    def _go_home(self, driver: Driver) -> None:
        arm = self._arm
        homing = driver.mode is DriverMode.HOMING
        if arm.homes != arm.homes_done and not homing and (arm.homing or not driver.home()):
            arm.homes_done = arm.homes
            arm.at_home = int(bool(arm.control))
        arm.homing = int(driver.mode is DriverMode.HOMING)

    def _move(self, driver: Driver) -> None:
        arm = self._arm
        point = next_point(arm)
        if point is not None:
            fingers = np.array(point.fingers) if point.hand else None
            if point.type == PositionType.ANGULAR_VELOCITY:
                joints = np.radians(point.values[:6])
                driver.send(VelocityPoint(joints=joints, fingers=fingers))
            elif point.type == PositionType.CARTESIAN_VELOCITY:
                linear, angular = np.array(point.values[:3]), np.array(point.values[3:6])
                driver.send(VelocityPoint(linear=linear, angular=angular, fingers=fingers))
        elif arm.finger_inits != arm.finger_inits_done:
            driver.send(VelocityPoint(fingers=_OPENING))
            if not arm.control or (self._fingers < _OPEN).all():
                arm.finger_inits_done = arm.finger_inits

    def hand_out(self, reading: ArmReading) -> None:
        """Write measurements in the SDK's units."""
        arm = self._arm
        n = len(reading.fingers)
        self._fingers[:n] = reading.fingers
        gravity = gravity_torque(self._model, reading.joints)
        angles = euler_xyz_from_rotation(reading.pose.rotation)
        arm.sequence = (arm.sequence + 1) % 2**32
        arm.joints[:6] = np.degrees(reading.joints).tolist()
        arm.speeds[:6] = (_SPEED_SHARE * np.degrees(reading.speeds)).tolist()
        arm.torques[:6] = reading.torques.tolist()
        arm.gravity_free[:6] = (reading.torques - gravity).tolist()
        arm.pose[:] = [*reading.pose.position.tolist(), *angles.tolist()]
        arm.fingers[:] = self._fingers.tolist()
        arm.force[:] = reading.wrench.tolist()
        arm.sequence = (arm.sequence + 1) % 2**32


class StandInNode(SimNode):
    """The simulated arm as the SDK sees it: the driver publishes, not the twin.

    Publishes: /sim/state, /diagnostics
    Services: /sim/reset
    Parameters: those of :class:`~adp_ros.ros.sim_node.SimNode`
    """

    def _offer(self, robot: Robot, _joined_at: float) -> None:
        self._memory = StandInMemory(memory_path(os.environ), create=True)
        self._link = StandInLink(self._memory.arm, self._twin, robot)
        self._every_status = 1  # the SDK's reads find a new value every 10 ms

    def _take_commands(self) -> None:
        self._link.take_commands()

    def _hand_out(self, reading: ArmReading) -> None:
        self._link.hand_out(reading)

    def destroy_node(self) -> None:
        """Stop the physics, let go of the memory, then end the node."""
        self._worker.stop()
        del self._link
        self._memory.close()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the simulated arm; returns the exit status."""
    return run_node(StandInNode, args)
