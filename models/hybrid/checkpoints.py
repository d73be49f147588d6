"""Published hybrid checkpoints: names of their arrays, and the architecture inferred from them."""

from typing import Any

from models.hybrid.config import HybridConfig
from models.layouts.published import PublishedFiles
from models.layouts.rules import Layout, Rule, conv, flax_norm, pair
from models.layouts.shapes import ImageSize, Inferred, Shapes, has, size_of, stages
from models.resnet import inferred_fields
from models.vit.checkpoints import PUBLISHED_VIT, infer_transformer, is_transformer, vit_rules

# timm adds these epsilons instead of the published code's (StdConv2d, GroupNormAct).
TIMM_VALUES = {"weight_eps": 1e-8, "weight_eps_form": "variance", "group_norm_eps": 1e-5}
BACKBONE = r"patch_embed\.backbone\."


def _flax_resnet(config: HybridConfig) -> list[Rule]:
    rules = [
        conv("conv_root/kernel", "resnet.0.conv.weight"),
        *flax_norm("gn_root", "resnet.0.norm"),
    ]
    for stage, num_units in enumerate(config.stages, start=1):
        for unit in range(num_units):
            theirs, ours = f"block{stage}/unit{unit + 1}", f"resnet.{stage}.{unit}"
            for i in (1, 2, 3):
                rules.append(conv(f"{theirs}/conv{i}/kernel", f"{ours}.conv{i}.weight"))
                rules += flax_norm(f"{theirs}/gn{i}", f"{ours}.norm{i}")
            if unit == 0:
                rules.append(conv(f"{theirs}/conv_proj/kernel", f"{ours}.shortcut.0.weight"))
                rules += flax_norm(f"{theirs}/gn_proj", f"{ours}.shortcut.1")
    return rules


def _timm_resnet(config: HybridConfig) -> list[Rule]:
    prefix = "patch_embed.backbone."
    stem = f"{prefix}stem." if config.stages else prefix
    rules = [Rule(f"{stem}conv.weight", "resnet.0.conv.weight")]
    rules += pair(f"{stem}norm.", "resnet.0.norm")
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs = f"{prefix}stages.{stage}.blocks.{unit}"
            ours = f"resnet.{stage + 1}.{unit}"
            for i in (1, 2, 3):
                rules.append(Rule(f"{theirs}.conv{i}.weight", f"{ours}.conv{i}.weight"))
                rules += pair(f"{theirs}.norm{i}.", f"{ours}.norm{i}")
            if unit == 0:
                rules.append(Rule(f"{theirs}.downsample.conv.weight", f"{ours}.shortcut.0.weight"))
                rules += pair(f"{theirs}.downsample.norm.", f"{ours}.shortcut.1")
    return rules


def _flax_fields(shapes: Shapes) -> dict[str, Any]:
    width = size_of(shapes, r"conv_root/kernel|(gn_root|block1/unit\d+/gn[12])/(scale|bias)", -1)
    kernel_size = size_of(shapes, "conv_root/kernel", 0, missing=7)
    return inferred_fields(width, kernel_size, stages(shapes, r"block(\d+)/unit(\d+)/"))


def _timm_fields(shapes: Shapes) -> dict[str, Any]:
    root = rf"{BACKBONE}(stem\.)?conv\.weight"
    norms = rf"{BACKBONE}((stem\.)?norm|stages\.0\.blocks\.\d+\.norm[12])\.(weight|bias)"
    width = size_of(shapes, f"{root}|{norms}", 0)
    units = stages(shapes, rf"{BACKBONE}stages\.(\d+)\.blocks\.(\d+)\.")
    return inferred_fields(width, size_of(shapes, root, -1, missing=7), units) | TIMM_VALUES


class HybridFiles(PublishedFiles[HybridConfig]):
    """Files of vit_jax and timm that hold hybrids."""

    npz = PUBLISHED_VIT
    structure = (
        *("patch_size", "width", "depth", "mlp_dim", "num_heads"),
        *("stages", "root", "width_factor", "base_width"),
    )

    def infer(self, shapes: Shapes, image_size: ImageSize) -> Inferred | None:
        """Return the config of the hybrid in a file; None if it holds another network."""
        if not is_transformer(shapes):
            return None
        if has(shapes, "Transformer/"):
            has_resnet = has(shapes, r"conv_root/|gn_root/|block\d+/")
            fields = _flax_fields(shapes) if has_resnet else {}
        else:
            fields = _timm_fields(shapes) if has(shapes, BACKBONE) else {}
        return infer_transformer(HybridConfig, shapes, image_size, fields) if fields else None

    def rules(self, config: HybridConfig, layout: Layout) -> list[Rule]:
        """Return one rule per array."""
        resnet = _timm_resnet(config) if layout.naming == "timm" else _flax_resnet(config)
        return [*resnet, *vit_rules(config, layout)]
