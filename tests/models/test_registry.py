"""Names, and what becomes of one that is not registered."""

import dataclasses
import subprocess
import sys

import pytest

import models
from models.vit.sizes import SIZES

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


def test_overrides_make_a_copy() -> None:
    config = models.config("vit_b16", image_size=384, pooling="gap")
    assert isinstance(config, models.ViTConfig)
    assert config.num_tokens == 24 * 24
    assert models.config("vit_b16").image_size == 224
    field = "image_size"  # as a literal, mypy and ruff would refuse the assignment themselves
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, field, 64)


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


def test_importing_the_package_and_counting_do_not_import_torch() -> None:
    program = (
        "import sys, models, models.cost.macs\n"
        "models.cost.macs.count(models.config('bit_r50x1'))\n"
        "models.cost.macs.count(models.config('r50_vit_b16'))\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("value", [{"a": 1}, [[1]]])
def test_a_value_of_no_fields_kind_is_refused(value: object) -> None:
    with pytest.raises(models.ConfigError, match="expected numbers, words or lists of them"):
        models.config("vit_b16", depth=value)
