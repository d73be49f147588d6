"""Operators of a ResNet of Big Transfer, which is pre-activation."""

from functools import partial

from models.bit.config import BiTConfig
from models.configs import Grid
from models.operators import FP32, Numerics, Operator, Part, cross_entropy, dense
from models.resnet import convolution, group_norm, relu, root, stages, unit_part


def operators(config: BiTConfig, num_classes: int, numerics: Numerics) -> list[Part]:
    """Return the parts of the network in forward order, loss included."""
    first, size = root(config, config.image, numerics, norm=False, pool_element=numerics.operand)
    units, channels, size = stages(config, size, partial(_unit, config, numerics))
    return [first, *units, _head(config, channels, size, num_classes, numerics)]


def _unit(
    config: BiTConfig, numerics: Numerics, inputs: int, width: int, size: Grid, stride: int
) -> Part:
    """Return a bottleneck with a norm and a ReLU before each convolution."""
    outputs, out = 4 * width, size.strided(stride)
    found: list[Operator] = [
        group_norm(config, inputs, size),
        relu(inputs, size),
        convolution(config, inputs, width, size, 1, numerics),
        group_norm(config, width, size),
        relu(width, size),
        convolution(config, width, width, size, 3, numerics, stride=stride),
        group_norm(config, width, out),
        relu(width, out),
        convolution(config, width, outputs, out, 1, numerics),
    ]
    if stride != 1 or inputs != outputs:
        found.append(convolution(config, inputs, outputs, size, 1, numerics, stride=stride))
    return unit_part(found, inputs, outputs, size, stride)


def _head(
    config: BiTConfig, channels: int, size: Grid, num_classes: int, numerics: Numerics
) -> Part:
    entering = FP32 * channels * size.area
    norm = group_norm(config, channels, size)
    return Part(
        "head",
        (
            norm,
            Operator("norm", saved=entering),  # ReLU
            dense("head", channels, num_classes, 1, numerics),
            cross_entropy("head", num_classes),
        ),
        entering=entering,
        gradients=entering,
    )
