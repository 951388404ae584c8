"""The camera node with real ROS: pictures, stamps, health, and every way to fail."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("rclpy")

from camera_fakes import ScriptedSource
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from ros_bench import Bench, bench, own_domain
from scenes import scene_of
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from adp_ros.cameras.camera_health import FrozenDetector, WatchedCamera
from adp_ros.cameras.reconnect import Link, ReconnectingCamera
from adp_ros.msg import TwinState
from adp_ros.ros.camera_node import CameraNode, main
from adp_ros.types import Frame


class Listener(Node):
    """Keeps what the camera node publishes."""

    def __init__(self, compressed: bool = False) -> None:
        super().__init__("listener")
        self.raw: list[Image] = []
        self.arrivals: list[float] = []
        self.info: list[CameraInfo] = []
        self.jpeg: list[CompressedImage] = []
        self.health: list[tuple[int, str, dict[str, str]]] = []
        self.create_subscription(Image, "/camera/image_raw", self._on_raw, qos_profile_sensor_data)
        self.create_subscription(
            CameraInfo, "/camera/camera_info", self.info.append, qos_profile_sensor_data
        )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        if compressed:
            self.create_subscription(
                CompressedImage,
                "/camera/image_raw/compressed",
                self.jpeg.append,
                qos_profile_sensor_data,
            )

    def _on_raw(self, message: Image) -> None:
        self.arrivals.append(time.time())
        self.raw.append(message)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "camera_node: camera":
                values = {item.key: item.value for item in status.values}
                self.health.append((status.level[0], status.message, values))


def folder(path: Path, size: tuple[int, int] = (640, 480), count: int = 4) -> Path:
    """Write pictures that differ in their red channel: 10, 20, ..."""
    for i in range(count):
        PilImage.new("RGB", size, (10 * (i + 1), 0, 0)).save(path / f"{i}.png")
    return path


def images(path: Path, *more: str) -> list[str]:
    """Return parameters for a folder as camera."""
    return ["source:=images", f"path:={path}", *more]


def stamp(message: Image) -> float:
    """Return the stamp in [s]."""
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def test_pictures_arrive_complete_in_order_and_on_time(tmp_path: Path) -> None:
    """30 Hz of 640x480: of 90 pictures at least 29 in 30 arrive, stamped with capture time."""
    with bench(images(folder(tmp_path))) as ros:
        listener = ros.add(Listener())
        ros.add(CameraNode())
        ros.until(lambda: len(listener.raw) >= 90)
    first = listener.raw[0]
    assert (first.width, first.height, first.encoding) == (640, 480, "rgb8")
    assert first.header.frame_id == "camera_optical_frame"
    stamps = np.array([stamp(m) for m in listener.raw])
    assert (np.diff(stamps) > 0).all()
    published = round((stamps[-1] - stamps[0]) * 30) + 1
    assert len(stamps) >= published * 29 / 30
    assert np.median(np.array(listener.arrivals) - stamps) < 0.05
    reds = [m.data[0] for m in listener.raw[:20]]
    assert set(reds) == {10, 20, 30, 40}
    assert len(listener.info) > 0 and listener.info[-1].width == 640
    assert not any(listener.info[-1].k)


def test_jpeg_is_made_for_subscribers(tmp_path: Path) -> None:
    """A subscriber of the compressed topic gets pictures of the same stamps."""
    with bench(images(folder(tmp_path), "jpeg_quality:=95")) as ros:
        listener = ros.add(Listener(compressed=True))
        ros.add(CameraNode())
        ros.until(lambda: len(listener.jpeg) >= 5 and len(listener.raw) >= 5)
    assert bytes(listener.jpeg[-1].data[:2]) == b"\xff\xd8"
    raw = {stamp(m) for m in listener.raw}
    assert sum(stamp(m) in raw for m in listener.jpeg) >= 3


def test_a_second_camera_has_topics_of_its_own(tmp_path: Path) -> None:
    """With another ``camera_name`` pictures come on its topics, and none on the first camera's."""
    seen: list[Image] = []
    with bench(images(folder(tmp_path), "camera_name:=camera2")) as ros:
        listener = ros.add(Listener())
        listener.create_subscription(
            Image, "/camera2/image_raw", seen.append, qos_profile_sensor_data
        )
        ros.add(CameraNode())
        ros.until(lambda: len(seen) >= 3)
    assert listener.raw == []


def test_health_is_published(tmp_path: Path) -> None:
    """Once a second, with rate and delay as values."""
    with bench(images(folder(tmp_path))) as ros:
        listener = ros.add(Listener())
        ros.add(CameraNode())
        ros.until(lambda: any(level == 0 for level, _, _ in listener.health))
    values = [v for level, _, v in listener.health if level == 0][0]
    assert float(values["rate_hz"]) == pytest.approx(30.0, abs=3.0)
    assert float(values["capture_to_publish_ms_p50"]) < 100.0


class Unplugged(ScriptedSource):
    """Delivers at 100 Hz; errors as scripted."""

    name = "v4l2 camera /dev/fake"

    def read(self, timeout: float) -> Frame | None:
        time.sleep(0.01)
        frame = super().read(timeout) if self.reads else None
        return None if frame is None else Frame(np.zeros((480, 640, 3), np.uint8), time.time())


