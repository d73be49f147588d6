"""Config of a Big Transfer ResNet."""

from dataclasses import dataclass

from models.configs import Config, ConfigError
from models.resnet import ResNetFields, WeightEpsForm, check_groups


@dataclass(frozen=True, kw_only=True)
class BiTConfig(Config, ResNetFields):
    """A pre-activation ResNet (v2) of Big Transfer (arXiv:1912.11370), bit_pytorch/models.py."""

    family = "bit"
    padding = "half"
    weight_eps: float = 1e-10
    weight_eps_form: WeightEpsForm = "variance"
    group_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages:
            raise ConfigError(self._complaint("stages", "expected at least one stage"))
        check_groups(self.name, self)
