"""Rules of published files for the config of any family."""

from torch import nn

import models
from models.layouts.rules import Layout, Rule

PUBLISHED_BIT = Layout("tensorflow")


def rules(config: models.Config, layout: Layout) -> list[Rule]:
    """Return the rules of the config's family."""
    files = models.FAMILIES[config.family].published_files()
    assert files is not None
    return files.rules(config, layout)


def config_of(network: nn.Module) -> models.Config:
    """Return the config that a network was built from."""
    config = network.config
    assert isinstance(config, models.Config)
    return config


def vit_config_of(network: nn.Module) -> models.ViTConfig:
    """Return the config of a ViT or a hybrid."""
    config = network.config
    assert isinstance(config, models.ViTConfig)
    return config
