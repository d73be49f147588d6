"""Published ViT checkpoints: names of their arrays, and the architecture inferred from them."""

from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.configs import CheckpointError
from models.layouts.positions import find_positions
from models.layouts.published import PublishedFiles
from models.layouts.rules import Layout, Rule, conv, dense, flax_norm, pair
from models.layouts.shapes import (
    ImageSize,
    Inferred,
    Shapes,
    has,
    make,
    num_layers,
    optional_size,
    size_of,
)
from models.resnet import resnet_downsampling
from models.vit.config import ViTConfig
from models.vit.sizes import SIZES

V = TypeVar("V", bound=ViTConfig)

NUMBERED_THROUGH = ("MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3")
NUMBERED_BY_TYPE = ("MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0")
# Layout of the ViT paper's own files.
PUBLISHED_VIT = Layout("flax", NUMBERED_THROUGH, "Transformer/posembed_input/pos_embedding")


def _position_rules(layout: Layout) -> list[Rule]:
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


def _flax_rules(config: ViTConfig, layout: Layout) -> list[Rule]:
    attention, norm2, mlp = layout.sublayers
    rules = [
        conv("embedding/kernel", "embedding.weight"),
        Rule("embedding/bias", "embedding.bias"),
        *_position_rules(layout),
        *flax_norm("Transformer/encoder_norm", "norm"),
        *dense("head", "head"),
    ]
    if config.pooling == "token":
        rules.append(Rule("cls", "class_token"))
    if config.representation_size is not None:
        rules += dense("pre_logits", "representation")
    for layer in range(config.depth):
        theirs, ours = f"Transformer/encoderblock_{layer}", f"blocks.{layer}"
        rules += [
            *flax_norm(f"{theirs}/LayerNorm_0", f"{ours}.norm1"),
            *_flax_attention(f"{theirs}/{attention}", f"{ours}.attention", config.num_heads),
            *flax_norm(f"{theirs}/{norm2}", f"{ours}.norm2"),
            *dense(f"{theirs}/{mlp}/Dense_0", f"{ours}.mlp.hidden"),
            *dense(f"{theirs}/{mlp}/Dense_1", f"{ours}.mlp.out"),
        ]
    return rules


def _timm_rules(config: ViTConfig, layout: Layout) -> list[Rule]:
    rules = [
        *pair("patch_embed.proj.", "embedding"),
        *_position_rules(layout),
        *pair("norm.", "norm"),
        *pair("head.", "head"),
    ]
    if config.pooling == "token":
        rules.append(Rule("cls_token", "class_token"))
    if config.representation_size is not None:
        rules += pair("pre_logits.fc.", "representation")
    for layer in range(config.depth):
        block = f"blocks.{layer}"
        rules += [
            *pair(f"{block}.norm1.", f"{block}.norm1"),
            *pair(f"{block}.attn.qkv.", f"{block}.attention.qkv"),
            *pair(f"{block}.attn.proj.", f"{block}.attention.out"),
            *pair(f"{block}.norm2.", f"{block}.norm2"),
            *pair(f"{block}.mlp.fc1.", f"{block}.mlp.hidden"),
            *pair(f"{block}.mlp.fc2.", f"{block}.mlp.out"),
        ]
    return rules


def vit_rules(config: ViTConfig, layout: Layout) -> list[Rule]:
    """Return a rule for every array of a ViT in a file of flax or timm."""
    by_naming = {"flax": _flax_rules, "timm": _timm_rules}
    return by_naming[layout.naming](config, layout)


def is_transformer(shapes: Shapes) -> bool:
    """Return whether the arrays are named like those of a ViT or a hybrid, by flax or by timm."""
    if has(shapes, "resnet/"):
        return False
    is_flax, is_bit = has(shapes, "Transformer/"), has(shapes, r"root_block/|block\d+/unit\d+/")
    return is_flax or (not is_bit and has(shapes, r"patch_embed\.|blocks\.\d+\.attn\."))


