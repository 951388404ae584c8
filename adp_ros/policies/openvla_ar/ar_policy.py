"""OpenVLA as a policy: one action a call, generated token by token, greedily.

An id that is no action, or an early end, is refused; upstream decodes what comes into a motion.
Pruning happens on the prefill, before the language model: an extension of ADP that its authors do
not have. The text that scores is BOS and prompt; there is no stop token in this sequence.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...adp.pruner import PruneContext, Pruner
from ...errors import CheckpointError, ConfigError, ObservationError
from ...settings import setting
from ...types import Observation
from ..conventions import read_convention
from ..openvla.forward import Clock, CudaStopwatch, Stopwatch
from ..openvla.load import WeightOptions, fill, placement
from ..openvla.model_config import ModelConfig, read_config
from ..openvla.tokenizer import PROMPT, STOP_ID, PromptTokenizer
from ..openvla.weight_files import CheckpointFiles
from ..policy import OPENVLA, Policy, PolicyInfo, Prediction
from .action_tokens import ActionRange, ActionTokens, read_action_range
from .ar_model import Prefilled, TokenVla
from .pictures import TokenPictures

_CACHED_PROMPTS: Final = 16
PROMPTS: Final = {
    "v0.2": PROMPT,
    "v0.1": (
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: What action "
        "should the robot take to {}? ASSISTANT:"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicyOptions(WeightOptions):
    """Choices of the user that no checkpoint file makes."""

    prompt: str = setting("v0.2", "Prompt the model was trained with.", choices=("v0.2", "v0.1"))
    center_crop: bool = setting(
        False, "Crop 90 % of the area, as evaluation of fine-tunes with augmentation does."
    )
    jpeg: bool = setting(
        False, "Compress as JPEG and resize by Lanczos first, as evaluation on LIBERO does."
    )


@dataclass(frozen=True, slots=True)
class Generated:
    """One call of the model.

    Attributes:
        ids: Tokens in the order they were generated; shorter than asked for after a stop.
        logits: Logits at each of them, shape (tokens, vocabulary), float32.
        hidden: State of the last prompt token after the final norm, shape (D,), float32.
        length: Tokens of the prefill.
    """

    ids: tuple[int, ...]
    logits: NDArray[np.float32]
    hidden: NDArray[np.float32]
    length: int


class OpenVlaTokenPolicy(Policy):
    """A loaded checkpoint. Not to be called from several threads at once.

    Attributes:
        action_range: Statistics that scale the actions.
    """

    def __init__(
        self,
        model: TokenVla,
        config: ModelConfig,
        *,
        tokenizer: PromptTokenizer,
        pictures: TokenPictures,
        action_range: ActionRange,
        info: PolicyInfo,
        clock: Clock,
    ) -> None:
        weight = model.lm_head.weight
        self.model = model
        self.info = info
        self.action_range = action_range
        self._device, self._dtype = weight.device, weight.dtype
        self._tokens = ActionTokens()
        self._tokenizer = tokenizer
        self._pictures = pictures
        self._clock = clock
        self._sizes = config.llm.cost_sizes
        self._prompt = lru_cache(maxsize=_CACHED_PROMPTS)(self._make_prompt)

    @torch.inference_mode()
    def predict(self, observation: Observation, pruner: Pruner | None = None) -> Prediction:
        """Plan one action, see :meth:`adp_ros.policies.policy.Policy.predict`.

        Order ``index`` is the one for a pruner to take: attention is causal here, so the order of
        patches matters. ``actions`` has shape (1, n), n the numbers of the statistics.

        Raises:
            ObservationError: The observation does not fit the checkpoint.
            ConfigError: The pruner cuts inside the language model, or does not fit it.
            PolicyError: The model gave a token that is no action, or stopped early.
        """
        watch = (CudaStopwatch if self._device.type == "cuda" else Stopwatch)(self._clock)
        generated, kept, scores = self._generate(observation, pruner, watch)
        needed = self.action_range.low.size
        self._tokens.refuse_others(generated.ids, needed)
        with watch.stage("head"):
            normalized = self._tokens.decode(generated.ids)  # (n,)
            actions = self.action_range.unnormalize(normalized)  # (n,)
        vision = self.model.patches_per_view
        flops, full = self._cost(generated.length, vision, kept, pruner)
        return Prediction(
            actions=actions[None],
            normalized_actions=normalized[None].astype(np.float32),
            kept=kept,
            scores=scores,
            sequence_lengths=(generated.length, generated.length),
            timing=watch.stop(),
            views=1,
            vision_tokens=vision,
            flops=flops,
            flops_full=full,
        )

    @torch.inference_mode()
    def generate(self, observation: Observation, pruner: Pruner | None = None) -> Generated:
        """Run the model and return its tokens as they come, whatever they are.

        Raises:
            ObservationError: The observation does not fit the checkpoint.
            ConfigError: The pruner cuts inside the language model, or does not fit it.
        """
        return self._generate(observation, pruner, Stopwatch(self._clock))[0]

    def _generate(
        self, observation: Observation, pruner: Pruner | None, watch: Stopwatch
    ) -> tuple[Generated, NDArray[np.int64] | None, NDArray[np.float32] | None]:
        with watch.stage("preprocess"):
            pixels, text, folded = self._read(observation, pruner)
        with watch.stage("vision"):
            patches = self.model.see(pixels[None])  # (1, V, D)
        kept = scores = None
        if pruner is not None and pruner.keep < 1:
            with watch.stage("scoring"):
                context = PruneContext(1, pixels, patches[0], text[0], folded, self.model)
                selection = pruner.select(context)
                kept, scores = selection.kept, selection.scores
                patches = patches.index_select(1, kept)  # (1, k, D)
        with watch.stage("llm"):
            prefilled = self.model.prefill(patches, text)
            ids, logits = self._greedy(prefilled)
        generated = Generated(
            ids, _on_host(logits), _on_host(prefilled.hidden.float()), prefilled.length
        )
        return (
            generated,
            None if kept is None else _on_host(kept),
            None if scores is None else _on_host(scores),
        )

    def _greedy(self, prefilled: Prefilled) -> tuple[tuple[int, ...], Tensor]:
        """Take the likeliest token until there are enough or the model stops."""
        ids: list[int] = []
        logits: list[Tensor] = []
        at = prefilled
        while True:
            logits.append(self.model.logits(at.hidden))  # (vocabulary,)
            ids.append(int(logits[-1].argmax()))
            if len(ids) == self.action_range.low.size or ids[-1] == STOP_ID:
                return tuple(ids), torch.stack(logits)
            at = self.model.extend(ids[-1], at)

    def _read(
        self, observation: Observation, pruner: Pruner | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        if len(observation.images) != 1:
            raise ObservationError(
                f"observation has {len(observation.images)} images, this checkpoint needs 1"
            )
        if observation.state is not None:
            raise ObservationError("state is given, but this checkpoint takes none")
        if pruner is not None and pruner.cut_layer > 0:
            raise ConfigError(
                f"pruner {pruner.name} drops patches inside the language model (layer "
                f"{pruner.cut_layer}); OpenVLA's prefill is pruned in front of it only"
            )
        text, folded = self._prompt(observation.instruction)
        length = self.model.patches_per_view + text.shape[1] + self.action_range.low.size
        if length > self.model.max_length:
            raise ObservationError(
                f"the instruction makes {length} tokens, the model was made for "
                f"{self.model.max_length}"
            )
        pixels = torch.from_numpy(self._pictures(observation.images[0]))  # (6, H, W)
        return pixels.to(self._device, self._dtype), text, folded

    def _make_prompt(self, instruction: str) -> tuple[Tensor, Tensor]:
        ids = torch.tensor(self._tokenizer.encode(instruction), device=self._device)
        text = self.model.language_model.embed_tokens(ids)  # (T, D)
        return text[None], self.model.fold_text(0, text)

    def _cost(
        self, length: int, vision: int, kept: NDArray[np.int64] | None, pruner: Pruner | None
    ) -> tuple[float, float]:
        """Return FLOPs of prefill, scoring and decoding, pruned and with full vision."""
        sequence = length if kept is None else length + vision - len(kept)
        full = self._sizes.flops(sequence) + self._decoding(sequence)
        if kept is None or pruner is None:
            return full, full
        prefill = pruner.flops(self._sizes, vision, sequence, (length, length))
        return prefill + self._decoding(length), full

    def _decoding(self, length: int) -> float:
        sizes, last = self._sizes, length + self.action_range.low.size - 1
        return sizes.flops(last) - sizes.flops(length)


def _on_host(values: Tensor) -> NDArray[Any]:
    host: NDArray[Any] = values.cpu().numpy()
    return host


def describe(directory: Path, options: TokenPolicyOptions) -> PolicyInfo:
    """Describe a checkpoint without loading its weights.

    Raises:
        CheckpointError: It is incomplete, corrupt or of an unsupported kind.
    """
    llm = read_config(directory, any_resize=True).llm
    return PolicyInfo(
        kind=OPENVLA,
        chunk_length=1,
        views=1,
        convention=read_convention(directory),
        layers=llm.num_hidden_layers,
        crop_area=0.9 if options.center_crop else 1.0,
        details={
            "layers": llm.num_hidden_layers,
            "hidden": llm.hidden_size,
            "prompt": options.prompt,
        },
    )


def load_checkpoint(
    directory: Path, options: TokenPolicyOptions, clock: Clock
) -> OpenVlaTokenPolicy:
    """Load a checkpoint, a directory as upstream's converter or fine-tuning leaves it.

    ``clock`` gives monotonic time in [s].

    Raises:
        CheckpointError: The directory is incomplete, corrupt or of an unsupported kind.
        ConfigError: The device is unknown or not there.
    """
    device, dtype = placement(options)
    action_range = read_action_range(directory, options.unnorm_key)
    config = read_config(directory, any_resize=True)
    tokenizer = PromptTokenizer(directory, PROMPTS[options.prompt])
    pictures = TokenPictures.from_checkpoint(directory, options.center_crop, options.jpeg)
    with torch.device("meta"):
        model = TokenVla(config)
    unused = fill(model, CheckpointFiles.find(directory), {}, device, dtype)
    if any(key.startswith("language_model.") for key in unused):
        raise CheckpointError(f"{directory} holds tensors that OpenVLA has none of: {unused[0]}")
    info = describe(directory, options)
    placed = {"device": str(device), "dtype": str(dtype).removeprefix("torch.")}
    info = replace(info, details={**info.details, **placed})
    return OpenVlaTokenPolicy(
        model.eval().to(device),
        config,
        tokenizer=tokenizer,
        pictures=pictures,
        action_range=action_range,
        info=info,
        clock=clock,
    )
