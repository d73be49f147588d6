"""Memory of the tensors that autograd saves for the backward pass: sums over operators."""

from dataclasses import dataclass, replace

from models.configs import Config, NotDescribed
from models.families import family_of
from models.operators import Device, Numerics, Part, Precision


@dataclass(frozen=True)
class Kept:
    """Bytes saved for the backward pass by one part of a network, and its number of weights.

    `per_image` grows with the micro-batch, `constant` does not; the other fields are those of
    `models.operators.Part`.
    """

    name: str
    per_image: int
    constant: int
    entering: int
    gradients: int
    params: int
    is_recomputable: bool


def _kept(part: Part) -> Kept:
    return Kept(
        part.name,
        sum(operator.saved for operator in part.operators),
        sum(operator.saved_weights for operator in part.operators),
        part.entering,
        part.gradients,
        sum(operator.params for operator in part.operators),
        part.is_recomputable,
    )


def kept(
    config: Config,
    *,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int = 1000,
    precision: Precision = "fp32",
    device: Device = "cuda",
) -> tuple[Kept, ...]:
    """Return the parts of a network in forward order, loss included.

    On a CPU (`device`), dropout and attention biases save more; the result there is exact from
    two images on. Raises ConfigError for an image size that does not fit, and NotDescribed for a
    network without operators: what it keeps is unknown.
    """
    if image_size is not None:
        config = replace(config, image_size=image_size)
    parts = family_of(config).operators(config, num_classes, Numerics(precision, device))
    if parts is None:
        raise NotDescribed(
            f"model {config.name}: its operators are not described, memory is unknown"
        )
    return tuple(map(_kept, parts))
