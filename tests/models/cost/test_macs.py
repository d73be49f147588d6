"""The closed form against published figures, and against arithmetic written out again here."""

import csv

import pytest

import models
from models.cost.macs import Cost, count, train_flops
from tests.helpers.known import known
from tests.helpers.paths import DATA

# 55 networks and sizes: closed-form counts, and beside them what timm publishes for the same
# network (results/benchmark-infer-*.csv), which is an independent implementation.
TABLE = DATA / "model_costs.csv"
COSTS = list(csv.DictReader(TABLE.read_text().splitlines()))
BY_LABEL = {models.config(name).label: models.config(name) for name in models.names()}

HEAD = 1000  # classes


def _vit(d: int, m: int, depth: int, patch_values: int, tokens: int) -> int:
    """Kernels and biases of the blocks, the embedding, position and class token, norm and head."""
    block = (4 * d * d + 4 * d) + (2 * d * m + m + d) + 2 * 2 * d
    return depth * block + (patch_values * d + d) + (tokens + 1) * d + 2 * d + (d * HEAD + HEAD)


def _v1_unit(c: int, w: int) -> int:
    """conv1, conv2, conv3, shortcut; norms of w, w, 4w, 4w channels."""
    return c * w + 9 * w * w + 4 * w * w + 4 * c * w + 2 * (w + w + 4 * w + 4 * w)


def _v2_unit(c: int, w: int) -> int:
    """conv1, conv2, conv3, shortcut; norms of c, w, w channels."""
    return c * w + 9 * w * w + 4 * w * w + 4 * c * w + 2 * (c + w + w)


# With 1000 classes, at the registered image size. Plain numbers: timm's published count (in
# millions, two decimals) spelled out by the closed form in tests/data/model_costs.csv.
PARAMS = {
    "vit_nano2": _vit(48, 192, 2, 3 * 2 * 2, 4 * 4 + 1),
    "vit_micro2": _vit(96, 384, 2, 3 * 2 * 2, 4 * 4 + 1),
    "vit_nano4": _vit(48, 192, 2, 3 * 4 * 4, 8 * 8 + 1),
    "vit_micro4": _vit(96, 384, 2, 3 * 4 * 4, 8 * 8 + 1),
    "vit_ti16": 5_717_416,
    # 5.4M and 5.0M without the head (arXiv:2106.04560 Table 2).
    "vit_xs28": _vit(256, 1024, 6, 3 * 28 * 28, 8 * 8 + 1),
    "vit_xs16": _vit(256, 1024, 6, 3 * 16 * 16, 14 * 14 + 1),
    "vit_s32": 22_878_952,
    "vit_s16": 22_050_664,
    # timm prints 21.67M without the head.
    "vit_s8": _vit(384, 1536, 12, 3 * 8 * 8, 28 * 28 + 1),
    "vit_b32": 88_224_232,
    "vit_b28": _vit(768, 3072, 12, 3 * 28 * 28, 8 * 8 + 1),
    "vit_b16": 86_567_656,
    "vit_b8": 86_576_872,
    "vit_l32": 306_535_400,
    "vit_l16": 304_326_632,
    "vit_l14": 304_203_752,
    "vit_h14": 632_045_800,
    # 1011M and 1843M without the head (arXiv:2106.04560 Table 2).
    "vit_giant14": _vit(1408, 6144, 40, 3 * 14 * 14, 16 * 16 + 1),
    "vit_gigantic14": _vit(1664, 8192, 48, 3 * 14 * 14, 16 * 16 + 1),
    # Root 3 -> w by 3x3 with a norm, then units w, 2w, (4w), each with a shortcut.
    "r8_vit_nano2": (27 * 8 + 16) + _v1_unit(8, 8) + _v1_unit(32, 16) + _vit(48, 192, 2, 64, 17),
    "r8_vit_micro2": (27 * 16 + 32)
    + _v1_unit(16, 16)
    + _v1_unit(64, 32)
    + _vit(96, 384, 2, 128, 17),
    "r11_vit_nano4": (27 * 6 + 12)
    + _v1_unit(6, 6)
    + _v1_unit(24, 12)
    + _v1_unit(48, 24)
    + _vit(48, 192, 2, 96, 65),
    "r11_vit_micro4": (27 * 12 + 24)
    + _v1_unit(12, 12)
    + _v1_unit(48, 24)
    + _v1_unit(96, 48)
    + _vit(96, 384, 2, 192, 65),
    "r_vit_ti16": 6_337_704,
    "r26_vit_s32": 36_431_912,
    "r26_vit_b32": 101_383_976,
    "r50_vit_b32": 110_945_832,
    "r50_vit_b16": 98_659_112,
    "r50_vit_l32": 328_994_856,
    "r50_vit_l16": 316_483_624,
    # Root 3 -> w by 3x3, units, a norm of the last channels and the head.
    "bit_nano": 27 * 12
    + _v2_unit(12, 12)
    + _v2_unit(48, 24)
    + _v2_unit(96, 48)
    + (2 * 192 + 193 * HEAD),
    "bit_micro": 27 * 24
    + _v2_unit(24, 24)
    + _v2_unit(96, 48)
    + _v2_unit(192, 96)
    + (2 * 384 + 385 * HEAD),
    "bit_nano32": 27 * 6
    + _v2_unit(6, 6)
    + _v2_unit(24, 12)
    + _v2_unit(48, 24)
    + _v2_unit(96, 48)
    + (2 * 192 + 193 * HEAD),
    "bit_micro32": 27 * 12
    + _v2_unit(12, 12)
    + _v2_unit(48, 24)
    + _v2_unit(96, 48)
    + _v2_unit(192, 96)
    + (2 * 384 + 385 * HEAD),
    "bit_r50x1": 25_549_352,
    "bit_r50x2": 97_988_712,
    "bit_r50x3": 217_319_080,
    "bit_r101x1": 44_541_480,
    "bit_r101x3": 387_934_888,
    "bit_r152x1": 60_185_128,
    "bit_r152x2": 236_335_208,
    "bit_r152x4": 936_533_224,
    "bit_r200x3": 568_633_000,
}