def test_camera_that_vanishes_is_reported_and_comes_back() -> None:
    """Error naming the device while away, OK afterwards, pictures again."""
    script = [1.0] * 5 + ["v4l2 camera /dev/fake stopped delivering frames"] + [1.0] * 400
    source = Unplugged([None, "v4l2 camera /dev/fake cannot be opened", None], script)

    def make(settings, clock, twin) -> WatchedCamera:
        watched = ReconnectingCamera(source, settings, clock)
        return WatchedCamera(watched, watched.current_link)

    with bench(["source:=v4l2", "reconnect_delay:=0.7"]) as ros:
        listener = ros.add(Listener())
        ros.add(CameraNode(make))
        ros.until(lambda: any(level == 2 for level, _, _ in listener.health))
        ros.until(lambda: listener.health[-1][0] != 2)
    said = next(text for level, text, _ in listener.health if level == 2)
    assert "/dev/fake" in said and "tries" in said
    assert listener.health[-1][2]["reconnects"] == "1"


def test_frozen_pictures_end_in_silence() -> None:
    """After the error time of equal pictures nothing is published any more."""
    source = Unplugged([None], [1.0] * 1000)

    def make(settings, clock, twin) -> WatchedCamera:
        return WatchedCamera(source, Link, FrozenDetector(settings.frozen_threshold))

    with bench(["source:=v4l2", "frozen_warn:=0.2", "frozen_error:=0.5"]) as ros:
        listener = ros.add(Listener())
        ros.add(CameraNode(make))
        ros.until(lambda: any("not published" in text for _, text, _ in listener.health))
        seen = len(listener.raw)
        ros.until(lambda: len([1 for _, text, _ in listener.health if "not pub" in text]) >= 2)
    assert 0 < len(listener.raw) <= seen + 1


def test_twin_camera_waits_for_the_twin_and_draws_it() -> None:
    """Without states nothing is published; a state is drawn and its stamp is the picture's."""
    from adp_ros.sim.scene import build_scene

    scene = build_scene(scene_of("wipe_table", 0, "j2n6s300"))
    state = TwinState(task="wipe_table", seed=0, qpos=scene.model.qpos0.tolist())
    state.cleaned = [False] * len(scene.cells)
    state.header.stamp.sec, state.header.stamp.nanosec = 1000, 250_000_000
    with bench(["source:=twin"]) as ros:
        listener = ros.add(Listener())
        publisher = listener.create_publisher(TwinState, "/sim/state", 1)
        ros.add(CameraNode())
        ros.until(lambda: publisher.get_subscription_count() == 1)
        ros.until(lambda: len(listener.health) >= 1)
        assert listener.raw == []
        publisher.publish(state)
        ros.until(lambda: listener.raw)
    assert stamp(listener.raw[0]) == 1000.25
    assert np.std(listener.raw[0].data[::97]) > 20


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["source:=usb"], "source is 'usb', allowed: twin, v4l2, video, images"),
        (["image_width:=640.5"], "image_width is 640.5, a whole number is needed"),
        (["framerate:=0.0"], "framerate"),
        (["source:=v4l2", "video_device:=/dev/video987"], "/dev/video987 cannot be opened"),
        (["source:=images", "path:=/no/such/folder"], "/no/such/folder does not exist"),
        (["camera_info_url:=/no/such.yaml"], "/no/such.yaml can't be read"),
        (["image_width:='wide'"], "image_width is 'wide'"),
        (["framerat:=15.0"], "no parameter 'framerat', did you mean 'framerate'?"),
    ],
)
def test_bad_settings_end_in_one_line(capfd, parameters: list[str], words: str) -> None:
    """Exit status 2 and one line that names the thing."""
    assert run_main(parameters) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and words in errors[0]


def run_main(parameters: list[str]) -> int:
    """Run the node as its command does."""
    args = ["--ros-args"]
    for parameter in parameters:
        args += ["-p", parameter]
    return main(args)


def test_wrong_size_ends_in_one_line(capfd, tmp_path: Path) -> None:
    """A picture of another size is refused with both sizes and the way out."""
    assert run_main(images(folder(tmp_path, (800, 600)))) == 2
    said = capfd.readouterr().err
    assert "delivers 800x600, 640x480 is needed; set fit to crop, pad or stretch" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Exit status 0, no traceback, within seconds."""
    command = [sys.executable, "-c", "import sys; from adp_ros.ros.camera_node import main; "
               "sys.exit(main())", "--ros-args"]  # fmt: skip
    for parameter in images(folder(tmp_path)):
        command += ["-p", parameter]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=_environment(),
    )  # fmt: skip
    try:
        line = ""
        while "at 30 Hz" not in line:
            line = process.stdout.readline()
            assert line, "the node ended before it was ready"
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in output


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "ROS_DOMAIN_ID": str(own_domain()), "PYTHONUNBUFFERED": "1"}


def test_bench_is_quiet() -> None:
    """Nobody else publishes on this domain, so that what the tests see is the node's."""
    with bench() as ros:
        listener = ros.add(Listener())
        assert isinstance(ros, Bench)
        assert listener.count_publishers("/camera/image_raw") == 0
