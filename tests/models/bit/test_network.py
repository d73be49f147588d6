"""The pre-activation ResNet of Big Transfer."""

from typing import Any

import pytest
import torch

import models
from models.bit.network import BiT, PreActBottleneck


def _bit(name: str, **overrides: Any) -> BiT:
    torch.manual_seed(0)
    network = models.build(name, num_classes=10, **overrides).eval()
    assert isinstance(network, BiT)
    return network


def _images(size: int) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [("bit_nano", 8, 192), ("bit_micro32", 32, 384), ("bit_r50x1", 37, 2048)],
)
def test_shapes_and_the_zero_head(name: str, size: int, width: int) -> None:
    network = _bit(name, image_size=size)
    assert network.features(_images(size)).shape == (2, width)
    assert network(_images(size)).shape == (2, 10)
    assert network(_images(size)).abs().max() == 0


def test_the_large_root_pools_with_zeros_around() -> None:
    # Where every activation is negative, the zeros win along the border, and only there.
    network = _bit("bit_r50x1", image_size=32)
    network.root.register_module("conv", torch.nn.Identity())
    pooled = network.root(torch.full((1, 1, 8, 8), -1.0))
    border = torch.full((4, 4), -1.0)
    border[0], border[:, 0] = 0, 0  # 8 rows: windows start at -1, 1, 3, 5; none reaches row 8
    assert torch.equal(pooled[0, 0], border)


def test_the_shortcut_projects_what_is_already_activated() -> None:
    config = models.config("bit_nano")
    assert isinstance(config, models.BiTConfig)
    torch.manual_seed(0)
    unit = PreActBottleneck(config, 12, 12, 1)
    with torch.no_grad():
        unit.norm3.weight.zero_()  # silences the other branch
    x = torch.randn(2, 12, 4, 4)
    assert unit.shortcut is not None
    torch.testing.assert_close(unit(x), unit.shortcut(unit.norm1(x).relu()))


def test_a_unit_without_projection_adds_what_came_in() -> None:
    config = models.config("bit_nano")
    assert isinstance(config, models.BiTConfig)
    torch.manual_seed(0)
    unit = PreActBottleneck(config, 48, 12, 1)
    with torch.no_grad():
        unit.norm3.weight.zero_()
    x = torch.randn(2, 48, 4, 4)
    assert unit.shortcut is None
    assert torch.equal(unit(x), x)


def test_defaults_are_those_of_the_published_code() -> None:
    config = models.config("bit_r152x4")
    assert isinstance(config, models.BiTConfig)
    assert (config.weight_eps, config.weight_eps_form) == (1e-10, "variance")
    assert (config.group_norm_groups, config.group_norm_eps) == (32, 1e-5)
    assert (config.stages, config.root_width) == ((3, 8, 36, 3), 256)


def test_every_convolution_is_standardized_and_has_no_bias() -> None:
    network = _bit("bit_nano")
    images = _images(8)
    features = network.features(images)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.mul_(3).add_(0.5)
    torch.testing.assert_close(network.features(images), features, rtol=1e-3, atol=1e-3)
