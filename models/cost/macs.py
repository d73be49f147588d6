"""Parameters and multiply-adds of a network from its config alone, exact to the last unit.

Plain arithmetic, for planning on a host without torch; the tests hold it to counts of the real
networks. n tokens, d width. All figures are for one image.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from models.configs import BiTConfig, Config, Grid, HybridConfig, ResNetFields, ViTConfig

FLOPS_PER_MAC = 2
TRAIN_PER_FORWARD = 3


@dataclass(frozen=True)
class Part:
    """What a part of a network holds and does.

    `forward_macs` counts every kernel tap, `forward_macs_valid` leaves out those on zero padding.
    `norm_elements` pass through layer or group norms, `standardized_weights` through weight
    standardisation; neither is in the MACs. `activations` are outputs of convolutions and matrix
    products.
    """

    name: str
    params: int = 0
    forward_macs: int = 0
    forward_macs_valid: int = 0
    norm_elements: int = 0
    standardized_weights: int = 0
    activations: int = 0


@dataclass(frozen=True)
class Cost(Part):
    """The sum of the parts, and the parts in the order in which an image meets them."""

    parts: tuple[Part, ...] = ()

    @property
    def norm_operations(self) -> int:
        """Norm work as fvcore counts it: 5 per element, and 4 per standardised weight.

        timm's GMACs are `forward_macs` plus this.
        """
        return 5 * self.norm_elements + 4 * self.standardized_weights


def _sums(parts: Iterable[Part]) -> dict[str, int]:
    parts = tuple(parts)
    numbers = [field.name for field in fields(Part) if field.name != "name"]
    return {number: sum(getattr(part, number) for part in parts) for number in numbers}


def _together(name: str, parts: Iterable[Part], times: int = 1) -> Part:
    return Part(name, **{key: times * value for key, value in _sums(parts).items()})


def _dense(name: str, inputs: int, outputs: int, rows: int, *, bias: bool = True) -> Part:
    """Return the matrix product of `rows` vectors with a weight of (inputs, outputs)."""
    macs = rows * inputs * outputs
    params = (inputs + bias) * outputs
    return Part(name, params, macs, macs, activations=rows * outputs)


def _norm(channels: int, rows: int) -> Part:
    return Part("norm", params=2 * channels, norm_elements=rows * channels)


def _taps(size: int, kernel_size: int, stride: int, before: int, out: int) -> int:
    """Kernel taps of one axis that fall on the image, over all output places."""
    starts = (place * stride - before for place in range(out))
    return sum(min(start + kernel_size, size) - max(start, 0) for start in starts)


def _std_conv(
    config: ResNetFields, inputs: int, outputs: int, size: Grid, kernel_size: int, stride: int = 1
) -> Part:
    """Return a weight-standardised convolution on a map of this size."""
    out = size.strided(stride)
    taps = 1
    for side, out_side in ((size.rows, out.rows), (size.columns, out.columns)):
        before = kernel_size // 2
        if config.padding == "same":
            before = max((out_side - 1) * stride + kernel_size - side, 0) // 2
        taps *= _taps(side, kernel_size, stride, before, out_side)
    weights = inputs * outputs * kernel_size**2
    return Part(
        "conv",
        params=weights,
        forward_macs=weights * out.area,
        forward_macs_valid=inputs * outputs * taps,
        standardized_weights=weights,
        activations=outputs * out.area,
    )


def _root(config: ResNetFields, size: Grid) -> tuple[Part, Grid]:
    """Return the root with its norm, if any, and the size of the feature map after it."""
    kernel_size, stride = (7, 2) if config.root == "large" else (3, 1)
    parts = [_std_conv(config, 3, config.root_width, size, kernel_size, stride)]
    size = size.strided(stride)
    if isinstance(config, HybridConfig):
        parts.append(_norm(config.root_width, size.area))
    return _together("root", parts), size.strided(2) if config.root == "large" else size


def _unit(config: ResNetFields, inputs: int, width: int, size: Grid, stride: int) -> Part:
    """Return a bottleneck unit: norms after the convolutions in a hybrid, before them in BiT."""
    outputs, out = 4 * width, size.strided(stride)
    parts = [
        _std_conv(config, inputs, width, size, 1),
        _std_conv(config, width, width, size, 3, stride),
        _std_conv(config, width, outputs, out, 1),
        _norm(width, size.area),
        _norm(width, out.area),
    ]
    has_shortcut = stride != 1 or inputs != outputs
    if has_shortcut:
        parts.append(_std_conv(config, inputs, outputs, size, 1, stride))
    if isinstance(config, HybridConfig):
        parts += [_norm(outputs, out.area)] * (1 + has_shortcut)
    else:
        parts.append(_norm(inputs, size.area))
    return _together("unit", parts)


def _resnet(config: ResNetFields, image: Grid) -> tuple[list[Part], int, Grid]:
    """Root and stages, the channels and the size of the map that they leave."""
    root, size = _root(config, image)
    parts, channels = [root], config.root_width
    for stage, num_units in enumerate(config.stages):
        width, units = config.root_width * 2**stage, []
        for unit in range(num_units):
            stride = 2 if unit == 0 and stage > 0 else 1
            units.append(_unit(config, channels, width, size, stride))
            channels, size = 4 * width, size.strided(stride)
        parts.append(_together(f"stage{stage + 1}", units))
    return parts, channels, size


def _block(config: ViTConfig) -> list[Part]:
    n, d, m = config.num_tokens, config.width, config.mlp_dim
    scores = Part("scores", 0, 2 * n * n * d, 2 * n * n * d, activations=config.num_heads * n * n)
    parts = [
        _norm(d, n),
        _dense("qkv", d, 3 * d, n),
        scores,
        Part("values", activations=n * d),
        _dense("out", d, d, n),
        _norm(d, n),
        _dense("hidden", d, m, n),
        _dense("out", m, d, n),
    ]
    if config.position_embedding == "relative":
        head_size = d // config.num_heads
        rows = config.num_heads * n
        parts.append(_dense("relative", head_size, 2 * n - 1, rows, bias=False))
    return parts


def position_params(config: ViTConfig) -> int:
    """Parameters of the position embedding that is added to the tokens, and of the class token."""
    n, d, grid = config.num_tokens, config.width, config.grid
    class_token = (n - grid.area) * d
    if config.position_embedding == "1d":
        return n * d + class_token
    if config.position_embedding == "2d":
        return (grid.rows + grid.columns) * (d // 2) + 2 * class_token
    return class_token


def _transformer(config: ViTConfig, channels: int, num_classes: int) -> list[Part]:
    """Everything after the images or the feature map."""
    n, d, cells = config.num_tokens, config.width, config.grid.area
    features = config.representation_size or d
    parts = [
        _dense("embedding", channels * config.patch_size**2, d, cells),
        Part("position_embedding", params=position_params(config)),
        _together("blocks", _block(config), config.depth),
        _together("norm", [_norm(d, n)]),
    ]
    if config.representation_size is not None:
        parts.append(_dense("representation", d, features, 1))
    return [*parts, _dense("head", features, num_classes, 1)]


@lru_cache(maxsize=1024)
def count(
    config: Config,
    *,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int = 1000,
) -> Cost:
    """Cost of one forward pass over one image.

    `count(models.config("vit_b16")).forward_macs` is 17 563 828 224: L (4 n d^2 + 2 n^2 d +
    2 n d m) for L blocks, patches x 3 p^2 d and d x classes. Raises ConfigError for an image size
    that does not fit.
    """
    if image_size is not None:
        config = replace(config, image_size=image_size)
    if isinstance(config, BiTConfig):
        parts, channels, size = _resnet(config, config.image)
        parts += [_norm(channels, size.area), _dense("head", channels, num_classes, 1)]
    elif isinstance(config, HybridConfig):
        parts, channels, _ = _resnet(config, config.image)
        parts += _transformer(config, channels, num_classes)
    else:
        parts = _transformer(config, 3, num_classes)
    return Cost(config.name, **_sums(parts), parts=tuple(parts))


def train_flops(macs_per_image: int, examples_seen: int) -> float:
    """Model FLOPs of training: 3 × forward, 2 a multiply-add; recomputation is not counted.

    >>> train_flops(17_563_828_224, 1)  # ViT-B/16 at 224 px, one image
    105382969344.0
    """
    return float(TRAIN_PER_FORWARD * FLOPS_PER_MAC * macs_per_image * examples_seen)
