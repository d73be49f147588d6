"""The Vision Transformer against explicit arithmetic, and its published start."""

import math
from typing import Any

import pytest
import torch

import models
from models.vit.network import (
    Attention,
    Block,
    RelativePosition,
    StochasticDepth,
    ViT,
)


def _network(name: str = "vit_nano2", **overrides: Any) -> ViT:
    torch.manual_seed(0)
    network = models.build(name, num_classes=10, **overrides).eval()
    assert isinstance(network, ViT)
    return network


def _images(size: int = 8) -> torch.Tensor:
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _fill(network: torch.nn.Module) -> None:
    """Give every parameter a value, so that no zero of the start hides an error."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


@pytest.mark.parametrize("position", ["none", "1d", "2d", "relative"])
@pytest.mark.parametrize("pooling", ["token", "gap"])
def test_shapes_and_the_zero_head(position: str, pooling: str) -> None:
    network = _network(position_embedding=position, pooling=pooling)
    assert network.features(_images()).shape == (3, 48)
    assert network(_images()).shape == (3, 10)
    assert network(_images()).abs().max() == 0


def test_the_head_starts_at_the_bias_that_is_asked_for() -> None:
    assert (_network(head_bias_init=-10.0)(_images()) == -10).all()


def test_attention_is_softmax_of_scaled_products() -> None:
    network = _network(num_heads=4)
    _fill(network)
    attention = network.blocks[0].attention
    assert isinstance(attention, Attention)
    x = torch.randn(2, 17, 48, generator=torch.Generator().manual_seed(3))
    query, key, value = attention.qkv(x).chunk(3, dim=2)
    outputs = []
    for head in range(4):
        part = slice(12 * head, 12 * head + 12)
        weights = (query[..., part] @ key[..., part].mT / math.sqrt(12)).softmax(2)
        torch.testing.assert_close(attention.weights(x)[:, head], weights)
        outputs.append(weights @ value[..., part])
    torch.testing.assert_close(attention(x), attention.out(torch.cat(outputs, dim=2)))


def test_relative_position_looks_up_the_offset_of_every_pair() -> None:
    torch.manual_seed(0)
    relative = RelativePosition(5, 4)
    query = torch.randn(2, 3, 5, 4)
    bias = relative(query)
    for q in range(5):
        for k in range(5):
            offset = relative.embedding[k - q + 4]
            torch.testing.assert_close(bias[..., q, k], query[..., q, :] @ offset / 2)


def test_attention_maps_sum_to_1_in_every_layer_and_head() -> None:
    for position in ("1d", "relative"):
        network = _network(position_embedding=position)
        _fill(network)
        maps = network.attention_maps(_images())
        assert [tuple(each.shape) for each in maps] == [(3, 3, 17, 17)] * 2
        torch.testing.assert_close(maps[1].sum(3), torch.ones(3, 3, 17))


def test_attention_maps_are_the_weights_that_the_forward_pass_uses() -> None:
    network = _network(position_embedding="relative")
    _fill(network)
    block = network.blocks[0]
    assert isinstance(block, Block)
    x = block.norm1(network.embed(_images()))
    value = block.attention.heads(x)[2]
    out = (network.attention_maps(_images())[0] @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(block.attention.out(out), block.attention(x))


def test_the_class_token_reads_its_own_place_and_gap_the_mean() -> None:
    token, gap = _network(depth=1), _network(depth=1, pooling="gap")
    for network in (token, gap):
        _fill(network)
        x = network.embed(_images())
        x = network.norm(network.blocks[0](x))
        expected = x[:, 0] if network is token else x.mean(1)
        torch.testing.assert_close(network.features(_images()), expected)
    assert token.embed(_images()).shape[1] == 1 + gap.embed(_images()).shape[1]


def test_positions_tell_equal_patches_apart_and_none_does_not() -> None:
    images = torch.ones(1, 3, 8, 8)
    without = _network(position_embedding="none", pooling="gap")
    assert without.embed(images).std(1).max() < 1e-6
    two_d = _network(position_embedding="2d", pooling="gap")
    grid = two_d.embed(images).reshape(len(images), 4, 4, -1)
    # The first half of the width says the row, the second half the column.
    torch.testing.assert_close(grid[:, :, 0, :24], grid[:, :, 3, :24])
    torch.testing.assert_close(grid[:, 0, :, 24:], grid[:, 3, :, 24:])
    assert (grid[:, 0, 0] - grid[:, 0, 1]).abs().max() > 0.01


def test_shuffled_patches_give_the_same_features_without_positions() -> None:
    network = _network(position_embedding="none")
    _fill(network)
    images = _images()
    shuffled = torch.cat([images[..., 4:, :], images[..., :4, :]], dim=2)  # whole rows of patches
    torch.testing.assert_close(network.features(shuffled), network.features(images))


def test_the_pre_training_head_has_a_hidden_tanh_layer() -> None:
    network, plain = _network(representation_size=32), _network()
    _fill(network)
    shared = {k: v for k, v in network.state_dict().items() if not k.startswith("head")}
    plain.load_state_dict(shared, strict=False)
    assert network.representation is not None
    expected = torch.tanh(network.representation(plain.features(_images())))
    torch.testing.assert_close(network.features(_images()), expected)
    torch.testing.assert_close(network(_images()), network.head(expected))


def test_dropout_acts_in_training_alone() -> None:
    network = _network(dropout=0.5, attention_dropout=0.5)
    _fill(network)
    assert torch.equal(network(_images()), network(_images()))
    network.train()
    assert not torch.equal(network(_images()), network(_images()))


def test_the_start_is_that_of_the_published_code() -> None:
    network = _network("vit_micro2", width=192, num_heads=6, depth=1)
    block = network.blocks[0]
    assert isinstance(block, Block)
    assert network.class_token is not None and network.class_token.abs().max() == 0
    position = network.get_parameter("position_embedding.tokens")
    assert position.std().item() == pytest.approx(0.02, rel=0.05)
    # Xavier-uniform of a (192, 192) matrix each for query, key, value and output.
    bound = math.sqrt(6 / (192 + 192))
    for weight in (*block.attention.qkv.weight.chunk(3), block.attention.out.weight):
        assert 0.99 * bound < weight.abs().max().item() <= bound
    bound = math.sqrt(6 / (192 + 384))
    assert 0.99 * bound < block.mlp.hidden.weight.abs().max().item() <= bound
    assert 0 < block.mlp.hidden.bias.std().item() < 2e-6
    assert block.attention.qkv.bias.abs().max() == 0
    assert network.norm.eps == block.norm1.eps == 1e-6


def test_gelu_is_the_tanh_form_unless_asked() -> None:
    x = torch.linspace(-3, 3, 17 * 48).reshape(1, 17, 48)
    tanh, erf = _network(depth=1), _network(depth=1, gelu="erf")
    erf.load_state_dict(tanh.state_dict())
    ours, theirs = tanh.blocks[0], erf.blocks[0]
    assert isinstance(ours, Block) and isinstance(theirs, Block)
    difference = (ours.mlp(x) - theirs.mlp(x)).abs().max()
    assert 1e-5 < difference < 1e-2


def test_an_image_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(ValueError, match=r"takes \(B, 3, 8, 8\), got \(3, 3, 16, 16\)"):
        _network()(_images(16))


def test_images_do_not_influence_each_other() -> None:
    network = _network()
    _fill(network)
    together = network(_images())
    torch.testing.assert_close(network(_images()[1:2]), together[1:2])


def test_stochastic_depth_drops_branches_of_whole_images_and_keeps_the_mean() -> None:
    network = _network(stochastic_depth=0.5)
    rates = [block.depth.rate for block in network.blocks if isinstance(block, Block)]
    # From 0 in the first block to the rate in the last.
    assert rates == pytest.approx([0.5 * n / (len(rates) - 1) for n in range(len(rates))])
    torch.manual_seed(0)
    layer = StochasticDepth(0.25).train()
    out = layer(torch.ones(4000, 2, 3))
    per_image = out[:, 0, 0]
    assert torch.equal(out, per_image[:, None, None].expand(-1, 2, 3))
    assert per_image.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    # The share of what is kept has a standard deviation of sqrt(0.25 * 0.75 / 4000) = 0.007.
    assert float((per_image > 0).float().mean()) == pytest.approx(0.75, abs=0.03)
    assert torch.equal(layer.eval()(torch.ones(3, 1, 1)), torch.ones(3, 1, 1))
