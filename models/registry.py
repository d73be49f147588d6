"""Every network of the harness by name: the published sizes, and small ones for a laptop.

Nothing here needs torch, so a login host can list, plan and count without it.
"""

import difflib
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from models.configs import BiTConfig, Config, ConfigError, HybridConfig, UnknownModel, ViTConfig

IDENTITY = ("name", "label", "published_names")

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

# Units per stage. R50, R101, R152, R200: arXiv:1603.05027 and bit_pytorch/models.py; R50/16 has
# the units of its fourth stage in the third (arXiv:2010.11929, section 4.1); R26 and R: AugReg.
STAGES: dict[str, tuple[int, ...]] = {
    "r": (),
    "r26": (2, 2, 2, 2),
    "r50": (3, 4, 6, 3),
    "r50/16": (3, 4, 9),
    "r101": (3, 4, 23, 3),
    "r152": (3, 8, 36, 3),
    "r200": (3, 24, 36, 3),
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


# Label: as the ViT paper's Table 6 prints it, so that published figures join by it.
# The attention-pooling head of Scaling ViT is not offered: xs, giant and gigantic have a token.
_ALL: tuple[Config, ...] = (
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
REGISTRY: dict[str, Config] = {config.name: config for config in _ALL}


def names() -> list[str]:
    """Every registered name: ViT, hybrid, BiT, each from small to large."""
    return list(REGISTRY)


def config(name: str, /, **overrides: Any) -> Config:
    """Return the registered config, or a copy with other values in the given fields.

    `config("vit_b16", image_size=384).grid.rows` is 24. Raises UnknownModel, or ConfigError for
    an unknown field and for a value that does not fit.
    """
    if name not in REGISTRY:
        raise UnknownModel(f"unknown model {name!r}: {_expected(name, names())}")
    chosen = {key: tuple(v) if isinstance(v, list) else v for key, v in overrides.items()}
    try:
        return _override(name, tuple(chosen.items()))
    except TypeError:  # a value that cannot be hashed
        expected = "expected numbers, words or lists of them"
        raise ConfigError(f"model {name}: given {overrides!r}, {expected}") from None


@lru_cache(maxsize=4096)
def _override(name: str, overrides: tuple[tuple[str, Any], ...]) -> Config:
    """Return the cached config: a study asks for the same ones thousands of times."""
    known = REGISTRY[name]
    allowed = [field.name for field in fields(known) if field.name not in IDENTITY]
    for key, _ in overrides:
        if key not in allowed:
            raise ConfigError(f"model {name}: unknown field {key!r}: {_expected(key, allowed)}")
    return replace(known, **dict(overrides))


def _expected(given: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(given, choices)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Choices: {', '.join(choices)}"
