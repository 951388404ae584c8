"""Tensors of an OpenVLA-OFT checkpoint: upstream's keys and their shapes."""

from collections.abc import Iterator

from .model_config import LlmConfig, ModelConfig, TowerConfig

Shapes = dict[str, tuple[int, ...]]


def model_shapes(config: ModelConfig) -> Shapes:
    """Return key -> shape of every tensor in the safetensors files.

    The towers' keys are timm's, with DINOv2's layer scale stored as ``scale_factor``; the last
    blocks, final norms, attention pool and ``lm_head`` are stored though the L1 head needs none.
    """
    features, hidden = config.vision_width, config.llm.hidden_size
    return {
        **dict(_under("vision_backbone.featurizer.", _tower(config.dino))),
        **dict(_under("vision_backbone.fused_featurizer.", _tower(config.siglip))),
        **dict(_linear("projector.fc1", 4 * features, features)),
        **dict(_linear("projector.fc2", hidden, 4 * features)),
        **dict(_linear("projector.fc3", hidden, hidden)),
        **dict(_under("language_model.", _llm(config.llm))),
    }


def unused_keys(config: ModelConfig) -> frozenset[str]:
    """Return the keys that a forward pass with the L1 head never reads.

    Features leave each tower before its last block, and the head reads hidden states, not logits.
    """
    unused = ["language_model.lm_head."]
    for name, tower in (("featurizer", config.dino), ("fused_featurizer", config.siglip)):
        parts = (f"blocks.{tower.depth - 1}.", "norm.", "attn_pool.")
        unused += [f"vision_backbone.{name}.{part}" for part in parts]
    return frozenset(key for key in model_shapes(config) if key.startswith(tuple(unused)))


def action_head_shapes(hidden: int, action_size: int) -> Shapes:
    """Return key -> shape of ``action_head--*.pt``, without the prefix ``module.``."""
    wide = action_size * hidden
    shapes = {
        **dict(_norm("layer_norm1", wide)),
        **dict(_linear("fc1", hidden, wide)),
        **dict(_norm("layer_norm2", hidden)),
        **dict(_linear("fc2", action_size, hidden)),
    }
    for i in range(2):
        shapes |= dict(_norm(f"mlp_resnet_blocks.{i}.ffn.0", hidden))
        shapes |= dict(_linear(f"mlp_resnet_blocks.{i}.ffn.1", hidden, hidden))
    return {f"model.{key}": shape for key, shape in shapes.items()}


def proprio_projector_shapes(hidden: int, state_size: int) -> Shapes:
    """Return key -> shape of ``proprio_projector--*.pt``, without the prefix ``module.``."""
    return dict([*_linear("fc1", hidden, state_size), *_linear("fc2", hidden, hidden)])


Pairs = Iterator[tuple[str, tuple[int, ...]]]


def _under(prefix: str, pairs: Pairs) -> Pairs:
    return ((prefix + key, shape) for key, shape in pairs)


def _linear(name: str, outputs: int, inputs: int) -> Pairs:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Pairs:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _tower(tower: TowerConfig) -> Pairs:
    width, patches = tower.width, (tower.image_size // tower.patch_size) ** 2
    if tower.kind == "dinov2":
        yield "cls_token", (1, 1, width)
        yield "reg_token", (1, tower.registers, width)
    yield "pos_embed", (1, patches, width)
    yield "patch_embed.proj.weight", (width, 3, tower.patch_size, tower.patch_size)
    yield "patch_embed.proj.bias", (width,)
    for i in range(tower.depth):
        yield from _under(f"blocks.{i}.", _block(tower))
    yield from _norm("norm", width)
    if tower.kind == "siglip":
        yield from _under("attn_pool.", _attention_pool(width, tower.intermediate))


def _block(tower: TowerConfig) -> Pairs:
    width = tower.width
    yield from _norm("norm1", width)
    yield from _linear("attn.qkv", 3 * width, width)
    yield from _linear("attn.proj", width, width)
    yield from _norm("norm2", width)
    yield from _linear("mlp.fc1", tower.intermediate, width)
    yield from _linear("mlp.fc2", width, tower.intermediate)
    if tower.kind == "dinov2":
        yield "ls1.scale_factor", (width,)
        yield "ls2.scale_factor", (width,)


def _attention_pool(width: int, intermediate: int) -> Pairs:
    yield "latent", (1, 1, width)
    yield from _linear("q", width, width)
    yield from _linear("kv", 2 * width, width)
    yield from _linear("proj", width, width)
    yield from _norm("norm", width)
    yield from _linear("mlp.fc1", intermediate, width)
    yield from _linear("mlp.fc2", width, intermediate)


def _llm(llm: LlmConfig) -> Pairs:
    hidden, wide = llm.hidden_size, llm.intermediate_size
    shared = llm.num_key_value_heads * llm.head_dim
    yield "model.embed_tokens.weight", (llm.vocab_size, hidden)
    for i in range(llm.num_hidden_layers):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", (hidden,)
        yield layer + "self_attn.q_proj.weight", (hidden, hidden)
        yield layer + "self_attn.k_proj.weight", (shared, hidden)
        yield layer + "self_attn.v_proj.weight", (shared, hidden)
        yield layer + "self_attn.o_proj.weight", (hidden, hidden)
        yield layer + "post_attention_layernorm.weight", (hidden,)
        yield layer + "mlp.gate_proj.weight", (wide, hidden)
        yield layer + "mlp.up_proj.weight", (wide, hidden)
        yield layer + "mlp.down_proj.weight", (hidden, wide)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (llm.vocab_size, hidden)
