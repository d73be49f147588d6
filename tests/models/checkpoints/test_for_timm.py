"""Folders for timm: timm itself loads them, and computes the same logits."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import models
from models.checkpoints.convert import config_of
from models.checkpoints.for_timm import save_for_timm, timm_config
from models.configs import CheckpointError
from tests.helpers.torchvision_stub import TorchvisionStub

SMALL = {"width": 32, "depth": 2, "mlp_dim": 56, "num_heads": 4}
BACKBONE = {"weight_eps": 1e-8, "weight_eps_form": "variance", "group_norm_eps": 1e-5}


@pytest.fixture(autouse=True)
def torchvision() -> Iterator[None]:
    stub = TorchvisionStub()
    sys.meta_path.insert(0, stub)
    yield
    sys.meta_path.remove(stub)


def filled(network: nn.Module) -> nn.Module:
    """The network with no parameter at zero or one, so that none can be lost unseen."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data.add_(noise, alpha=0.02)
    return network.eval()


def difference(network: nn.Module, folder: Path) -> float:
    """Largest difference of logits, over their largest value, between timm's network and ours."""
    import timm

    image = config_of(network).image
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = torch.rand(3, 3, image.rows, image.columns) * 2 - 1
    with torch.no_grad():
        ours = network(images)
        return float((theirs(images) - ours).abs().max() / ours.abs().max().clamp(min=1))


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("vit_s16", {"image_size": 32}, 2e-5),
        ("vit_s16", {"image_size": 32, "gelu": "erf", **SMALL}, 2e-5),
        ("vit_s16", {"image_size": (48, 32), "pooling": "gap", **SMALL}, 2e-5),
        ("vit_s16", {"image_size": 32, "position_embedding": "none", **SMALL}, 2e-5),
        ("r26_vit_s32", {"image_size": 64, **BACKBONE, **SMALL}, 2e-4),
        ("bit_r50x1", {"image_size": 64, "base_width": 32}, 2e-4),
    ],
)
def test_timm_computes_the_same_logits(
    name: str, options: dict[str, Any], tolerance: float, tmp_path: Path
) -> None:
    network = filled(models.build(name, num_classes=7, **options))
    save_for_timm(network, tmp_path)
    assert difference(network, tmp_path) < tolerance


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("vit_s16", {"position_embedding": "2d"}, "position_embedding"),
        ("vit_s16", {"representation_size": 8}, "representation_size"),
        ("vit_s16", {"norm_eps": 1e-5}, "norm_eps"),
        ("bit_r50x1", {"root": "small"}, "root"),
        ("bit_r50x1", {"stages": (1, 1)}, "stages"),
        ("r26_vit_s32", {}, "weight_eps_form|group_norm_eps"),
    ],
)
def test_what_timm_lacks_is_refused(name: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(CheckpointError, match=rf"({field}) = .*timm"):
        timm_config(models.config(name, **options), 7)
