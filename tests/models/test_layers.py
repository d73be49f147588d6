"""Padding, weight standardization and initial weights against their definitions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models import layers
from models.layers import Dense, StdConv2d, lecun_normal_, same_padding, standardize
from models.resnet import WeightEpsForm


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "expected"),
    [
        (224, 7, 2, (2, 3)),  # 112 places need 111 * 2 + 7 = 229 columns, 5 more than there are
        (112, 3, 2, (0, 1)),
        (8, 3, 1, (1, 1)),
        (7, 3, 2, (1, 1)),  # an odd size needs both
        (8, 1, 2, (0, 0)),
    ],
)
def test_same_padding_puts_the_odd_zero_after(
    size: int, kernel_size: int, stride: int, expected: tuple[int, int]
) -> None:
    assert same_padding(size, kernel_size, stride) == expected


@pytest.mark.parametrize("eps_form", ["variance", "deviation"])
def test_a_standardized_filter_has_mean_0_and_biased_deviation_1(eps_form: WeightEpsForm) -> None:
    weight = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(0)) * 3 + 1
    filters = standardize(weight, 1e-10, eps_form).numpy().reshape(6, -1)
    np.testing.assert_allclose(filters.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(filters.std(1, ddof=0), 1, rtol=1e-5)


def test_the_epsilon_is_added_where_it_says() -> None:
    # One filter of -2 and 2: mean 0, deviation 2, variance 4.
    weight = torch.tensor([-2.0, 2.0]).reshape(1, 2, 1, 1)
    deviation = standardize(weight, 0.5, "deviation")
    variance = standardize(weight, 0.5, "variance")
    assert deviation[0, 1, 0, 0].item() == pytest.approx(2 / 2.5)
    assert variance[0, 1, 0, 0].item() == pytest.approx(2 / 4.5**0.5)


@pytest.mark.parametrize("eps_form", ["variance", "deviation"])
def test_a_constant_filter_gives_zeros_and_a_finite_gradient(eps_form: WeightEpsForm) -> None:
    weight = torch.full((2, 3, 3, 3), 0.25, requires_grad=True)
    out = standardize(weight, 1e-5, eps_form)
    (gradient,) = torch.autograd.grad(out.square().sum(), weight)
    assert out.abs().max() == 0 and gradient.isfinite().all()


@pytest.mark.parametrize("eps_form", ["variance", "deviation"])
def test_gradients_of_weight_standardization(eps_form: WeightEpsForm) -> None:
    weight = torch.randn(
        3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: standardize(w, 1e-2, eps_form), weight)


def test_a_same_convolution_of_stride_2_starts_at_the_first_pixel() -> None:
    conv = StdConv2d(1, 1, 3, 2, eps=1e-5, eps_form="deviation", same=True)
    images = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    weight = standardize(conv.weight, 1e-5, "deviation")
    inside = F.conv2d(images, weight, stride=2)  # (1, 1, 3, 3): windows wholly inside
    torch.testing.assert_close(conv(images)[..., :3, :3], inside)
    assert conv(images).shape == (1, 1, 4, 4)


def test_half_padding_starts_one_pixel_before() -> None:
    conv = StdConv2d(1, 1, 3, 2, eps=1e-10, eps_form="variance", same=False)
    images = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    weight = standardize(conv.weight, 1e-10, "variance")
    inside = F.conv2d(images[..., 1:, 1:], weight, stride=2)
    torch.testing.assert_close(conv(images)[..., 1:, 1:], inside)


def test_scale_and_shift_of_the_weights_do_not_change_the_output() -> None:
    conv = StdConv2d(3, 4, 3, eps=1e-10, eps_form="variance", same=False)
    images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    before = conv(images)
    with torch.no_grad():
        conv.weight.mul_(7).add_(1)
    torch.testing.assert_close(conv(images), before, rtol=1e-4, atol=1e-4)


def test_lecun_normal_has_variance_1_over_fan_in_and_no_tails() -> None:
    torch.manual_seed(0)
    weight = torch.empty(256, 64, 3, 3)
    lecun_normal_(weight)
    std = (64 * 9) ** -0.5
    assert weight.std().item() == pytest.approx(std, rel=0.01)
    # Cut at two deviations of the normal before cutting, which is 1 / 0.8796 times as wide.
    assert weight.abs().max().item() <= 2 * std / 0.8796


def test_a_dense_layer_is_the_same_as_a_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, x = Dense(6, 5), torch.randn(2, 3, 6, requires_grad=True)
    inputs = (x, layer.weight, layer.bias)
    linear = F.linear(*inputs)
    expected = [linear, *torch.autograd.grad(linear.square().sum(), inputs)]
    assert torch.equal(layer(x), linear)
    monkeypatch.setattr(layers, "_SMALL_PRODUCT", 0)
    y = layer(x)
    found = [y, *torch.autograd.grad(y.square().sum(), inputs)]
    assert y.is_contiguous()
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
