"""Fixed shapes: capture each stage once on CUDA, replay it from then on.

A gate with two states and a fixed number of kept patches needs two sequence lengths and no
more, so that every stage of a call has few shapes. On CUDA each is recorded as a graph when it
comes up for the first time; later calls copy their inputs into the recorded buffers and replay.
On the CPU the same stages simply run.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Inputs = tuple[Tensor | None, ...]

_WARM_UP_RUNS = 3  # libraries choose and load their kernels in the first runs


class Runner(Protocol):
    """Runs the stages of a call."""

    def __call__(self, key: Hashable, stage: Callable[..., T], *inputs: Tensor | None) -> T:
        """Run a stage, a function of its inputs alone, on tensors on the device.

        ``key`` is what it depends on besides the shapes of its inputs.
        """


class EagerRunner:
    """Runs every stage as it is."""

    def __call__(self, key: Hashable, stage: Callable[..., T], *inputs: Tensor | None) -> T:
        """Run a stage, see :class:`Runner`."""
        return stage(*inputs)


@dataclass(frozen=True, slots=True)
class Recording(Generic[T]):
    """A stage with its buffers.

    Attributes:
        inputs: Buffers the stage reads.
        output: What the stage returned; its tensors are overwritten by each replay.
        replay: Runs the stage on the buffers again.
    """

    inputs: Inputs
    output: T
    replay: Callable[[], None]


Recorder = Callable[[Callable[..., Any], Inputs], Recording[Any]]
"""Records a stage on buffers of its own."""


def record_cuda_graph(stage: Callable[..., T], inputs: Inputs) -> Recording[T]:
    """Capture a stage in a CUDA graph."""
    buffers = tuple(None if t is None else t.clone() for t in inputs)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP_RUNS):
            stage(*buffers)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = stage(*buffers)
    return Recording(buffers, output, graph.replay)


class GraphRunner:
    """Records each stage once per shape, replays it from then on.

    What a call returns stays valid until the same stage runs again. Of more recordings than
    ``limit``, the one not used for longest goes first.
    """

    def __init__(self, record: Recorder = record_cuda_graph, limit: int = 32) -> None:
        self._record = record
        self._limit = limit
        self._held: OrderedDict[Hashable, Recording[Any]] = OrderedDict()
        self.recorded = 0  # recordings made so far

    def __call__(self, key: Hashable, stage: Callable[..., T], *inputs: Tensor | None) -> T:
        """Run a stage, see :class:`Runner`."""
        shapes = tuple(None if t is None else (tuple(t.shape), t.dtype) for t in inputs)
        recording = self._held.get((key, shapes))
        if recording is None:
            recording = self._record(stage, inputs)
            self.recorded += 1
            self._held[key, shapes] = recording
        self._held.move_to_end((key, shapes))
        if len(self._held) > self._limit:
            self._held.popitem(last=False)
        for buffer, value in zip(recording.inputs, inputs, strict=True):
            if buffer is not None and value is not None:
                buffer.copy_(value)
        recording.replay()
        output: T = recording.output
        return output
