"""Simulated arm: the twin behind the driver's own topics and services, in real time."""

import threading
import time
from collections.abc import Sequence

from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from ..errors import AdpError
from ..health import DurationMeter, Health, Level, Value, latency_values
from ..msg import TwinState
from ..robots.robot import Robot, robot_named
from ..sim.base_controller import TICK
from ..sim.shared_twin import SharedTwin, SuccessNotice, TickPacer
from ..sim.sim_settings import MAX_SEED, DriverConfig, SensorConfig, SimSettings
from ..sim.task import SceneConfig
from ..sim.tasks import find_task
from ..sim.twin import ArmReading, Twin, TwinTruth
from .arm_name import of_arm
from .diagnostics import DiagnosticsPublisher
from .driver_side import DriverServices, DriverTopics, refuse_second_driver
from .node_process import Worker, run_node
from .parameters import declare_settings

_NEXT_SEED = "next_seed"
_LONG_QUEUE = 20  # points: the arm would go on for 0.2 s


class SimNode(Node):
    """Stands exactly where Kinova's driver stands; nothing else can tell the difference.

    Publishes: /<robot_type>_driver/out/..., /sim/state, /diagnostics
    Subscribes: /<robot_type>_driver/in/...
    Services: /<robot_type>_driver/in/{stop, start, home_arm, clear_trajectories}, /sim/reset
    Parameters: ``next_seed``: the scene that /sim/reset begins, -1 for the one after the present;
    may be set at any time and is -1 again afterwards. The others are read-only:
    :class:`~adp_ros.sim.sim_settings.SimSettings`, ``driver.``
    :class:`~adp_ros.sim.sim_settings.DriverConfig`, ``sensors.``
    :class:`~adp_ros.sim.sim_settings.SensorConfig`
    """

    def __init__(self) -> None:
        super().__init__("sim_node")
        joined_at = time.monotonic()
        settings = declare_settings(self, SimSettings)
        driver = declare_settings(self, DriverConfig, "driver")
        sensors = declare_settings(self, SensorConfig, "sensors")
        task, seed, robot_type = settings.task, settings.seed, settings.robot_type
        scene = SceneConfig(
            find_task(task), seed, robot_type, settings.distractors, settings.randomisation
        )
        self._twin = SharedTwin(Twin(scene, driver, sensors))
        robot = robot_named(robot_type)
        self._stopping = threading.Event()
        self._every_status = max(1, round(settings.status_interval_seconds / TICK))
        self._offer(robot, joined_at)
        self._notice = SuccessNotice()
        self.declare_parameter(
            _NEXT_SEED,
            -1,
            ParameterDescriptor(
                description="Seed of the scene that /sim/reset begins; -1: the one after this",
                integer_range=[IntegerRange(from_value=-1, to_value=MAX_SEED)],
            ),
        )
        self._state = self.create_publisher(TwinState, of_arm(self, "/sim/state"), 1)
        own = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, of_arm(self, "/sim/reset"), self._on_reset, callback_group=own)
        self._diagnostics = DiagnosticsPublisher(
            self,
            {
                "physics": self._physics_health,
                "driver": self._driver_health,
                "scene": self._scene_health,
            },
            robot_type,
        )
        self._every_state = max(1, round(settings.state_interval_seconds / TICK))
        self._ticks = 0
        self._work = DurationMeter()
        self._pacer = TickPacer(TICK, time.monotonic())
        self._skipped_before = 0
        self._truth: TwinTruth | None = None
        self._force = 0.0  # [N] largest since the last diagnostics
        self._worker = Worker(self, "physics", self._run, self._stopping)
        self._worker.start()
        self.get_logger().info(f"twin of {robot_type}, task {task}, seed {seed}")

    def destroy_node(self) -> None:
        """Stop the physics, then the node."""
        self._worker.stop()
        super().destroy_node()

    def _offer(self, robot: Robot, joined_at: float) -> None:
        """Make what others command and read the twin by."""
        refuse_second_driver(self, robot, joined_at)
        self._driver_topics = DriverTopics(self, robot, self._twin)
        self._driver_services = DriverServices(self, robot, self._twin)

    def _take_commands(self) -> None:
        """Do what has come since the last tick; callbacks have done so already."""

    def _hand_out(self, reading: ArmReading) -> None:
        """Make measurements known."""
        if not self._driver_services.blocked:
            self._driver_topics.publish(reading)

    def _run(self) -> None:
        """Wait for the next tick, then run all that are due; called in the physics thread."""
        wait = self._pacer.deadline - time.monotonic()
        if wait > 0.0 and self._stopping.wait(wait):
            return
        for _ in range(self._pacer.due(time.monotonic())):
            self._tick()

    def _tick(self) -> None:
        began = time.monotonic()
        self._ticks += 1
        self._take_commands()
        reading, truth = self._twin.step(
            read=self._ticks % self._every_status == 0, truth=self._ticks % self._every_state == 0
        )
        if reading is not None:
            self._hand_out(reading)
        if truth is not None:
            self._truth, self._force = truth, max(self._force, truth.contact_force)
            self._state.publish(self._state_message(truth))
            if notice := self._notice.update(truth):
                self.get_logger().info(notice)
        self._work.add(time.monotonic() - began)

    def _state_message(self, truth: TwinTruth) -> TwinState:
        msg = TwinState(
            task=truth.task,
            seed=truth.seed,
            qpos=truth.qpos.tolist(),
            cleaned=truth.cleaned.tolist(),
            progress=truth.progress,
            success=truth.success,
        )
        msg.header.stamp = self.get_clock().now().to_msg()
        return msg

    def _on_reset(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        asked = int(self.get_parameter(_NEXT_SEED).value)
        try:
            seed = self._twin.next_scene(None if asked < 0 else asked)
        except AdpError as error:
            answer.success, answer.message = False, str(error)
            return answer
        self.set_parameters([Parameter(_NEXT_SEED, value=-1)])
        self.get_logger().info(f"new scene, seed {seed}")
        answer.success, answer.message = True, f"new scene, seed {seed}"
        return answer

    def _physics_health(self) -> Health:
        now, pacer = time.monotonic(), self._pacer
        lost = pacer.skipped - self._skipped_before
        self._skipped_before = pacer.skipped
        values: dict[str, Value] = {
            "real_time_factor": pacer.real_time_factor(now),
            "ticks": pacer.ticks,
            "late_ticks": pacer.late,
            "skipped_ticks": pacer.skipped,
            **latency_values("tick_ms", self._work.summary(), 1e3),
        }
        if lost:
            return Health(Level.WARN, f"slower than real time: {lost} ticks lost", values)
        return Health(Level.OK, "real time", values)

    def _driver_health(self) -> Health:
        with self._twin.driver() as driver:
            mode, queued = str(driver.mode), driver.queued
            values: dict[str, Value] = {
                "mode": mode,
                "fifo_length": queued,
                "points_taken": driver.taken,
                "points_ignored": driver.ignored,
                "points_lost": driver.lost,
            }
        if queued > _LONG_QUEUE:
            late = queued * TICK
            return Health(Level.WARN, f"commands pile up: {late:.2f} s behind", values)
        return Health(Level.OK, mode, values)

    def _scene_health(self) -> Health:
        force, self._force = self._force, 0.0
        truth = self._truth
        if truth is None:
            return Health(Level.OK, "not started")
        values: dict[str, Value] = {
            "task": truth.task,
            "seed": truth.seed,
            "progress": truth.progress,
            "success": truth.success,
            "contact_force_max_n": force,
        }
        return Health(Level.OK, f"{truth.task}: {truth.progress:.0%} done", values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the simulated arm; returns the exit status."""
    return run_node(SimNode, args)
