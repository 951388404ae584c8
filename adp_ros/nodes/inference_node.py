"""Inference node: the controller asks for a window, the newest picture becomes a chunk."""

import gc
import os
import threading
import time
from collections.abc import Sequence

import torch
from rclpy.node import Node

from ..adp_settings import AdpSettings
from ..arm.robot import robot_named
from ..errors import AdpError, CheckpointError, ConfigError
from ..msg import ChunkRequest, TwinState
from ..policy import load_policy
from ..policy.preprocess import CROP_AREA
from ..policy.window import MeasuredMotion
from ..share import share_directory
from ..stages import WindowTimes
from ..types import Observation
from .inference.arm_inbox import ArmInbox
from .inference.frame_inbox import FrameInbox, NoPictureYet
from .inference.health import InferenceHealth
from .inference.movers import ExpertMover, HoldMover, Mover, OftMover
from .inference.policy_setup import PolicyLoader, adp_file, set_up_policy, warm_up
from .inference.request_slot import Arrived, NewestSlot
from .inference.settings import InferenceSettings
from .inference.topics import InferenceTopics, Planned
from .messages.pictures import make_image_converter
from .messages.stamps import seconds
from .process.diagnostics import DiagnosticsPublisher
from .process.params import declare_settings, refuse_unknown_parameters
from .process.run import run_node
from .process.worker import NodeClock, Worker
from .process.yielding import step_back
from .twin.state_feed import StateFeed

_WAIT = 0.2  # longest wait for a request before the thread looks whether to end, in [s]


class InferenceNode(Node):
    """Answers each request of the controller with a chunk, newest request and picture only.

    Planning has a thread of its own, at a lower priority, so that pictures keep arriving.

    Publishes: /adp/{action_chunk, gate_state, prune_state, latency, policy_state, overlay},
        /diagnostics
    Subscribes: the picture topics, /adp/chunk_request, the driver's pose, joints and fingers,
        /sim/state (policy expert only)
    Parameters: :class:`~adp_ros.nodes.inference.settings.InferenceSettings`
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
        self._frames = [FrameInbox(self, topic, convert) for topic in settings.image_topics]
        robot = robot_named(settings.robot_type)
        self._arm = ArmInbox(self, robot, settings.max_frame_age)
        self._mover = self._make_mover()
        self._planner = self._setup.planner(self._mover.convention)
        crop_area = CROP_AREA if settings.center_crop else 1.0
        layout = self._setup.layout
        names = () if layout is None else layout.names
        self._topics = InferenceTopics(self, robot.base_frame, adp.overlay, crop_area, names)
        self._health = InferenceHealth(self._mover.name, settings.checkpoint)
        self._diagnostics = self._make_diagnostics()
        self.create_subscription(ChunkRequest, "/adp/chunk_request", self._requests.put, 1)
        self._worker = Worker(self, "inference", self._step, self._stopping, setup=self._prepare)
        self._worker.start()
        self._say_what_runs(adp)

    def _make_mover(self) -> Mover:
        settings, setup = self._settings, self._setup
        if settings.policy == "oft":
            return OftMover(setup.convention, settings.checkpoint)
        if settings.policy == "hold":
            return HoldMover(self._arm, setup.policy.chunk_length)
        states = StateFeed()
        self.create_subscription(TwinState, "/sim/state", states.put, 10)
        return ExpertMover(states, settings.robot_type)

    def _make_diagnostics(self) -> DiagnosticsPublisher:
        names = ["camera", *(f"camera_{i}" for i in range(2, len(self._frames) + 1))]
        components = {n: f.health for n, f in zip(names, self._frames, strict=True)}
        health = self._health
        components |= {"policy": health.policy, "pruning": health.pruning, "gate": health.gate}
        return DiagnosticsPublisher(self, components, self._settings.robot_type)

    def _say_what_runs(self, adp: AdpSettings) -> None:
        log, policy = self.get_logger(), self._setup.policy
        log.info(f"policy {self._mover.name}: {self._mover.sentence}")
        log.info(
            f"checkpoint {self._settings.checkpoint} on {policy.device}, {policy.dtype}; "
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
        result = self._planner.plan(
            Observation(tuple(pixels), settings.instruction, state),
            int(request.window),
            MeasuredMotion(request.measured_path, request.measured_net),
            self._mover.actions(stamp),
        )
        planned = Planned(result, stamp, images[0].header.frame_id, pixels[0], state)
        self._topics.publish_chunk(
            planned, self._mover.convention, settings.step_period, self._mover.name
        )
        self._answered = (int(request.window), time.monotonic())
        self._report(planned, age)

    def _report(self, planned: Planned, age: float) -> None:
        timing = planned.result.prediction.timing
        times = WindowTimes(
            frame_age=1e3 * age,
            preprocess=1e3 * timing.preprocess,
            vision=1e3 * timing.vision,
            scoring=1e3 * timing.scoring,
            llm=1e3 * timing.llm,
            head=1e3 * timing.head,
            total=1e3 * timing.total,
            frame_to_chunk=1e3 * (self._times.now() - seconds(planned.stamp)),
        )
        self._topics.publish_audit(planned, times)
        ended = self._health.planned(planned.result, self._topics.stages.summaries())
        if ended is not None:
            self.get_logger().info(f"window {planned.result.window} planned again after: {ended}")

    def destroy_node(self) -> None:
        """End the thread, then the node."""
        self._worker.stop()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the inference node; returns the exit status."""
    return run_node(InferenceNode, args, stops_arm=True, pictures=True)
