"""Names that people bring lead to one registered network, or to a refusal with the choices."""

import pytest

import models
from bench.data.sources import describe
from bench.run.config import Run, RunConfig
from models.aliases import registered


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-B/16", "vit_b16"),
        ("B/16", "vit_b16"),
        ("ViT-B_16", "vit_b16"),
        ("vit_base_patch16_224", "vit_b16"),
        ("vit_base_patch16_224.augreg_in21k", "vit_b16"),
        ("timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", "vit_b16"),
        ("google/vit-base-patch16-224", "vit_b16"),
        ("google/vit-base-patch16-224-in21k", "vit_b16"),
        ("google/vit-huge-patch14-224-in21k", "vit_h14"),
        ("ViT-g/14", "vit_giant14"),
        ("ViT-G/14", "vit_gigantic14"),
        ("R50x1", "bit_r50x1"),
        ("BiT-R50x1", "bit_r50x1"),
        ("BiT-M-R152x4", "bit_r152x4"),
        ("resnetv2_50x1_bit.goog_in21k", "bit_r50x1"),
        ("R50+ViT-B/16", "r50_vit_b16"),
        ("R50-ViT-B_16", "r50_vit_b16"),
        ("R50x1+ViT-B/16", "r50_vit_b16"),
        ("R50+B/16", "r50_vit_b16"),
        ("R+Ti/16", "r_vit_ti16"),
        ("vit_base_r50_s16_224.orig_in21k", "r50_vit_b16"),
    ],
)
def test_a_name_that_people_bring_is_found(name: str, expected: str) -> None:
    assert registered(name) == [expected]
    assert models.config(name).name == expected


def test_every_label_and_published_name_is_found() -> None:
    for name in models.names():
        config = models.config(name)
        for other in (config.label, *config.published_names):
            assert models.config(other).name == name, other


def test_case_tells_sizes_apart_and_no_alias_hides_a_registered_name() -> None:
    assert models.config("g/14").name == "vit_giant14"
    assert models.config("G/14").name == "vit_gigantic14"
    assert models.config("s/16").name == "vit_xs16" != models.config("S/16").name
    for name in models.names():
        assert models.config(name).name == name


@pytest.mark.parametrize("name", ["vit_base_patch16_512", "B/17", "google/bit", "vit-b16x"])
def test_an_unknown_name_is_refused_with_choices(name: str) -> None:
    with pytest.raises(models.UnknownModel, match="unknown model"):
        models.config(name)


def test_a_run_does_not_depend_on_the_name_that_was_written() -> None:
    runs = [
        Run(study="s", config=RunConfig(model=name, steps=1), data=describe("digits"))
        for name in ("vit_ti16", "ViT-Ti/16", "vit_tiny_patch16_224.augreg_in21k")
    ]
    assert len({run.run_id for run in runs}) == 1
    assert runs[1].run_id.startswith("vit_ti16-digits-")
