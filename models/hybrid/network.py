"""Hybrids: a ViT on the feature map of a ResNet (vit_jax/models_resnet.py).

The ResNet is post-activation (v1) with weight-standardized convolutions, group norm and
TensorFlow's SAME padding; it is not the ResNet of BiT. B batch, C channels, H W rows and columns.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from models.hybrid.config import HybridConfig
from models.layers import Recomputable, group_norm, pad_same, std_conv
from models.resnet import ResNetFields
from models.vit.network import ViT


class Bottleneck(Recomputable):
    """1x1, 3x3 (with the stride) and 1x1 convolutions, each then normalized; ReLU after the sum."""

    def __init__(self, config: ResNetFields, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1 = std_conv(config, in_channels, width, 1)
        self.norm1 = group_norm(config, width)
        self.conv2 = std_conv(config, width, width, 3, stride)
        self.norm2 = group_norm(config, width)
        self.conv3 = std_conv(config, width, out_channels, 1)
        self.norm3 = group_norm(config, out_channels)
        nn.init.zeros_(self.norm3.weight)  # a unit starts as its shortcut
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut.append(std_conv(config, in_channels, out_channels, 1, stride))
            self.shortcut.append(group_norm(config, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 4 width, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.shortcut(x) + self.norm3(self.conv3(y)))


class HybridRoot(nn.Module):
    """Convolution, norm, ReLU; the large one then pools, so that it divides the image by 4."""

    def __init__(self, config: ResNetFields) -> None:
        super().__init__()
        self.pools = config.root == "large"
        kernel_size, stride = (7, 2) if self.pools else (3, 1)
        self.conv = std_conv(config, 3, config.root_width, kernel_size, stride)
        self.norm = group_norm(config, config.root_width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C, H / 4, W / 4), or to (B, C, H, W) where small."""
        x = F.relu(self.norm(self.conv(x)))
        # After a ReLU, zeros around the map pool like the reference's minus infinity.
        return F.max_pool2d(pad_same(x, 3, 2), 3, 2) if self.pools else x


class ResNet(nn.Sequential):
    """Root and stages: (B, 3, H, W) to (B, C, H / downsampling, W / downsampling)."""

    def __init__(self, config: ResNetFields) -> None:
        super().__init__(HybridRoot(config))
        self.out_channels = config.root_width
        for stage, num_units in enumerate(config.stages):
            width = config.root_width * 2**stage
            units = nn.Sequential()
            for unit in range(num_units):
                stride = 2 if unit == 0 and stage > 0 else 1
                units.append(Bottleneck(config, self.out_channels, width, stride))
                self.out_channels = 4 * width
            self.append(units)


class Hybrid(ViT):
    """A ViT that cuts its patches from a ResNet's feature map instead of the image."""

    def __init__(self, config: HybridConfig, num_classes: int) -> None:
        resnet = ResNet(config)
        super().__init__(config, num_classes, in_channels=resnet.out_channels)
        self.resnet = resnet

    def stem(self, images: Tensor) -> Tensor:
        """Return the feature map of the ResNet, (B, C, H, W)."""
        features: Tensor = self.resnet(images)
        return features
