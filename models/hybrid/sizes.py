"""Registered hybrids: the published ones, and small ones for a laptop."""

from models.hybrid.config import HybridConfig
from models.resnet import STAGES
from models.vit.sizes import SIZES


def _hybrid(
    name: str, label: str, stages: str, size: str, patch_size: int, *published: str
) -> HybridConfig:
    width, depth, mlp_dim, num_heads = SIZES[size]
    return HybridConfig(
        name=name,
        label=label,
        published_names=(label, *published),
        stages=STAGES[stages],
        patch_size=patch_size,
        width=width,
        depth=depth,
        mlp_dim=mlp_dim,
        num_heads=num_heads,
    )


def _small_hybrid(
    name: str, label: str, size: str, stages: tuple[int, ...], base_width: int, image_size: int
) -> HybridConfig:
    width, depth, mlp_dim, num_heads = SIZES[size]
    return HybridConfig(
        name=name,
        label=label,
        image_size=image_size,
        root="small",
        stages=stages,
        base_width=base_width,
        group_norm_groups=base_width // 2,  # two channels a group after the root, like R50x1
        patch_size=1,
        width=width,
        depth=depth,
        mlp_dim=mlp_dim,
        num_heads=num_heads,
    )


MODELS = (
    _small_hybrid("r8_vit_nano2", "R8+ViT-nano/2", "nano", (1, 1), 8, 8),
    _small_hybrid("r8_vit_micro2", "R8+ViT-micro/2", "micro", (1, 1), 16, 8),
    _small_hybrid("r11_vit_nano4", "R11+ViT-nano/4", "nano", (1, 1, 1), 6, 32),
    _small_hybrid("r11_vit_micro4", "R11+ViT-micro/4", "micro", (1, 1, 1), 12, 32),
    # "/16" is the paper's name; the root's pooling makes it 32 pixels (vit_jax/models_vit.py).
    _hybrid("r_vit_ti16", "R+ViT-Ti/16", "r", "ti", 8, "vit_tiny_r_s16_p8_224"),
    _hybrid("r26_vit_s32", "R26+ViT-S/32", "r26", "s", 1, "vit_small_r26_s32_224"),
    _hybrid("r26_vit_b32", "R26+ViT-B/32", "r26", "b", 1, "vit_base_r26_s32_224"),
    _hybrid("r50_vit_b32", "R50x1+ViT-B/32", "r50", "b", 1),
    _hybrid("r50_vit_b16", "R50x1+ViT-B/16", "r50/16", "b", 1, "vit_base_r50_s16_224"),
    _hybrid("r50_vit_l32", "R50x1+ViT-L/32", "r50", "l", 1, "vit_large_r50_s32_224"),
    _hybrid("r50_vit_l16", "R50x1+ViT-L/16", "r50/16", "l", 1),
)
