"""Config of a Vision Transformer."""

from dataclasses import dataclass
from typing import Literal

from models.configs import Config, ConfigError, Grid

Pooling = Literal["token", "gap"]
PositionEmbedding = Literal["none", "1d", "2d", "relative"]
Gelu = Literal["tanh", "erf"]


@dataclass(frozen=True, kw_only=True)
class ViTConfig(Config):
    """A Vision Transformer (arXiv:2010.11929, section 3.1).

    `representation_size` is the width of the hidden layer (with tanh) of the pre-training head;
    None is the single linear head of transfer. Dropout and stochastic depth belong to a recipe and
    start at 0; the depth's rate rises linearly from 0 in the first block (arXiv:1603.09382).
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
    stochastic_depth: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(self._complaint("num_heads", f"does not divide width {self.width}"))
        if self.position_embedding == "2d" and self.width % 2:
            raise ConfigError(
                self._complaint("width", "a 2d position embedding needs an even width")
            )
        for rate in ("dropout", "attention_dropout", "stochastic_depth"):
            if not 0.0 <= getattr(self, rate) < 1.0:
                raise ConfigError(self._complaint(rate, "expected a fraction in [0, 1)"))
        if self.image.rows % self.downsampling or self.image.columns % self.downsampling:
            expected = f"is not a multiple of {self.downsampling}, the pixels per token and side"
            raise ConfigError(self._complaint("image_size", expected))
        if self.position_embedding == "relative" and self.num_tokens < 2:
            raise ConfigError(
                self._complaint("image_size", "a single token has no relative position")
            )

    @property
    def downsampling(self) -> int:
        """Image pixels per token along one side."""
        return self.patch_size

    @property
    def grid(self) -> Grid:
        """Grid of patch tokens, without the class token."""
        return Grid(self.image.rows // self.downsampling, self.image.columns // self.downsampling)

    @property
    def num_tokens(self) -> int:
        """Length of the sequence, with the class token."""
        return self.grid.area + (self.pooling == "token")
