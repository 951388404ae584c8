"""Inference node: the controller asks for a window, the newest picture becomes a chunk."""

import gc
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch
from builtin_interfaces.msg import Time
from rclpy.node import Node

from ..adp.adp_settings import AdpSettings
from ..errors import AdpError, CheckpointError, ConfigError, ObservationError
from ..msg import ChunkRequest, TwinState
from ..policies.policy import load_policy
from ..policies.setup import InferenceSettings, PolicyLoader, adp_file, set_up_policy, warm_up
from ..policies.window import MeasuredMotion, WindowTimes
from ..robots.robot import robot_named
from ..settings import share_directory
from ..types import ActionConvention, FloatArray, Observation
from .arm_name import of_arm
from .diagnostics import DiagnosticsPublisher
from .inference_inputs import ArmInbox, Arrived, FrameInbox, NewestSlot, NoPictureYet
from .inference_outputs import InferenceHealth, InferenceTopics, SeenWindow
from .node_process import NodeClock, Worker, run_node, step_back
from .parameters import declare_settings, refuse_unknown_parameters
from .picture_messages import make_image_converter
from .stamps import seconds
from .twin_states import StateFeed

if TYPE_CHECKING:
    from ..sim.task import Expert

OPEN: Final = 1.0


class Mover(Protocol):
    """Says which actions are executed.

    Attributes:
        name: Name in messages: ``oft``, ``remote``, ``expert`` or ``hold``.
        sentence: Plain words for the console.
        convention: Frames and rotation order of the actions.
    """

    name: str
    sentence: str
    convention: ActionConvention

    def actions(self, stamp: Time) -> FloatArray | None:
        """Return the actions for the picture of that stamp, None for the policy's own."""
        ...


class OwnMover:
    """The policy's own actions."""

    def __init__(self, name: str, convention: ActionConvention, checkpoint: str) -> None:
        self.name = name
        self.convention = convention
        self.sentence = f"the arm is moved by the checkpoint {checkpoint}"

    def actions(self, stamp: Time) -> FloatArray | None:
        """Return None: the policy's own actions are executed."""
        return None


class HoldMover:
    """Stands still; the gripper stays as it is."""

    name = "hold"

    def __init__(self, arm: ArmInbox, steps: int) -> None:
        self.convention = ActionConvention()
        self.sentence = "nothing moves the arm (policy hold); the checkpoint runs in shadow"
        self._arm = arm
        self._steps = steps

    def actions(self, stamp: Time) -> FloatArray:
        """Return zeros and the gripper's present opening."""
        opening = self._arm.opening()
        actions = np.zeros((self._steps, 7))
        actions[:, 6] = OPEN if opening is None else opening
        return actions


class ExpertMover:
    """The scripted expert, planning from the twin's true state at the picture's time."""

    name = "expert"

    def __init__(self, states: StateFeed, robot_type: str) -> None:
        self.convention = ActionConvention()
        self.sentence = (
            "the arm is moved by the scripted expert, which reads the twin's true state; "
            "the checkpoint with ADP runs in shadow on every window"
        )
        self._states = states
        self._robot_type = robot_type
        self._scene: tuple[str, int] | None = None
        self._expert: Expert | None = None

    def actions(self, stamp: Time) -> FloatArray:
        """Plan from the state at ``stamp``."""
        state = self._states.at(seconds(stamp))
        if state is None:
            raise ObservationError("nothing has come on /sim/state, the expert needs it")
        if self._expert is None or self._scene != state.scene:
            self._scene, self._expert = state.scene, _expert(*state.scene, self._robot_type)
        return self._expert.plan(state.qpos, state.cleaned)


def _expert(task: str, seed: int, robot_type: str) -> "Expert":
    from ..sim.task import SceneConfig, make_expert  # the policy alone needs no scene
    from ..sim.tasks import find_task

    return make_expert(SceneConfig(find_task(task), seed, robot_type))


_WAIT = 0.2  # longest wait for a request before the thread looks whether to end, in [s]