def test_the_table_of_parameters_names_every_registered_network() -> None:
    assert sorted(PARAMS) == sorted(models.names())


@pytest.mark.parametrize("name", models.names())
def test_parameters(name: str) -> None:
    assert count(models.config(name)).params == PARAMS[name]


@pytest.mark.parametrize(
    ("name", "millions"),
    # arXiv:2010.11929 Table 1; arXiv:2106.04560 Table 2. Both without a head.
    [
        ("vit_b16", 86),
        ("vit_l16", 303),
        ("vit_h14", 631),
        ("vit_giant14", 1011),
        ("vit_gigantic14", 1843),
        ("vit_s16", 22),
        ("vit_xs16", 5.0),
        ("vit_xs28", 5.4),
        ("vit_s8", 21.67),
    ],
)
def test_parameters_without_the_head_are_the_published_ones(name: str, millions: float) -> None:
    cost = count(models.config(name))
    assert cost.parts[-1].name == "head"
    body = cost.params - cost.parts[-1].params
    digits = len(str(millions).partition(".")[2])
    assert round(body / 1e6, digits) == millions


@pytest.mark.parametrize("row", COSTS, ids=lambda row: f"{row['label']}@{row['image_size']}")
def test_costs_agree_to_the_last_unit(row: dict[str, str]) -> None:
    cost = count(BY_LABEL[row["label"]], image_size=int(row["image_size"]))
    for column in (
        "params",
        "forward_macs",
        "forward_macs_valid",
        "norm_elements",
        "standardized_weights",
    ):
        assert getattr(cost, column) == int(row[column]), column


@pytest.mark.parametrize(
    "row",
    [row for row in COSTS if row["timm_gmacs"]],
    ids=lambda row: f"{row['label']}@{row['image_size']}",
)
def test_macs_and_norm_work_rebuild_what_timm_prints(row: dict[str, str]) -> None:
    # timm profiles with fvcore and prints two decimals; some of its files cut instead of rounding.
    cost = count(BY_LABEL[row["label"]], image_size=int(row["image_size"]))
    gmacs = (cost.forward_macs + cost.norm_operations) / 1e9
    assert gmacs == pytest.approx(float(row["timm_gmacs"]), abs=0.0065)
    if row["timm_activations_m"]:
        printed = float(row["timm_activations_m"])
        assert cost.activations / 1e6 == pytest.approx(printed, abs=0.0065)


