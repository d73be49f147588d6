"""Which network a published file holds, from the names and shapes of its arrays alone."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.checkpoints.layouts import NUMBERED_BY_TYPE, NUMBERED_THROUGH, Layout
from models.checkpoints.positions import find_positions
from models.configs import (
    BiTConfig,
    CheckpointError,
    Config,
    HybridConfig,
    ModelsError,
    ViTConfig,
    resnet_downsampling,
)
from models.registry import IDENTITY, REGISTRY, SIZES, config

Shapes = Mapping[str, tuple[int, ...]]
ImageSize = int | tuple[int, int] | None

FAMILIES: dict[str, type[Config]] = {
    "vit": ViTConfig,
    "hybrid": HybridConfig,
    "bit": BiTConfig,
}
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
class _BiTNames:
    """Patterns: the root's kernel, norms as wide as the root, the head, numbers of a unit."""

    root: str
    norms: str
    head: str
    unit: str


_TENSORFLOW_NAMES = _BiTNames(
    "resnet/root_block/standardized_conv2d/kernel",
    r"resnet/block1/unit\d+/[bc]/group_norm/(gamma|beta)",
    "resnet/head/conv2d/(kernel|bias)",
    r"resnet/block(\d+)/unit(\d+)/",
)
_FLAX_NAMES = _BiTNames(
    "root_block/conv_root/kernel",
    r"block1/unit\d+/gn[23]/(scale|bias)",
    "head/(kernel|bias)",
    r"block(\d+)/unit(\d+)/",
)
_TIMM_NAMES = _BiTNames(
    r"stem\.conv\.weight",
    r"stages\.0\.blocks\.\d+\.norm[23]\.(weight|bias)",
    r"head\.fc\.(weight|bias)",
    r"stages\.(\d+)\.blocks\.(\d+)\.",
)


@dataclass(frozen=True)
class Inferred:
    """A network and how its file names it; `num_classes` is None where the file has no head."""

    config: Config
    num_classes: int | None
    layout: Layout


def _size(shapes: Shapes, pattern: str, axis: int, missing: int = 1) -> int:
    """Return the majority size along an axis of the arrays that match `pattern`.

    `missing` stands in where there is none: whoever compares the names then says which are missing.
    """
    sizes = Counter(
        shape[axis]
        for key, shape in shapes.items()
        if re.fullmatch(pattern, key) and -len(shape) <= axis < len(shape)
    )
    return sizes.most_common(1)[0][0] if sizes else missing


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


def _make(family: str, values: dict[str, Any]) -> Config:
    return FAMILIES[family](name=f"{family}_from_file", label="from a file", **values)


def _known(made: Config) -> Config:
    """Return the config under its registered name, if it has one."""
    for known in REGISTRY.values():
        same = (getattr(known, key, None) == getattr(made, key, None) for key in STRUCTURE)
        if known.family == made.family and all(same):
            return replace(made, **{key: getattr(known, key) for key in IDENTITY})
    return made


def _with_positions(
    family: str, values: dict[str, Any], shapes: Shapes, layout: Layout, image_size: ImageSize
) -> tuple[Config, Layout]:
    """Return the config with its pooling and grid, and the layout with its position embedding."""
    is_timm = layout.naming == "timm"
    given = None
    if is_timm and image_size is not None:  # an .npz always holds a square
        asked = _make(family, {**values, "image_size": image_size})
        assert isinstance(asked, ViTConfig)
        given = asked.grid
    found = find_positions(shapes, is_timm=is_timm, given=given)
    is_hybrid = family == "hybrid"
    cells = resnet_downsampling(values["root"], len(values["stages"])) if is_hybrid else 1
    rows, columns = (
        side * cells * values["patch_size"] for side in (found.grid.rows, found.grid.columns)
    )
    values["image_size"] = rows if rows == columns else (rows, columns)
    values["pooling"] = "token" if found.has_token else "gap"
    has_position = found.token_has_place or not found.has_token
    layout = replace(layout, position_key=found.key, token_has_position=has_position)
    return _known(_make(family, values)), layout


