"""Base class of model families: building, counting and converting their networks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from models.configs import Config
from models.operators import Numerics, Part

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.layouts.published import PublishedFiles

C = TypeVar("C", bound=Config)


class Family(Generic[C]):
    """Networks that differ in the values of one config.

    `name` is the family's name in specs and tables, `config` the class of its configs, and
    `models` holds the registered ones by name. `title` is how people read the name in tables and
    figures, `look` its color and its marker in figures, as matplotlib names them; without them
    the name stands, and figures choose.
    """

    name: str
    config: type[C]
    models: dict[str, C]
    title: str = ""
    look: tuple[str, str] | None = None

    def check(self, config: C) -> None:
        """Raise ModelsError if the network cannot be built on this machine; builds nothing."""

    def network(self, config: C, num_classes: int) -> "nn.Module":
        """Return a freshly initialized network: (B, 3, H, W) in [-1, 1] to (B, num_classes).

        Its `features` gives the representation (B, D) that few-shot evaluation reads, its `head`
        is the linear layer after them.
        """
        raise NotImplementedError

    def operators(self, config: C, num_classes: int, numerics: Numerics) -> list[Part] | None:
        """Return the operators of the network in forward order, including the loss.

        Parameters, multiply-adds and memory follow from it. Returns None if the family
        has no description: fvcore then counts the built network, and its memory is unknown.
        """
        return None

    def published_files(self) -> "PublishedFiles[C] | None":
        """Return the layouts of published checkpoints; None if the family has none."""
        return None

    def resize(self, state: "dict[str, Tensor]", old: C, new: C) -> None:
        """Resize the parameters in `state` that depend on the image size."""

    def without_representation(self, config: C) -> C:
        """Return the config of the network whose head is a single linear layer."""
        return config


def by_name(configs: Iterable[C]) -> dict[str, C]:
    """Return the configs by their names."""
    return {config.name: config for config in configs}
