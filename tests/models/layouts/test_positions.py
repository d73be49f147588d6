"""The grid that a position embedding holds, where its length alone may not say."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

import models
from models.layouts.positions import find_positions
from models.layouts.rules import Layout
from tests.helpers.layouts import config_of, rules, vit_config_of

TIMM = Layout("timm", position_key="pos_embed")


def _read(length: int, *, token: bool, given: tuple[int, int] | None = None) -> tuple[object, ...]:
    shapes = {"pos_embed": (1, length, 8)} | ({"cls_token": (1, 1, 8)} if token else {})
    grid = None if given is None else models.configs.Grid(*given)
    found = find_positions(shapes, is_timm=True, given=grid)
    return found.grid.rows, found.grid.columns, found.has_token, found.token_has_place


@pytest.mark.parametrize(
    ("length", "token", "given", "expected"),
    [
        (197, True, None, (14, 14, True, True)),  # vit_base_patch16_224
        (196, False, None, (14, 14, False, False)),  # vit_base_patch16_gap_224
        (225, True, (15, 15), (15, 15, True, False)),  # flexivit_base: no_embed_class, 240 pixels
        (197, True, (24, 24), (14, 14, True, True)),  # to be resized
        (25, True, (4, 6), (4, 6, True, True)),  # not 5 x 5 without the class token
        (25, True, (5, 5), (5, 5, True, False)),
        (24, True, (4, 6), (4, 6, True, False)),
        (24, False, (4, 6), (4, 6, False, False)),
        (25, False, (4, 6), (5, 5, False, False)),
        (17, False, None, (4, 4, True, True)),  # the class token is missing
    ],
)
def test_what_a_length_holds(
    length: int, token: bool, given: tuple[int, int] | None, expected: tuple[object, ...]
) -> None:
    assert _read(length, token=token, given=given) == expected


@pytest.mark.parametrize(
    ("length", "given", "problem"),
    [
        (25, None, "its own image_size must be given"),
        (25, (8, 8), "its own image_size must be given"),
        (24, None, "24 places is not a square grid"),
        (577, (18, 32), "may be 24 x 24, to be resized, or 18 x 32"),
    ],
)
def test_what_stays_open_is_refused(
    length: int, given: tuple[int, int] | None, problem: str
) -> None:
    with pytest.raises(models.CheckpointError, match=problem):
        _read(length, token=True, given=given)


@pytest.mark.parametrize("pooling", ["token", "gap"])
def test_a_timm_file_of_another_shape_than_a_square(pooling: str, tmp_path: Path) -> None:
    network = models.build("vit_micro2", num_classes=3, image_size=(8, 12), pooling=pooling)
    state = network.state_dict()
    arrays = {
        r.theirs: r.to_theirs(state[r.ours]).contiguous() for r in rules(config_of(network), TIMM)
    }
    safetensors.torch.save_file(arrays, tmp_path / "x.safetensors")
    path = tmp_path / "x.safetensors"
    again = models.load_checkpoint(path, image_size=(8, 12), num_heads=6, gelu="erf")
    assert all(torch.equal(state[key], value) for key, value in again.state_dict().items())
    config = vit_config_of(again)
    assert config.image_size == (8, 12) and config.pooling == pooling
    with pytest.raises(models.CheckpointError, match=r"image_size must be|not a square"):
        models.load_checkpoint(path, num_heads=6, gelu="erf")


def test_an_npz_holds_squares_only(tmp_path: Path) -> None:
    network = models.build("vit_nano4", num_classes=3, image_size=(8, 32))
    with pytest.raises(models.CheckpointError, match=r"implies a square image, not \(8, 32\)"):
        models.save_checkpoint(network, tmp_path / "x.npz")
    models.save_checkpoint(network, tmp_path / "x.safetensors")
    again = models.load_checkpoint(tmp_path / "x.safetensors")
    assert config_of(again).image_size == (8, 32)
