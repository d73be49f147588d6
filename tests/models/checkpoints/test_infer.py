"""Architectures from names and shapes; the files themselves are in test_models_convert."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import models
from models.checkpoints.infer import describe, described, infer
from models.layouts.rules import Layout
from models.vit.checkpoints import PUBLISHED_VIT
from tests.helpers.layouts import rules


def _shapes(config: models.Config, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file of this network, without its numbers."""
    with torch.device("meta"):
        state = models.assemble(config, num_classes=1000).state_dict()
    shapes = {}
    for rule in rules(config, layout):
        part = state[rule.ours] if rule.third is None else state[rule.ours].chunk(3)[rule.third]
        shapes[rule.theirs] = tuple(rule.to_theirs(part).shape)
    return shapes


# The small ones are ours: other norm groups, which a published file cannot say.
PUBLISHED = [name for name in models.names() if models.config(name).image_size == 224]


@pytest.mark.parametrize("naming", ["published", "timm"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_network_is_told_from_its_shapes(name: str, naming: str) -> None:
    config = models.config(name)
    layout = Layout("timm", position_key="pos_embed")
    if naming == "published":
        layout = Layout("tensorflow") if config.family == "bit" else PUBLISHED_VIT
    inferred = infer(_shapes(config, layout))
    assert inferred.num_classes == 1000
    assert (inferred.config.name, inferred.config.label) == (name, config.label)
    assert inferred.config.image_size == 224
    if naming == "published":
        assert inferred.config == config


def test_heads_need_not_be_64_wide_where_the_size_is_known() -> None:
    timm = Layout("timm", position_key="pos_embed")
    inferred = infer(_shapes(models.config("vit_h14"), timm))
    assert isinstance(inferred.config, models.ViTConfig)
    assert inferred.config.num_heads == 16  # 80 wide
    strange = models.config("vit_h14", width=1200, depth=1, mlp_dim=64, num_heads=10)
    assert "width 1200" in infer(_shapes(strange, timm)).unsaid["num_heads"]


def test_a_position_embedding_that_is_no_square() -> None:
    shapes = _shapes(models.config("vit_ti16"), PUBLISHED_VIT)
    assert PUBLISHED_VIT.position_key is not None
    shapes[PUBLISHED_VIT.position_key] = (1, 14 * 15, 192)
    with pytest.raises(models.CheckpointError, match="210 places is not a square grid"):
        infer(shapes)


@pytest.mark.parametrize("name", models.names())
def test_a_description_reads_back_as_the_same_config(name: str) -> None:
    config = models.config(name)
    inferred = described(describe(config, 10))
    assert (inferred.config, inferred.num_classes) == (config, 10)


TIMM = Layout("timm", position_key="pos_embed")
TENSORFLOW_ROOT = "resnet/root_block/standardized_conv2d/kernel"
SMALL = {
    "vit": models.config("vit_micro2"),
    "hybrid": models.config("r26_vit_s32", stages=(1,), depth=1, image_size=32),
    "bit": models.config("bit_r50x1", stages=(1,)),
}


def _complaint(shapes: dict[str, tuple[int, ...]], path: Path) -> str:
    """What loading a file of zeros in these shapes says."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]
    else:
        save_file(arrays, path)
    with pytest.raises(models.CheckpointError) as error:
        models.load_checkpoint(path)
    return str(error.value).removeprefix(f"{path}: ")


ANCHORS = [
    ("vit", PUBLISHED_VIT, ["embedding/kernel"]),
    ("vit", PUBLISHED_VIT, ["Transformer/posembed_input/pos_embedding", "cls"]),
    ("vit", TIMM, ["patch_embed.proj.weight", "patch_embed.proj.bias"]),
    ("vit", TIMM, ["pos_embed"]),
    ("hybrid", PUBLISHED_VIT, ["conv_root/kernel", "gn_root/scale", "gn_root/bias"]),
    ("hybrid", TIMM, ["patch_embed.backbone.stem.conv.weight"]),
    ("bit", Layout("tensorflow"), [TENSORFLOW_ROOT]),
    ("bit", Layout("flax"), ["root_block/conv_root/kernel"]),
    ("bit", TIMM, ["stem.conv.weight"]),
]


@pytest.mark.parametrize(("family", "layout", "names"), ANCHORS)
def test_a_missing_name_is_said_with_what_else_is_wrong(
    family: str, layout: Layout, names: list[str], tmp_path: Path
) -> None:
    shapes = _shapes(SMALL[family], layout)
    for name in names:
        del shapes[name]
    shapes["foo"] = (1,)
    path = tmp_path / ("x.safetensors" if layout is TIMM else "x.npz")
    missing = [name for name in names if name != "cls"]  # without a position it may be pooled
    assert _complaint(shapes, path) == f"missing: {', '.join(missing)}; unexpected: foo"


@pytest.mark.parametrize(
    ("family", "layout", "name", "axis"),
    [
        ("vit", PUBLISHED_VIT, "embedding/kernel", -1),
        ("vit", TIMM, "patch_embed.proj.weight", 0),
        ("hybrid", PUBLISHED_VIT, "conv_root/kernel", -1),
        ("bit", Layout("tensorflow"), TENSORFLOW_ROOT, -1),
        ("bit", TIMM, "stem.conv.weight", 0),
    ],
)
def test_an_array_of_another_width_is_the_one_that_is_blamed(
    family: str, layout: Layout, name: str, axis: int, tmp_path: Path
) -> None:
    shapes = _shapes(SMALL[family], layout)
    right = shapes[name]
    doubled = list(right)
    doubled[axis] *= 2
    shapes[name] = tuple(doubled)
    path = tmp_path / ("x.safetensors" if layout is TIMM else "x.npz")
    blamed = f"of another shape: {name} {tuple(doubled)} instead of {right}"
    assert _complaint(shapes, path) == blamed
