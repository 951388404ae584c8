"""One forward pass of the language model in stages that each have fixed shapes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...adp.merging import Groups, merge_dropped
from ...adp.pruner import Attending, Positions, PruneContext, Pruner, Selection
from ...errors import PolicyError
from ..policy import StageTimes
from .graphs import Runner
from .llama import Decoded, Rotary
from .model import OpenVla

Clock = Callable[[], float]


class Stopwatch:
    """Times the stages of one call on the CPU, where work is done when a call returns.

    ``clock`` gives monotonic time in [s].
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin = clock()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; a stage entered again adds up."""
        begin = self._clock()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + self._clock() - begin

    def stop(self) -> StageTimes:
        """Return all durations; call it when the results are on the host."""
        total = self._clock() - self._begin
        stages = ("preprocess", "vision", "scoring", "llm", "head")
        return StageTimes(**{name: self._seconds.get(name, 0.0) for name in stages}, total=total)


class CudaStopwatch(Stopwatch):
    """Times the stages by events on the CUDA stream, read when all is done."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Mark begin and end of a stage on the stream."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        yield
        end.record()
        self._marks.append((name, begin, end))

    def stop(self) -> StageTimes:
        """Return all durations; call it when the results are on the host."""
        for name, begin, end in self._marks:
            end.synchronize()
            elapsed = begin.elapsed_time(end) / 1000
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed
        return super().stop()


@dataclass(frozen=True, slots=True)
class FrameTokens:
    """One observation on the device.

    Attributes:
        pixels: Normalised pixel values, shape (6 * views, H, W).
        patches: Projected patches, shape (1, V, D).
        proprio: Shape (1, 1, D), or None.
        text: Embeddings of BOS, prompt and stop token, shape (1, T, D).
        folded: The text folded through layer 0, shape (D,).
    """

    views: int
    pixels: Tensor
    patches: Tensor
    proprio: Tensor | None
    text: Tensor
    folded: Tensor


