"""Registered BiT-ResNets: the published ones, and small ones for a laptop."""

from models.bit.config import BiTConfig
from models.resnet import STAGES


def _bit(layers: int, width_factor: int, *published: str) -> BiTConfig:
    return BiTConfig(
        name=f"bit_r{layers}x{width_factor}",
        label=f"ResNet{layers}x{width_factor}",
        published_names=(f"BiT-R{layers}x{width_factor}", *published),
        stages=STAGES[f"r{layers}"],
        width_factor=width_factor,
    )


def _small_bit(
    name: str, label: str, stages: tuple[int, ...], base_width: int, image_size: int
) -> BiTConfig:
    return BiTConfig(
        name=name,
        label=label,
        image_size=image_size,
        root="small",
        stages=stages,
        base_width=base_width,
        group_norm_groups=base_width // 2,  # two channels a group after the root, like R50x1
    )


MODELS = (
    _small_bit("bit_nano", "ResNet-nano", (1, 1, 1), 12, 8),
    _small_bit("bit_micro", "ResNet-micro", (1, 1, 1), 24, 8),
    _small_bit("bit_nano32", "ResNet-nano32", (1, 1, 1, 1), 6, 32),
    _small_bit("bit_micro32", "ResNet-micro32", (1, 1, 1, 1), 12, 32),
    # R50x1, R50x3, R101x1, R101x3, R152x4: arXiv:1912.11370. The others: the ViT paper's Table 6.
    _bit(50, 1, "resnetv2_50x1_bit"),
    _bit(50, 2),
    _bit(50, 3, "resnetv2_50x3_bit"),
    _bit(101, 1, "resnetv2_101x1_bit"),
    _bit(101, 3, "resnetv2_101x3_bit"),
    _bit(152, 1),
    _bit(152, 2, "resnetv2_152x2_bit"),
    _bit(152, 4, "resnetv2_152x4_bit"),
    _bit(200, 3),
)
