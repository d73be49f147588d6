"""The Vision Transformer (arXiv:2010.11929, section 3.1), as vit_jax/models_vit.py computes it.

B batch, C channels, H W rows and columns, N tokens, D width, h heads, K size of a head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import Dense, Recomputable, lecun_normal_
from models.vit.config import ViTConfig


class Attention(nn.Module):
    """Multi-head self-attention; query, key and value are one matrix."""

    def __init__(self, config: ViTConfig, num_tokens: int) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.dropout = config.attention_dropout
        self.qkv = Dense(config.width, 3 * config.width)
        self.out = Dense(config.width, config.width)
        self.relative = (
            RelativePosition(num_tokens, config.width // config.num_heads)
            if config.position_embedding == "relative"
            else None
        )
        # Query, key and value are Xavier-uniform each by itself, as if they were three matrices.
        bound = math.sqrt(3.0 / config.width)
        nn.init.uniform_(self.qkv.weight, -bound, bound)
        nn.init.zeros_(self.qkv.bias)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project (B, N, D) to query, key and value, each (B, h, N, K)."""
        # Cut along the last axis, so that the backward pass joins the three in one copy.
        query, key, value = (
            part.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=2)
        )
        return query, key, value

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        query, key, value = self.heads(x)
        bias = None if self.relative is None else self.relative(query)
        dropout = self.dropout if self.training else 0.0
        x = F.scaled_dot_product_attention(query, key, value, bias, dropout)  # (B, h, N, K)
        mixed: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return mixed

    def weights(self, x: Tensor) -> Tensor:
        """Return attention weights: (B, N, D) to (B, h, N, N), rows sum to 1."""
        query, key, _ = self.heads(x)
        logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        if self.relative is not None:
            logits = logits + self.relative(query)
        return logits.softmax(3)


class RelativePosition(nn.Module):
    """A bias on the attention logits from the query and its offset to the key (appendix D.4).

    Offsets count in the order of the tokens, class token first. As in arXiv:1803.02155, which
    the paper follows, the heads of a layer share one embedding per offset.
    """

    def __init__(self, num_tokens: int, head_size: int) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.embedding = nn.Parameter(torch.empty(2 * num_tokens - 1, head_size))
        nn.init.normal_(self.embedding, std=0.02)

    def forward(self, query: Tensor) -> Tensor:
        """(B, h, N, K) to (B, h, N, N), scaled like the logits it is added to."""
        N = self.num_tokens
        by_offset = query @ self.embedding.T / math.sqrt(query.shape[3])  # (B, h, N, 2N - 1)
        # Row q needs the offsets -q to N - 1 - q, columns N - 1 - q and after: in the flat array
        # each row's part begins 2N - 2 after the last one's.
        slid: Tensor = by_offset.flatten(2)[..., N - 1 : -1].unflatten(2, (N, 2 * N - 2))  # type: ignore[no-untyped-call]
        return slid[..., :N]  # (B, h, N, N)


class Mlp(nn.Module):
    """Two dense layers with GELU between."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.approximate = "tanh" if config.gelu == "tanh" else "none"
        self.hidden = Dense(config.width, config.mlp_dim)
        self.out = Dense(config.mlp_dim, config.width)
        self.dropout = nn.Dropout(config.dropout)
        for layer in (self.hidden, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = F.gelu(self.hidden(x), approximate=self.approximate)
        out: Tensor = self.dropout(self.out(self.dropout(x)))
        return out


class StochasticDepth(nn.Module):
    """Drop a residual branch for whole images at random, in training only (arXiv:1603.09382).

    What is kept is divided by its probability, so that the expectation stays.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        if not self.training or self.rate == 0.0:
            return x
        kept = torch.rand(len(x), 1, 1, device=x.device) >= self.rate  # (B, 1, 1)
        return x * kept / (1 - self.rate)


