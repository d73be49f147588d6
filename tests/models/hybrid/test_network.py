"""The post-activation ResNet of the hybrids and what the ViT makes of its map."""

from typing import Any

import pytest
import torch

import models
from models.hybrid.network import Bottleneck, Hybrid, HybridRoot, ResNet


def _hybrid(name: str, **overrides: Any) -> Hybrid:
    torch.manual_seed(0)
    network = models.build(name, num_classes=10, **overrides).eval()
    assert isinstance(network, Hybrid)
    return network


def _images(size: int) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(
    ("name", "image_size", "shape"),
    [
        ("r8_vit_nano2", 8, (2, 64, 4, 4)),
        ("r11_vit_nano4", 32, (2, 96, 8, 8)),
        ("r_vit_ti16", 64, (2, 64, 16, 16)),
        # Three stages end at 1/16 with 1024 channels, four at 1/32 with 2048.
        ("r50_vit_b16", 32, (2, 1024, 2, 2)),
        ("r26_vit_s32", 32, (2, 2048, 1, 1)),
    ],
)
def test_the_feature_map(name: str, image_size: int, shape: tuple[int, ...]) -> None:
    network = _hybrid(name, image_size=image_size, depth=1)
    assert network.stem(_images(image_size)).shape == shape
    assert network.features(_images(image_size)).shape == (2, network.config.width)
    assert network(_images(image_size)).abs().max() == 0


def test_a_unit_starts_as_its_shortcut() -> None:
    config = models.config("r8_vit_nano2")
    assert isinstance(config, models.HybridConfig)
    torch.manual_seed(0)
    unit = Bottleneck(config, 32, 8, 1)
    x = torch.randn(2, 32, 4, 4)
    assert len(unit.shortcut) == 0
    assert torch.equal(unit(x), x.relu())


def test_a_first_unit_projects_and_the_stride_lies_on_its_3x3() -> None:
    resnet = _hybrid("r8_vit_nano2").resnet
    stages = list(resnet.children())[1:3]
    first, second = (next(stage.children()) for stage in stages)
    assert isinstance(first, Bottleneck) and isinstance(second, Bottleneck)
    assert len(first.shortcut) == len(second.shortcut) == 2
    strides = [conv.stride[0] for conv in (second.conv1, second.conv2, second.conv3)]
    assert strides == [1, 2, 1]
    assert first.conv2.stride == (1, 1)


def test_the_root_pads_like_tensorflow() -> None:
    # SAME for 7x7 of stride 2 is 2 before and 3 after, for the pool 0 and 1: a pixel in the first
    # row or column is seen by the first place alone, one in the last by the last alone.
    config = models.config("r_vit_ti16", image_size=32)
    assert isinstance(config, models.HybridConfig)
    torch.manual_seed(0)
    root = ResNet(config)[0]
    assert isinstance(root, HybridRoot)
    conv = root.conv
    image = torch.zeros(1, 3, 32, 32)
    image[..., 0, 0] = 1
    assert conv(image).abs().sum(1)[0].nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    image = torch.zeros(1, 3, 32, 32)
    image[..., 31, 31] = 1
    # Window i covers 2 i - 2 to 2 i + 4: the last pixel is in windows 14 and 15.
    assert conv(image).abs().sum(1)[0].nonzero().tolist() == [
        [14, 14],
        [14, 15],
        [15, 14],
        [15, 15],
    ]


def test_defaults_are_those_of_the_published_code() -> None:
    config = models.config("r50_vit_b16")
    assert isinstance(config, models.HybridConfig)
    assert (config.weight_eps, config.weight_eps_form) == (1e-5, "deviation")
    assert (config.group_norm_groups, config.group_norm_eps) == (32, 1e-6)
    assert config.stages == (3, 4, 9)
    large = models.config("r50_vit_l32")
    assert isinstance(large, models.HybridConfig)
    assert large.stages == (3, 4, 6, 3)
