"""Config fields and operators shared by the ResNets of hybrids and BiT."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from models.configs import ConfigError, Grid
from models.operators import FP32, INT64, Numerics, Operator, Part, in_module

Root = Literal["large", "small"]
WeightEpsForm = Literal["deviation", "variance"]

# Units per stage. R50, R101, R152, R200: arXiv:1603.05027 and bit_pytorch/models.py; R50/16 has
# the units of its fourth stage in the third (arXiv:2010.11929, section 4.1); R26 and R: AugReg.
STAGES: dict[str, tuple[int, ...]] = {
    "r": (),
    "r26": (2, 2, 2, 2),
    "r50": (3, 4, 6, 3),
    "r50/16": (3, 4, 9),
    "r101": (3, 4, 23, 3),
    "r152": (3, 8, 36, 3),
    "r200": (3, 24, 36, 3),
}


def resnet_downsampling(root: Root, num_stages: int) -> int:
    """Image pixels per cell of the last map: the root's, times 2 per stage after the first."""
    return (4 if root == "large" else 1) << max(num_stages - 1, 0)


@dataclass(frozen=True, kw_only=True)
class ResNetFields:
    """The ResNet of a hybrid or a BiT: units per stage, widths, root and norms.

    `root` "large" is a 7x7 convolution of stride 2 and a 3x3 max-pool of stride 2, "small" (ours,
    for 8- to 64-pixel images) a 3x3 convolution of stride 1. `weight_eps` is added to the
    standard deviation of a filter ("deviation") or to its variance, under the root ("variance").
    Padding is TensorFlow's ("same": the odd zero goes after) or half a kernel on each side.
    """

    padding: ClassVar[Literal["same", "half"]]
    stages: tuple[int, ...]
    width_factor: int = 1
    base_width: int = 64
    root: Root = "large"
    weight_eps: float
    weight_eps_form: WeightEpsForm
    group_norm_groups: int = 32
    group_norm_eps: float

    @property
    def root_width(self) -> int:
        """Channels after the root; stage i makes 4 x 2**i times as many."""
        return self.base_width * self.width_factor

    @property
    def resnet_downsampling(self) -> int:
        """Image pixels per cell of the last feature map, along one side."""
        return resnet_downsampling(self.root, len(self.stages))


def inferred_fields(root_width: int, kernel_size: int, stages: tuple[int, ...]) -> dict[str, Any]:
    """Return the fields of a ResNet from the width and the kernel of its root, and its units."""
    whole = root_width % 64 == 0
    return {
        "root": "large" if kernel_size == 7 else "small",
        "stages": stages,
        "base_width": 64 if whole else root_width,
        "width_factor": root_width // 64 if whole else 1,
    }


def check_groups(name: str, config: ResNetFields) -> None:
    """Raise ConfigError unless the groups of a group norm divide the width of the root."""
    if config.root_width % config.group_norm_groups:
        raise ConfigError(
            f"model {name}: group_norm_groups = {config.group_norm_groups}: "
            f"does not divide the root's width {config.root_width}"
        )


def convolution(
    config: ResNetFields,
    inputs: int,
    outputs: int,
    size: Grid,
    kernel_size: int,
    numerics: Numerics,
    *,
    stride: int = 1,
    saved: int | None = None,
) -> Operator:
    """Return a weight-standardized convolution of a map of this size.

    Standardizing saves a mean and a deviation a filter ("variance"), or the centered filters, a
    norm and a reciprocal ("deviation"); the convolution saves the filters that come out, and of
    its input autocast's copy and a padded one, where there is one, unless `saved` says otherwise:
    in fp32 the operator before it has saved that input.
    """
    out = size.strided(stride)
    weights = inputs * outputs * kernel_size**2
    centered = weights if config.weight_eps_form == "deviation" else 0
    if saved is None:
        padded = _padded(config, size, kernel_size, stride)
        has_own = numerics.copy or padded != size
        saved = numerics.operand * inputs * padded.area if has_own else 0
    return Operator(
        "conv",
        params=weights,
        forward_macs=weights * out.area,
        forward_macs_valid=inputs * outputs * _valid_taps(config, size, kernel_size, stride),
        standardized_weights=weights,
        activations=outputs * out.area,
        saved=saved,
        saved_weights=numerics.operand * weights + FP32 * (centered + 2 * outputs),
    )


