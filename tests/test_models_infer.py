"""Architectures from names and shapes; the files themselves are in test_models_convert."""

import pytest
import torch

import models
from models.infer import describe, described, infer
from models.layouts import PUBLISHED_VIT, Layout, rules


def _shapes(config: models.Config, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file of this network, without its numbers."""
    with torch.device("meta"):
        state = models.assemble(config, num_classes=1000).state_dict()
    shapes = {}
    for rule in rules(config, layout):
        part = state[rule.ours] if rule.third is None else state[rule.ours].chunk(3)[rule.third]
        shapes[rule.theirs] = tuple(rule.to_theirs(part).shape)
    return shapes


# The small ones are ours: other norm groups, which a published file cannot say.
PUBLISHED = [name for name in models.names() if models.config(name).image_size == 224]


@pytest.mark.parametrize("naming", ["published", "timm"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_network_is_told_from_its_shapes(name: str, naming: str) -> None:
    config = models.config(name)
    layout = Layout("timm", position_key="pos_embed")
    if naming == "published":
        layout = Layout("tensorflow") if config.family == "bit" else PUBLISHED_VIT
    inferred = infer(_shapes(config, layout))
    assert inferred.num_classes == 1000
    assert (inferred.config.name, inferred.config.label) == (name, config.label)
    assert inferred.config.image_size == 224
    if naming == "published":
        assert inferred.config == config


def test_heads_need_not_be_64_wide_where_the_size_is_known() -> None:
    timm = Layout("timm", position_key="pos_embed")
    inferred = infer(_shapes(models.config("vit_h14"), timm))
    assert isinstance(inferred.config, models.ViTConfig)
    assert inferred.config.num_heads == 16  # 80 wide
    strange = models.config("vit_h14", width=1200, depth=1, mlp_dim=64, num_heads=10)
    with pytest.raises(models.CheckpointError, match="number of heads of width 1200"):
        infer(_shapes(strange, timm))


def test_a_position_embedding_that_is_no_square() -> None:
    shapes = _shapes(models.config("vit_ti16"), PUBLISHED_VIT)
    assert PUBLISHED_VIT.position_key is not None
    shapes[PUBLISHED_VIT.position_key] = (1, 14 * 15, 192)
    with pytest.raises(models.CheckpointError, match="210 places is not a square grid"):
        infer(shapes)


@pytest.mark.parametrize("name", models.names())
def test_a_description_reads_back_as_the_same_config(name: str) -> None:
    config = models.config(name)
    inferred = described(describe(config, 10))
    assert (inferred.config, inferred.num_classes) == (config, 10)
