"""Interface through which a family reads and writes published checkpoints."""

from typing import Generic, TypeVar

from models.configs import Config
from models.layouts.rules import Layout, Rule
from models.layouts.shapes import ImageSize, Inferred, Shapes

C = TypeVar("C", bound=Config)


class PublishedFiles(Generic[C]):
    """Published checkpoints of a family.

    `npz` is the layout in which the published `.npz` files are written. `structure` names the
    fields of a config that tell registered networks apart; other fields vary within one.
    """

    npz: Layout
    structure: tuple[str, ...]

    def infer(self, shapes: Shapes, image_size: ImageSize) -> Inferred | None:
        """Return the network of a file from names and shapes; None if it is of another family.

        `image_size` is the size that the user asks for; it disambiguates timm grids that are not
        square. Raises CheckpointError.
        """
        raise NotImplementedError

    def rules(self, config: C, layout: Layout) -> list[Rule]:
        """Return one rule per array of a file in this layout."""
        raise NotImplementedError
