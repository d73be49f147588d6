"""Family of user-defined networks."""

import inspect
from typing import TYPE_CHECKING

from models.configs import ConfigError
from models.custom.config import CustomConfig, find, load
from models.family import Family

if TYPE_CHECKING:
    from torch import nn


class Custom(Family[CustomConfig]):
    """Networks without a description: fvcore counts them, and their memory is not predicted."""

    name = "custom"
    config = CustomConfig

    def __init__(self) -> None:
        self.models = {}

    def check(self, config: CustomConfig) -> None:
        """Raise UnknownModel if the function's module is not found."""
        find(config)

    def network(self, config: CustomConfig, num_classes: int) -> "nn.Module":
        """Call the function and return its network; raise ConfigError if the call fails."""
        from torch import nn

        function = load(config)
        given = {"num_classes": num_classes, "image_size": config.image_size}
        given |= dict(config.options)
        try:
            inspect.signature(function).bind(**given)
        except TypeError as error:
            called = ", ".join(given)
            raise ConfigError(f"model {config.name}: called with {called}: {error}") from error
        try:
            network = function(**given)
        except Exception as error:  # whatever the user's function raises
            raise ConfigError(f"model {config.name}: cannot be built: {error!r}") from error
        if not isinstance(network, nn.Module):
            kind = type(network).__name__
            raise ConfigError(f"model {config.name}: expected an nn.Module, got {kind}")
        _check_buffers(config, network)
        return network


def _check_buffers(config: CustomConfig, network: "nn.Module") -> None:
    """Reject persistent buffers such as batch-norm statistics, which checkpoints do not store."""
    buffers = network.state_dict().keys() - dict(network.named_parameters()).keys()
    if buffers:
        found = ", ".join(sorted(buffers)[:3])
        expected = "expected parameters only, as with layer or group norm instead of batch norm"
        raise ConfigError(f"model {config.name}: has buffers to save ({found}), {expected}")
