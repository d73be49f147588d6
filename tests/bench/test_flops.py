"""Three counts without common code agree: fvcore, torch on the meta device, closed form."""

from typing import Any

import pytest
import torch
from torch import nn

import models
from bench import flops
from models.cost.macs import count

SMALL = [name for name in models.names() if count(models.config(name)).params < 100e6]


def sizes(name: str) -> tuple[int, int, int]:
    """Three image sizes that fit; a BiT takes any, odd ones too."""
    config = models.config(name)
    if isinstance(config, models.BiTConfig):
        return (9, 16, 33) if config.root == "small" else (65, 96, 160)
    assert isinstance(config, models.ViTConfig)
    cells = config.downsampling
    return 2 * cells, 3 * cells, 7 * cells


def test_networks_of_all_families_are_counted_by_fvcore() -> None:
    found = {models.config(name).family: 0 for name in SMALL}
    for name in SMALL:
        found[models.config(name).family] += 1
    assert found["vit"] > 10 and found["hybrid"] > 6 and found["bit"] > 6
    assert len({sizes(name) for name in SMALL}) > 5 and all(len({*sizes(n)}) == 3 for n in SMALL)


@pytest.mark.parametrize(
    ("name", "image_size"), [(name, size) for name in SMALL for size in sizes(name)]
)
def test_fvcore_agrees_with_the_closed_form_to_the_last_unit(name: str, image_size: int) -> None:
    counted = flops.count(name, image_size, num_classes=10)
    closed = count(models.config(name), image_size=image_size, num_classes=10)
    assert counted.image_size == image_size
    assert counted.params == closed.params
    assert counted.forward_macs == closed.forward_macs
    assert counted.norm_operations == closed.norm_operations


@pytest.mark.parametrize("name", models.names())
def test_torchs_counter_agrees_with_the_closed_form(name: str) -> None:
    assert flops.count_meta(name) == count(models.config(name)).forward_macs


@pytest.mark.parametrize(
    "choices",
    [
        {"position_embedding": "relative"},
        {"position_embedding": "2d", "pooling": "gap"},
        {"position_embedding": "none", "representation_size": 20},
        {"gelu": "erf", "num_heads": 6, "dropout": 0.1, "attention_dropout": 0.1},
    ],
)
def test_choices_are_counted_alike(choices: dict[str, Any]) -> None:
    closed = count(models.config("vit_nano2", **choices), num_classes=10)
    counted = flops.count("vit_nano2", num_classes=10, **choices)
    assert counted.forward_macs == closed.forward_macs
    assert counted.norm_operations == closed.norm_operations
    assert flops.count_meta("vit_nano2", num_classes=10, **choices) == closed.forward_macs


def test_vit_b16_is_its_closed_formula() -> None:
    # facts of arXiv:2010.11929 Table 1 at 224 px: 197 tokens, 12 layers, width 768, MLP 3072.
    n, d, m = 197, 768, 3072
    macs = 12 * (4 * n * d * d + 2 * n * n * d + 2 * n * d * m) + 196 * 3 * 16**2 * d + 1000 * d
    assert flops.count_meta("vit_b16") == macs == 17_563_828_224


class _Cross(nn.Module):
    """7 queries of head size 4 on 5 keys, values of size 6."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        query, key, value = (images.new_zeros(2, 3, n, k) for n, k in ((7, 4), (5, 4), (5, 6)))
        return nn.functional.scaled_dot_product_attention(query, key, value)


def test_attention_need_not_be_square() -> None:
    counted = flops.count_network("cross", _Cross(), 8)
    assert counted.forward_macs == 2 * 3 * (7 * 5 * 4 + 7 * 5 * 6)


class _Strange(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.cumsum(1)


def test_an_operator_without_a_formula_is_an_error_that_names_it() -> None:
    with pytest.raises(flops.UncountedOperator, match=r"model strange: .*aten::cumsum"):
        flops.count_network("strange", _Strange(), 8)


def test_the_modules_sum_to_the_network() -> None:
    counted = flops.count("r8_vit_nano2", num_classes=10)
    whole = counted.by_module[0]
    assert (whole.name, whole.forward_macs) == ("", counted.forward_macs)
    children = [row for row in counted.by_module if row.name and "." not in row.name]
    assert [row.name for row in children if row.forward_macs] == [
        "embedding",
        "blocks",
        "head",
        "resnet",
    ]
    assert sum(row.forward_macs for row in children) == counted.forward_macs
    assert sum(row.norm_operations for row in children) == counted.norm_operations


def test_norm_work_and_macs_are_told_apart_by_operator() -> None:
    counted = flops.count("bit_nano", num_classes=10)
    assert set(counted.by_operator) == {"conv", "linear", "group_norm", "layer_norm"}
    assert counted.by_operator["linear"] == 192 * 10
    total = sum(counted.by_operator.values())
    assert total == counted.forward_macs + counted.norm_operations


def test_a_larger_image_costs_more() -> None:
    assert flops.count_meta("bit_r50x1", 448) > 3.9 * flops.count_meta("bit_r50x1", 224)


@pytest.mark.parametrize("name", ["vit_ti16", "r_vit_ti16", "bit_r50x1", "r11_vit_nano4"])
def test_an_image_need_not_be_square(name: str) -> None:
    size = (64, 160)
    counted = flops.count(name, size)
    closed = count(models.config(name), image_size=size)
    assert counted.forward_macs == closed.forward_macs == flops.count_meta(name, size)
    assert counted.norm_operations == closed.norm_operations
    turned = count(models.config(name), image_size=size[::-1])
    assert turned.forward_macs_valid == closed.forward_macs_valid
