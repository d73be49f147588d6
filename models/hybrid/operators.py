"""Operators of a hybrid: a post-activation ResNet, then a Vision Transformer."""

from functools import partial

from models.configs import Grid
from models.hybrid.config import HybridConfig
from models.operators import FP32, Numerics, Operator, Part
from models.resnet import convolution, group_norm, relu, root, stages, unit_part
from models.vit.operators import transformer


def operators(config: HybridConfig, num_classes: int, numerics: Numerics) -> list[Part]:
    """Return the parts of the network in forward order, loss included."""
    first, size = root(config, config.image, numerics, norm=True, pool_element=FP32)
    units, channels, size = stages(config, size, partial(_unit, config, numerics))
    # The ResNet has saved its output; the embedding adds autocast's copy of it.
    saved = numerics.copy * channels * size.area
    after = transformer(config, channels, num_classes, numerics, saved=saved, entering=0)
    return [first, *units, *after]


def _unit(
    config: HybridConfig, numerics: Numerics, inputs: int, width: int, size: Grid, stride: int
) -> Part:
    """Return a bottleneck whose norms follow the convolutions, with a ReLU after the sum."""
    outputs, out = 4 * width, size.strided(stride)
    found: list[Operator] = [
        convolution(config, inputs, width, size, 1, numerics),
        group_norm(config, width, size),
        relu(width, size),
        convolution(config, width, width, size, 3, numerics, stride=stride),
        group_norm(config, width, out),
        relu(width, out),
        convolution(config, width, outputs, out, 1, numerics),
        group_norm(config, outputs, out),
    ]
    if stride != 1 or inputs != outputs:
        saved = numerics.copy * inputs * size.area
        found.append(
            convolution(config, inputs, outputs, size, 1, numerics, stride=stride, saved=saved)
        )
        found.append(group_norm(config, outputs, out))
    found.append(relu(outputs, out))
    return unit_part(found, inputs, outputs, size, stride)
