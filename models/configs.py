"""What there is to choose in a ViT, a hybrid and a BiT-ResNet, as frozen dataclasses.

Nothing here needs torch, so a login host can list, plan and count without it.
"""

import math
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any, ClassVar, Literal

Pooling = Literal["token", "gap"]
PositionEmbedding = Literal["none", "1d", "2d", "relative"]
Gelu = Literal["tanh", "erf"]
Root = Literal["large", "small"]
WeightEpsForm = Literal["deviation", "variance"]

CHOICES: dict[str, tuple[str, ...]] = {
    "pooling": ("token", "gap"),
    "position_embedding": ("none", "1d", "2d", "relative"),
    "gelu": ("tanh", "erf"),
    "root": ("large", "small"),
    "weight_eps_form": ("deviation", "variance"),
}


class ModelsError(Exception):
    """Base of every error of this package: the user named something that does not fit."""


class UnknownModel(ModelsError):
    """The name is not in the registry."""


class ConfigError(ModelsError):
    """A field is unknown, or its value does not fit the others."""


class CheckpointError(ModelsError):
    """A file is not a checkpoint of a known layout, is damaged, or does not fit its network."""


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def check_classes(name: str, num_classes: Any) -> None:
    """Raise ConfigError if the head of the model `name` cannot have that many outputs."""
    is_whole = isinstance(num_classes, Integral) and not isinstance(num_classes, bool)
    if not is_whole or num_classes < 1:
        expected = "expected a positive whole number"
        raise ConfigError(f"model {name}: num_classes = {num_classes!r}: {expected}")


@dataclass(frozen=True)
class Grid:
    """Rows and columns: of an image's pixels, a feature map's cells, or a transformer's tokens."""

    rows: int
    columns: int

    @property
    def area(self) -> int:
        """How many places there are."""
        return self.rows * self.columns

    def strided(self, stride: int) -> "Grid":
        """Return the grid after a padded convolution of that stride."""
        return Grid(math.ceil(self.rows / stride), math.ceil(self.columns / stride))


@dataclass(frozen=True, kw_only=True)
class _Config:
    """What every network has: identity, image size, start of the head.

    `image_size` is the side of a square image, or its height and width.
    """

    family: ClassVar[str]
    name: str
    label: str
    published_names: tuple[str, ...] = ()
    image_size: int | tuple[int, int] = 224
    head_bias_init: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            choices = CHOICES.get(field.name)
            if choices and value not in choices:
                raise ConfigError(self._says(field.name, f"expected one of {', '.join(choices)}"))
            is_whole = field.type is int or (field.type == int | None and value is not None)
            if is_whole and not _is_count(value):
                raise ConfigError(self._says(field.name, "expected a positive whole number"))
            is_number = isinstance(value, int | float) and math.isfinite(value)
            if field.type is float and not is_number:
                raise ConfigError(self._says(field.name, "expected a finite number"))
            if field.name == "stages" and not all(_is_count(units) for units in value):
                raise ConfigError(self._says("stages", "expected positive whole numbers"))
        size = self.image_size
        sides = size if isinstance(size, tuple) else (size, size)
        if len(sides) != 2 or not all(map(_is_count, sides)):
            expected = "expected a positive whole number, or two of them"
            raise ConfigError(self._says("image_size", expected))

    @property
    def image(self) -> Grid:
        """The pixels of an image."""
        size = self.image_size
        return Grid(*size) if isinstance(size, tuple) else Grid(size, size)

    def _says(self, field: str, expected: str) -> str:
        return f"model {self.name}: {field} = {getattr(self, field)!r}: {expected}"


@dataclass(frozen=True, kw_only=True)
class ViTConfig(_Config):
    """A Vision Transformer (arXiv:2010.11929, section 3.1).

    `representation_size` is the width of the hidden layer (with tanh) of the pre-training head;
    None is the single linear head of transfer. Dropout belongs to a recipe and starts at 0.
    """

    family = "vit"
    patch_size: int
    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    pooling: Pooling = "token"
    position_embedding: PositionEmbedding = "1d"
    representation_size: int | None = None
    gelu: Gelu = "tanh"
    norm_eps: float = 1e-6
    dropout: float = 0.0
    attention_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(self._says("num_heads", f"does not divide width {self.width}"))
        if self.position_embedding == "2d" and self.width % 2:
            raise ConfigError(self._says("width", "a 2d position embedding needs an even width"))
        for rate in ("dropout", "attention_dropout"):
            if not 0.0 <= getattr(self, rate) < 1.0:
                raise ConfigError(self._says(rate, "expected a fraction in [0, 1)"))
        if self.image.rows % self.downsampling or self.image.columns % self.downsampling:
            expected = f"is not a multiple of {self.downsampling}, the pixels per token and side"
            raise ConfigError(self._says("image_size", expected))
        if self.position_embedding == "relative" and self.num_tokens < 2:
            raise ConfigError(self._says("image_size", "a single token has no relative position"))

    @property
    def downsampling(self) -> int:
        """Image pixels per token along one side."""
        return self.patch_size

    @property
    def grid(self) -> Grid:
        """The tokens, without the class token."""
        return Grid(self.image.rows // self.downsampling, self.image.columns // self.downsampling)

    @property
    def num_tokens(self) -> int:
        """Length of the sequence, with the class token."""
        return self.grid.area + (self.pooling == "token")


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


def _check_groups(name: str, config: ResNetFields) -> None:
    if config.root_width % config.group_norm_groups:
        raise ConfigError(
            f"model {name}: group_norm_groups = {config.group_norm_groups}: "
            f"does not divide the root's width {config.root_width}"
        )


@dataclass(frozen=True, kw_only=True)
class HybridConfig(ViTConfig, ResNetFields):
    """A ViT whose patches are cut from a post-activation ResNet's feature map (section 3.1).

    The defaults are those of vit_jax/models_resnet.py; no stage at all leaves the root alone.
    `patch_size` counts cells of the feature map.
    """

    family = "hybrid"
    padding = "same"
    weight_eps: float = 1e-5
    weight_eps_form: WeightEpsForm = "deviation"
    group_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_groups(self.name, self)

    @property
    def downsampling(self) -> int:
        """Image pixels per token along one side: the published suffix, but for R+Ti/16."""
        return self.resnet_downsampling * self.patch_size


@dataclass(frozen=True, kw_only=True)
class BiTConfig(_Config, ResNetFields):
    """A pre-activation ResNet (v2) of Big Transfer (arXiv:1912.11370), bit_pytorch/models.py."""

    family = "bit"
    padding = "half"
    weight_eps: float = 1e-10
    weight_eps_form: WeightEpsForm = "variance"
    group_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages:
            raise ConfigError(self._says("stages", "expected at least one stage"))
        _check_groups(self.name, self)


Config = ViTConfig | HybridConfig | BiTConfig