def _valid_taps(config: ResNetFields, size: Grid, kernel_size: int, stride: int) -> int:
    """Return the kernel taps that fall on the map and not on padding, over all output places."""
    out = size.strided(stride)
    taps = 1
    for side, out_side in ((size.rows, out.rows), (size.columns, out.columns)):
        before = kernel_size // 2
        if config.padding == "same":
            before = max((out_side - 1) * stride + kernel_size - side, 0) // 2
        starts = (place * stride - before for place in range(out_side))
        taps *= sum(min(start + kernel_size, side) - max(start, 0) for start in starts)
    return taps


def _padded(config: ResNetFields, size: Grid, kernel_size: int, stride: int) -> Grid:
    """Return the size of the map, including zero padding if padding makes a copy of it."""
    if config.padding != "same" or stride == 1:
        return size
    out = size.strided(stride)
    return Grid(
        max((out.rows - 1) * stride + kernel_size, size.rows),
        max((out.columns - 1) * stride + kernel_size, size.columns),
    )


def group_norm(config: ResNetFields, channels: int, size: Grid) -> Operator:
    """Return the norm of a map, which saves its input, a mean and a deviation a group."""
    return Operator(
        "norm",
        params=2 * channels,
        norm_elements=channels * size.area,
        saved=FP32 * (channels * size.area + 2 * config.group_norm_groups),
    )


def relu(channels: int, size: Grid) -> Operator:
    """Return the ReLU of a map, which saves its output, in fp32."""
    return Operator("relu", saved=FP32 * channels * size.area)


def root(
    config: ResNetFields, image: Grid, numerics: Numerics, *, norm: bool, pool_element: int
) -> tuple[Part, Grid]:
    """Return the root, and the size of the map after it; `norm`: with a norm and a ReLU.

    The pooling of a large one saves its padded input, `pool_element` bytes an element, and
    indices; with a ReLU before it also its output, which the first unit reads.
    """
    is_large = config.root == "large"
    kernel_size, stride = (7, 2) if is_large else (3, 1)
    channels = config.root_width
    size = image.strided(stride)
    pixels = numerics.operand * 3 * _padded(config, image, kernel_size, stride).area
    found = [
        convolution(config, 3, channels, image, kernel_size, numerics, stride=stride, saved=pixels)
    ]
    if norm:
        found += [group_norm(config, channels, size), relu(channels, size)]
    out = size.strided(2) if is_large else size
    if is_large:
        half = Grid(size.rows + 2, size.columns + 2)
        padded = _padded(config, size, 3, 2) if config.padding == "same" else half
        saved = pool_element * channels * padded.area + INT64 * channels * out.area
        found.append(Operator("pool", saved=saved + FP32 * channels * out.area * norm))
    part = Part(
        "root",
        tuple(found),
        entering=numerics.operand * 3 * image.area,
        gradients=2 * FP32 * channels * size.area,
    )
    return in_module(part, "root"), out


Unit = Callable[[int, int, Grid, int], Part]


def stages(config: ResNetFields, size: Grid, unit: Unit) -> tuple[list[Part], int, Grid]:
    """Return the units of all stages, and the channels and the size of the map they leave.

    `unit(channels, width, size, stride)` makes one.
    """
    parts: list[Part] = []
    channels = config.root_width
    for stage, num_units in enumerate(config.stages):
        width = config.root_width * 2**stage
        for number in range(num_units):
            stride = 2 if number == 0 and stage > 0 else 1
            part = unit(channels, width, size, stride)
            parts.append(in_module(part, f"stage{stage + 1}"))
            channels, size = 4 * width, size.strided(stride)
    return parts, channels, size


def unit_part(
    operators: list[Operator], inputs: int, outputs: int, size: Grid, stride: int
) -> Part:
    """Return a unit of these operators, which takes a map of so many channels and this size."""
    entering = FP32 * inputs * size.area
    return Part(
        "unit",
        tuple(operators),
        entering=entering,
        gradients=FP32 * outputs * size.strided(stride).area + 2 * entering,
        is_recomputable=True,
    )
