"""Weights files of others: what a family has to know of them to read and to write them."""

from typing import Generic, TypeVar

from models.configs import Config
from models.layouts.rules import Layout, Rule
from models.layouts.shapes import ImageSize, Inferred, Shapes

C = TypeVar("C", bound=Config)


class PublishedFiles(Generic[C]):
    """Files of others that hold networks of a family.

    `npz` is the layout in which the published `.npz` files are written. `structure` names the
    fields of a config that tell registered networks apart; the others are choices within one.
    """

    npz: Layout
    structure: tuple[str, ...]

    def infer(self, shapes: Shapes, image_size: ImageSize) -> Inferred | None:
        """Return the network of a file from names and shapes; None if it is of another family.

        `image_size` is what the user asks for: it tells a grid of timm that is no square from one
        that is. Raises CheckpointError.
        """
        raise NotImplementedError

    def rules(self, config: C, layout: Layout) -> list[Rule]:
        """Return a rule for every array that a file of this layout has for such a network."""
        raise NotImplementedError
