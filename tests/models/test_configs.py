"""What follows from a config, and values that do not fit."""

import pytest

import models


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("vit_b16", 14 * 14 + 1),
        ("vit_h14", 16 * 16 + 1),
        ("r50_vit_b16", 14 * 14 + 1),
        ("r50_vit_b32", 7 * 7 + 1),
        ("r_vit_ti16", 7 * 7 + 1),  # called /16, but the root pools too
        ("vit_nano2", 4 * 4 + 1),
        ("r8_vit_nano2", 4 * 4 + 1),
        ("r11_vit_micro4", 8 * 8 + 1),
    ],
)
def test_tokens_follow_from_the_total_downsampling(name: str, tokens: int) -> None:
    config = models.config(name)
    assert isinstance(config, models.ViTConfig)
    assert config.num_tokens == tokens


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("vit_b16", {"image_size": 100}, "image_size = 100: is not a multiple of 16"),
        ("r50_vit_b16", {"image_size": 40}, "image_size = 40: is not a multiple of 16"),
        ("r_vit_ti16", {"image_size": 48}, "image_size = 48: is not a multiple of 32"),
        ("vit_b16", {"num_heads": 5}, "num_heads = 5: does not divide width 768"),
        ("vit_b16", {"width": 0}, "width = 0: expected a positive whole number"),
        ("vit_b16", {"depth": True}, "depth = True: expected a positive whole number"),
        ("vit_b16", {"depth": "12"}, "depth = '12': expected a positive whole number"),
        ("vit_b16", {"norm_eps": "1e-6"}, "norm_eps = '1e-6': expected a finite number"),
        ("vit_b16", {"norm_eps": float("nan")}, "norm_eps = nan: expected a finite number"),
        ("vit_b16", {"dropout": 1.0}, "dropout = 1.0: expected a fraction in [0, 1)"),
        ("vit_b16", {"pooling": "map"}, "pooling = 'map': expected one of token, gap"),
        ("vit_b16", {"representation_size": 0}, "representation_size = 0: expected"),
        ("bit_r50x1", {"stages": ()}, "stages = (): expected at least one stage"),
        ("bit_r50x1", {"stages": (3, 0)}, "stages = (3, 0): expected positive whole numbers"),
        ("bit_r50x1", {"group_norm_groups": 48}, "group_norm_groups = 48: does not divide"),
        ("bit_r50x1", {"patch_size": 8}, "unknown field 'patch_size'"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    name: str, overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(models.ConfigError) as error:
        models.config(name, **overrides)
    assert f"model {name}: {message}" in str(error.value)


def test_a_2d_position_needs_an_even_width() -> None:
    with pytest.raises(models.ConfigError, match="even width"):
        models.config("vit_b16", width=765, num_heads=3, position_embedding="2d")


def test_a_single_token_has_no_relative_position() -> None:
    one = {"image_size": 2, "pooling": "gap"}
    config = models.config("vit_nano2", **one)
    assert isinstance(config, models.ViTConfig)
    assert config.num_tokens == 1
    with pytest.raises(models.ConfigError, match="single token"):
        models.config("vit_nano2", **one, position_embedding="relative")