class InferenceNode(Node):
    """Answers each request of the controller with a chunk, newest request and picture only.

    Planning has a thread of its own, at a lower priority, so that pictures keep arriving.

    Publishes: /adp/{action_chunk, gate_state, prune_state, latency, policy_state, overlay},
        /diagnostics
    Subscribes: the picture topics, /adp/chunk_request, the driver's pose, joints and fingers,
        /sim/state (policy expert only)
    Parameters: :class:`~adp_ros.policies.policy.InferenceSettings`
    """

    def __init__(self, load: PolicyLoader = load_policy) -> None:
        super().__init__("inference_node")
        self._settings = settings = declare_settings(self, InferenceSettings)
        refuse_unknown_parameters(self)
        torch.set_num_threads(settings.threads)
        adp = AdpSettings.load(adp_file(settings, share_directory(os.environ)))
        self._setup = set_up_policy(settings, adp, load)
        self._stopping = threading.Event()
        self._times = NodeClock(self, self._stopping)
        self._requests: NewestSlot[ChunkRequest] = NewestSlot()
        self._answered = (-1, 0.0)  # last window and when its chunk was published
        convert = make_image_converter()
        self._frames = [
            FrameInbox(self, of_arm(self, topic), convert) for topic in settings.image_topics
        ]
        robot = robot_named(settings.robot_type)
        self._arm = ArmInbox(self, robot, settings.max_frame_age)
        self._mover = self._make_mover()
        self._planner = self._setup.planner(self._mover.convention)
        crop_area, layout = self._setup.policy.info.crop_area, self._setup.layout
        names = () if layout is None else layout.names
        self._topics = InferenceTopics(self, robot.base_frame, adp.overlay, crop_area, names)
        self._health = InferenceHealth(self._mover.name, settings.checkpoint)
        self._diagnostics = self._make_diagnostics()
        self.create_subscription(
            ChunkRequest, of_arm(self, "/adp/chunk_request"), self._requests.put, 1
        )
        self._worker = Worker(self, "inference", self._step, self._stopping, setup=self._prepare)
        self._worker.start()
        self._say_what_runs(adp)

    def _make_mover(self) -> Mover:
        settings, setup = self._settings, self._setup
        if settings.policy in ("oft", "remote"):
            return OwnMover(settings.policy, setup.convention, settings.checkpoint)
        if settings.policy == "hold":
            return HoldMover(self._arm, setup.policy.info.chunk_length)
        states = StateFeed()
        self.create_subscription(TwinState, of_arm(self, "/sim/state"), states.put, 10)
        return ExpertMover(states, settings.robot_type)

    def _make_diagnostics(self) -> DiagnosticsPublisher:
        names = ["camera", *(f"camera_{i}" for i in range(2, len(self._frames) + 1))]
        components = {n: f.health for n, f in zip(names, self._frames, strict=True)}
        health = self._health
        components |= {"policy": health.policy, "pruning": health.pruning, "gate": health.gate}
        return DiagnosticsPublisher(self, components, self._settings.robot_type)

    def _say_what_runs(self, adp: AdpSettings) -> None:
        log = self.get_logger()
        log.info(f"policy {self._mover.name}: {self._mover.sentence}")
        log.info(
            f"checkpoint {self._settings.checkpoint}: {self._setup.policy.info}; "
            f"pruner {self._setup.pruner.name} keeps {self._setup.pruner.keep:g}, "
            f"gate {self._setup.gate_config.rule}"
        )
        for warning in self._setup.warnings:
            log.warning(warning)
        if adp.ignored:
            log.warning(f"settings that change nothing here: {', '.join(adp.ignored)}")

    def _prepare(self) -> None:
        """Set the thread's own priority (on Linux it is a thread's) and warm up.

        What is loaded by then stays: frozen, it no longer costs every full garbage collection,
        and the one at exit, a third of a second.
        """
        settings = self._settings
        torch.set_num_threads(settings.threads)
        priority = step_back(settings.idle, settings.nice)
        warm_up(self._setup, settings)
        gc.collect()
        gc.freeze()
        self.get_logger().info(
            f"ready; inference takes {settings.threads} CPU thread(s) {priority}"
        )

    def _step(self) -> None:
        request = self._requests.take(_WAIT)
        if request is None or self._is_answered(request):
            return
        try:
            self._answer(request.message)
        except (CheckpointError, ConfigError):
            raise
        except NoPictureYet as error:
            if self._health.failed(str(error)):
                self.get_logger().info(f"window {request.message.window} waits: {error}")
        except AdpError as error:
            if self._health.failed(str(error)):
                self.get_logger().error(f"no chunk for window {request.message.window}: {error}")

    def _is_answered(self, request: Arrived[ChunkRequest]) -> bool:
        """Tell whether it is a repetition that came before its answer was out."""
        window, at = self._answered
        return request.message.window == window and request.at < at

    def _answer(self, request: ChunkRequest) -> None:
        settings = self._settings
        images = [f.newest(self._times.now, settings.max_frame_age) for f in self._frames]
        stamp = images[0].header.stamp
        age = self._times.now() - seconds(stamp)
        pixels = [f.pixels(i, settings.size) for f, i in zip(self._frames, images, strict=True)]
        state = self._setup.state(self._arm.state)
        window = self._planner.plan(
            Observation(tuple(pixels), settings.instruction, state),
            int(request.window),
            MeasuredMotion(request.measured_path, request.measured_net),
            self._mover.actions(stamp),
        )
        seen = SeenWindow(window, stamp, images[0].header.frame_id, pixels[0], state)
        self._topics.publish_chunk(seen, settings.step_period, self._mover.name)
        self._answered = (int(request.window), time.monotonic())
        self._report(seen, age)

    def _report(self, seen: SeenWindow, age: float) -> None:
        times = replace(
            WindowTimes.of(seen.window.planned.timing),
            frame_age=1e3 * age,
            frame_to_chunk=1e3 * (self._times.now() - seconds(seen.stamp)),
        )
        self._topics.publish_audit(seen, times)
        ended = self._health.planned(seen.window, self._topics.stages.summaries())
        if ended is not None:
            self.get_logger().info(f"window {seen.window.window} planned again after: {ended}")

    def destroy_node(self) -> None:
        """End the thread, then the node."""
        self._worker.stop()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the inference node; returns the exit status."""
    return run_node(InferenceNode, args, stops_arm=True, pictures=True)
