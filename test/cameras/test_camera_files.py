"""Stored pictures at the pace of a camera."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_fakes import FakeClock
from PIL import Image

from adp_ros.cameras.camera import CameraSettings
from adp_ros.cameras.files import ImageFolder, Pacer, VideoFile, picture_files
from adp_ros.errors import CameraError, ConfigError

SMALL = {"image_width": 64, "image_height": 48}


def folder(path: Path, colours: list[tuple[int, int, int]]) -> Path:
    """Write one 64x48 PNG per colour."""
    for i, colour in enumerate(colours):
        Image.new("RGB", (64, 48), colour).save(path / f"{i:03d}.png")
    return path


def video(path: Path, greys: list[int], rate: float = 10.0) -> Path:
    """Write a lossless video of grey pictures."""
    file = path / "video.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"FFV1"), rate, (64, 48))
    assert writer.isOpened()
    for grey in greys:
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    return file


def test_folder_in_name_order_as_rgb(tmp_path: Path) -> None:
    """Pictures come in the order of their names, red first, and start over."""
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    settings = CameraSettings(source="images", path=str(folder(tmp_path, colours)), **SMALL)
    source = ImageFolder(settings, FakeClock())
    source.open()
    seen = [source.read(1.0).rgb[10, 10].tolist() for _ in range(5)]
    assert seen == [[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 0, 0], [0, 200, 0]]


def test_numbers_in_names_count_and_hidden_files_do_not(tmp_path: Path) -> None:
    """``frame_2`` comes before ``frame_10``; what other systems leave behind is no picture."""
    for name in ("frame_10.png", "frame_2.png", "frame_1.png", "Other.JPG", "2.png", "10.jpeg"):
        (tmp_path / name).write_bytes(b"")
    for name in ("._frame_1.png", ".hidden.jpg", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    assert [path.name for path in picture_files(tmp_path)] == [
        *("Other.JPG", "frame_1.png", "frame_2.png", "frame_10.png", "2.png", "10.jpeg")
    ]
    for path in picture_files(tmp_path):
        path.unlink()
    source = ImageFolder(CameraSettings(source="images", path=str(tmp_path)), FakeClock())
    with pytest.raises(CameraError, match=r"has no picture, allowed: \.png"):
        source.open()


def test_folder_without_loop_ends_with_an_error(tmp_path: Path) -> None:
    """The end is said, with the setting that would start over."""
    settings = CameraSettings(
        source="images", path=str(folder(tmp_path, [(1, 2, 3)])), loop=False, **SMALL
    )
    source = ImageFolder(settings, FakeClock())
    source.open()
    assert source.read(1.0) is not None
    with pytest.raises(CameraError, match=r"has ended; set loop"):
        source.read(1.0)


def test_folder_at_the_frame_rate(tmp_path: Path) -> None:
    """Stamps of pictures are one period apart."""
    settings = CameraSettings(
        source="images", path=str(folder(tmp_path, [(1, 2, 3)])), framerate=20.0, **SMALL
    )
    source = ImageFolder(settings, FakeClock())
    source.open()
    stamps = [source.read(1.0).stamp for _ in range(6)]
    np.testing.assert_allclose(np.diff(stamps), 0.05, atol=1e-9)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    """Missing, empty and with a broken picture: each error names the path."""
    for path, words in ((tmp_path / "none", "does not exist"), (tmp_path, "has no picture")):
        source = ImageFolder(CameraSettings(source="images", path=str(path)), FakeClock())
        with pytest.raises(CameraError, match=words):
            source.open()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    source = ImageFolder(CameraSettings(source="images", path=str(tmp_path)), FakeClock())
    source.open()
    with pytest.raises(CameraError, match=r"broken\.png cannot be read"):
        source.read(1.0)


def test_picture_of_another_size_is_named(tmp_path: Path) -> None:
    """The file and both sizes are in the error."""
    settings = CameraSettings(source="images", path=str(folder(tmp_path, [(1, 2, 3)])))
    source = ImageFolder(settings, FakeClock())
    source.open()
    with pytest.raises(CameraError, match=r"000\.png delivers 64x48, 640x480 is needed"):
        source.read(1.0)


def test_video_keeps_its_own_rate_and_loops(tmp_path: Path) -> None:
    """A 10 Hz video is played at 10 Hz whatever the camera's rate, and starts over."""
    settings = CameraSettings(source="video", path=str(video(tmp_path, [10, 60, 110])), **SMALL)
    source = VideoFile(settings, FakeClock())
    assert source.open() == ()
    frames = [source.read(1.0) for _ in range(4)]
    assert [int(f.rgb[0, 0, 0]) for f in frames] == [10, 60, 110, 10]
    np.testing.assert_allclose(np.diff([f.stamp for f in frames]), 0.1, atol=1e-9)
    source.close()


def test_video_errors(tmp_path: Path) -> None:
    """A missing file, a file that is no video, and the end without loop."""
    absent = VideoFile(CameraSettings(source="video", path="/no/such.mp4"), FakeClock())
    with pytest.raises(CameraError, match=r"/no/such\.mp4 does not exist"):
        absent.open()
    (tmp_path / "text.mp4").write_text("no video")
    text = VideoFile(CameraSettings(source="video", path=str(tmp_path / "text.mp4")), FakeClock())
    with pytest.raises(CameraError, match=r"text\.mp4 cannot be read as a video"):
        text.open()
    short = VideoFile(
        CameraSettings(source="video", path=str(video(tmp_path, [5])), loop=False, **SMALL),
        FakeClock(),
    )
    short.open()
    assert short.read(1.0) is not None
    with pytest.raises(CameraError, match=r"has ended; set loop"):
        short.read(1.0)


def test_late_reader_skips_and_does_not_catch_up() -> None:
    """After a pause of ten periods the next picture is due at once, the one after a period on."""
    clock = FakeClock()
    pacer = Pacer(0.1, clock)
    assert pacer.wait(1.0)
    clock.time += 1.0
    due = []
    for _ in range(3):
        assert pacer.wait(1.0)
        due.append(clock.time)
    np.testing.assert_allclose(np.diff(due), 0.1)


def test_pacer_gives_up_after_the_timeout() -> None:
    """A wait longer than the timeout returns False, and later True."""
    clock = FakeClock()
    pacer = Pacer(1.0, clock)
    assert pacer.wait(0.5)
    assert not pacer.wait(0.4)
    assert pacer.wait(0.7)
    assert clock.time == pytest.approx(101.0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": "usb"}, r"source is 'usb', allowed: twin, v4l2"),
        ({"source": "video"}, r"path is '', a video source needs it"),
        ({"image_width": 0}, r"image_width is 0, allowed: 16 to 8192 \[px\]"),
        ({"pixel_format": "h264"}, r"pixel_format is 'h264', allowed: one of 'yuyv'"),
        ({"framerate": 0.0}, r"framerate is 0\.0"),
        ({"capture_width": 1280}, r"give both or none"),
        ({"frozen_error": 0.5}, r"frozen_error is 0\.5 s, allowed: at least frozen_warn"),
        ({"fit": "zoom"}, r"fit is 'zoom', allowed: one of 'exact'"),
    ],
)
def test_wrong_settings_are_refused_by_name(values: dict[str, object], words: str) -> None:
    """Each names the setting, its value and what is allowed."""
    with pytest.raises(ConfigError, match=words):
        CameraSettings(**values)
