"""OpenVLA-OFT as a policy: observation in, chunk in physical units out."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...adp.pruner import Pruner
from ...errors import ObservationError, PolicyError
from ...types import ActionConvention, FloatArray, Observation
from ..conventions import StateLayout
from ..policy import Audit, Policy, Prediction
from .forward import Clock, CudaStopwatch, Cut, ForwardPass, FrameTokens, Stopwatch
from .graphs import EagerRunner, Runner
from .model import OpenVla
from .model_config import ModelConfig
from .normalisation import ConstantProprio, Statistics
from .preprocess import Preprocessor
from .tokenizer import STOP_ID, PromptTokenizer

if TYPE_CHECKING:
    from .reference import PlainForward

_CACHED_PROMPTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointParts:
    """What a checkpoint consists of, besides its weights.

    Attributes:
        convention: Frames and rotation of the actions, None where none is declared.
        layout: Order of the state's numbers, None where none is declared.
        unused_keys: Tensors of the checkpoint that the model doesn't use.
    """

    config: ModelConfig
    statistics: Statistics
    tokenizer: PromptTokenizer
    preprocessor: Preprocessor
    convention: ActionConvention | None
    layout: StateLayout | None
    unused_keys: tuple[str, ...] = ()


class OpenVlaPolicy(Policy):
    """A loaded checkpoint. Not to be called from several threads at once.

    Args:
        model: The network, with its weights.
        parts: What else the checkpoint holds.
        run: Runs the stages of a call.
        clock: Monotonic time in [s].
        row_offset: Where the head's rows begin, see :meth:`OpenVla.action_rows`.
        constant_proprio: What constant dimensions of the state become.
    """

    def __init__(
        self,
        model: OpenVla,
        parts: CheckpointParts,
        *,
        run: Runner,
        clock: Clock,
        row_offset: int = 0,
        constant_proprio: ConstantProprio = "inference",
    ) -> None:
        weight = model.language_model.embed_tokens.weight
        self.model = model
        self.parts = parts
        self.device: torch.device = weight.device
        self.dtype: torch.dtype = weight.dtype
        self.row_offset = row_offset
        placed = {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}
        info = parts.config.info(
            self.state_size, parts.convention, parts.layout, parts.preprocessor.crop_area
        )
        self.info = replace(info, details={**info.details, **placed})
        self._run = run
        self._clock = clock
        self._constant_proprio = constant_proprio
        self._forward = ForwardPass(model, run, row_offset)
        self._plain: PlainForward | None = None
        self._prompt = lru_cache(maxsize=_CACHED_PROMPTS)(self._make_prompt)

    @property
    def state_size(self) -> int | None:
        """Numbers of the proprioceptive state, None when the checkpoint takes none."""
        projector = self.model.proprio_projector
        return None if projector is None else projector.fc1.in_features

    @torch.inference_mode()
    def predict(self, observation: Observation, pruner: Pruner | None = None) -> Prediction:
        """Plan one chunk, see :meth:`adp_ros.policies.policy.Policy.predict`."""
        watch = (CudaStopwatch if self.device.type == "cuda" else Stopwatch)(self._clock)
        tokens = self._see(observation, pruner, self._run, watch)
        decoded, selection = self._forward.decode(tokens, pruner, watch)
        with watch.stage("head"):
            actions = self._run("head", self.model.action_head, decoded.hidden)
        normalized = _on_host(actions[0].float())  # (T, 7)
        if not np.isfinite(normalized).all():
            raise PolicyError("the model gave actions that are not finite")
        lengths = (decoded.lengths[0], decoded.lengths[-1])
        vision = tokens.patches.shape[1]
        sizes = self.parts.config.llm.cost_sizes
        sequence = vision + tokens.text.shape[1] + (tokens.proprio is not None) + self.model.slots
        flops = flops_full = sizes.flops(sequence)
        kept = scores = None
        merge_grid = 0
        if selection is not None and pruner is not None:
            flops = pruner.flops(sizes, vision, sequence, lengths)
            kept = _on_host(selection.kept)
            scores = None if selection.scores is None else _on_host(selection.scores)
            merge_grid = pruner.merge_side
        return Prediction(
            actions=self.parts.statistics.unnormalize(normalized),
            normalized_actions=normalized,
            kept=kept,
            scores=scores,
            sequence_lengths=lengths,
            timing=watch.stop(),
            views=tokens.views,
            vision_tokens=vision,
            flops=flops,
            flops_full=flops_full,
            merge_grid=merge_grid,
        )

    def audit(
        self, observation: Observation, prediction: Prediction, pruner: Pruner | None
    ) -> Audit:
        """Compare a prediction with the plainest arithmetic, see :func:`.reference.audit`."""
        from .reference import audit

        return audit(self, observation, prediction, pruner)

    def plain_forward(self, observation: Observation) -> Prediction:
        """Predict with the stock language model, see :class:`.reference.PlainForward`."""
        if self._plain is None:
            from .reference import PlainForward

            self._plain = PlainForward(self, self._clock)
        return self._plain(observation)

    @torch.inference_mode()
    def tokens(self, observation: Observation) -> FrameTokens:
        """Return what enters the language model before anything is pruned.

        Raises:
            ObservationError: The observation does not fit the checkpoint.
        """
        return self._see(observation, None, EagerRunner(), Stopwatch(self._clock))

    @torch.inference_mode()
    def layer_scores(self, observation: Observation) -> NDArray[np.float32]:
        """Score all patches at the input of each layer, shape (layers, V), float32.

        Proprioception takes no part: scoring passes run without it, whatever the state.

        Raises:
            ObservationError: The observation does not fit the checkpoint.
        """
        model, tokens = self.model, self.tokens(observation)
        text, patches = tokens.text.shape[1], tokens.patches.shape[1]
        hidden = model.sequence(tokens.patches, None, tokens.text)  # (1, S, D)
        rotary = model.rotary(hidden)
        scores: list[Tensor] = []
        for layer in range(len(model.language_model.layers)):
            words, seen = model.text_and_patches(hidden[0], text, patches)  # (T, D), (V, D)
            scores.append(model.score_patches(layer, seen, model.fold_text(layer, words)))  # (V,)
            hidden = model.language_model.run(hidden, rotary, layer, layer + 1)  # (1, S, D)
        return torch.stack(scores).cpu().numpy()  # (L, V)

    @torch.inference_mode()
    def vision_mass(
        self, observation: Observation, prediction: Prediction, pruner: Pruner | None
    ) -> FloatArray:
        """See :meth:`adp_ros.policies.policy.Policy.vision_mass`."""
        tokens, kept, cut = self.tokens(observation), None, None
        if pruner is not None and prediction.kept is not None:
            kept = torch.from_numpy(prediction.kept).to(self.device)
            cut = Cut.of(pruner, tokens)
        return self._forward.vision_mass(tokens, kept, cut).cpu().double().numpy()

    def _see(
        self, observation: Observation, pruner: Pruner | None, run: Runner, watch: Stopwatch
    ) -> FrameTokens:
        """Check an observation and turn it into tokens."""
        with watch.stage("preprocess"):
            views, needed = len(observation.images), self.parts.config.views
            if needed is not None and views != needed:
                raise ObservationError(
                    f"observation has {views} images, this checkpoint needs {needed}"
                )
            text, folded = self._prompt(observation.instruction)
            state = self._state(observation)
            self._forward.check(views, text.shape[1], state is not None, pruner)
            pixels = self._on_device(self.parts.preprocessor(observation.images))
        with watch.stage("vision"):
            patches, proprio = run("vision", self.model.perceive, pixels, state)
        return FrameTokens(views, pixels, patches, proprio, text, folded)

    def _state(self, observation: Observation) -> Tensor | None:
        state, needed = observation.state, self.state_size
        if needed is None:
            if state is not None:
                raise ObservationError("state is given, but this checkpoint takes none")
            return None
        if state is None:
            raise ObservationError(f"state is missing, this checkpoint needs {needed} numbers")
        normalized = self.parts.statistics.normalize_proprio(state, self._constant_proprio)
        return self._on_device(normalized)

    def _make_prompt(self, instruction: str) -> tuple[Tensor, Tensor]:
        ids = torch.tensor([*self.parts.tokenizer.encode(instruction), STOP_ID])
        text = self.model.language_model.embed_tokens(ids.to(self.device))  # (T, D)
        return text[None], self.model.fold_text(0, text)

    def _on_device(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(values).to(self.device, self.dtype)


def _on_host(values: Tensor) -> NDArray[Any]:
    """Copy: what a replayed graph gave is overwritten by its next replay."""
    host: NDArray[Any] = values.cpu().numpy()
    return host.copy()
