"""Base config of all networks, its validation, and the exceptions of this package.

Nothing here needs torch, so a login host can list, plan and count without it.
"""

import difflib
import math
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

# Fields that say which network a config is, and that no option of a run can change.
IDENTITY = ("name", "label", "published_names")


class ModelsError(Exception):
    """Base class of the exceptions of this package, which are caused by invalid user input."""


class UnknownModel(ModelsError):
    """The name is not in the registry."""


class ConfigError(ModelsError):
    """A field is unknown, or its value is invalid or inconsistent with other fields."""


class NotDescribed(ModelsError):
    """The network has no operator description, so the requested figure cannot be computed."""


class CheckpointError(ModelsError):
    """A file is not a checkpoint of a known layout, is damaged, or does not fit its network."""


def suggestion(given: str, choices: list[str]) -> str:
    """Return a hint after an unknown name: the near matches, and all choices."""
    near = difflib.get_close_matches(given, choices)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Choices: {', '.join(choices)}"


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def check_classes(name: str, num_classes: Any) -> None:
    """Raise ConfigError if the head of the model `name` cannot have that many outputs."""
    is_whole = isinstance(num_classes, Integral) and not isinstance(num_classes, bool)
    if not is_whole or num_classes < 1:
        expected = "expected a positive whole number"
        raise ConfigError(f"model {name}: num_classes = {num_classes!r}: {expected}")


@dataclass(frozen=True)
class Grid:
    """Rows and columns: of an image's pixels, a feature map's cells, or a transformer's tokens."""

    rows: int
    columns: int

    @property
    def area(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    def strided(self, stride: int) -> "Grid":
        """Return the grid after a padded convolution of that stride."""
        return Grid(math.ceil(self.rows / stride), math.ceil(self.columns / stride))


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base config of a network: identity, image size, initialization of the head.

    `image_size` is the side of a square image, or its height and width.
    """

    family: ClassVar[str]
    name: str
    label: str
    published_names: tuple[str, ...] = ()
    image_size: int | tuple[int, int] = 224
    head_bias_init: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            choices = get_args(field.type) if get_origin(field.type) is Literal else ()
            if choices and value not in choices:
                raise ConfigError(
                    self._complaint(field.name, f"expected one of {', '.join(choices)}")
                )
            is_whole = field.type is int or (field.type == int | None and value is not None)
            if is_whole and not _is_count(value):
                raise ConfigError(self._complaint(field.name, "expected a positive whole number"))
            is_number = isinstance(value, int | float) and math.isfinite(value)
            if field.type is float and not is_number:
                raise ConfigError(self._complaint(field.name, "expected a finite number"))
            if field.name == "stages" and not all(_is_count(units) for units in value):
                raise ConfigError(self._complaint("stages", "expected positive whole numbers"))
        size = self.image_size
        sides = size if isinstance(size, tuple) else (size, size)
        if len(sides) != 2 or not all(map(_is_count, sides)):
            expected = "expected a positive whole number, or two of them"
            raise ConfigError(self._complaint("image_size", expected))

    @property
    def image(self) -> Grid:
        """The pixels of an image."""
        size = self.image_size
        return Grid(*size) if isinstance(size, tuple) else Grid(size, size)

    def with_options(self, given: dict[str, Any]) -> Self:
        """Return a copy with other values in the given fields; raise ConfigError."""
        allowed = [field.name for field in fields(self) if field.name not in IDENTITY]
        for key in given:
            if key not in allowed:
                expected = suggestion(key, allowed)
                raise ConfigError(f"model {self.name}: unknown field {key!r}: {expected}")
        return replace(self, **given)

    def _complaint(self, field: str, expected: str) -> str:
        return f"model {self.name}: {field} = {getattr(self, field)!r}: {expected}"
