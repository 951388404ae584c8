"""Camera node: pictures from one camera, with capture time, watched and reconnected."""

import threading
from collections.abc import Callable, Sequence

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..cameras.camera import CameraSettings, Clock, StateProvider
from ..cameras.camera_health import CameraMonitor, WatchedCamera, make_camera
from ..cameras.picture_geometry import Calibration, load_calibration
from ..health import Health, Level
from ..msg import TwinState
from ..types import Frame
from .arm_name import of_arm
from .diagnostics import DiagnosticsPublisher
from .node_process import NodeClock, Worker, run_node, yield_to_others
from .parameters import declare_settings, refuse_unknown_parameters, resolve_url
from .picture_messages import camera_info_message, image_message, jpeg_message
from .stamps import time_message
from .twin_states import StateFeed

_WAIT = 0.2  # longest wait for a picture before the node looks after its other work, in [s]

CameraFactory = Callable[[CameraSettings, Clock, Callable[[], StateProvider]], WatchedCamera]


class CameraNode(Node):
    """Publishes pictures at the camera's rate; ``camera`` in the topics is ``camera_name``.

    Publishes: /camera/image_raw, /camera/image_raw/compressed, /camera/camera_info, /diagnostics
    Subscribes: /sim/state (source twin only)
    Parameters: :class:`~adp_ros.cameras.camera.CameraSettings`
    """

    def __init__(self, factory: CameraFactory = make_camera) -> None:
        super().__init__("camera_node")
        self._settings = declare_settings(self, CameraSettings)
        refuse_unknown_parameters(self)
        self._info = camera_info_message(self._calibration(), self._settings.frame_id)
        self._stopping = threading.Event()
        self._times = NodeClock(self, self._stopping)
        watched = factory(self._settings, self._times, self._listen_to_twin)
        self._camera, self._link, self._frozen = watched.camera, watched.link, watched.frozen
        self._monitor = CameraMonitor(self._settings, self._camera.name)
        topic = of_arm(self, f"/{self._settings.camera_name}")
        qos = qos_profile_sensor_data
        self._raw = self.create_publisher(Image, f"{topic}/image_raw", qos)
        self._jpeg = self.create_publisher(CompressedImage, f"{topic}/image_raw/compressed", qos)
        self._calibrated = self.create_publisher(CameraInfo, f"{topic}/camera_info", qos)
        self._diagnostics = DiagnosticsPublisher(
            self, {"camera": self._health}, self._settings.camera_name
        )
        self._worker = Worker(
            self,
            "camera",
            self._step,
            self._stopping,
            setup=self._open,
            teardown=self._camera.close,
        )
        self._worker.start()

    def _calibration(self) -> Calibration:
        settings = self._settings
        if not settings.camera_info_url:
            return Calibration.unknown(settings.size)
        return load_calibration(resolve_url(settings.camera_info_url), settings.size)

    def _listen_to_twin(self) -> StateProvider:
        feed = StateFeed()
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(TwinState, of_arm(self, "/sim/state"), feed.put, newest)
        return feed.wait

    def _open(self) -> None:
        if self._settings.source == "twin" and self._settings.idle:
            yield_to_others()  # here, so that the threads of the renderer do as well
        notes = self._camera.open()
        self._monitor.opened(notes)
        for note in notes:
            self.get_logger().warning(f"{self._camera.name}: {note}")
        width, height = self._settings.size
        name, rate = self._camera.name, self._settings.framerate
        self.get_logger().info(f"{name}, {width}x{height} at {rate:g} Hz")

    def _step(self) -> None:
        frame = self._camera.read(_WAIT)
        news = self._monitor.news(self._link())
        if news is not None:
            level, text = news
            log = self.get_logger()
            log.info(text) if level is Level.OK else log.error(text)
        if frame is not None:
            self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        frozen_for = 0.0 if self._frozen is None else self._frozen.update(frame.rgb, frame.stamp)
        delay = self._times.now() - frame.stamp
        if self._monitor.delivered(self._times.monotonic(), delay, frozen_for):
            self._publish(frame)

    def _publish(self, frame: Frame) -> None:
        stamp, frame_id = time_message(frame.stamp), self._settings.frame_id
        self._raw.publish(image_message(frame.rgb, stamp, frame_id))
        self._info.header.stamp = stamp
        self._calibrated.publish(self._info)
        if self._jpeg.get_subscription_count() > 0:
            quality = self._settings.jpeg_quality
            self._jpeg.publish(jpeg_message(frame.rgb, stamp, frame_id, quality))

    def _health(self) -> Health:
        return self._monitor.health(self._times.monotonic())

    def destroy_node(self) -> None:
        """Stop the camera, then the node."""
        self._worker.stop()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the camera node; returns the exit status."""
    return run_node(CameraNode, args, stops_arm=True, pictures=True)
