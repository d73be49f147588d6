"""Names, configs and what is refused before anything is built."""

import dataclasses
import subprocess
import sys

import pytest

import models
from models.registry import SIZES

# The networks of the ViT paper's Table 6, as it prints them.
TABLE_6 = [
    "ViT-B/32",
    "ViT-B/16",
    "ViT-L/32",
    "ViT-L/16",
    "ViT-H/14",
    "ResNet50x1",
    "ResNet50x2",
    "ResNet101x1",
    "ResNet152x1",
    "ResNet152x2",
    "ResNet200x3",
    "R50x1+ViT-B/32",
    "R50x1+ViT-B/16",
    "R50x1+ViT-L/32",
    "R50x1+ViT-L/16",
]


def test_names_are_safe_as_file_names_whatever_the_case() -> None:
    names = models.names()
    assert len(names) == len({name.lower() for name in names}) >= 35
    assert all(name == name.lower() and name.replace("_", "").isalnum() for name in names)
    assert [models.config(name).name for name in names] == names


def test_every_network_of_table_6_is_registered_by_its_printed_name() -> None:
    labels = {models.config(name).label for name in models.names()}
    assert set(TABLE_6) <= labels


def test_no_published_name_is_claimed_twice() -> None:
    published = [x for name in models.names() for x in models.config(name).published_names]
    assert len(published) == len(set(published))


def test_sizes_are_those_of_table_1() -> None:
    # arXiv:2010.11929 Table 1: layers 12, 24, 32; hidden 768, 1024, 1280; heads 12, 16, 16.
    assert SIZES["b"] == (768, 12, 3072, 12)
    assert SIZES["l"] == (1024, 24, 4096, 16)
    assert SIZES["h"] == (1280, 32, 5120, 16)


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
    assert models.config(name).num_tokens == tokens


def test_overrides_make_a_copy() -> None:
    config = models.config("vit_b16", image_size=384, pooling="gap")
    assert config.num_tokens == 24 * 24
    assert models.config("vit_b16").image_size == 224
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.image_size = 64


def test_a_list_of_stages_is_taken_as_a_tuple() -> None:
    assert models.config("bit_r50x1", stages=[1, 1]) == models.config("bit_r50x1", stages=(1, 1))


def test_an_unknown_name_comes_with_near_matches_and_all_choices() -> None:
    with pytest.raises(models.UnknownModel) as error:
        models.config("vit_b15")
    assert "vit_b15" in str(error.value)
    assert "did you mean vit_b16" in str(error.value)
    assert all(name in str(error.value) for name in models.names())


def test_an_unknown_field_comes_with_its_near_match() -> None:
    with pytest.raises(models.ConfigError, match=r"patchsize.*did you mean patch_size"):
        models.config("vit_b16", patchsize=8)


def test_identity_cannot_be_overridden() -> None:
    with pytest.raises(models.ConfigError, match="unknown field 'label'"):
        models.config("vit_b16", label="ViT-X")


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
        ("vit_b16", {"norm_eps": "1e-6"}, "norm_eps = '1e-6': expected a number"),
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
    assert models.config("vit_nano2", **one).num_tokens == 1
    with pytest.raises(models.ConfigError, match="single token"):
        models.config("vit_nano2", **one, position_embedding="relative")


def test_importing_the_package_and_counting_do_not_import_torch() -> None:
    program = (
        "import sys, models, models.cost\n"
        "models.cost.count(models.config('bit_r50x1'))\n"
        "models.cost.count(models.config('r50_vit_b16'))\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
