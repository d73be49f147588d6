"""Reading a network's config from the names and shapes of the arrays in a file."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from models.configs import Config
from models.layouts.rules import Layout

Shapes = Mapping[str, tuple[int, ...]]
ImageSize = int | tuple[int, int] | None
C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Inferred:
    """An inferred config and its file's layout; `num_classes` is None if there is no head.

    `assumed` says in words what names and shapes do not determine but files of this kind have.
    `unsaid` are fields that would only be guessed, each with the values that it may have.
    """

    config: Config
    num_classes: int | None
    layout: Layout
    assumed: tuple[str, ...] = ()
    unsaid: Mapping[str, str] = field(default_factory=dict)


def size_of(shapes: Shapes, pattern: str, axis: int, missing: int = 1) -> int:
    """Return the majority size along an axis of the arrays that match `pattern`.

    Returns `missing` if none matches; the later comparison of names reports the missing arrays.
    """
    sizes = Counter(
        shape[axis]
        for key, shape in shapes.items()
        if re.fullmatch(pattern, key) and -len(shape) <= axis < len(shape)
    )
    return sizes.most_common(1)[0][0] if sizes else missing


def has(shapes: Shapes, pattern: str) -> bool:
    """Return whether a name begins with `pattern`."""
    return any(re.match(pattern, key) for key in shapes)


def optional_size(shapes: Shapes, pattern: str, axis: int) -> int | None:
    """Return the size along an axis of the arrays that match, None if there are none."""
    return size_of(shapes, pattern, axis) if has(shapes, pattern) else None


def num_layers(shapes: Shapes, pattern: str) -> int:
    """Return the number of layers; the pattern captures their number in a name."""
    return len({match[1] for key in shapes if (match := re.match(pattern, key))})


def stages(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """Return the units of each stage; the pattern captures stage and unit in a name."""
    units = {(int(m[1]), int(m[2])) for key in shapes if (m := re.match(pattern, key))}
    per_stage = Counter(stage for stage, _ in units)
    return tuple(per_stage[stage] for stage in sorted(per_stage))


def make(config: type[C], values: dict[str, Any]) -> C:
    """Return a config of these values, named after its family."""
    return config(name=f"{config.family}_from_file", label="from a file", **values)
