"""Which network a published file holds, from the names and shapes of its arrays alone."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.configs import (
    BiTConfig,
    CheckpointError,
    Config,
    HybridConfig,
    ModelsError,
    ViTConfig,
    resnet_downsampling,
)
from models.layouts import NUMBERED_BY_TYPE, NUMBERED_THROUGH, Layout
from models.registry import IDENTITY, REGISTRY, SIZES, config

Shapes = Mapping[str, tuple[int, ...]]

FAMILIES: dict[str, type[Config]] = {
    "vit": ViTConfig,
    "hybrid": HybridConfig,
    "bit": BiTConfig,
}
# Where the position embedding was kept, from the oldest files to the newest (big_vision).
POSITION_KEYS = (
    "Transformer/posembed_input/pos_embedding",
    "Transformer/pos_embedding",
    "pos_embedding",
    "pos_embed",
)
# What makes two networks the same one; the other fields are choices within it.
STRUCTURE = (
    "patch_size",
    "width",
    "depth",
    "mlp_dim",
    "num_heads",
    "stages",
    "root",
    "width_factor",
    "base_width",
)
# timm adds these instead of what the published code does (StdConv2d, GroupNormAct).
TIMM_HYBRID = {"weight_eps": 1e-8, "weight_eps_form": "variance", "group_norm_eps": 1e-5}
TIMM_BIT = {"weight_eps": 1e-8}


@dataclass(frozen=True)
class Inferred:
    """A network and how its file names it; `num_classes` is None where the file has no head."""

    config: Config
    num_classes: int | None
    layout: Layout


def _size(shapes: Shapes, pattern: str, axis: int) -> int:
    """What most arrays of this name have along this axis, so that one odd one is found out."""
    sizes = Counter(
        shape[axis]
        for key, shape in shapes.items()
        if re.fullmatch(pattern, key) and -len(shape) <= axis < len(shape)
    )
    if not sizes:
        raise CheckpointError(f"cannot tell the network without an array like {pattern}")
    return sizes.most_common(1)[0][0]


def _has(shapes: Shapes, pattern: str) -> bool:
    return any(re.match(pattern, key) for key in shapes)


def _optional_size(shapes: Shapes, pattern: str, axis: int) -> int | None:
    return _size(shapes, pattern, axis) if _has(shapes, pattern) else None


def _num_layers(shapes: Shapes, pattern: str) -> int:
    return len({match[1] for key in shapes if (match := re.match(pattern, key))})


def _stages(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """Units of each stage; the pattern finds the two numbers in a name."""
    units = {(int(m[1]), int(m[2])) for key in shapes if (m := re.match(pattern, key))}
    per_stage = Counter(stage for stage, _ in units)
    return tuple(per_stage[stage] for stage in sorted(per_stage))


def _resnet(root_width: int, kernel_size: int, stages: tuple[int, ...]) -> dict[str, Any]:
    whole = root_width % 64 == 0
    return {
        "root": "large" if kernel_size == 7 else "small",
        "stages": stages,
        "base_width": 64 if whole else root_width,
        "width_factor": root_width // 64 if whole else 1,
    }


def _positions(length: int, has_token: bool) -> tuple[int, bool, bool]:
    """Side of the grid, whether there is a class token, whether it has a position."""
    side = math.isqrt(length - 1)
    if side > 0 and side**2 == length - 1:
        return side, True, True
    side = math.isqrt(length)
    if side**2 == length:
        return side, has_token, False
    raise CheckpointError(f"a position embedding of {length} places is not a square grid")


def _transformer(shapes: Shapes, layout: Layout, token: str) -> tuple[dict[str, Any], int, Layout]:
    """Pooling, the side of the grid, and the layout with its position embedding."""
    key = next((key for key in POSITION_KEYS if key in shapes), None)
    if key is None or len(shapes[key]) != 3:
        raise CheckpointError("cannot tell the image size without a position embedding")
    side, has_token, has_position = _positions(shapes[key][1], token in shapes)
    pooling = {"pooling": "token" if has_token else "gap"}
    layout = replace(layout, position_key=key, token_has_position=has_position or not has_token)
    return pooling, side, layout


def _make(family: str, values: dict[str, Any], side: int | None) -> Config:
    """The config, by its registered name where it has one."""
    if side is not None:
        cells = (
            resnet_downsampling(values["root"], len(values["stages"])) if "root" in values else 1
        )
        values = {**values, "image_size": side * values["patch_size"] * cells}
    made = FAMILIES[family](name=f"{family}_from_file", label="from a file", **values)
    for known in REGISTRY.values():
        same = (getattr(known, key, None) == getattr(made, key, None) for key in STRUCTURE)
        if known.family == family and all(same):
            return replace(made, **{key: getattr(known, key) for key in IDENTITY})
    return made


def _flax(shapes: Shapes) -> Inferred:
    block = r"Transformer/encoderblock_\d+/"
    through = _has(shapes, f"{block}{NUMBERED_THROUGH[0]}/")
    sublayers = NUMBERED_THROUGH if through else NUMBERED_BY_TYPE
    values, side, layout = _transformer(shapes, Layout("flax", sublayers), "cls")
    values |= {
        "patch_size": _size(shapes, "embedding/kernel", 0),
        "width": _size(shapes, "embedding/(kernel|bias)", -1),
        "depth": _num_layers(shapes, r"Transformer/encoderblock_(\d+)/"),
        "mlp_dim": _size(shapes, f"{block}{sublayers[2]}/Dense_0/(kernel|bias)", -1),
        "num_heads": _size(shapes, f"{block}{sublayers[0]}/(query|key|value)/(kernel|bias)", -2),
        "representation_size": _optional_size(shapes, "pre_logits/(kernel|bias)", -1),
    }
    family = "vit"
    if _has(shapes, "conv_root/|gn_root/"):
        family = "hybrid"
        stages = _stages(shapes, r"block(\d+)/unit(\d+)/")
        kernel_size = _size(shapes, "conv_root/kernel", 0)
        values |= _resnet(_size(shapes, "conv_root/kernel", -1), kernel_size, stages)
    num_classes = _optional_size(shapes, "head/(kernel|bias)", -1)
    return Inferred(_make(family, values, side), num_classes, layout)


def _bit(shapes: Shapes, layout: Layout, root: str, head: str, unit: str) -> Inferred:
    values = _resnet(_size(shapes, root, -1), _size(shapes, root, 0), _stages(shapes, unit))
    num_classes = _optional_size(shapes, head, -1)
    return Inferred(_make("bit", values, None), num_classes, layout)


def _timm_heads(width: int, depth: int, mlp_dim: int) -> int:
    """Heads of the published size; else they are 64 wide, which the arrays cannot tell."""
    for size in SIZES.values():
        if size[:3] == (width, depth, mlp_dim):
            return size[3]
    if width % 64:
        raise CheckpointError(
            f"cannot tell the number of heads of width {width}, no multiple of 64"
        )
    return width // 64


def _timm_vit(shapes: Shapes) -> Inferred:
    values, side, layout = _transformer(shapes, Layout("timm"), "cls_token")
    width = _size(shapes, r"patch_embed\.proj\.(weight|bias)", 0)
    depth = _num_layers(shapes, r"blocks\.(\d+)\.")
    mlp_dim = _size(shapes, r"blocks\.\d+\.mlp\.fc1\.(weight|bias)", 0)
    values |= {
        "patch_size": _size(shapes, r"patch_embed\.proj\.weight", -1),
        "width": width,
        "depth": depth,
        "mlp_dim": mlp_dim,
        "num_heads": _timm_heads(width, depth, mlp_dim),
        "representation_size": _optional_size(shapes, r"pre_logits\.fc\.(weight|bias)", 0),
        "gelu": "erf",
    }
    family, backbone = "vit", r"patch_embed\.backbone\."
    if _has(shapes, backbone):
        family = "hybrid"
        root = rf"{backbone}(stem\.)?conv\.weight"
        stages = _stages(shapes, rf"{backbone}stages\.(\d+)\.blocks\.(\d+)\.")
        values |= _resnet(_size(shapes, root, 0), _size(shapes, root, -1), stages) | TIMM_HYBRID
    num_classes = _optional_size(shapes, r"head\.(weight|bias)", 0)
    return Inferred(_make(family, values, side), num_classes, layout)


def _timm_bit(shapes: Shapes) -> Inferred:
    root, stages = r"stem\.conv\.weight", _stages(shapes, r"stages\.(\d+)\.blocks\.(\d+)\.")
    values = _resnet(_size(shapes, root, 0), _size(shapes, root, -1), stages) | TIMM_BIT
    num_classes = _optional_size(shapes, r"head\.fc\.(weight|bias)", 0)
    return Inferred(_make("bit", values, None), num_classes, Layout("timm"))


def infer(shapes: Shapes) -> Inferred:
    """Raises CheckpointError where the names are of no known layout."""
    if _has(shapes, "resnet/root_block/"):
        kernel = "resnet/root_block/standardized_conv2d/kernel"
        head, unit = "resnet/head/conv2d/(kernel|bias)", r"resnet/block(\d+)/unit(\d+)/"
        return _bit(shapes, Layout("tensorflow"), kernel, head, unit)
    if _has(shapes, "root_block/"):
        unit = r"block(\d+)/unit(\d+)/"
        return _bit(
            shapes, Layout("flax"), "root_block/conv_root/kernel", "head/(kernel|bias)", unit
        )
    if _has(shapes, "Transformer/"):
        return _flax(shapes)
    if _has(shapes, r"patch_embed\."):
        return _timm_vit(shapes)
    if _has(shapes, r"stem\.conv\."):
        return _timm_bit(shapes)
    raise CheckpointError(f"{len(shapes)} arrays, but not named like a ViT, hybrid or BiT network")


def describe(network_config: Config, num_classes: int) -> dict[str, str]:
    """The metadata with which a file of ours says what it holds."""
    values = {"family": network_config.family, **asdict(network_config)}
    return {"config": json.dumps(values), "num_classes": str(num_classes)}


def described(metadata: Mapping[str, str]) -> Inferred:
    """The network that a file of ours says it holds.

    Either as `describe` wrote it, or as `model`, `image_size` and `model_options`, which the
    weights of a run carry. Raises CheckpointError.
    """
    try:
        num_classes = int(metadata["num_classes"])
        if "model" in metadata:
            options = json.loads(metadata["model_options"])
            made = config(metadata["model"], image_size=int(metadata["image_size"]), **options)
        else:
            values = json.loads(metadata["config"])
            family = FAMILIES[values.pop("family")]
            lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
            made = family(**{**values, **lists})
    except (KeyError, ValueError, TypeError, AttributeError, ModelsError) as error:
        raise CheckpointError(f"the metadata does not describe a network: {error!r}") from error
    return Inferred(made, num_classes, Layout("ours"))
