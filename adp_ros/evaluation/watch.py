"""Watches one rollout: which item is taken first, and, for a video, what is seen."""

from typing import Final

import simplejpeg

from ..demo.video import PrunedView, VideoLog
from ..kinematics import arm_model
from ..rollout import PlannedChunk, RolloutConfig, StepView, View, WindowRecord
from ..sim.items import Receptacle
from ..sim.placement import place
from ..types import FloatArray
from .taken import TakenWatch

JPEG_QUALITY: Final = 85


class RolloutWatch:
    """Observer of a rollout.

    Attributes:
        taken: Which item was taken.
        distractors: Things of another task lie on the table.
    """

    def __init__(self, config: RolloutConfig, video: VideoLog | None, caption: str) -> None:
        """Find out what lies on the table.

        Args:
            config: Of the rollout.
            video: Gets pictures and pruned patches, None for none.
            caption: Below each picture.
        """
        task = config.found_task
        items = [item for item, _ in place(task, config.seed, config.distractors).items]
        named = [item.name for item in task.items if not isinstance(item, Receptacle)]
        self._named = named[0] if named else ""
        first = 6 + arm_model(config.robot_type).fingers  # then 7 numbers for each item
        self._addresses = {
            item.name: first + 7 * number
            for number, item in enumerate(items)
            if named and not isinstance(item, Receptacle)
        }
        self.distractors = len(items) > len(task.items)
        self.taken = TakenWatch(self._named, {})
        self._started = False
        self._video = video
        self._caption = caption

    def on_step(self, step: StepView) -> None:
        """See where the items are; keep a picture."""
        view = step.view
        places = self._places(view)
        if not self._started:
            self._started = True
            self.taken = TakenWatch(self._named, places)
        self.taken.see(places)
        if self._video is not None and self._video.wants(view.time):
            jpeg = simplejpeg.encode_jpeg(view.rgb(), quality=JPEG_QUALITY)
            caption = f"{self._caption}   {view.time:.1f} s   {view.truth.progress:.0%}"
            self._video.note_picture(view.time, jpeg, caption)

    def on_window(self, view: View, planned: PlannedChunk, record: WindowRecord) -> None:
        """Note which patches the policy saw."""
        if self._video is not None and planned.result is not None:
            report = planned.result.report
            self._video.note_view(PrunedView(record.time, report.tokens_total, report.kept))

    def _places(self, view: View) -> dict[str, FloatArray]:
        qpos = view.truth.qpos
        return {name: qpos[at : at + 3] for name, at in self._addresses.items()}
