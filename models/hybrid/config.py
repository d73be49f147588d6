"""Config of a hybrid: a ResNet followed by a Vision Transformer."""

from dataclasses import dataclass

from models.resnet import ResNetFields, WeightEpsForm, check_groups
from models.vit.config import ViTConfig


@dataclass(frozen=True, kw_only=True)
class HybridConfig(ViTConfig, ResNetFields):
    """A ViT whose patches are cut from a post-activation ResNet's feature map (section 3.1).

    The defaults are those of vit_jax/models_resnet.py; without stages the ResNet is its root only.
    `patch_size` counts cells of the feature map.
    """

    family = "hybrid"
    padding = "same"
    weight_eps: float = 1e-5
    weight_eps_form: WeightEpsForm = "deviation"
    group_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.name, self)

    @property
    def downsampling(self) -> int:
        """Image pixels per token along one side: the published suffix, but for R+Ti/16."""
        return self.resnet_downsampling * self.patch_size
