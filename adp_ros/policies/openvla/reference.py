"""The oracle of the benchmark: the same chunk by the plainest arithmetic, and tokens counted.

Upstream runs all of ``LlamaForCausalLM`` with a mask over the whole sequence, keeps every hidden
state, computes the logits of every token and reads 56 rows of the last state. This arm does the
same with ``transformers``' own model and the policy's weights; everything before and after the
language model is the policy's own code, so that the comparison is about the language model alone.

Written from the equations of Llama and OpenVLA-OFT in float32, one matrix after the other, with
every attention weight spelled out. It shares the weights with the policy under test, and nothing
else of its language model: no fused attention, no shortcut in the last layer, no caches.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import silu
from transformers import LlamaForCausalLM

from ...adp.pruner import Pruner
from ...types import Observation
from ..policy import Audit, Prediction
from .forward import Clock, FrameTokens
from .llama import DecoderLayer
from .model import OpenVla, llama_config
from .oft_policy import OpenVlaPolicy


class PlainForward:
    """Full-vision forward pass through the stock model.

    It shares the policy's weights; only the logits' matrix is new, and random.
    """

    def __init__(self, policy: OpenVlaPolicy, clock: Clock) -> None:
        config = llama_config(policy.parts.config.llm)
        config._attn_implementation = "sdpa"
        with torch.device("meta"):
            stock = LlamaForCausalLM(config)
        ours = policy.model.language_model.state_dict()
        weights = {f"model.{name}": tensor for name, tensor in ours.items()}
        weights["lm_head.weight"] = torch.randn_like(ours["embed_tokens.weight"])
        stock.load_state_dict(weights, strict=True, assign=True)
        stock.model.rotary_emb = policy.model.language_model.rotary_emb
        self._stock = stock.eval()
        self._policy = policy
        self._clock = clock

    @torch.inference_mode()
    def __call__(self, observation: Observation) -> Prediction:
        """Predict with full vision; only the stage ``llm`` differs from the policy's own."""
        own = self._policy.predict(observation)
        tokens = self._policy.tokens(observation)
        model = self._policy.model
        hidden = model.sequence(tokens.patches, tokens.proprio, tokens.text)  # (1, S, D)
        self._wait()
        begin = self._clock()
        rows = self._run(hidden)  # (1, A, D)
        self._wait()
        seconds = self._clock() - begin
        actions = model.action_head(rows)[0].float().cpu().numpy()  # (T, 7)
        total = own.timing.total - own.timing.llm + seconds
        return replace(
            own,
            normalized_actions=actions,
            actions=self._policy.parts.statistics.unnormalize(actions),
            timing=replace(own.timing, llm=seconds, total=total),
        )

    def _run(self, hidden: Tensor) -> Tensor:
        length = hidden.shape[1]
        mask = hidden.new_zeros(1, 1, length, length)  # every token sees every token
        out = self._stock(
            inputs_embeds=hidden, attention_mask=mask, use_cache=False, output_hidden_states=True
        )
        out.logits.float()
        rows = self._policy.model.action_rows(length, self._policy.row_offset)
        last: Tensor = out.hidden_states[-1][:, rows]  # (1, A, D)
        return last

    def _wait(self) -> None:
        if self._policy.device.type == "cuda":
            torch.cuda.synchronize(self._policy.device)


def reference_chunk(
    model: OpenVla,
    tokens: FrameTokens,
    kept: Tensor | None,
    pruner: Pruner | None,
    row_offset: int = 0,
) -> Tensor:
    """Compute normalised actions, shape (T, 7), float32, for one observation.

    ``kept`` are the patches that go on, in their order, shape (k,), None for all; the pruner says
    where and how the others leave. ``row_offset`` is that of :meth:`OpenVla.action_rows`.
    """
    hidden, positions = _sequence(model, tokens)  # (S, D), (S,)
    for index in range(len(model.language_model.layers)):
        if kept is not None and pruner is not None and index == pruner.cut_layer:
            hidden, positions = _drop(hidden, tokens, kept, pruner)
        hidden = _layer(model.layer(index), hidden, positions, model)  # (S, D)
    hidden = _rms_norm(model.language_model.norm, hidden)  # (S, D)
    start = len(hidden) - 1 - model.slots - 1 + row_offset  # stop token; rows predict the next one
    head = hidden[start : start + model.slots].reshape(-1, 7 * hidden.shape[1])  # (T, 7 D)
    return _head(model.action_head, head)  # (T, 7)


