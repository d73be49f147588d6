"""Infer the token grid of a published file from the length of its position embedding."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from models.configs import CheckpointError, Grid

# Names of the position embedding, from the oldest files to the newest (big_vision).
FLAX_KEYS = (
    "Transformer/posembed_input/pos_embedding",
    "Transformer/pos_embedding",
    "pos_embedding",
)
TIMM_KEY = "pos_embed"


@dataclass(frozen=True)
class Positions:
    """The name of the position embedding, its grid, and whether the class token has a place in it.

    timm (`no_embed_class`) and big_vision add the class token after the positions.
    """

    key: str
    grid: Grid
    has_token: bool
    token_has_place: bool


def _readings(length: int, squares: bool, given: Grid | None) -> list[tuple[Grid, bool]]:
    """Return the grid, and whether the class token has a place, if the length allows just one."""
    found = []
    for has_place in (True, False):
        area = length - has_place
        side = math.isqrt(max(area, 0))
        grid = Grid(side, side) if squares else given
        if grid is not None and grid.area == area > 0:
            found.append((grid, has_place))
    return found[:1]


def _read(length: int, has_token: bool, given: Grid | None) -> tuple[Grid, bool]:
    squares = _readings(length, True, None)
    others = _readings(length, False, given) if given and given.rows != given.columns else []
    if not squares and not others:
        raise CheckpointError(f"a position embedding of {length} places is not a square grid")
    if not squares or not others:
        return (squares or others)[0]
    (square, one), (other, two) = squares[0], others[0]
    if one != two:  # a class token rarely lacks a place
        return squares[0] if one == has_token else others[0]
    raise CheckpointError(
        f"a position embedding of {length} places may be {square.rows} x {square.columns}, to be "
        f"resized, or {other.rows} x {other.columns}: convert a square one without image_size first"
    )


def find_positions(
    shapes: Mapping[str, tuple[int, ...]], *, is_timm: bool, given: Grid | None = None
) -> Positions:
    """Return the positions of a file of timm or flax; a single cell if there are none.

    Published grids are square. `given` is the grid of the image size that the user asks for, for
    files that may hold another. Raises CheckpointError if the grid remains ambiguous.
    """
    keys = (TIMM_KEY,) if is_timm else FLAX_KEYS
    key = next((key for key in keys if key in shapes), keys[0])
    has_token = ("cls_token" if is_timm else "cls") in shapes
    if len(shapes.get(key, ())) != 3:
        return Positions(key, Grid(1, 1), has_token, has_token)
    length = shapes[key][1]
    grid, has_place = _read(length, has_token, given)
    if is_timm and has_token and not has_place and grid != given:
        problem = "may be a square grid without the class token, or another one with it"
        raise CheckpointError(
            f"{key} of {length} places {problem}: its own image_size must be given"
        )
    return Positions(key, grid, has_token or has_place, has_place)