def infer_transformer(
    config: type[V], shapes: Shapes, image_size: ImageSize, resnet: dict[str, Any]
) -> Inferred:
    """Return the config of the transformer in a file, with ResNet fields for a hybrid."""
    if has(shapes, "Transformer/"):
        return _infer_flax(config, shapes, resnet)
    return _infer_timm(config, shapes, image_size, resnet)


def _infer_flax(config: type[V], shapes: Shapes, resnet: dict[str, Any]) -> Inferred:
    block = r"Transformer/encoderblock_\d+/"
    through = has(shapes, f"{block}{NUMBERED_THROUGH[0]}/")
    sublayers = NUMBERED_THROUGH if through else NUMBERED_BY_TYPE
    norms = r"Transformer/(encoder_norm|encoderblock_\d+/LayerNorm_\d)/(scale|bias)"
    values = {
        "patch_size": size_of(shapes, "embedding/kernel", 0),
        "width": size_of(shapes, f"embedding/(kernel|bias)|{norms}|cls|.*pos_embedding", -1),
        "depth": num_layers(shapes, r"Transformer/encoderblock_(\d+)/"),
        "mlp_dim": size_of(shapes, f"{block}{sublayers[2]}/Dense_0/(kernel|bias)", -1),
        "num_heads": size_of(shapes, f"{block}{sublayers[0]}/(query|key|value)/(kernel|bias)", -2),
        "representation_size": optional_size(shapes, "pre_logits/(kernel|bias)", -1),
    }
    num_classes = optional_size(shapes, "head/(kernel|bias)", -1)
    layout = Layout("flax", sublayers)
    made, layout = _with_positions(config, values | resnet, shapes, layout, None)
    return Inferred(made, num_classes, layout)


# Heads by width and MLP width: published sizes, and so400m, giantopt and test_vit of timm 1.0.31.
PUBLISHED = [size for name, size in SIZES.items() if name not in ("nano", "micro")]
HEADS = {(width, mlp_dim): heads for width, _, mlp_dim, heads in PUBLISHED}
HEADS |= {(1152, 4304): 16, (1536, 6144): 16, (64, 192): 2}
# timm's networks without a class token: sizes with two numbers of heads (vit_base_patch16_gap_224
# and SigLIP), and with two forms of GELU (SigLIP and its second version).
EITHER_HEADS = {(768, 3072): "12 or 16"}
EITHER_GELU = {(768, 3072), (1024, 4096), (1152, 4304)}
TANH_GELU = {(1536, 6144)}


