"""What arrays do not say: assumed where all of timm's networks agree, refused where they do not."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import models
from tests.helpers.torchvision_stub import TorchvisionStub

# Networks of timm with fewer layers, so that the files are small: what is read, and how.
RIGHT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vit_tiny_patch16_224", {}, {}),
    ("vit_tiny_patch16_384", {"depth": 1}, {}),
    ("vit_small_patch32_224", {"depth": 2}, {}),
    ("vit_small_patch8_224", {"depth": 1}, {}),
    ("vit_base_patch16_224", {"depth": 1}, {}),
    ("vit_base_patch8_224", {"depth": 1}, {}),
    ("vit_large_patch16_224", {"depth": 1}, {}),
    ("vit_huge_patch14_224", {"depth": 1}, {}),
    ("vit_giant_patch14_224", {"depth": 1}, {}),
    ("deit_tiny_patch16_224", {}, {}),
    ("deit_small_patch16_224", {"depth": 2}, {}),
    ("test_vit", {}, {}),
    ("vit_base_patch16_gap_224", {"depth": 1}, {"num_heads": 16, "gelu": "erf"}),
    ("vit_base_patch16_siglip_gap_224", {"depth": 1}, {"num_heads": 12, "gelu": "erf"}),
    ("vit_base_patch32_siglip_gap_256", {"depth": 1}, {"num_heads": 12, "gelu": "tanh"}),
    ("vit_large_patch16_siglip_gap_512", {"depth": 1}, {"gelu": "tanh"}),
    ("vit_so400m_patch14_siglip_gap_224", {"depth": 1}, {"gelu": "erf"}),
    ("vit_so400m_patch16_siglip_gap_256", {"depth": 1}, {"gelu": "tanh"}),
    ("vit_giantopt_patch16_siglip_gap_256", {"depth": 1}, {}),
    ("vit_huge_patch14_gap_224", {"depth": 1}, {}),
]


@pytest.fixture(scope="module")
def timm() -> Any:
    sys.meta_path.insert(0, TorchvisionStub())
    import timm

    yield timm
    sys.meta_path.pop(0)


def save(timm: Any, name: str, changes: dict[str, Any], path: Path) -> torch.nn.Module:
    """A network of timm with random weights, none of them zero, saved as timm does."""
    torch.manual_seed(0)
    network: torch.nn.Module = timm.create_model(name, num_classes=7, **changes).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    safetensors.torch.save_file(network.state_dict(), path)
    return network


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("name", "changes", "told"), RIGHT, ids=lambda value: str(value))
def test_files_of_timm_give_timms_logits(
    timm: Any, name: str, changes: dict[str, Any], told: dict[str, Any], tmp_path: Path
) -> None:
    theirs = save(timm, name, changes, tmp_path / "x.safetensors")
    ours = models.load_checkpoint(tmp_path / "x.safetensors", **told).eval()
    assert isinstance(ours.config, models.ViTConfig)
    side = ours.config.image.rows
    images = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        found, expected = ours(images), theirs(images)
    assert float((found - expected).abs().max() / expected.abs().max()) < 2e-5
    for key in told:
        rest = {other: value for other, value in told.items() if other != key}
        with pytest.raises(models.CheckpointError, match=f"{key} is not in the arrays"):
            models.load_checkpoint(tmp_path / "x.safetensors", **rest)


def test_what_is_assumed_is_said_in_one_line(
    timm: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.safetensors"
    save(timm, "vit_tiny_patch16_224", {"depth": 1}, path)
    with caplog.at_level(logging.WARNING):
        models.load_checkpoint(path)
        models.load_checkpoint(path, num_heads=3, gelu="erf")
    (line,) = caplog.messages
    assert line == f"{path}: assumed, as the arrays do not say it: 3 heads, erf GELU"


def test_a_size_that_nobody_publishes_is_refused_unless_its_heads_are_given(
    timm: Any, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    theirs = save(timm, "vit_tiny_patch16_224", {"depth": 1, "embed_dim": 96, "num_heads": 4}, path)
    with pytest.raises(models.CheckpointError, match="num_heads is not in the arrays"):
        models.load_checkpoint(path)
    ours = models.load_checkpoint(path, num_heads=4).eval()
    images = torch.zeros(1, 3, 224, 224)
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    with pytest.raises(models.CheckpointError, match="num_heads = 5: does not divide width 96"):
        models.load_checkpoint(path, num_heads=5)


def test_what_is_given_may_not_contradict_the_file(timm: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save(timm, "vit_tiny_patch16_224", {"depth": 1}, path)
    with pytest.raises(models.CheckpointError, match="the file has a class token: 'token'"):
        models.load_checkpoint(path, pooling="gap")
    network = models.build("vit_nano2", num_classes=3)
    models.save_checkpoint(network, tmp_path / "x.npz")
    with pytest.raises(models.CheckpointError, match="num_heads: given 4, but the file says 3"):
        models.load_checkpoint(tmp_path / "x.npz", num_heads=4)
    bit = models.build("bit_nano", num_classes=3)
    models.save_checkpoint(bit, tmp_path / "bit.safetensors")
    with pytest.raises(models.CheckpointError, match="gelu: a network of family bit has none"):
        models.load_checkpoint(tmp_path / "bit.safetensors", gelu="erf")


def test_values_that_are_not_finite_are_refused(timm: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    network = save(timm, "vit_tiny_patch16_224", {"depth": 1}, path)
    state = network.state_dict()
    state["blocks.0.mlp.fc1.bias"][3] = float("nan")
    safetensors.torch.save_file(state, path)
    with pytest.raises(models.CheckpointError, match=r"fc1\.bias holds a value that is not finite"):
        models.load_checkpoint(path)


def test_keys_of_ours_in_the_metadata_may_be_there_by_chance(timm: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    state = save(timm, "vit_tiny_patch16_224", {"depth": 1}, path).state_dict()
    for metadata in ({"model": "mine"}, {"model": "mine", "num_classes": "7"}, {"config": "x"}):
        safetensors.torch.save_file(state, path, metadata=metadata)
        assert models.load_checkpoint(path).config.depth == 1  # type: ignore[union-attr]
