"""The baseline of "our full path": a stock language model that does what upstream's code does.

Upstream runs all of ``LlamaForCausalLM`` with a mask over the whole sequence, keeps every hidden
state, computes the logits of every token and reads 56 rows of the last state. This arm does the
same with ``transformers``' own model and the policy's weights; everything before and after the
language model is the policy's own code, so that the comparison is about the language model alone.
"""

from dataclasses import replace

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from ..policy.model import llama_config
from ..policy.openvla import OpenVlaPolicy
from ..policy.result import Prediction
from ..policy.stopwatch import Clock
from ..types import Observation


class PlainForward:
    """Full-vision forward pass through the stock model."""

    def __init__(self, policy: OpenVlaPolicy, clock: Clock) -> None:
        """Share the policy's weights; only the logits' matrix is new, and random.

        Args:
            policy: Policy to compare with.
            clock: Monotonic time in [s].
        """
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
            inputs_embeds=hidden,
            attention_mask=mask,
            use_cache=False,
            output_hidden_states=True,
        )
        out.logits.float()
        rows = self._policy.model.action_rows(length, self._policy.row_offset)
        last: Tensor = out.hidden_states[-1][:, rows]  # (1, A, D)
        return last

    def _wait(self) -> None:
        if self._policy.device.type == "cuda":
            torch.cuda.synchronize(self._policy.device)
