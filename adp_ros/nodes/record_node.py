"""Recorder node: everything that a replay needs, into one bag."""

import os
import shutil
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from .. import __version__
from ..errors import CheckpointError, ConfigError
from ..health import Health
from ..recording.bag_writer import BagWriter
from ..recording.definitions import Definitions
from ..recording.notes import CHECKPOINT, FILE, ORIGIN, PARAMETERS, settings_text
from ..recording.provenance import checkpoint_fingerprint, git_revision
from ..recording.recorder import Note, Recorder
from ..recording.settings import RecordSettings
from .bag.parameters import ParameterCollector
from .bag.topics import RecordTopics
from .process.diagnostics import DiagnosticsPublisher
from .process.params import declare_settings, refuse_unknown_parameters
from .process.run import run_node
from .process.worker import Worker
from .process.yielding import be_nice

_BATCH_PERIOD = 0.05  # [s] from one write to the next
_LOOK_PERIOD = 0.25  # [s] between two looks for new topics and nodes


class RecordNode(Node):
    """Records until it is stopped; the arm needs nothing of it.

    Subscribes: every topic, as bytes
    Publishes: /diagnostics
    Parameters: :class:`~adp_ros.recording.settings.RecordSettings`
    """

    def __init__(self) -> None:
        super().__init__("record_node")
        self._settings = settings = declare_settings(self, RecordSettings)
        refuse_unknown_parameters(self)
        writer = _new_bag(settings)
        self._bag = writer.directory
        self._recorder = Recorder(writer, settings, lambda: shutil.disk_usage(self._bag).free)
        self._note_origin(writer)
        definitions = Definitions(os.environ)
        self._topics = RecordTopics(self, settings, definitions, self._recorder.put)
        self._collector = ParameterCollector(self, self._note_parameters)
        self._diagnostics = DiagnosticsPublisher(self, {"recording": self.health})
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # also while /clock stands still
        self.create_timer(_LOOK_PERIOD, self._look, clock=steady)
        self._complained = False
        self._ending = threading.Event()
        self._worker = Worker(self, "recorder", self._step, self._ending, self._prepare)
        self._starting = self.create_timer(0.0, self._start, clock=steady)

    def _start(self) -> None:
        """Begin once the executor runs: an interrupt from now on reaches ``destroy_node``."""
        self._starting.cancel()
        self._worker.start()
        self.get_logger().info(f"recording to {self._bag}, pictures: {self._settings.frames}")

    def health(self) -> Health:
        """Say how the recording goes."""
        return self._recorder.health()

    def _note_origin(self, writer: BagWriter) -> None:
        revision = git_revision(Path(__file__).resolve().parent) or "unknown"
        origin = {
            "package": f"adp_ros {__version__}",
            "git_revision": revision,
            "launch": self._settings.launch,
            "frames": self._settings.frames,
        }
        writer.set_custom("adp_ros", f"{__version__} {revision}")
        self._recorder.put(Note(ORIGIN, origin))

    def _note_parameters(self, node: str, values: dict[str, Any]) -> None:
        note = {"node": node, "yaml": settings_text(values)}
        self._recorder.put(Note(PARAMETERS, note))
        if "checkpoint" in values and "adp" in values:
            self._note_checkpoint(str(values["checkpoint"]))
            self._note_file(Path(str(values["adp"])).expanduser())

    def _note_checkpoint(self, checkpoint: str) -> None:
        directory = Path(checkpoint).expanduser()
        try:
            fingerprint = checkpoint_fingerprint(directory)
        except CheckpointError as error:
            self.get_logger().warning(f"hash of the checkpoint is not recorded: {error}")
            return
        note = {"directory": str(directory.resolve()), "hash": fingerprint}
        self._recorder.put(Note(CHECKPOINT, note))

    def _note_file(self, file: Path) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.get_logger().warning(f"settings {file} are not recorded: {error}")
            return
        self._recorder.put(Note(FILE, {"name": "adp", "path": str(file), "text": text}))

    def _look(self) -> None:
        self._topics.look()
        self._collector.look()
        if self._recorder.failed and not self._complained:
            self._complained = True
            self.get_logger().error(f"recording ended: {self._recorder.ended}")

    def _prepare(self) -> None:
        be_nice(self._settings.nice)

    def _step(self) -> None:
        self._ending.wait(_BATCH_PERIOD)
        self._recorder.step(time.monotonic())

    def destroy_node(self) -> None:
        """Finish the bag, then end the node."""
        self._worker.stop()
        self._recorder.close()
        super().destroy_node()


def _new_bag(settings: RecordSettings) -> BagWriter:
    folder = Path(settings.directory).expanduser()
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        directory = folder / (f"{stamp}-{attempt}" if attempt else stamp)
        try:
            return BagWriter(directory, settings.compression)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(
                f"directory is {settings.directory!r}: {error.strerror}, "
                "a folder that can be written is needed"
            ) from error
    raise ConfigError(f"directory {folder} has a thousand recordings of this second")


def record(args: Sequence[str]) -> tuple[int, Health | None]:
    """Record; return exit status and what became of the recording, None if it never began."""
    nodes: list[RecordNode] = []

    def make() -> RecordNode:
        nodes.append(RecordNode())
        return nodes[0]

    status = run_node(make, args, pictures=True)
    return status, nodes[0].health() if nodes else None


def main(args: Sequence[str] | None = None) -> int:
    """Record; returns the exit status."""
    return run_node(RecordNode, args, pictures=True)
