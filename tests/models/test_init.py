"""Building networks by name."""

from pathlib import Path
from typing import Any

import pytest
import torch

import models
from models.bit.network import BiT
from models.cost.macs import count
from models.vit.network import ViT


@pytest.mark.parametrize("name", models.names())
def test_every_network_holds_the_parameters_of_the_closed_form(name: str) -> None:
    with torch.device("meta"):
        network = models.build(name, num_classes=10)
    num_params = sum(parameter.numel() for parameter in network.parameters())
    assert num_params == count(models.config(name), num_classes=10).params


@pytest.mark.parametrize("position", ["none", "1d", "2d", "relative"])
@pytest.mark.parametrize("pooling", ["token", "gap"])
@pytest.mark.parametrize("name", ["vit_nano2", "r8_vit_nano2"])
def test_choices_change_both_counts_alike(name: str, pooling: str, position: str) -> None:
    choices = {"pooling": pooling, "position_embedding": position, "representation_size": 20}
    network = models.build(name, num_classes=10, image_size=16, **choices)
    num_params = sum(parameter.numel() for parameter in network.parameters())
    config = models.config(name, image_size=16, **choices)
    assert num_params == count(config, num_classes=10).params


@pytest.mark.parametrize(
    "name", ["vit_nano2", "r8_vit_nano2", "bit_nano", "vit_micro2", "r8_vit_micro2", "bit_micro"]
)
def test_small_networks_learn_a_batch_by_heart(name: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, num_classes=4)
    images, labels = torch.rand(16, 3, 8, 8) * 2 - 1, torch.arange(16) % 4
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert (network.eval()(images).argmax(1) == labels).all()


def test_the_same_seed_builds_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(models.build("r8_vit_nano2", num_classes=10).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_saving_and_loading_a_state_is_identity() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name in ("vit_nano2", "r8_vit_nano2", "bit_nano"):
        network = models.build(name, num_classes=10).eval()
        again = models.build(name, num_classes=10).eval()
        again.load_state_dict(network.state_dict())
        assert isinstance(network, ViT | BiT) and isinstance(again, ViT | BiT)
        assert torch.equal(network.features(images), again.features(images))


def test_what_does_not_fit_is_refused_before_anything_is_built() -> None:
    with pytest.raises(models.UnknownModel, match="vit_b15"):
        models.build("vit_b15", num_classes=10)
    with pytest.raises(models.ConfigError, match="image_size = 100"):
        models.build("vit_b16", num_classes=10, image_size=100)


@pytest.mark.parametrize("num_classes", [0, -1, "7", 2.5, True, None])
def test_classes_are_a_positive_whole_number(num_classes: Any, tmp_path: Path) -> None:
    with pytest.raises(models.ConfigError, match=f"num_classes = {num_classes!r}: expected a pos"):
        models.build("vit_nano2", num_classes=num_classes)
    if num_classes is None:
        return
    path = tmp_path / "x.safetensors"
    models.save_checkpoint(models.build("vit_nano2", num_classes=3), path)
    with pytest.raises(models.CheckpointError, match=f"x.safetensors: .*= {num_classes!r}: exp"):
        models.load_checkpoint(path, num_classes=num_classes)
