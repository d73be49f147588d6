"""Layers shared by families: dense, weight-standardized convolutions, recomputable modules.

B batch, N tokens, D width, C channels in, O channels out (filters), H W rows and columns.
"""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.configs import ConfigError
from models.resnet import ResNetFields, WeightEpsForm

# Multiply-adds below which a dense layer is no faster as a convolution (measured).
_SMALL_PRODUCT = 10_000_000

# Standard deviation of a unit normal truncated at plus and minus 2, by which flax divides.
_TRUNCATED_DEVIATION = 0.87962566103423978


def lecun_normal_(weight: Tensor) -> None:
    """Fill with a truncated normal of variance 1 / fan-in, like flax's default initializer.

    The first axis of `weight` is the output.
    """
    fan_in = weight[0].numel()
    std = 1.0 / math.sqrt(fan_in) / _TRUNCATED_DEVIATION
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


class Dense(nn.Linear):
    """A linear layer, which on a CPU in fp32 is computed as a convolution of one pixel.

    That goes to oneDNN, torch's linear to MKL, whose kernels for AMD are half as fast
    (tests/peers/step_time.py).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, O)."""
        is_fp32 = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        is_large = x.numel() * self.out_features > _SMALL_PRODUCT
        if not (x.is_cpu and is_fp32 and is_large and x.ndim == 3):
            return super().forward(x)
        pixels = x.unsqueeze(0).permute(0, 3, 1, 2)  # (1, D, B, N), channels last
        y = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return y.permute(0, 2, 3, 1).squeeze(0)


def same_padding(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis under TensorFlow's SAME: the odd one goes after.

    `same_padding(224, 7, 2)` is (2, 3).
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Zero-pad the images (B, C, H, W) as TensorFlow's SAME padding does."""
    top, bottom = same_padding(int(x.shape[2]), kernel_size, stride)
    left, right = same_padding(int(x.shape[3]), kernel_size, stride)
    return F.pad(x, (left, right, top, bottom))


def standardize(weight: Tensor, eps: float, eps_form: WeightEpsForm) -> Tensor:
    """Standardize each filter of (O, C, H, W): mean 0, biased standard deviation 1, up to `eps`.

    "variance" divides by sqrt(variance + eps) (BiT, timm), "deviation" by deviation + eps
    (vit_jax/models_resnet.py).
    """
    filters = weight.flatten(1)
    if eps_form == "variance":
        # A layer norm over a filter is the same arithmetic in one fused kernel.
        return F.layer_norm(filters, filters.shape[1:], eps=eps).view_as(weight)
    # Half the time of torch.std on a CPU (R50, measured).
    centered = filters - filters.mean(1, keepdim=True)
    std = torch.linalg.vector_norm(centered, dim=1, keepdim=True) / math.sqrt(filters.shape[1])
    standardized: Tensor = centered * (std + eps).reciprocal()
    return standardized.view_as(weight)


class _AddToGradient(torch.autograd.Function):
    """Identity function whose backward pass adds another gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient.add_(gradients[0]), None


class StdConv2d(nn.Conv2d):
    """A convolution without bias whose filters are standardized (arXiv:1903.10520).

    `same` pads like TensorFlow, on one side only where the stride asks for it; else both sides
    get half a kernel. While `defers` is set, micro-steps share one standardization and accumulate
    their gradients; the first micro-step after it backpropagates the sum through the
    standardization, so the weights must not change in between.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        eps: float,
        eps_form: WeightEpsForm,
        same: bool,
    ) -> None:
        # At stride 1 and with an odd kernel, SAME is half a kernel on both sides too.
        self.pads_first = same and stride > 1 and kernel_size > 1
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=0 if self.pads_first else kernel_size // 2,
            bias=False,
        )
        self.eps = eps
        self.eps_form = eps_form
        self.defers = False
        self._shared: tuple[Tensor, Tensor] | None = None  # with its history, and without

    def reset_parameters(self) -> None:
        """Initialize as flax does."""
        lecun_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, O, H / stride, W / stride), rounded up."""
        if self.pads_first:
            x = pad_same(x, self.kernel_size[0], self.stride[0])
        return F.conv2d(x, self._standardized(), None, self.stride, self.padding)

    def _standardized(self) -> Tensor:
        if self._shared is None:
            weight = standardize(self.weight, self.eps, self.eps_form)
            if not self.defers:
                return weight
            self._shared = weight, weight.detach().requires_grad_()
        weight, leaf = self._shared
        if self.defers:
            return leaf
        self._shared = None
        return weight if leaf.grad is None else _AddToGradient.apply(weight, leaf.grad)  # type: ignore[no-untyped-call]


def std_conv(
    config: ResNetFields, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> StdConv2d:
    """Return the convolution of a ResNet of this config."""
    return StdConv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        eps=config.weight_eps,
        eps_form=config.weight_eps_form,
        same=config.padding == "same",
    )


def group_norm(config: ResNetFields, channels: int) -> nn.GroupNorm:
    """Return the norm of a ResNet of this config."""
    return nn.GroupNorm(config.group_norm_groups, channels, eps=config.group_norm_eps)


class Recomputable(nn.Module):
    """Block or unit whose activations can be recomputed in the backward pass."""


def recompute(network: nn.Module) -> None:
    """Enable activation checkpointing in every recomputable module (arXiv:1604.06174).

    Trades about a third more compute for less memory. Raises ConfigError for a network that has
    no such module.
    """
    found = [module for module in network.modules() if isinstance(module, Recomputable)]
    if not found:
        raise ConfigError(
            f"activation checkpointing: {type(network).__name__} has no part to recompute, "
            "expected modules derived from models.layers.Recomputable"
        )
    for module in found:
        module.forward = partial(checkpoint, module.forward, use_reentrant=False)
