"""How published files name and shape what our networks hold: one rule per array, both ways.

flax: vit_jax (ViT, hybrid) and big_vision (ViT, models/bit_paper.py). tensorflow: the published
BiT. timm: its vision_transformer, vision_transformer_hybrid and resnetv2. ours: as in torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.configs import BiTConfig, Config, HybridConfig, ViTConfig

Turn = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Layout:
    """What distinguishes one kind of file from another.

    `sublayers` are the names of a block's attention, second norm and MLP: flax numbered them
    through in older files and by type in newer ones. `position_key` is None without a learned
    position; in big_vision the class token has none, `token_has_position` is False.
    """

    naming: Literal["flax", "tensorflow", "timm", "ours"]
    sublayers: tuple[str, str, str] = ("", "", "")
    position_key: str | None = None
    token_has_position: bool = True


NUMBERED_THROUGH = ("MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3")
NUMBERED_BY_TYPE = ("MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0")
# What the ViT paper's own files look like; `to_npz` writes these.
PUBLISHED_VIT = Layout("flax", NUMBERED_THROUGH, "Transformer/posembed_input/pos_embedding")
PUBLISHED_BIT = Layout("tensorflow")


def _same(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Rule:
    """An array of a file, the parameter that it fills, and how to turn one into the other.

    `third` says which of query, key and value it is, where the parameter holds all three.
    """

    theirs: str
    ours: str
    to_ours: Turn = _same
    to_theirs: Turn = _same
    third: int | None = None


def _conv(theirs: str, ours: str) -> Rule:
    """H W in out, against out in H W."""
    return Rule(theirs, ours, lambda x: x.permute(3, 2, 0, 1), lambda x: x.permute(2, 3, 1, 0))


def _dense(theirs: str, ours: str) -> list[Rule]:
    """Kernel (in, out) and bias."""
    kernel = Rule(f"{theirs}/kernel", f"{ours}.weight", lambda x: x.mT, lambda x: x.mT)
    return [kernel, Rule(f"{theirs}/bias", f"{ours}.bias")]


def _pair(theirs: str, ours: str, scale: str = "weight", shift: str = "bias") -> list[Rule]:
    """Weight and bias under other names, in the same shapes."""
    names = ((scale, "weight"), (shift, "bias"))
    return [Rule(f"{theirs}{their}", f"{ours}.{our}") for their, our in names]


def _flax_norm(theirs: str, ours: str) -> list[Rule]:
    return _pair(f"{theirs}/", ours, "scale")


def _position(layout: Layout) -> list[Rule]:
    if layout.position_key is None:
        return []
    ours = "position_embedding.tokens"
    if layout.token_has_position:
        return [Rule(layout.position_key, ours, lambda x: x[0], lambda x: x[None])]

    def with_class_token(x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x[0, :1]), x[0]])

    return [Rule(layout.position_key, ours, with_class_token, lambda x: x[None, 1:])]


def _flax_attention(theirs: str, ours: str, num_heads: int) -> list[Rule]:
    """Kernels (D, h, K) of query, key and value, and (h, K, D) of the output."""
    rules = []
    for third, name in enumerate(("query", "key", "value")):
        rules += [
            Rule(
                f"{theirs}/{name}/kernel",
                f"{ours}.qkv.weight",
                lambda x: x.flatten(1).mT,
                lambda x: x.mT.unflatten(1, (num_heads, -1)),  # type: ignore[no-untyped-call]
                third,
            ),
            Rule(
                f"{theirs}/{name}/bias",
                f"{ours}.qkv.bias",
                lambda x: x.flatten(),
                lambda x: x.unflatten(0, (num_heads, -1)),  # type: ignore[no-untyped-call]
                third,
            ),
        ]
    out = Rule(
        f"{theirs}/out/kernel",
        f"{ours}.out.weight",
        lambda x: x.flatten(0, 1).mT,
        lambda x: x.mT.unflatten(0, (num_heads, -1)),  # type: ignore[no-untyped-call]
    )
    return [*rules, out, Rule(f"{theirs}/out/bias", f"{ours}.out.bias")]


def _flax_vit(config: ViTConfig, layout: Layout) -> list[Rule]:
    attention, norm2, mlp = layout.sublayers
    rules = [
        _conv("embedding/kernel", "embedding.weight"),
        Rule("embedding/bias", "embedding.bias"),
        *_position(layout),
        *_flax_norm("Transformer/encoder_norm", "norm"),
        *_dense("head", "head"),
    ]
    if config.pooling == "token":
        rules.append(Rule("cls", "class_token"))
    if config.representation_size is not None:
        rules += _dense("pre_logits", "representation")
    for layer in range(config.depth):
        theirs, ours = f"Transformer/encoderblock_{layer}", f"blocks.{layer}"
        rules += [
            *_flax_norm(f"{theirs}/LayerNorm_0", f"{ours}.norm1"),
            *_flax_attention(f"{theirs}/{attention}", f"{ours}.attention", config.num_heads),
            *_flax_norm(f"{theirs}/{norm2}", f"{ours}.norm2"),
            *_dense(f"{theirs}/{mlp}/Dense_0", f"{ours}.mlp.hidden"),
            *_dense(f"{theirs}/{mlp}/Dense_1", f"{ours}.mlp.out"),
        ]
    return rules


def _flax_resnet(config: HybridConfig) -> list[Rule]:
    rules = [
        _conv("conv_root/kernel", "resnet.0.conv.weight"),
        *_flax_norm("gn_root", "resnet.0.norm"),
    ]
    for stage, num_units in enumerate(config.stages, start=1):
        for unit in range(num_units):
            theirs, ours = f"block{stage}/unit{unit + 1}", f"resnet.{stage}.{unit}"
            for i in (1, 2, 3):
                rules.append(_conv(f"{theirs}/conv{i}/kernel", f"{ours}.conv{i}.weight"))
                rules += _flax_norm(f"{theirs}/gn{i}", f"{ours}.norm{i}")
            if unit == 0:
                rules.append(_conv(f"{theirs}/conv_proj/kernel", f"{ours}.shortcut.0.weight"))
                rules += _flax_norm(f"{theirs}/gn_proj", f"{ours}.shortcut.1")
    return rules


def _tensorflow_bit(config: BiTConfig) -> list[Rule]:
    kernel = "standardized_conv2d/kernel"
    head = Rule(
        "resnet/head/conv2d/kernel",
        "head.weight",
        lambda x: x[0, 0].mT,
        lambda x: x.mT[None, None],
    )
    rules = [
        _conv(f"resnet/root_block/{kernel}", "root.conv.weight"),
        *_pair("resnet/group_norm/", "norm", "gamma", "beta"),
        head,
        Rule("resnet/head/conv2d/bias", "head.bias"),
    ]
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs = f"resnet/block{stage + 1}/unit{unit + 1:02d}"
            ours = f"stages.{stage}.{unit}"
            for i, letter in enumerate("abc", start=1):
                rules.append(_conv(f"{theirs}/{letter}/{kernel}", f"{ours}.conv{i}.weight"))
                norm = f"{theirs}/{letter}/group_norm/"
                rules += _pair(norm, f"{ours}.norm{i}", "gamma", "beta")
            if unit == 0:
                rules.append(_conv(f"{theirs}/a/proj/{kernel}", f"{ours}.shortcut.weight"))
    return rules


def _flax_bit(config: BiTConfig) -> list[Rule]:
    rules = [
        _conv("root_block/conv_root/kernel", "root.conv.weight"),
        *_flax_norm("norm-pre-head", "norm"),
        *_dense("head", "head"),
    ]
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs, ours = f"block{stage + 1}/unit{unit + 1:02d}", f"stages.{stage}.{unit}"
            for i in (1, 2, 3):
                rules.append(_conv(f"{theirs}/conv{i}/kernel", f"{ours}.conv{i}.weight"))
                rules += _flax_norm(f"{theirs}/gn{i}", f"{ours}.norm{i}")
            if unit == 0:
                rules.append(_conv(f"{theirs}/conv_proj/kernel", f"{ours}.shortcut.weight"))
    return rules


def _timm_vit(config: ViTConfig, layout: Layout) -> list[Rule]:
    rules = [
        *_pair("patch_embed.proj.", "embedding"),
        *_position(layout),
        *_pair("norm.", "norm"),
        *_pair("head.", "head"),
    ]
    if config.pooling == "token":
        rules.append(Rule("cls_token", "class_token"))
    if config.representation_size is not None:
        rules += _pair("pre_logits.fc.", "representation")
    for layer in range(config.depth):
        block = f"blocks.{layer}"
        rules += [
            *_pair(f"{block}.norm1.", f"{block}.norm1"),
            *_pair(f"{block}.attn.qkv.", f"{block}.attention.qkv"),
            *_pair(f"{block}.attn.proj.", f"{block}.attention.out"),
            *_pair(f"{block}.norm2.", f"{block}.norm2"),
            *_pair(f"{block}.mlp.fc1.", f"{block}.mlp.hidden"),
            *_pair(f"{block}.mlp.fc2.", f"{block}.mlp.out"),
        ]
    return rules


def _timm_stages(config: HybridConfig | BiTConfig, prefix: str) -> list[Rule]:
    is_bit = isinstance(config, BiTConfig)
    rules = []
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs = f"{prefix}stages.{stage}.blocks.{unit}"
            ours = f"stages.{stage}.{unit}" if is_bit else f"resnet.{stage + 1}.{unit}"
            for i in (1, 2, 3):
                rules.append(Rule(f"{theirs}.conv{i}.weight", f"{ours}.conv{i}.weight"))
                rules += _pair(f"{theirs}.norm{i}.", f"{ours}.norm{i}")
            if unit == 0:
                shortcut = f"{ours}.shortcut" if is_bit else f"{ours}.shortcut.0"
                rules.append(Rule(f"{theirs}.downsample.conv.weight", f"{shortcut}.weight"))
            if unit == 0 and not is_bit:
                rules += _pair(f"{theirs}.downsample.norm.", f"{ours}.shortcut.1")
    return rules


def _timm_hybrid(config: HybridConfig) -> list[Rule]:
    prefix = "patch_embed.backbone."
    stem = f"{prefix}stem." if config.stages else prefix
    rules = [Rule(f"{stem}conv.weight", "resnet.0.conv.weight")]
    return [*rules, *_pair(f"{stem}norm.", "resnet.0.norm"), *_timm_stages(config, prefix)]


def _timm_bit(config: BiTConfig) -> list[Rule]:
    def as_convolution(x: Tensor) -> Tensor:
        return x[:, :, None, None]

    return [
        Rule("stem.conv.weight", "root.conv.weight"),
        *_pair("norm.", "norm"),
        Rule("head.fc.weight", "head.weight", lambda x: x[:, :, 0, 0], as_convolution),
        Rule("head.fc.bias", "head.bias"),
        *_timm_stages(config, ""),
    ]


def rules(config: Config, layout: Layout) -> list[Rule]:
    """Return a rule for every array that a file of this layout has for a network of this config."""
    if isinstance(config, BiTConfig):
        by_naming = {"flax": _flax_bit, "tensorflow": _tensorflow_bit, "timm": _timm_bit}
        return by_naming[layout.naming](config)
    if layout.naming == "timm":
        resnet = _timm_hybrid(config) if isinstance(config, HybridConfig) else []
        return [*resnet, *_timm_vit(config, layout)]
    resnet = _flax_resnet(config) if isinstance(config, HybridConfig) else []
    return [*resnet, *_flax_vit(config, layout)]