class ForwardPass:
    """Runs the language model on all patches or on those a pruner chooses.

    ``run`` runs the stages; ``offset`` is where the head's rows begin, see
    :meth:`OpenVla.action_rows`.
    """

    def __init__(self, model: OpenVla, run: Runner, offset: int) -> None:
        self._model = model
        self._run = run
        self._offset = offset

    def check(self, views: int, text: int, proprio: bool, pruner: Pruner | None) -> None:
        """Refuse what cannot run, before any work is done; see :meth:`OpenVla.check_length`.

        Raises:
            ObservationError: The sequence is longer than the model's positions.
            ConfigError: The pruner does not fit the model or the number of views.
        """
        model = self._model
        model.check_length(views, text, proprio)
        if pruner is not None:
            pruner.kept_per_view(views, model.patches_per_view)
            model.layer(pruner.deepest_layer)

    def decode(
        self, tokens: FrameTokens, pruner: Pruner | None, watch: Stopwatch
    ) -> tuple[Decoded, Selection | None]:
        """Run the language model on one observation, without the patches that a pruner drops.

        Returns:
            Hidden states of the rows the head reads, and the pruner's choice.

        Raises:
            PolicyError: The pruner kept another number of patches than its budget.
        """
        inputs = (tokens.patches, tokens.proprio, tokens.text)
        if pruner is None or pruner.keep >= 1:
            with watch.stage("llm"):
                return self._run(("whole", None), partial(self._whole, None), *inputs, None), None
        cut = Cut.of(pruner, tokens)
        if cut.layer == 0:
            with watch.stage("scoring"):
                selection = self._choose(tokens, pruner, None)
            with watch.stage("llm"):
                whole = partial(self._whole, cut)
                return self._run(("whole", cut), whole, *inputs, selection.kept), selection
        with watch.stage("llm"):
            stage = partial(self._begin, cut.layer - 1)
            hidden = self._run(("begin", cut.layer), stage, *inputs)  # (1, S, D)
        with watch.stage("scoring"):
            selection = self._choose(tokens, pruner, hidden)
        with watch.stage("llm"):
            end = partial(self._end, cut)
            return self._run(("end", cut), end, hidden, selection.kept), selection

    def vision_mass(self, tokens: FrameTokens, kept: Tensor | None, cut: "Cut | None") -> Tensor:
        """Return the share of the action rows' attention that vision tokens get in each layer.

        ``kept`` are the indices of the patches that remain, shape (k,); None for all.

        Returns:
            Shape (layers,), mean over rows and heads.
        """
        model = self._model
        hidden = model.sequence(tokens.patches, tokens.proprio, tokens.text)  # (1, S, D)
        others = hidden.shape[1] - tokens.patches.shape[1]
        short = Shortened(hidden, model.rotary(hidden))
        masses = []
        for index in range(len(model.language_model.layers)):
            if cut is not None and kept is not None and index == cut.layer:
                short = shorten(model, short.hidden, kept, cut)
            hidden, layer = short.hidden, model.layer(index)
            rows = model.action_rows(hidden.shape[1], self._offset)
            received = layer.attention_received(hidden, short.rotary, rows, short.bias)  # (1, S)
            masses.append(received[0, 1 : 1 + hidden.shape[1] - others].sum())
            short = replace(short, hidden=layer(hidden, short.rotary, bias=short.bias))
        return torch.stack(masses)

    def _choose(self, tokens: FrameTokens, pruner: Pruner, before: Tensor | None) -> Selection:
        """Ask a pruner; ``before`` is the input of the layer before the cut, None at the first."""
        views = tokens.views

        def select(
            pixels: Tensor, patches: Tensor, text: Tensor, folded: Tensor, hidden: Tensor | None
        ) -> Selection:
            attention = None
            if hidden is not None:
                sizes = (patches.shape[1], text.shape[1])
                attention = partial(self._received, pruner.cut_layer - 1, hidden, sizes)
            return pruner.select(
                PruneContext(views, pixels, patches[0], text[0], folded, self._model, attention)
            )

        inputs = (tokens.pixels, tokens.patches, tokens.text, tokens.folded, before)
        if pruner.graph_safe:
            selection = self._run(("choose", pruner, views), select, *inputs)
        else:
            selection = select(*inputs)
        budget = sum(pruner.kept_per_view(views, self._model.patches_per_view))
        if selection.kept.shape != (budget,):
            raise PolicyError(
                f"pruner {pruner.name} kept {tuple(selection.kept.shape)}, its budget is {budget}"
            )
        return selection

    def _received(
        self, layer: int, hidden: Tensor, sizes: tuple[int, int], attending: Attending
    ) -> Tensor:
        """Return the attention that patches receive in a layer, shape (V,)."""
        patches, text = sizes
        length = hidden.shape[1]
        slots = length - 1 - self._model.slots  # where the empty slots begin
        rows = {
            "last": slice(length - 1, length),
            "text": slice(slots - (text - 2), slots),  # without BOS and stop
            "actions": self._model.action_rows(length, self._offset),
        }[attending]
        rotary = self._model.rotary(hidden)
        received = self._model.layer(layer).attention_received(hidden, rotary, rows)  # (1, S)
        return received[0, 1 : 1 + patches]

    def _whole(
        self,
        cut: "Cut | None",
        patches: Tensor,
        proprio: Tensor | None,
        text: Tensor,
        kept: Tensor | None,
    ) -> Decoded:
        hidden = self._model.sequence(patches, proprio, text)  # (1, S, D)
        if cut is None or kept is None:
            return self._rest(Shortened(hidden, self._model.rotary(hidden)), 0)
        return self._rest(shorten(self._model, hidden, kept, cut), 0)

    def _begin(self, last: int, patches: Tensor, proprio: Tensor | None, text: Tensor) -> Tensor:
        hidden = self._model.sequence(patches, proprio, text)  # (1, S, D)
        return self._model.language_model.run(hidden, self._model.rotary(hidden), 0, last)

    def _end(self, cut: "Cut", hidden: Tensor, kept: Tensor) -> Decoded:
        full, rotary = hidden.shape[1], self._model.rotary(hidden)
        hidden = self._model.language_model.run(hidden, rotary, cut.layer - 1, cut.layer)
        decoded = self._rest(shorten(self._model, hidden, kept, cut), cut.layer)
        return Decoded(decoded.hidden, (full,) * cut.layer + decoded.lengths)

    def _rest(self, short: "Shortened", first: int) -> Decoded:
        rows = self._model.action_rows(short.hidden.shape[1], self._offset)
        decoded: Decoded = self._model.language_model(
            short.hidden, short.rotary, rows, first, short.bias
        )
        return decoded


