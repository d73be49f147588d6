"""What autograd keeps of a forward pass for the backward one, from a config alone.

Plain arithmetic over the operators of the networks; the tests hold it to the tensors that
autograd really saves. Under bf16 autocast (torch's lists of operators for
CUDA) norms and the residual stream stay in fp32, while inputs of convolutions, matrix products and
attention are kept as bf16 copies. n tokens, d width, m MLP, h heads, s size of a map.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from models.configs import BiTConfig, Config, Grid, HybridConfig, ResNetFields, ViTConfig
from models.cost.macs import position_params

Precision = Literal["fp32", "bf16"]
Device = Literal["cuda", "cpu"]

# Parts that models/recompute.py can compute again.
RECOMPUTED = ("block", "unit")

_FP32, _INT64 = 4, 8
_LABEL = _INT64


@dataclass(frozen=True)
class Kept:
    """What one part of a network keeps, in bytes, and how many weights it has.

    `per_image` grows with the micro-batch, `constant` does not. `entering` are the map or the
    tokens that come in: all that is kept where the part is recomputed. `gradients` of activations
    are in memory at once, per image, while the backward pass is in this part.
    """

    name: str
    per_image: int
    constant: int
    entering: int
    gradients: int
    params: int


@dataclass(frozen=True)
class _Widths:
    """Bytes of an element: of what a matrix product reads, and of one more copy for it."""

    operand: int
    copy: int
    on_cpu: bool


def _widths(precision: Precision, device: Device) -> _Widths:
    return _Widths(*((4, 0) if precision == "fp32" else (2, 2)), on_cpu=device == "cpu")


def _attention(config: ViTConfig, w: _Widths) -> int:
    """Return the bytes attention saves beside query, key, value, output: a log-sum per query.

    Relative positions keep their products and a bias like the attention weights, twice. Dropout
    and a bias have no fused kernel on a CPU: there the weights are kept, with dropout also its mask
    and what it leaves of them, and with a bias a copy of the query.
    """
    n, h = config.num_tokens, config.num_heads
    is_relative = config.position_embedding == "relative"
    if w.on_cpu and (is_relative or config.attention_dropout):
        weights = (3 if config.attention_dropout else 1) * _FP32 * h * n * n
        return weights + (w.operand * n * config.width if is_relative else 0)
    sums = _FP32 * n * h
    return sums + (w.operand * h * n * (2 * n - 1) + 2 * _FP32 * h * n * n) * is_relative


def _block(config: ViTConfig, w: _Widths) -> Kept:
    """Two norms (their inputs, a mean and a deviation a token), qkv, attention, MLP.

    Dropout keeps a byte an element, on a CPU a number.
    """
    n, d, m = config.num_tokens, config.width, config.mlp_dim
    norms = 2 * _FP32 * (n * d + 2 * n)
    matrices = w.operand * n * (d + 3 * d + d + d + 2 * m)
    masks = (w.operand if w.on_cpu else 1) * n * (2 * d + m) if config.dropout else 0
    weights = 4 * d * d + 2 * d * m
    if config.position_embedding == "relative":
        weights += (2 * n - 1) * (d // config.num_heads)
    return Kept(
        "block",
        norms + matrices + masks + _attention(config, w),
        w.copy * weights,
        _FP32 * n * d,
        _FP32 * n * (d + m),
        weights + 9 * d + m,
    )


def _embedding(config: ViTConfig, channels: int, pixels: Grid, w: _Widths) -> Kept:
    """Return the bytes the patch embedding saves: the images, or in bf16 a copy of its input."""
    d = config.width
    is_shared = isinstance(config, HybridConfig)
    size = w.copy if is_shared else w.operand
    weights = channels * config.patch_size**2 * d
    mask = (_FP32 if w.on_cpu else 1) * config.num_tokens * d if config.dropout else 0
    return Kept(
        "embedding",
        size * channels * pixels.area + mask,
        w.copy * weights,
        0 if is_shared else w.operand * channels * pixels.area,
        _FP32 * config.num_tokens * d,
        weights + d + position_params(config),
    )


def _head(config: ViTConfig, num_classes: int, w: _Widths) -> Kept:
    """Return the bytes of the last norm, the head's input, and the log-probabilities."""
    n, d = config.num_tokens, config.width
    features = config.representation_size or d
    kept = _FP32 * (n * d + 2 * n + num_classes) + _LABEL
    # In fp32 the head reads one token of the norm's output, which stays whole.
    kept += _FP32 * n * d if config.pooling == "token" and not w.copy else w.operand * d
    weights = features * num_classes
    if config.representation_size is not None:
        kept += _FP32 * features if not w.copy else 2 * w.operand * features
        weights += d * features
    params = weights + num_classes + 2 * d + (features if config.representation_size else 0)
    return Kept("head", kept, w.copy * weights, _FP32 * n * d, _FP32 * n * d, params)


def _transformer(
    config: ViTConfig, channels: int, pixels: Grid, num_classes: int, w: _Widths
) -> list[Kept]:
    return [
        _embedding(config, channels, pixels, w),
        *[_block(config, w)] * config.depth,
        _head(config, num_classes, w),
    ]


def _std_weights(
    config: ResNetFields, shapes: Iterable[tuple[int, int, int]], w: _Widths
) -> tuple[int, int]:
    """Bytes kept by standardising and convolving with filters of (in, out, kernel); weights.

    "variance" keeps a mean and a deviation a filter, "deviation" the centred filters, a norm and
    a reciprocal. The convolution keeps what comes out.
    """
    kept = count = 0
    for inputs, outputs, kernel_size in shapes:
        weights = inputs * outputs * kernel_size**2
        centred = weights if config.weight_eps_form == "deviation" else 0
        kept += w.operand * weights + _FP32 * (centred + 2 * outputs)
        count += weights
    return kept, count


