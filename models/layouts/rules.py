"""Rules between the arrays of a weights file and our parameters, one per array, both ways.

flax: vit_jax (ViT, hybrid) and big_vision (ViT, models/bit_paper.py). tensorflow: the published
BiT. timm: its vision_transformer, vision_transformer_hybrid and resnetv2. ours: as in torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Turn = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True)
class Layout:
    """Naming and shape conventions of one kind of checkpoint file.

    `sublayers` are the names of a block's attention, second norm and MLP: flax numbered them
    through in older files and by type in newer ones. `position_key` is None without a learned
    position; in big_vision the class token has none, `token_has_position` is False.
    """

    naming: Literal["flax", "tensorflow", "timm", "ours"]
    sublayers: tuple[str, str, str] = ("", "", "")
    position_key: str | None = None
    token_has_position: bool = True


def _same(x: "Tensor") -> "Tensor":
    return x


@dataclass(frozen=True)
class Rule:
    """An array of a file, the parameter that it fills, and how to turn one into the other.

    `third` says which of query, key and value it is, where the parameter holds all three.
    """

    theirs: str
    ours: str
    to_ours: Turn = _same
    to_theirs: Turn = _same
    third: int | None = None


def conv(theirs: str, ours: str) -> Rule:
    """Return the rule of a kernel (H, W, in, out), ours (out, in, H, W)."""
    return Rule(theirs, ours, lambda x: x.permute(3, 2, 0, 1), lambda x: x.permute(2, 3, 1, 0))


def dense(theirs: str, ours: str) -> list[Rule]:
    """Return the rules of a kernel (in, out), ours (out, in), and of its bias."""
    kernel = Rule(f"{theirs}/kernel", f"{ours}.weight", lambda x: x.mT, lambda x: x.mT)
    return [kernel, Rule(f"{theirs}/bias", f"{ours}.bias")]


def pair(theirs: str, ours: str, scale: str = "weight", shift: str = "bias") -> list[Rule]:
    """Return the rules of a weight and a bias under other names, in the same shapes."""
    names = ((scale, "weight"), (shift, "bias"))
    return [Rule(f"{theirs}{their}", f"{ours}.{our}") for their, our in names]


def flax_norm(theirs: str, ours: str) -> list[Rule]:
    """Return the rules of a norm's scale and bias."""
    return pair(f"{theirs}/", ours, "scale")