class Block(Recomputable):
    """Attention and MLP, each on a normalized copy and added to its input (equations 2, 3)."""

    def __init__(self, config: ViTConfig, num_tokens: int, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.attention = Attention(config, num_tokens)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = Mlp(config)
        self.dropout = nn.Dropout(config.dropout)
        self.depth = StochasticDepth(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = x + self.depth(self.dropout(self.attention(self.norm1(x))))
        out: Tensor = x + self.depth(self.mlp(self.norm2(x)))
        return out


class Position1d(nn.Module):
    """Adds a learned vector per token, class token first."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(config.num_tokens, config.width))
        nn.init.normal_(self.tokens, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        return x + self.tokens


class Position2d(nn.Module):
    """Adds half a learned vector per row and half per column, joined (appendix D.4).

    The paper leaves the class token open; here it has a whole vector of its own.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        grid, half = config.grid, config.width // 2
        self.rows = nn.Parameter(torch.empty(grid.rows, half))
        self.columns = nn.Parameter(torch.empty(grid.columns, half))
        self.extra = nn.Parameter(torch.empty(config.num_tokens - grid.area, config.width))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        rows = self.rows[:, None].expand(-1, len(self.columns), -1)
        columns = self.columns[None].expand(len(self.rows), -1, -1)
        grid = torch.cat([rows, columns], dim=2).flatten(0, 1)  # (H W, D)
        return x + torch.cat([self.extra, grid])


def _position_embedding(config: ViTConfig) -> nn.Module:
    if config.position_embedding == "1d":
        return Position1d(config)
    if config.position_embedding == "2d":
        return Position2d(config)
    return nn.Identity()  # none, or relative: that one is in every attention


class ViT(nn.Module):
    """Vision Transformer: images (B, 3, H, W) in [-1, 1] to logits (B, num_classes)."""

    def __init__(self, config: ViTConfig, num_classes: int, *, in_channels: int = 3) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = nn.Conv2d(in_channels, width, config.patch_size, config.patch_size)
        lecun_normal_(self.embedding.weight)
        assert self.embedding.bias is not None
        nn.init.zeros_(self.embedding.bias)
        self.class_token = (
            nn.Parameter(torch.zeros(1, 1, width)) if config.pooling == "token" else None
        )
        self.position_embedding = _position_embedding(config)
        self.dropout = nn.Dropout(config.dropout)
        rates = torch.linspace(0.0, config.stochastic_depth, config.depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(config, config.num_tokens, rate) for rate in rates)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.representation = None
        if config.representation_size is not None:
            self.representation = nn.Linear(width, config.representation_size)
            lecun_normal_(self.representation.weight)
            nn.init.zeros_(self.representation.bias)
        self.head = nn.Linear(config.representation_size or width, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, config.head_bias_init)

    def stem(self, images: Tensor) -> Tensor:
        """Return the input of the patch embedding: the images themselves, (B, C, H, W)."""
        return images

    def embed(self, images: Tensor) -> Tensor:
        """Return the sequence that enters the first block, (B, N, D)."""
        image, given = self.config.image, tuple(images.shape)
        if given[2:] != (image.rows, image.columns):
            expected = f"(B, 3, {image.rows}, {image.columns})"
            raise ValueError(f"model {self.config.name} takes {expected}, got {given}")
        x = self.embedding(self.stem(images)).flatten(2).transpose(1, 2)  # (B, H W, D)
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)  # (B, N, D)
        embedded: Tensor = self.dropout(self.position_embedding(x))
        return embedded

    def features(self, images: Tensor) -> Tensor:
        """Return the representation that the head reads, (B, D) or (B, representation_size)."""
        x = self.embed(images)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        x = x[:, 0] if self.class_token is not None else x.mean(1)  # (B, D)
        return x if self.representation is None else torch.tanh(self.representation(x))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, num_classes)."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def attention_maps(self, images: Tensor) -> list[Tensor]:
        """Return the attention weights of each layer: depth times (B, h, N, N), rows sum to 1."""
        x = self.embed(images)
        maps = []
        for block in self.blocks:
            assert isinstance(block, Block)
            maps.append(block.attention.weights(block.norm1(x)))
            x = block(x)
        return maps
