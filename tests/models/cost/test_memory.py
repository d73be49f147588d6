"""What autograd keeps, against the tensors that it really saves."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

import models
import models.cost.macs
from models.cost.memory import kept
from models.layers import recompute

# The sum of the weights that the mean over labels divides by.
LOSS_TOTAL_BYTES = 4


def saved_bytes(network: torch.nn.Module, num_images: int, size: int) -> int:
    """Bytes of the storages that autograd keeps, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    images, labels = torch.zeros(num_images, 3, size, size), torch.zeros(num_images).long()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        F.cross_entropy(network(images), labels)
    return sum(sizes.values())


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("vit_nano2", 8, {}),
        ("vit_ti16", 64, {"pooling": "gap"}),
        ("vit_ti16", 48, {"representation_size": 24}),
        ("vit_micro4", 32, {"position_embedding": "2d"}),
        ("vit_micro4", 32, {"position_embedding": "relative"}),
        ("vit_micro4", 32, {"dropout": 0.1}),
        ("vit_nano2", 8, {"attention_dropout": 0.1}),
        ("vit_nano2", 8, {"position_embedding": "relative", "attention_dropout": 0.1}),
        ("r11_vit_micro4", 32, {"dropout": 0.1, "attention_dropout": 0.1}),
        ("bit_nano", 8, {}),
        ("bit_micro32", 32, {}),
        ("bit_r50x1", 64, {}),
        ("bit_r50x1", 72, {}),  # sizes that strides do not divide
        ("r8_vit_nano2", 8, {}),
        ("r11_vit_micro4", 32, {}),
        ("r50_vit_b16", 48, {}),
    ],
)
def test_activations_are_what_autograd_keeps(name: str, size: int, options: dict[str, Any]) -> None:
    network = models.build(name, num_classes=10, image_size=size, **options)
    config = models.config(name, **options)
    parts = kept(config, image_size=size, num_classes=10, device="cpu")
    for num_images in (2, 3):  # of one image alone some copies are views
        expected = sum(num_images * part.per_image + part.constant for part in parts)
        assert saved_bytes(network, num_images, size) == expected + LOSS_TOTAL_BYTES
    assert sum(part.params for part in parts) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", ["vit_nano2", "bit_nano", "r8_vit_nano2"])
def test_recomputing_keeps_what_enters_and_changes_no_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, num_classes=10)
    size = models.config(name).image_size
    assert isinstance(size, int)
    images = torch.randn(2, 3, size, size)
    network(images).square().sum().backward()
    expected = {n: p.grad for n, p in network.named_parameters()}
    network.zero_grad()
    whole = saved_bytes(network, 2, size)
    recompute(network)
    assert saved_bytes(network, 2, size) < 0.6 * whole
    network(images).square().sum().backward()
    for n, parameter in network.named_parameters():
        assert expected[n] is not None
        torch.testing.assert_close(parameter.grad, expected[n], rtol=0, atol=0)


def test_a_block_by_hand() -> None:
    # 4 x 4 tokens and a class token: n = 17; width 4, MLP 8, 2 heads.
    config = models.ViTConfig(
        name="hand", label="", image_size=8, patch_size=2, width=4, depth=1, mlp_dim=8, num_heads=2
    )
    n, d, m, h = 17, 4, 8, 2
    _, block, _ = kept(config, num_classes=3)
    tokens = d + d + 3 * d + d + d + d + m + m  # norm, qkv in and out, attention, norm, MLP
    assert block.per_image == 4 * n * (tokens + 2 + 2 + h)  # a mean and a deviation, a log-sum
    _, block, _ = kept(config, num_classes=3, precision="bf16")
    # fp32: what the norms read, their statistics, the log-sums; bf16: what products read.
    assert block.per_image == 4 * n * (d + d + 4 + h) + 2 * n * (6 * d + 2 * m)
    assert block.constant == 2 * (4 * d * d + 2 * d * m)  # bf16 copies of the matrices


def test_every_part_of_every_network_is_counted() -> None:
    for name in models.names():
        parts = kept(models.config(name))
        assert (
            sum(part.params for part in parts) == models.cost.macs.count(models.config(name)).params
        )
        for precision in ("fp32", "bf16"):
            assert all(
                part.per_image >= 0 for part in kept(models.config(name), precision=precision)
            )


def test_only_a_cpu_keeps_attention_weights_and_wide_masks() -> None:
    dropping = models.config("vit_nano2", dropout=0.1, attention_dropout=0.1)
    plain = models.config("vit_nano2")
    n, d, m, h = 17, 48, 192, 3
    more = {
        device: kept(dropping, device=device)[1].per_image - kept(plain, device=device)[1].per_image
        for device in ("cuda", "cpu")
    }
    masked = n * (2 * d + m)
    assert more == {"cuda": masked, "cpu": 4 * masked + 3 * 4 * h * n * n - 4 * h * n}