@dataclass(frozen=True, slots=True)
class Cut:
    """How dropped patches leave the sequence.

    Attributes:
        positions: Position numbers of what remains.
        layer: Layer in front of which they leave; 0 is before the model.
        groups: How they are grouped, each group giving one token; a side of 0 merges nothing.
    """

    positions: Positions
    layer: int
    groups: Groups

    @classmethod
    def of(cls, pruner: Pruner, tokens: FrameTokens) -> "Cut":
        """Return how the patches leave that a pruner drops of one observation."""
        patches = tokens.patches.shape[1] // tokens.views
        groups = Groups(tokens.views, patches, pruner.merge_side, pruner.merge_weighted)
        return cls(pruner.positions, pruner.cut_layer, groups)


@dataclass(frozen=True, slots=True)
class Shortened:
    """A sequence without the dropped patches.

    Attributes:
        hidden: Shape (1, S, D).
        rotary: Rotation of its positions.
        bias: Added to the logits of each token as a key, shape (S,); None for nothing.
    """

    hidden: Tensor
    rotary: Rotary
    bias: Tensor | None = None


def shorten(model: OpenVla, hidden: Tensor, kept: Tensor, cut: Cut) -> Shortened:
    """Take the dropped patches out of a sequence (1, S, D), and put in the tokens they merge to.

    ``kept`` are the indices of the patches that remain, shape (k,).
    """
    patches, full = cut.groups.views * cut.groups.patches, hidden.shape[1]
    if cut.groups.side == 0:
        places = survivors(kept, patches, full)  # (S',)
        hidden = hidden.index_select(1, places)  # (1, S', D)
        return Shortened(hidden, model.rotary(hidden, places if cut.positions == "kept" else None))
    merged = merge_dropped(hidden[0, 1 : 1 + patches], kept, cut.groups)
    behind = hidden[:, 1 + patches :]  # (1, S - 1 - V, D)
    hidden = torch.cat([hidden[:, :1], merged.tokens[None], behind], dim=1)  # (1, S', D)
    none = merged.bias.new_zeros(behind.shape[1])
    bias = torch.cat([none[:1], merged.bias, none])  # (S',)
    if cut.positions == "reindexed":
        places = (bias > -torch.inf).long().cumsum(0) - 1  # (S',), one that is never seen has none
    else:
        tail = torch.arange(1 + patches, full, device=kept.device)
        places = torch.cat([tail.new_zeros(1), merged.places + 1, tail])  # (S',)
    return Shortened(hidden, model.rotary(hidden, places), bias)


def survivors(kept: Tensor, patches: int, length: int) -> Tensor:
    """Return where the tokens that remain stood in a full sequence of some length.

    ``kept`` are the indices of those of its patches that remain, shape (k,).

    Returns:
        Shape (length - patches + k,), int64.
    """
    first = torch.zeros(1, dtype=kept.dtype, device=kept.device)
    tail = torch.arange(1 + patches, length, device=kept.device)
    return torch.cat([first, kept + 1, tail])