def _flax(shapes: Shapes) -> Inferred:
    block = r"Transformer/encoderblock_\d+/"
    through = _has(shapes, f"{block}{NUMBERED_THROUGH[0]}/")
    sublayers = NUMBERED_THROUGH if through else NUMBERED_BY_TYPE
    norms = r"Transformer/(encoder_norm|encoderblock_\d+/LayerNorm_\d)/(scale|bias)"
    values = {
        "patch_size": _size(shapes, "embedding/kernel", 0),
        "width": _size(shapes, f"embedding/(kernel|bias)|{norms}|cls|.*pos_embedding", -1),
        "depth": _num_layers(shapes, r"Transformer/encoderblock_(\d+)/"),
        "mlp_dim": _size(shapes, f"{block}{sublayers[2]}/Dense_0/(kernel|bias)", -1),
        "num_heads": _size(shapes, f"{block}{sublayers[0]}/(query|key|value)/(kernel|bias)", -2),
        "representation_size": _optional_size(shapes, "pre_logits/(kernel|bias)", -1),
    }
    family = "vit"
    if _has(shapes, r"conv_root/|gn_root/|block\d+/"):
        family = "hybrid"
        width = _size(shapes, r"conv_root/kernel|(gn_root|block1/unit\d+/gn[12])/(scale|bias)", -1)
        kernel_size = _size(shapes, "conv_root/kernel", 0, missing=7)
        values |= _resnet(width, kernel_size, _stages(shapes, r"block(\d+)/unit(\d+)/"))
    num_classes = _optional_size(shapes, "head/(kernel|bias)", -1)
    made, layout = _with_positions(family, values, shapes, Layout("flax", sublayers), None)
    return Inferred(made, num_classes, layout)


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


def _timm_vit(shapes: Shapes, image_size: ImageSize) -> Inferred:
    norms = r"(norm|blocks\.\d+\.norm\d)\.(weight|bias)"
    width = _size(shapes, rf"{norms}|patch_embed\.proj\.bias|cls_token|pos_embed", -1)
    depth = _num_layers(shapes, r"blocks\.(\d+)\.")
    mlp_dim = _size(shapes, r"blocks\.\d+\.mlp\.fc1\.(weight|bias)", 0)
    values = {
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
        norms = rf"{backbone}((stem\.)?norm|stages\.0\.blocks\.\d+\.norm[12])\.(weight|bias)"
        root_width = _size(shapes, f"{root}|{norms}", 0)
        stages = _stages(shapes, rf"{backbone}stages\.(\d+)\.blocks\.(\d+)\.")
        values |= _resnet(root_width, _size(shapes, root, -1, missing=7), stages) | TIMM_HYBRID
    num_classes = _optional_size(shapes, r"head\.(weight|bias)", 0)
    made, layout = _with_positions(family, values, shapes, Layout("timm"), image_size)
    return Inferred(made, num_classes, layout)


def _bit(shapes: Shapes, layout: Layout, names: _BiTNames, axes: tuple[int, int]) -> Inferred:
    """`axes`: where a kernel has its outputs, and one of its sides."""
    outputs, side = axes
    kernel_size = _size(shapes, names.root, side, missing=7)
    root_width = _size(shapes, f"{names.root}|{names.norms}", outputs)
    values = _resnet(root_width, kernel_size, _stages(shapes, names.unit))
    values |= TIMM_BIT if layout.naming == "timm" else {}
    num_classes = _optional_size(shapes, names.head, outputs)
    return Inferred(_known(_make("bit", values)), num_classes, layout)


def infer(shapes: Shapes, image_size: ImageSize = None) -> Inferred:
    """Return the config of a published file, as far as names and shapes determine it.

    `image_size` is what the user asks for: it tells a grid of timm that is no square from one that
    is. Raises CheckpointError where the names are of no known layout.
    """
    if _has(shapes, "resnet/"):
        return _bit(shapes, Layout("tensorflow"), _TENSORFLOW_NAMES, (-1, 0))
    if _has(shapes, "Transformer/"):
        return _flax(shapes)
    if _has(shapes, r"root_block/|block\d+/unit\d+/"):
        return _bit(shapes, Layout("flax"), _FLAX_NAMES, (-1, 0))
    if _has(shapes, r"patch_embed\.|blocks\.\d+\.attn\."):
        return _timm_vit(shapes, image_size)
    if _has(shapes, r"stem\.conv\.|stages\.\d+\.blocks\.\d+\.norm3\."):
        return _bit(shapes, Layout("timm"), _TIMM_NAMES, (0, -1))
    raise CheckpointError(f"{len(shapes)} arrays, but not named like a ViT, hybrid or BiT network")


def describe(network_config: Config, num_classes: int) -> dict[str, str]:
    """Return the metadata that describe the network in a file of ours."""
    values = {"family": network_config.family, **asdict(network_config)}
    return {"config": json.dumps(values), "num_classes": str(num_classes)}


def described(metadata: Mapping[str, str]) -> Inferred:
    """Return the config that the metadata of a file of ours describe.

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