def _sequence(model: OpenVla, tokens: FrameTokens) -> tuple[Tensor, Tensor]:
    text = tokens.text[0].float()  # (T, D)
    empty = torch.zeros(model.slots, text.shape[1], device=text.device)  # (A, D)
    parts = [text[:1], tokens.patches[0].float()]
    if tokens.proprio is not None:
        parts.append(tokens.proprio[0].float())
    hidden = torch.cat([*parts, text[1:-1], empty, text[-1:]])  # (S, D)
    return hidden, torch.arange(len(hidden), device=hidden.device)


def _drop(
    hidden: Tensor, tokens: FrameTokens, kept: Tensor, pruner: Pruner
) -> tuple[Tensor, Tensor]:
    """Leave patches out; a mean token of n patches comes in n times, at one position."""
    patches = tokens.patches.shape[1]
    entries = [(float(i), hidden[1 + int(i)], 1) for i in kept]
    if pruner.merge_side:
        means = _means(hidden, tokens, kept, pruner)
        entries = sorted([*entries, *means], key=lambda entry: entry[0])
    head = [(-1.0, hidden[0], 1)]
    tail = [(float(i - 1), hidden[i], 1) for i in range(1 + patches, len(hidden))]
    rows, places = [], []
    for number, (place, row, copies) in enumerate([*head, *entries, *tail]):
        rows += [row] * copies
        places += [1 + place if pruner.positions == "kept" else number] * copies
    return torch.stack(rows), torch.tensor(places, device=hidden.device)


