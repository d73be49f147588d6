"""Registered ViTs: the published sizes, and small ones for a laptop."""

from models.vit.config import ViTConfig

# Size: width, depth, mlp_dim, num_heads.
# B, L, H: arXiv:2010.11929 Table 1. Ti, S: arXiv:2106.10270 Table 2.
# xs (the paper's small s), giant (g), gigantic (G): arXiv:2106.04560 Table 2.
# nano, micro: ours, for 8- to 32-pixel images on one CPU core.
SIZES: dict[str, tuple[int, int, int, int]] = {
    "ti": (192, 12, 768, 3),
    "xs": (256, 6, 1024, 8),
    "s": (384, 12, 1536, 6),
    "b": (768, 12, 3072, 12),
    "l": (1024, 24, 4096, 16),
    "h": (1280, 32, 5120, 16),
    "giant": (1408, 40, 6144, 16),
    "gigantic": (1664, 48, 8192, 16),
    "nano": (48, 2, 192, 3),
    "micro": (96, 2, 384, 6),
}


def _vit(
    name: str, label: str, size: str, patch_size: int, *published: str, image_size: int = 224
) -> ViTConfig:
    width, depth, mlp_dim, num_heads = SIZES[size]
    return ViTConfig(
        name=name,
        label=label,
        published_names=(label, *published),
        image_size=image_size,
        patch_size=patch_size,
        width=width,
        depth=depth,
        mlp_dim=mlp_dim,
        num_heads=num_heads,
    )


MODELS = (
    _vit("vit_nano2", "ViT-nano/2", "nano", 2, image_size=8),
    _vit("vit_micro2", "ViT-micro/2", "micro", 2, image_size=8),
    _vit("vit_nano4", "ViT-nano/4", "nano", 4, image_size=32),
    _vit("vit_micro4", "ViT-micro/4", "micro", 4, image_size=32),
    _vit("vit_ti16", "ViT-Ti/16", "ti", 16, "vit_tiny_patch16_224"),
    _vit("vit_xs28", "ViT-s/28", "xs", 28),
    _vit("vit_xs16", "ViT-s/16", "xs", 16),
    _vit("vit_s32", "ViT-S/32", "s", 32, "vit_small_patch32_224"),
    _vit("vit_s16", "ViT-S/16", "s", 16, "vit_small_patch16_224"),
    _vit("vit_s8", "ViT-S/8", "s", 8, "vit_small_patch8_224"),
    _vit("vit_b32", "ViT-B/32", "b", 32, "vit_base_patch32_224"),
    _vit("vit_b28", "ViT-B/28", "b", 28),
    _vit("vit_b16", "ViT-B/16", "b", 16, "vit_base_patch16_224"),
    _vit("vit_b8", "ViT-B/8", "b", 8, "vit_base_patch8_224"),
    _vit("vit_l32", "ViT-L/32", "l", 32, "vit_large_patch32_224"),
    _vit("vit_l16", "ViT-L/16", "l", 16, "vit_large_patch16_224"),
    _vit("vit_l14", "ViT-L/14", "l", 14, "vit_large_patch14_224"),
    _vit("vit_h14", "ViT-H/14", "h", 14, "vit_huge_patch14_224"),
    _vit("vit_giant14", "ViT-g/14", "giant", 14, "vit_giant_patch14_224"),
    _vit("vit_gigantic14", "ViT-G/14", "gigantic", 14, "vit_gigantic_patch14_224"),
)
