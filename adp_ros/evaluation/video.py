"""Video of a run: the camera's pictures with the patches that the policy did not look at.

Pictures are kept as JPEG while the run lasts and are encoded after it, so that the recording
takes no time from the nodes.
"""

import os
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import simplejpeg

from ..policies.window import TokenAudit
from ..types import Rgb

FRAME_RATE: Final = 10  # [Hz]
TIME_BASE: Final = Fraction(1, 1000)  # [s]; pictures keep their capture times
JPEG_QUALITY: Final = 80
SAME: Final = 1e-6  # [s]; stamps that went through a difference of floats
CAPTION_HEIGHT: Final = 24  # [px]
WHITE: Final = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class _Picture:
    stamp: float
    jpeg: bytes
    caption: str


class VideoLog:
    """Collects pictures and pruning while a run lasts."""

    def __init__(self) -> None:
        self._pictures: list[_Picture] = []
        self._views: list[tuple[float, TokenAudit]] = []
        self._due = float("-inf")

    @property
    def pictures(self) -> int:
        """Pictures kept so far."""
        return len(self._pictures)

    def wants(self, stamp: float) -> bool:
        """Tell whether a picture of this stamp would be kept."""
        return stamp >= self._due

    def note_picture(self, stamp: float, jpeg: bytes, caption: str) -> None:
        """Keep a picture unless the last one is less than a frame period older."""
        if not self.wants(stamp):
            return
        self._due = max(self._due + 1.0 / FRAME_RATE, stamp + 0.5 / FRAME_RATE)
        self._pictures.append(_Picture(stamp, jpeg, caption))

    def note_view(self, stamp: float, audit: TokenAudit) -> None:
        """Note what the policy saw from a time in [s] on; windows come in order."""
        self._views.append((stamp, audit))

    def drawn_jpeg(self, stamp: float, crop_area: float) -> bytes:
        """Return the newest picture of that stamp or before, with the patches pruned then marked.

        Before the first picture, that one is taken; ``crop_area`` is the share of the picture's
        area that the policy looks at.
        """
        place = bisect_right(self._pictures, stamp, key=lambda picture: picture.stamp)
        rgb = simplejpeg.decode_jpeg(self._pictures[max(place - 1, 0)].jpeg)
        views = bisect_right(self._views, stamp + SAME, key=lambda view: view[0])
        if views:
            rgb = self._views[views - 1][1].draw(rgb, crop_area)
        return bytes(simplejpeg.encode_jpeg(rgb, quality=JPEG_QUALITY, colorsubsampling="420"))

    def write(self, path: Path, crop_area: float, *, shortened: bool = False) -> None:
        """Encode what was kept as H.264, which every browser plays.

        The file is whole or not there: until it is, it has another name. Where it is interrupted,
        the video of the pictures until then is kept if ``shortened``.

        Raises:
            ValueError: No picture was kept.
        """
        if not self._pictures:
            raise ValueError("no picture was kept")
        part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
        try:
            self._encode(part, crop_area)
            part.replace(path)
        except KeyboardInterrupt:
            if shortened and part.exists():
                part.replace(path)
            raise
        finally:
            part.unlink(missing_ok=True)

    def _encode(self, path: Path, crop_area: float) -> None:
        """Write the file; an interrupt ends it early, and it plays all the same."""
        first = self._pictures[0].stamp
        shape = self._drawn(self._pictures[0], crop_area).shape
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("h264", rate=FRAME_RATE)
            stream.width, stream.height = shape[1] // 2 * 2, shape[0] // 2 * 2
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "veryfast", "crf": "23"}
            stream.codec_context.time_base = TIME_BASE
            try:
                for picture in self._pictures:
                    drawn = self._drawn(picture, crop_area)[: stream.height, : stream.width]
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawn), format="rgb24")
                    frame.pts = round((picture.stamp - first) / TIME_BASE)
                    frame.time_base = TIME_BASE
                    container.mux(stream.encode(frame))
            finally:
                container.mux(stream.encode())

    def _drawn(self, picture: _Picture, crop_area: float) -> Rgb:
        rgb, caption = simplejpeg.decode_jpeg(picture.jpeg), picture.caption
        place = bisect_right(self._views, picture.stamp, key=lambda view: view[0])
        if place:
            _, audit = self._views[place - 1]
            rgb, caption = audit.draw(rgb, crop_area), f"{caption}   {audit.words}"
        bar = np.zeros((CAPTION_HEIGHT, rgb.shape[1], 3), dtype=np.uint8)
        cv2.putText(bar, caption, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA)
        return np.concatenate([rgb, bar])