def _means(
    hidden: Tensor, tokens: FrameTokens, kept: Tensor, pruner: Pruner
) -> list[tuple[float, Tensor, int]]:
    patches, side, grid = tokens.patches.shape[1], pruner.merge_side, 16
    groups: dict[tuple[int, int, int], list[int]] = {}
    for patch in set(range(patches)) - set(kept.tolist()):
        view, cell = divmod(patch, patches // tokens.views)
        square = (view, cell // grid * side // grid, cell % grid * side // grid)
        groups.setdefault(square, []).append(patch)
    members, weighted = groups.values(), pruner.merge_weighted
    return [
        (sum(m) / len(m), hidden[[1 + i for i in m]].mean(0), len(m) if weighted else 1)
        for m in members
    ]


def _layer(layer: DecoderLayer, hidden: Tensor, positions: Tensor, model: OpenVla) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    normed = _rms_norm(layer.input_layernorm, hidden)  # (S, D)
    size = int(attention.head_dim)
    query = _rotate(_heads(_linear(attention.q_proj, normed), size), positions, model)  # (H, S, d)
    key = _rotate(_heads(_linear(attention.k_proj, normed), size), positions, model)  # (K, S, d)
    value = _heads(_linear(attention.v_proj, normed), size)  # (K, S, d)
    groups = len(query) // len(key)
    mixed = []
    for head, queries in enumerate(query):
        weights = (queries @ key[head // groups].T * size**-0.5).softmax(-1)  # (S, S)
        mixed.append(weights @ value[head // groups])  # (S, d)
    hidden = hidden + _linear(attention.o_proj, torch.cat(mixed, dim=1))  # (S, D)
    normed = _rms_norm(layer.post_attention_layernorm, hidden)  # (S, D)
    gated = silu(_linear(mlp.gate_proj, normed)) * _linear(mlp.up_proj, normed)  # (S, M)
    return hidden + _linear(mlp.down_proj, gated)  # (S, D)


def _heads(rows: Tensor, size: int) -> Tensor:
    return rows.view(len(rows), -1, size).transpose(0, 1)  # (H, S, d)


def _rotate(heads: Tensor, positions: Tensor, model: OpenVla) -> Tensor:
    half = heads.shape[-1] // 2
    base = float(model.language_model.rotary_emb.config.rope_parameters["rope_theta"])
    steps = torch.arange(half, device=heads.device, dtype=torch.float32) / half  # (d/2,)
    angles = positions.float()[:, None] * base**-steps  # (S, d/2)
    cos, sin = angles.cos(), angles.sin()  # (S, d/2)
    first, second = heads[..., :half], heads[..., half:]  # (H, S, d/2)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _rms_norm(norm: Any, rows: Tensor) -> Tensor:
    mean_square: Tensor = rows.pow(2).mean(-1, keepdim=True)  # (S, 1)
    scale: Tensor = norm.weight.float()  # (D,)
    return rows / torch.sqrt(mean_square + norm.variance_epsilon) * scale


def _linear(layer: Any, rows: Tensor) -> Tensor:
    out: Tensor = rows @ layer.weight.float().T
    return out if layer.bias is None else out + layer.bias.float()


def _head(head: Any, rows: Tensor) -> Tensor:
    rows = _linear(head.fc1, _layer_norm(head.layer_norm1, rows)).clamp(min=0)  # (T, D)
    for block in head.mlp_resnet_blocks:
        norm, linear = block.ffn[0], block.ffn[1]
        rows = rows + _linear(linear, _layer_norm(norm, rows)).clamp(min=0)  # (T, D)
    return _linear(head.fc2, _layer_norm(head.layer_norm2, rows))  # (T, 7)


def _layer_norm(norm: Any, rows: Tensor) -> Tensor:
    centred = rows - rows.mean(-1, keepdim=True)
    variance = centred.pow(2).mean(-1, keepdim=True)
    out: Tensor = (
        centred / torch.sqrt(variance + norm.eps) * norm.weight.float() + norm.bias.float()
    )
    return out


# Largest |difference| of normalised actions (they span about -1 to 1) to the float32 reference.
TOLERANCE: Final = {torch.float32: 1e-3, torch.bfloat16: 1e-1}


@torch.inference_mode()
def audit(
    policy: OpenVlaPolicy, observation: Observation, prediction: Prediction, pruner: Pruner | None
) -> Audit:
    """Check what a policy made of an observation with a pruner, None for full vision."""
    tokens = policy.tokens(observation)
    views, patches = tokens.views, tokens.patches.shape[1]
    per_view = entering = (patches // views,) * views
    if pruner is not None:
        per_view = pruner.kept_per_view(views, patches // views)
        entering = pruner.tokens_per_view(views, patches // views)
    chosen = None if prediction.kept is None else torch.from_numpy(prediction.kept)
    kept = patches if chosen is None else len(chosen)
    distinct = patches if chosen is None else len(chosen.unique())
    others = tokens.text.shape[1] + (tokens.proprio is not None) + policy.model.slots
    whole = pruner is not None and pruner.cut_layer > 0
    lengths = prediction.sequence_lengths
    lengths_expected = others + (patches if whole else sum(entering)), others + sum(entering)
    reference = reference_chunk(
        policy.model,
        tokens,
        None if chosen is None else chosen.to(policy.device),
        pruner,
        policy.row_offset,
    )
    difference = float(np.abs(reference.cpu().numpy() - prediction.normalized_actions).max())
    tolerance, failures = TOLERANCE[policy.dtype], []
    if kept != sum(per_view) or distinct != kept:
        failures.append(f"{kept} patches kept ({distinct} distinct), {sum(per_view)} expected")
    if lengths != lengths_expected:
        failures.append(f"{lengths} tokens entered first and last layer, not {lengths_expected}")
    if not difference <= tolerance:
        failures.append(f"actions differ by {difference:.2g} from the reference, over {tolerance}")
    return Audit(
        kept, sum(per_view), lengths, lengths_expected, difference, tolerance, tuple(failures)
    )
