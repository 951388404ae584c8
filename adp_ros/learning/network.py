"""The policy with its losses, as one module that several processes can train together."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    log_softmax,
    scaled_dot_product_attention,
)
from torch.overrides import TorchFunctionMode

from ..policies.openvla.model import OpenVla
from .batch import Batch
from .recipe import LossWeights
from .relevance import SHOWN, TOOL, PatchHeads, Readout, inside, patch_distances, wanted_relevance

_SHARPNESS = 4.0  # factor on scores before the softmax of the relevance loss
_NEAR = 2.2  # [patches^2] within which a patch knows where the item is
_RARE = 8.0  # weight of the patches that show something, which are few


class TrainingNetwork(nn.Module):
    """Policy and the networks that exist at training only: patch heads and readout."""

    def __init__(self, policy: OpenVla, instructions: int) -> None:
        super().__init__()
        hidden = policy.language_model.embed_tokens.weight.shape[1]
        self.policy = policy
        self.patch_heads = PatchHeads(hidden, instructions)
        self.readout = Readout(hidden)

    def forward(
        self,
        batch: Batch,
        weights: LossWeights,
        kept: Tensor | None = None,
        patches: Tensor | None = None,
        places: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses that have a weight.

        Args:
            batch: Examples.
            weights: Which losses, and the weights in ``total``.
            kept: Vision tokens that enter the decoder, the same for all, shape (k,); None for
                all of them.
            patches: Vision tokens, shape (B, V, D); None to compute them from the pixels.
            places: Positions of the vision tokens and of what follows them, counted from the
                first, shape (k + 1,); None for 0 to k.

        Returns:
            Name -> scalar, with ``total``.
        """
        if patches is None:
            patches = self.policy.see(batch.pixels)  # (B, V, D)
        losses: dict[str, Tensor] = {}
        if weights.relevance:
            log_share = log_softmax(_SHARPNESS * self._scores(batch, patches), -1)  # (B, V)
            losses["relevance"] = -(wanted_relevance(batch.places) * log_share).sum(-1).mean()
        if weights.patches:
            losses["patches"] = self._patches(batch, patches)
        if weights.action or weights.readout:
            chosen = patches if kept is None else patches[:, kept]  # (B, k, D)
            actions, readout = self._decode(batch, chosen, places)
            losses["action"] = (actions - batch.chunk).abs().mean()
            if weights.readout:
                losses["readout"] = readout
        losses["total"] = sum(
            (weights.__getattribute__(name) * loss for name, loss in losses.items()),
            start=patches.new_zeros(()),
        )
        return losses

    def scores(self, batch: Batch) -> Tensor:
        """Return the text-to-patch scores of layer 0, shape (B, V), float32."""
        return self._scores(batch, self.policy.see(batch.pixels))

    def actions(self, batch: Batch) -> Tensor:
        """Return normalised actions, shape (B, T, 7), float32."""
        return self._decode(batch, self.policy.see(batch.pixels))[0]

    def _scores(self, batch: Batch, patches: Tensor) -> Tensor:
        embed = self.policy.language_model.embed_tokens
        scores = patches.new_zeros(patches.shape[:2], dtype=torch.float32)
        with torch.autocast(patches.device.type, enabled=False):
            for ids, rows in batch.groups:
                texts, which = torch.unique(ids, dim=0, return_inverse=True)  # (n, T), (b,)
                for number, text in enumerate(texts):
                    where = rows[which == number]  # (k,)
                    folded = self.policy.fold_text(0, embed(text))
                    flat = patches[where].flatten(0, 1)  # (k V, D)
                    part = self.policy.score_patches(0, flat, folded)
                    scores = scores.index_copy(0, where, part.view(len(where), -1).float())
        return scores

    def _patches(self, batch: Batch, patches: Tensor) -> Tensor:
        shown, place = self.patch_heads(patches, batch.instruction)  # (B, V, L), (B, V, L, 3)
        distance = patch_distances(batch.places).transpose(1, 2)  # (B, V, L)
        visible = inside(batch.places)[:, None]  # (B, 1, L)
        wanted = (distance < SHOWN).to(shown.dtype) * visible
        weight = shown.new_tensor(_RARE)
        kind = binary_cross_entropy_with_logits(shown.float(), wanted.float(), pos_weight=weight)
        near = (distance < _NEAR).float() * visible
        off = (place.float() - batch.positions[:, None]).abs().mean(-1)  # (B, V, L)
        loss: Tensor = kind + (off * near).sum() / near.sum().clamp_min(1.0)
        return loss

    def _decode(
        self, batch: Batch, patches: Tensor, places: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        policy, decoder = self.policy, self.policy.language_model
        middle = len(decoder.layers) // 2
        proprio = None
        if policy.proprio_projector is not None:
            proprio = policy.proprio_projector(batch.state[:, None])  # (B, 1, D)
        actions = torch.empty_like(batch.chunk)
        readout = batch.chunk.new_zeros(())
        for ids, rows in batch.groups:
            state = None if proprio is None else proprio[rows]
            text = decoder.embed_tokens(ids)  # (b, T, D)
            hidden = policy.sequence(patches[rows], state, text)  # (b, S, D)
            rotary = policy.rotary(hidden, _positions(places, hidden.shape[1]))
            hidden = decoder.run(hidden, rotary, 0, middle)
            readout = readout + self._read(batch, rows, hidden, patches.shape[1], ids.shape[1])
            out = decoder(hidden, rotary, policy.action_rows(hidden.shape[1]), middle)
            part = policy.action_head(out.hidden).float()  # (b, T, 7)
            actions = actions.index_copy(0, rows, part)
        return actions, readout / len(batch.chunk)

    def _read(self, batch: Batch, rows: Tensor, hidden: Tensor, vision: int, text: int) -> Tensor:
        """Return the readout's error, summed over the samples of a group."""
        proprio = hidden[:, 1 + vision]  # (b, D)
        prompt = hidden[:, 2 + vision : text + vision].mean(1)  # (b, D)
        off_text, off_proprio = self.readout(prompt, proprio)
        there, known = batch.positions[rows], batch.known[rows]  # (b, L, 3), (b, L)
        both = torch.stack([there, there - there[:, TOOL : TOOL + 1]], 1)  # (b, 2, L, 3)
        error = (off_text.float() - there).abs().mean(-1)  # (b, L)
        error = error + (off_proprio.float() - both).abs().mean((1, 3))  # (b, L)
        total: Tensor = (error * known).sum() / known.shape[1]
        return total


def _positions(places: Tensor | None, length: int) -> Tensor | None:
    """Return the position of each of so many rows of a sequence, shape (S,).

    ``places`` are those of the vision tokens after the first row, and of the row after them.
    """
    if places is None:
        return None
    following = torch.arange(1, length - len(places), device=places.device)
    return torch.cat([places.new_zeros(1), 1 + places, 1 + places[-1] + following])


_PLAIN: Final = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "enable_gqa": False}


def fast_attention(device: torch.device) -> AbstractContextManager[object]:
    """Return the mode in which attention is fast to train with on a device."""
    return WrittenOutAttention() if device.type == "cpu" else nullcontext()


class WrittenOutAttention(TorchFunctionMode):
    """Writes attention out where it has neither mask nor dropout nor shared key heads.

    PyTorch's fused attention saves memory, but on a CPU its backward pass in bfloat16 is two to
    three times as slow as the products and the softmax one by one, with the few hundred tokens of
    a small model. Models go on calling PyTorch's function; in this mode it is written out.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch, or what stands for it."""
        settings = kwargs or {}
        others = {name: value for name, value in settings.items() if name != "scale"}
        plain = len(args) == 3 and others.items() <= _PLAIN.items()
        if func is not scaled_dot_product_attention or not plain:
            return func(*args, **settings)
        query, key, value = args
        return attend(query, key, value, settings.get("scale"))


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
    """Mix values (..., S, d) by the softmax of queries (..., R, d) times keys (..., S, d).

    ``scale`` is the factor before the softmax, None for one over the root of d.
    """
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    logits = (query * factor) @ key.mT  # (..., R, S)
    mixed: Tensor = logits.softmax(-1) @ value  # (..., R, d)
    return mixed