def _untold(
    width: int, mlp_dim: int, has_token: bool
) -> tuple[dict[str, Any], tuple[str, ...], dict[str, str]]:
    """Return heads and GELU of a timm file, which arrays do not say: values, assumed, unsaid."""
    size = (width, mlp_dim)
    unsaid: dict[str, str] = {}
    heads = HEADS.get(size, max(1, width // 64))
    if not has_token and size in EITHER_HEADS:
        unsaid["num_heads"] = f"{EITHER_HEADS[size]} in timm's networks of width {width}"
    if size not in HEADS and (width % 64 or width < 128 or mlp_dim != 4 * width):
        unsaid["num_heads"] = f"no published network has width {width} and MLP width {mlp_dim}"
        heads = 1
    gelu = "tanh" if size in TANH_GELU else "erf"
    if not has_token and (size in EITHER_GELU or size not in HEADS):
        unsaid["gelu"] = "erf or tanh in timm's networks without a class token"
    words = {"num_heads": f"{heads} heads", "gelu": f"{gelu} GELU"}
    kind = "as timm's networks of this size" if size in HEADS else "of 64 channels"
    if size not in HEADS and "num_heads" not in unsaid:
        words["num_heads"] += f" {kind}"
    assumed = tuple(text for key, text in words.items() if key not in unsaid)
    return {"num_heads": heads, "gelu": gelu}, assumed, unsaid


def _infer_timm(
    config: type[V], shapes: Shapes, image_size: ImageSize, resnet: dict[str, Any]
) -> Inferred:
    norms = r"(norm|blocks\.\d+\.norm\d)\.(weight|bias)"
    width = size_of(shapes, rf"{norms}|patch_embed\.proj\.bias|cls_token|pos_embed", -1)
    depth = num_layers(shapes, r"blocks\.(\d+)\.")
    mlp_dim = size_of(shapes, r"blocks\.\d+\.mlp\.fc1\.(weight|bias)", 0)
    untold, assumed, unsaid = _untold(width, mlp_dim, "cls_token" in shapes)
    values = {
        "patch_size": size_of(shapes, r"patch_embed\.proj\.weight", -1),
        "width": width,
        "depth": depth,
        "mlp_dim": mlp_dim,
        "representation_size": optional_size(shapes, r"pre_logits\.fc\.(weight|bias)", 0),
        **untold,
    }
    num_classes = optional_size(shapes, r"head\.(weight|bias)", 0)
    layout = Layout("timm")
    made, layout = _with_positions(config, values | resnet, shapes, layout, image_size)
    return Inferred(made, num_classes, layout, assumed, unsaid)


def _with_positions(
    config: type[V],
    values: dict[str, Any],
    shapes: Shapes,
    layout: Layout,
    image_size: ImageSize,
) -> tuple[V, Layout]:
    """Return the config with its pooling and grid, and the layout with its position embedding."""
    is_timm = layout.naming == "timm"
    given = None
    if is_timm and image_size is not None:  # an .npz always holds a square
        given = make(config, {**values, "image_size": image_size}).grid
    found = find_positions(shapes, is_timm=is_timm, given=given)
    cells = resnet_downsampling(values["root"], len(values["stages"])) if "root" in values else 1
    rows, columns = (
        side * cells * values["patch_size"] for side in (found.grid.rows, found.grid.columns)
    )
    values["image_size"] = rows if rows == columns else (rows, columns)
    values["pooling"] = "token" if found.has_token else "gap"
    has_position = found.token_has_place or not found.has_token
    layout = replace(layout, position_key=found.key, token_has_position=has_position)
    return make(config, values), layout


class ViTFiles(PublishedFiles[ViTConfig]):
    """Files of vit_jax, big_vision and timm that hold ViTs."""

    npz = PUBLISHED_VIT
    structure = ("patch_size", "width", "depth", "mlp_dim", "num_heads")

    def infer(self, shapes: Shapes, image_size: ImageSize) -> Inferred | None:
        """Return the config of the ViT in a file; None if it holds another network."""
        if not is_transformer(shapes):
            return None
        return infer_transformer(ViTConfig, shapes, image_size, {})

    def rules(self, config: ViTConfig, layout: Layout) -> list[Rule]:
        """Return one rule per array."""
        return vit_rules(config, layout)


def resize_positions(grid: Tensor, height: int, width: int) -> Tensor:
    """Resize position embeddings (H, W, D) to another grid, (height, width, D).

    Linear with the corners kept in place, as the published code does with scipy's zoom of order
    1 (vit_jax/checkpoint.py); torch's default and timm's put them elsewhere.
    """
    channels_first = grid.permute(2, 0, 1)[None]
    resized = F.interpolate(channels_first, (height, width), mode="bilinear", align_corners=True)
    return resized[0].permute(1, 2, 0)


def resize(state: dict[str, Tensor], old: ViTConfig, new: ViTConfig) -> None:
    """Resize all position embeddings in the state dict to another image size."""
    before, after = old.grid, new.grid
    if before == after:
        return
    if old.position_embedding == "relative":
        raise CheckpointError(
            f"relative positions of {old.image_size} pixels cannot be resized to {new.image_size}"
        )
    if old.position_embedding == "1d":
        tokens = state["position_embedding.tokens"]
        extra = old.num_tokens - before.area
        grid = tokens[extra:].unflatten(0, (before.rows, before.columns))  # type: ignore[no-untyped-call]
        grid = resize_positions(grid, after.rows, after.columns)
        state["position_embedding.tokens"] = torch.cat([tokens[:extra], grid.flatten(0, 1)])
    if old.position_embedding == "2d":
        for axis, length in (("rows", after.rows), ("columns", after.columns)):
            name = f"position_embedding.{axis}"
            state[name] = resize_positions(state[name][:, None], length, 1)[:, 0]