def _statistics(config: ResNetFields, num_norms: int) -> int:
    return 2 * _FP32 * config.group_norm_groups * num_norms


def _padded(config: ResNetFields, size: Grid, kernel_size: int, stride: int) -> Grid:
    """Return the size of the feature map, with zero padding where a padded copy is made."""
    if config.padding != "same" or stride == 1:
        return size
    out = size.strided(stride)
    return Grid(
        max((out.rows - 1) * stride + kernel_size, size.rows),
        max((out.columns - 1) * stride + kernel_size, size.columns),
    )


def _unit(
    config: ResNetFields, inputs: int, width: int, size: Grid, stride: int, w: _Widths
) -> Kept:
    outputs, out = 4 * width, size.strided(stride)
    has_shortcut = stride != 1 or inputs != outputs
    shapes = [(inputs, width, 1), (width, width, 3), (width, outputs, 1)]
    shapes += [(inputs, outputs, 1)] * has_shortcut
    constant, weights = _std_weights(config, shapes, w)
    padded = _padded(config, size, 3, stride)
    if isinstance(config, HybridConfig):
        # Inputs of the norms, ReLUs, and in bf16 what the convolutions read.
        kept = _FP32 * (2 * width * size.area + 2 * width * out.area + 2 * outputs * out.area)
        kept += _FP32 * outputs * out.area * has_shortcut
        kept += w.copy * (
            (1 + has_shortcut) * inputs * size.area + width * (padded.area + out.area)
        )
        if padded != size and not w.copy:
            kept += _FP32 * width * padded.area
        norms = 3 + has_shortcut
        entering = _FP32 * inputs * size.area
        norm_weights = 2 * (2 * width + outputs * (1 + has_shortcut))
    else:
        kept = _FP32 * (2 * inputs * size.area + 2 * width * size.area + 2 * width * out.area)
        kept += w.copy * ((1 + has_shortcut) * inputs * size.area + width * (size.area + out.area))
        norms = 3
        entering = _FP32 * inputs * size.area
        norm_weights = 2 * (inputs + 2 * width)
    kept += _statistics(config, norms)
    gradients = _FP32 * (outputs * out.area + 2 * inputs * size.area)
    return Kept("unit", kept, constant, entering, gradients, weights + norm_weights)


def _root(config: ResNetFields, image: Grid, w: _Widths) -> tuple[Kept, Grid]:
    """Return the bytes of the root convolution, a hybrid's norm, and the pooling with indices."""
    is_large, is_hybrid = config.root == "large", isinstance(config, HybridConfig)
    kernel_size, stride = (7, 2) if is_large else (3, 1)
    channels, size = config.root_width, image.strided(stride)
    constant, weights = _std_weights(config, [(3, channels, kernel_size)], w)
    kept = w.operand * 3 * _padded(config, image, kernel_size, stride).area
    if is_hybrid:
        kept += 2 * _FP32 * channels * size.area + _statistics(config, 1)
    if is_large:
        out = size.strided(2)
        padded = _padded(config, size, 3, 2) if is_hybrid else Grid(size.rows + 2, size.columns + 2)
        kept += (_FP32 if is_hybrid else w.operand) * channels * padded.area
        kept += _INT64 * channels * out.area
        kept += _FP32 * channels * out.area if is_hybrid else 0
        size = out
    params = weights + (2 * channels if is_hybrid else 0)
    gradients = 2 * _FP32 * channels * image.strided(stride).area
    return Kept("root", kept, constant, w.operand * 3 * image.area, gradients, params), size


def _resnet(config: ResNetFields, image: Grid, w: _Widths) -> tuple[list[Kept], int, Grid]:
    root, size = _root(config, image, w)
    parts, channels = [root], config.root_width
    for stage, num_units in enumerate(config.stages):
        width = config.root_width * 2**stage
        for unit in range(num_units):
            stride = 2 if unit == 0 and stage > 0 else 1
            parts.append(_unit(config, channels, width, size, stride, w))
            channels, size = 4 * width, size.strided(stride)
    return parts, channels, size


def kept(
    config: Config,
    *,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int = 1000,
    precision: Precision = "fp32",
    device: Device = "cuda",
) -> tuple[Kept, ...]:
    """Return the parts of a network in forward order, loss included.

    `device` tells where dropout and biases of attention take more; there it is exact from two
    images on. Raises ConfigError for an image size that does not fit.
    """
    if image_size is not None:
        config = replace(config, image_size=image_size)
    w = _widths(precision, device)
    if isinstance(config, BiTConfig):
        parts, channels, size = _resnet(config, config.image, w)
        features = 2 * _FP32 * channels * size.area + _statistics(config, 1)
        head = features + w.operand * channels + _FP32 * num_classes + _LABEL
        weights = channels * num_classes
        entering = _FP32 * channels * size.area
        params = weights + num_classes + 2 * channels
        return (*parts, Kept("head", head, w.copy * weights, entering, entering, params))
    if isinstance(config, HybridConfig):
        parts, channels, size = _resnet(config, config.image, w)
        return (*parts, *_transformer(config, channels, size, num_classes, w))
    return tuple(_transformer(config, 3, config.image, num_classes, w))
