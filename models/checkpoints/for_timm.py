"""Networks of ours as folders that timm loads: its arrays and its `config.json`.

Architectures, arguments and defaults are those of timm 1.0.31 (vision_transformer.py,
vision_transformer_hybrid.py, resnetv2.py).
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from models.bit.config import BiTConfig
from models.checkpoints.convert import config_of, to_layout, write_whole
from models.configs import CheckpointError, Config
from models.hybrid.config import HybridConfig
from models.layouts.rules import Layout
from models.vit.config import ViTConfig

# Entry points by units per stage, which no argument of timm's changes.
HYBRIDS: dict[tuple[int, ...], str] = {
    (): "vit_tiny_r_s16_p8_224",
    (2, 2, 2, 2): "vit_small_r26_s32_224",
    (3, 4, 9): "vit_base_r50_s16_224",
    (3, 4, 6, 3): "vit_large_r50_s32_224",
}
BITS: dict[tuple[int, ...], str] = {
    (3, 4, 6, 3): "resnetv2_50x1_bit",
    (3, 4, 23, 3): "resnetv2_101x1_bit",
    (3, 8, 36, 3): "resnetv2_152x2_bit",
}
VIT = "vit_base_patch16_224"
WEIGHT_EPS = 1e-8  # of timm's StdConv2d, added to the variance

# Values that timm's networks have and no argument in a config.json changes.
TRANSFORMER = {"norm_eps": 1e-6, "representation_size": None}
RESNET = {
    "root": "large",
    "group_norm_groups": 32,
    "group_norm_eps": 1e-5,
    "weight_eps_form": "variance",
}
BACKBONE = RESNET | {"weight_eps": WEIGHT_EPS, "base_width": 64, "width_factor": 1}


def _require(config: Config, fixed: Mapping[str, Any]) -> None:
    """Raise CheckpointError for the first field that timm cannot have."""
    for name, value in fixed.items():
        if (given := getattr(config, name)) != value:
            raise CheckpointError(
                f"model {config.name}: {name} = {given!r}: timm's networks only have {value!r}"
            )


def _entry(config: HybridConfig | BiTConfig, known: Mapping[tuple[int, ...], str]) -> str:
    if config.stages not in known:
        expected = ", ".join(map(str, known))
        raise CheckpointError(
            f"model {config.name}: stages = {config.stages}: timm only has {expected}"
        )
    return known[config.stages]


def _transformer_arguments(config: ViTConfig) -> dict[str, Any]:
    _require(config, TRANSFORMER)
    if config.position_embedding not in ("1d", "none"):
        given = config.position_embedding
        raise CheckpointError(
            f"model {config.name}: position_embedding = {given!r}: timm only has '1d' and 'none'"
        )
    ratio = config.mlp_dim / config.width
    if int(config.width * ratio) != config.mlp_dim:  # as timm computes it
        ratio = math.nextafter(ratio, math.inf)
    has_token = config.pooling == "token"
    return {
        "img_size": [config.image.rows, config.image.columns],
        "patch_size": config.patch_size,
        "embed_dim": config.width,
        "depth": config.depth,
        "num_heads": config.num_heads,
        "mlp_ratio": ratio,
        "class_token": has_token,
        "global_pool": "token" if has_token else "avg",
        "fc_norm": False,
        "pos_embed": "learn" if config.position_embedding == "1d" else "none",
        "act_layer": "gelu_tanh" if config.gelu == "tanh" else "gelu",
    }


def _bit_arguments(config: BiTConfig) -> dict[str, Any]:
    _require(config, RESNET)
    if config.weight_eps <= 0:
        raise CheckpointError(
            f"model {config.name}: weight_eps = {config.weight_eps}: timm's is above 0"
        )
    outputs = [4 * config.root_width * 2**stage for stage in range(len(config.stages))]
    if config.stages == (3, 8, 36, 3):  # its entry point doubles all widths
        outputs = [channels // 2 for channels in outputs]
        return {"channels": outputs, "stem_chs": config.root_width // 2}
    return {"channels": outputs, "stem_chs": config.root_width}


def _described(config: Config) -> tuple[str, dict[str, Any], str, str, int]:
    """Return timm's entry point, its arguments, the first convolution, the head and its inputs."""
    if isinstance(config, HybridConfig):
        _require(config, BACKBONE)
        first = "patch_embed.backbone." + ("stem.conv" if config.stages else "conv")
        entry = _entry(config, HYBRIDS)
        return entry, _transformer_arguments(config), first, "head", config.width
    if isinstance(config, ViTConfig):
        return VIT, _transformer_arguments(config), "patch_embed.proj", "head", config.width
    if isinstance(config, BiTConfig):
        width = 4 * config.root_width * 2 ** (len(config.stages) - 1)
        return _entry(config, BITS), _bit_arguments(config), "stem.conv", "head.fc", width
    raise CheckpointError(f"model {config.name}: timm has no network of family {config.family}")


def timm_config(config: Config, num_classes: int) -> dict[str, Any]:
    """Return the content of timm's `config.json`.

    Images are in [-1, 1], mean and deviation 0.5. Raises CheckpointError for a network that timm
    does not have.
    """
    entry, arguments, first, head, width = _described(config)
    pool = arguments.get("global_pool", "avg")
    return {
        "architecture": entry,
        "num_classes": num_classes,
        "num_features": width,
        "global_pool": pool,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, config.image.rows, config.image.columns],
            "fixed_input_size": not isinstance(config, BiTConfig),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": num_classes,
            "pool_size": None,
            "first_conv": first,
            "classifier": head,
        },
    }


def to_timm(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's arrays under timm's names.

    A ResNet's filters w are multiplied by c = sqrt(1e-8 / eps): standardizing c w with timm's
    epsilon is standardizing w with ours, since (c w - c m) / sqrt(c² v + 1e-8) =
    (w - m) / sqrt(v + eps) for their mean m and variance v.
    """
    config = config_of(network)
    has_position = getattr(config, "position_embedding", None) == "1d"
    layout = Layout("timm", position_key="pos_embed" if has_position else None)
    arrays = to_layout(network, layout)
    if isinstance(config, BiTConfig) and config.weight_eps != WEIGHT_EPS:
        factor = math.sqrt(WEIGHT_EPS / config.weight_eps)
        for name, value in arrays.items():
            if value.ndim == 4 and name != "head.fc.weight":
                arrays[name] = value * factor
    return {name: value.contiguous() for name, value in arrays.items()}


def save_for_timm(network: nn.Module, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`, for `timm.create_model("local-dir:FOLDER")`.

    Raises CheckpointError, before anything is written, for a network that timm does not have.
    """
    about = timm_config(config_of(network), len(network.state_dict()["head.bias"]))
    weights = safetensors.torch.save(to_timm(network), metadata={"format": "pt"})
    write_whole(folder / "model.safetensors", lambda file: file.write(weights))
    text = json.dumps(about, indent=2) + "\n"
    write_whole(folder / "config.json", lambda file: file.write(text.encode()))
