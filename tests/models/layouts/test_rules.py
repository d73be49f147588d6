"""Every parameter is filled by exactly one array, and turning it over twice changes nothing."""

import pytest
import torch

import models
from models.layouts.rules import Layout
from models.vit.checkpoints import NUMBERED_BY_TYPE, PUBLISHED_VIT
from tests.helpers.layouts import PUBLISHED_BIT, config_of, rules

TIMM = Layout("timm", position_key="pos_embed")
BIG_VISION = Layout("flax", NUMBERED_BY_TYPE, "pos_embedding", token_has_position=False)
CASES = [
    ("vit_nano2", PUBLISHED_VIT),
    ("vit_nano2", TIMM),
    ("vit_nano2", BIG_VISION),
    ("r11_vit_nano4", PUBLISHED_VIT),
    ("r11_vit_nano4", TIMM),
    ("bit_nano32", PUBLISHED_BIT),
    ("bit_nano32", Layout("flax")),
    ("bit_nano32", TIMM),
]


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_rules_cover_every_parameter_once(name: str, layout: Layout) -> None:
    network = models.build(name, num_classes=3)
    found = rules(config_of(network), layout)
    assert len({rule.theirs for rule in found}) == len(found)
    thirds = [rule.ours for rule in found if rule.third is not None]
    whole = [rule.ours for rule in found if rule.third is None]
    assert all(thirds.count(parameter) == 3 for parameter in thirds)
    assert sorted([*whole, *set(thirds)]) == sorted(network.state_dict())


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_there_and_back_is_identity(name: str, layout: Layout) -> None:
    network = models.build(name, num_classes=3)
    state = network.state_dict()
    for rule in rules(config_of(network), layout):
        value = torch.randn(state[rule.ours].shape)
        value = value if rule.third is None else value.chunk(3)[rule.third]
        if not layout.token_has_position and rule.ours == "position_embedding.tokens":
            value[0] = 0  # big_vision has no place for it
        assert torch.equal(rule.to_ours(rule.to_theirs(value)), value), rule.theirs
