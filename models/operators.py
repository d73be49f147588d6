"""Operators of a network: parameters, multiply-adds, and tensors saved for the backward pass.

A family describes its network once, as parts made of operators; parameters, multiply-adds and
memory are sums over them (`models.cost`). Plain arithmetic that needs no torch: the tests hold
it to the parameters of the real networks, to fvcore's count of them, and to the tensors that
autograd saves. All figures are for one image.
"""

from dataclasses import dataclass, replace
from typing import Literal

Precision = Literal["fp32", "bf16"]
Device = Literal["cuda", "cpu"]

FP32, INT64 = 4, 8  # bytes


@dataclass(frozen=True)
class Numerics:
    """Precision and device of a training step, which decide how many bytes its tensors take.

    Under bf16 autocast (torch's lists of operators for CUDA) norms and the residual stream stay
    in fp32, while inputs of convolutions, matrix products and attention are saved as bf16 copies.
    """

    precision: Precision = "fp32"
    device: Device = "cuda"

    @property
    def operand(self) -> int:
        """Bytes of an element that a convolution or a matrix product reads."""
        return 4 if self.precision == "fp32" else 2

    @property
    def copy(self) -> int:
        """Bytes of the copy that autocast makes of an element in fp32: none in fp32 itself."""
        return 0 if self.precision == "fp32" else 2


@dataclass(frozen=True)
class Operator:
    """One operator of the forward pass over one image.

    `module` is the part of the network that it belongs to in tables of cost. `forward_macs` counts
    every kernel tap, `forward_macs_valid` leaves out those on zero padding. `norm_elements` pass
    through layer or group norms, `standardized_weights` through weight standardization; neither is
    in the MACs. `activations` are outputs of convolutions and matrix products. `saved` bytes are
    what autograd saves of the image, `saved_weights` what it saves whatever the number of images.
    """

    module: str
    params: int = 0
    forward_macs: int = 0
    forward_macs_valid: int = 0
    norm_elements: int = 0
    standardized_weights: int = 0
    activations: int = 0
    saved: int = 0
    saved_weights: int = 0


@dataclass(frozen=True)
class Part:
    """Operators between two points where the backward pass can pause.

    `entering` are the bytes of the map or the tokens that come in: all that is saved of an image
    where the part is recomputed, which `is_recomputable` allows. `gradients` are the bytes of the
    gradients of activations that are in memory at once, while the backward pass is in this part.
    """

    name: str
    operators: tuple[Operator, ...]
    entering: int
    gradients: int
    is_recomputable: bool = False


def in_module(part: Part, module: str) -> Part:
    """Return the part with all of its operators in `module`."""
    return replace(part, operators=tuple(replace(one, module=module) for one in part.operators))


def dense(
    module: str,
    inputs: int,
    outputs: int,
    rows: int,
    numerics: Numerics,
    *,
    bias: bool = True,
    saved: int | None = None,
) -> Operator:
    """Return the matrix product of `rows` vectors with a weight of (inputs, outputs).

    It saves its input unless `saved` says otherwise, and autocast's copy of the weight.
    """
    macs = rows * inputs * outputs
    return Operator(
        module,
        params=(inputs + bias) * outputs,
        forward_macs=macs,
        forward_macs_valid=macs,
        activations=rows * outputs,
        saved=numerics.operand * rows * inputs if saved is None else saved,
        saved_weights=numerics.copy * inputs * outputs,
    )


def layer_norm(module: str, width: int, rows: int) -> Operator:
    """Return the norm of `rows` vectors, which saves its input, a mean and a deviation a row."""
    return Operator(
        module,
        params=2 * width,
        norm_elements=rows * width,
        saved=FP32 * (rows * width + 2 * rows),
    )


def cross_entropy(module: str, num_classes: int) -> Operator:
    """Return the loss, which saves the log-probabilities and the label."""
    return Operator(module, saved=FP32 * num_classes + INT64)
