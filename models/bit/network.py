"""The ResNet of Big Transfer (arXiv:1912.11370), as bit_pytorch/models.py computes it.

Pre-activation (v2) with weight-standardized convolutions and group norm. B batch, C channels,
H W rows and columns, D width of the representation.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from models.bit.config import BiTConfig
from models.layers import Recomputable, group_norm, std_conv


class PreActBottleneck(Recomputable):
    """Norm and ReLU before each of 1x1, 3x3 (with the stride) and 1x1; nothing after the sum."""

    def __init__(self, config: BiTConfig, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        self.norm1 = group_norm(config, in_channels)
        self.conv1 = std_conv(config, in_channels, width, 1)
        self.norm2 = group_norm(config, width)
        self.conv2 = std_conv(config, width, width, 3, stride)
        self.norm3 = group_norm(config, width)
        self.conv3 = std_conv(config, width, out_channels, 1)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = std_conv(config, in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 4 width, H / stride, W / stride)."""
        y = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.conv1(y)
        y = self.conv2(F.relu(self.norm2(y)))
        out: Tensor = self.conv3(F.relu(self.norm3(y))) + shortcut
        return out


class BitRoot(nn.Module):
    """A convolution without norm or ReLU; the large one then pools, and divides the image by 4."""

    def __init__(self, config: BiTConfig) -> None:
        super().__init__()
        self.pools = config.root == "large"
        kernel_size, stride = (7, 2) if self.pools else (3, 1)
        self.conv = std_conv(config, 3, config.root_width, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C, H / 4, W / 4), or to (B, C, H, W) where small."""
        x = self.conv(x)
        # Zeros, not minus infinity: they exceed negative activations, as in the original.
        return F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2) if self.pools else x


class BiT(nn.Module):
    """Images (B, 3, H, W) in [-1, 1], of any size, to logits (B, num_classes)."""

    def __init__(self, config: BiTConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.root = BitRoot(config)
        self.stages = nn.ModuleList()
        channels = config.root_width
        for stage, num_units in enumerate(config.stages):
            width = config.root_width * 2**stage
            units = nn.Sequential()
            for unit in range(num_units):
                stride = 2 if unit == 0 and stage > 0 else 1
                units.append(PreActBottleneck(config, channels, width, stride))
                channels = 4 * width
            self.stages.append(units)
        self.norm = group_norm(config, channels)
        self.head = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, config.head_bias_init)

    def features(self, images: Tensor) -> Tensor:
        """Return the representation that the head reads: global average pooling, (B, D)."""
        x = self.root(images)
        for stage in self.stages:
            x = stage(x)
        return F.relu(self.norm(x)).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, num_classes)."""
        logits: Tensor = self.head(self.features(images))
        return logits
