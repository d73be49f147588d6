"""Published BiT checkpoints: names of their arrays, and the architecture inferred from them."""

from dataclasses import dataclass

from torch import Tensor

from models.bit.config import BiTConfig
from models.layouts.published import PublishedFiles
from models.layouts.rules import Layout, Rule, conv, dense, flax_norm, pair
from models.layouts.shapes import (
    ImageSize,
    Inferred,
    Shapes,
    has,
    make,
    optional_size,
    size_of,
    stages,
)
from models.resnet import inferred_fields

# timm adds this epsilon instead of the published code's (StdConv2d).
TIMM_VALUES = {"weight_eps": 1e-8}


def _tensorflow_rules(config: BiTConfig) -> list[Rule]:
    kernel = "standardized_conv2d/kernel"
    head = Rule(
        "resnet/head/conv2d/kernel",
        "head.weight",
        lambda x: x[0, 0].mT,
        lambda x: x.mT[None, None],
    )
    rules = [
        conv(f"resnet/root_block/{kernel}", "root.conv.weight"),
        *pair("resnet/group_norm/", "norm", "gamma", "beta"),
        head,
        Rule("resnet/head/conv2d/bias", "head.bias"),
    ]
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs = f"resnet/block{stage + 1}/unit{unit + 1:02d}"
            ours = f"stages.{stage}.{unit}"
            for i, letter in enumerate("abc", start=1):
                rules.append(conv(f"{theirs}/{letter}/{kernel}", f"{ours}.conv{i}.weight"))
                norm = f"{theirs}/{letter}/group_norm/"
                rules += pair(norm, f"{ours}.norm{i}", "gamma", "beta")
            if unit == 0:
                rules.append(conv(f"{theirs}/a/proj/{kernel}", f"{ours}.shortcut.weight"))
    return rules


def _flax_rules(config: BiTConfig) -> list[Rule]:
    rules = [
        conv("root_block/conv_root/kernel", "root.conv.weight"),
        *flax_norm("norm-pre-head", "norm"),
        *dense("head", "head"),
    ]
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs, ours = f"block{stage + 1}/unit{unit + 1:02d}", f"stages.{stage}.{unit}"
            for i in (1, 2, 3):
                rules.append(conv(f"{theirs}/conv{i}/kernel", f"{ours}.conv{i}.weight"))
                rules += flax_norm(f"{theirs}/gn{i}", f"{ours}.norm{i}")
            if unit == 0:
                rules.append(conv(f"{theirs}/conv_proj/kernel", f"{ours}.shortcut.weight"))
    return rules


def _timm_rules(config: BiTConfig) -> list[Rule]:
    def as_convolution(x: Tensor) -> Tensor:
        return x[:, :, None, None]

    rules = [
        Rule("stem.conv.weight", "root.conv.weight"),
        *pair("norm.", "norm"),
        Rule("head.fc.weight", "head.weight", lambda x: x[:, :, 0, 0], as_convolution),
        Rule("head.fc.bias", "head.bias"),
    ]
    for stage, num_units in enumerate(config.stages):
        for unit in range(num_units):
            theirs, ours = f"stages.{stage}.blocks.{unit}", f"stages.{stage}.{unit}"
            for i in (1, 2, 3):
                rules.append(Rule(f"{theirs}.conv{i}.weight", f"{ours}.conv{i}.weight"))
                rules += pair(f"{theirs}.norm{i}.", f"{ours}.norm{i}")
            if unit == 0:
                rules.append(Rule(f"{theirs}.downsample.conv.weight", f"{ours}.shortcut.weight"))
    return rules


@dataclass(frozen=True)
class _Names:
    """Patterns: the root's kernel, norms as wide as the root, the head, numbers of a unit."""

    root: str
    norms: str
    head: str
    unit: str


_TENSORFLOW_NAMES = _Names(
    "resnet/root_block/standardized_conv2d/kernel",
    r"resnet/block1/unit\d+/[bc]/group_norm/(gamma|beta)",
    "resnet/head/conv2d/(kernel|bias)",
    r"resnet/block(\d+)/unit(\d+)/",
)
_FLAX_NAMES = _Names(
    "root_block/conv_root/kernel",
    r"block1/unit\d+/gn[23]/(scale|bias)",
    "head/(kernel|bias)",
    r"block(\d+)/unit(\d+)/",
)
_TIMM_NAMES = _Names(
    r"stem\.conv\.weight",
    r"stages\.0\.blocks\.\d+\.norm[23]\.(weight|bias)",
    r"head\.fc\.(weight|bias)",
    r"stages\.(\d+)\.blocks\.(\d+)\.",
)


def _infer(shapes: Shapes, layout: Layout, names: _Names, axes: tuple[int, int]) -> Inferred:
    """Return the ResNet; `axes` are where a kernel has its outputs, and one of its sides."""
    outputs, side = axes
    kernel_size = size_of(shapes, names.root, side, missing=7)
    root_width = size_of(shapes, f"{names.root}|{names.norms}", outputs)
    values = inferred_fields(root_width, kernel_size, stages(shapes, names.unit))
    values |= TIMM_VALUES if layout.naming == "timm" else {}
    num_classes = optional_size(shapes, names.head, outputs)
    return Inferred(make(BiTConfig, values), num_classes, layout)


class BiTFiles(PublishedFiles[BiTConfig]):
    """Published files of BiT (TensorFlow), of big_vision and of timm."""

    npz = Layout("tensorflow")
    structure = ("stages", "root", "width_factor", "base_width")

    def infer(self, shapes: Shapes, image_size: ImageSize) -> Inferred | None:
        """Return the config of the ResNet in a file; None if it holds another network."""
        if has(shapes, "resnet/"):
            return _infer(shapes, Layout("tensorflow"), _TENSORFLOW_NAMES, (-1, 0))
        if has(shapes, "Transformer/"):
            return None
        if has(shapes, r"root_block/|block\d+/unit\d+/"):
            return _infer(shapes, Layout("flax"), _FLAX_NAMES, (-1, 0))
        is_vit = has(shapes, r"patch_embed\.|blocks\.\d+\.attn\.")
        if not is_vit and has(shapes, r"stem\.conv\.|stages\.\d+\.blocks\.\d+\.norm3\."):
            return _infer(shapes, Layout("timm"), _TIMM_NAMES, (0, -1))
        return None

    def rules(self, config: BiTConfig, layout: Layout) -> list[Rule]:
        """Return one rule per array."""
        by_naming = {"flax": _flax_rules, "tensorflow": _tensorflow_rules, "timm": _timm_rules}
        return by_naming[layout.naming](config)