# Model, epochs, exaFLOPs: arXiv:2010.11929 Table 6. The paper's JFT-300M has 303 million images.
TABLE_6 = [
    ("ViT-B/16", 7, 224),
    ("ViT-L/32", 7, 196),
    ("ViT-L/16", 7, 783),
    ("ViT-L/16", 14, 1567),
    ("ViT-H/14", 14, 4262),
    ("ResNet50x1", 7, 50),
    ("ResNet50x2", 7, 199),
    ("ResNet101x1", 7, 96),
    ("ResNet152x1", 7, 141),
    ("ResNet152x2", 7, 563),
    ("ResNet152x2", 14, 1126),
    ("ResNet200x3", 14, 3306),
    ("R50x1+ViT-B/32", 7, 106),
    ("R50x1+ViT-B/16", 7, 274),
    ("R50x1+ViT-L/32", 7, 246),
    ("R50x1+ViT-L/16", 14, 1668),
]


def _without_head(cost: Cost) -> int:
    return known(cost.forward_macs_valid) - known(cost.parts[-1].forward_macs_valid)


@pytest.mark.parametrize(("label", "epochs", "exaflops"), TABLE_6)
def test_valid_macs_give_the_papers_exaflops(label: str, epochs: int, exaflops: float) -> None:
    cost = count(BY_LABEL[label])
    assert 6 * _without_head(cost) * 303e6 * epochs / 1e18 == pytest.approx(exaflops, rel=0.01)


def test_the_papers_two_irregular_rows_are_irregular_here_too() -> None:
    # ViT-B/32 is printed as 55, which is what 49 tokens give; R50x1+ViT-L/16 at 7 epochs as 859,
    # which is not half of its 14 epochs.
    def exaflops(cost: Cost) -> float:
        return 6 * _without_head(cost) * 303e6 * 7 / 1e18

    assert round(exaflops(count(models.config("vit_b32"))), 1) == 56.1
    assert round(exaflops(count(models.config("vit_b32", pooling="gap"))), 1) == 55.0
    assert exaflops(count(models.config("r50_vit_l16"))) == pytest.approx(1668 / 2, rel=0.01)


def test_the_parts_sum_to_the_whole() -> None:
    for name in models.names():
        cost = count(models.config(name), num_classes=10)
        for column in ("params", "forward_macs", "forward_macs_valid", "norm_elements"):
            assert getattr(cost, column) == sum(getattr(part, column) for part in cost.parts)


def test_the_head_is_all_that_classes_change() -> None:
    small = count(models.config("vit_b16"), num_classes=10)
    large = count(models.config("vit_b16"), num_classes=1010)
    assert large.params - small.params == 769 * 1000
    assert large.forward_macs - small.forward_macs == 768 * 1000


def test_valid_taps_of_a_small_convolution_by_hand() -> None:
    # On 8 pixels a 3x3 convolution of stride 1 misses one tap at each end: 22 of 24 per axis.
    config = models.config("bit_nano")
    root = count(config).parts[0]
    assert root.forward_macs == 3 * 12 * 24**2
    assert root.forward_macs_valid == 3 * 12 * 22**2


def test_families_of_one_size_cost_alike() -> None:
    for names in (
        ("vit_nano2", "r8_vit_nano2", "bit_nano"),
        ("vit_micro2", "r8_vit_micro2", "bit_micro"),
        ("vit_nano4", "r11_vit_nano4", "bit_nano32"),
        ("vit_micro4", "r11_vit_micro4", "bit_micro32"),
    ):
        macs = [count(models.config(name), num_classes=10).forward_macs for name in names]
        assert max(macs) < 2 * min(macs)


def test_an_image_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(models.ConfigError, match="image_size = 100"):
        count(models.config("vit_b16"), image_size=100)


def test_training_is_three_forward_passes_of_two_flops_a_multiply_add() -> None:
    assert train_flops(10, 7) == 3 * 2 * 10 * 7
