"""Three counts without common code agree: fvcore, torch on the meta device, closed form."""

import pytest
import torch
from torch import nn

import models
from bench import flops
from models.cost import count

# Fewer than 30 million parameters, each at up to three sizes; the rest is counted on meta.
SIZES = {
    "vit_nano2": (8, 16, 32),
    "vit_micro2": (8, 16),
    "vit_nano4": (8, 32),
    "vit_micro4": (8, 32),
    "vit_ti16": (64, 224, 384),
    "vit_xs28": (56, 224),
    "vit_xs16": (64, 224),
    "vit_s32": (64, 224),
    "vit_s16": (64, 224),
    "vit_s8": (64,),
    "r8_vit_nano2": (8, 16, 32),
    "r8_vit_micro2": (8, 16),
    "r11_vit_nano4": (8, 32),
    "r11_vit_micro4": (8, 32),
    "r_vit_ti16": (64, 224, 256),
    "bit_nano": (8, 9, 32),
    "bit_micro": (8, 15),
    "bit_nano32": (8, 32),
    "bit_micro32": (8, 32),
    "bit_r50x1": (65, 160, 224),
}


def test_every_network_below_30_million_parameters_is_counted_by_fvcore() -> None:
    small = {name for name in models.names() if count(models.config(name)).params < 30e6}
    assert small == set(SIZES)


@pytest.mark.parametrize(
    ("name", "image_size"), [(name, size) for name, sizes in SIZES.items() for size in sizes]
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
def test_choices_are_counted_alike(choices: dict[str, object]) -> None:
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
