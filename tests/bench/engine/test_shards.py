"""Shards hold ranges of parameters by name, whoever wrote them and whoever reads them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bench.engine import shards
from bench.engine.shards import Piece, ShardError

STEP = 3


def state(master: torch.Tensor) -> dict[str, Any]:
    return {"step": torch.tensor(3.0), "exp_avg": master + 100, "exp_avg_sq": master + 200}


def write(path: Path, *ranges: tuple[int, int]) -> Path:
    """A shard with these ranges of the parameter "w", whose elements are their own numbers."""
    master = torch.arange(12.0)
    own = [Piece("w", start, stop - start, master, start) for start, stop in ranges]
    shards.write(path, shards.tensors(own, {master: state(master)}))
    return path


def test_a_shard_names_what_it_holds() -> None:
    master = torch.arange(12.0).reshape(3, 4)
    found = shards.tensors([Piece("block.w", 20, 5, master, 2)], {master: state(master)})
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        "weight:20:block.w": [2, 3, 4, 5, 6],
        "exp_avg:20:block.w": [102, 103, 104, 105, 106],
        "exp_avg_sq:20:block.w": [202, 203, 204, 205, 206],
    }


@pytest.mark.parametrize("cuts", [[(0, 12)], [(0, 5), (5, 12)], [(7, 12), (0, 3), (3, 7)]])
@pytest.mark.parametrize("mine", [(0, 12), (4, 9), (11, 12)])
def test_any_range_is_found_in_whatever_files(
    tmp_path: Path, cuts: list[tuple[int, int]], mine: tuple[int, int]
) -> None:
    paths = [write(tmp_path / str(number), cut) for number, cut in enumerate(cuts)]
    start, stop = mine
    master = torch.full((20,), -1.0)
    piece = Piece("w", start, stop - start, master, 6)
    states: dict[torch.Tensor, dict[str, Any]] = {master: {}}
    shards.load(paths, [piece], states, STEP)
    expected = torch.arange(float(start), float(stop))
    assert torch.equal(piece.view_in(master), expected)
    assert torch.equal(piece.view_in(states[master]["exp_avg"]), expected + 100)
    assert torch.equal(piece.view_in(states[master]["exp_avg_sq"]), expected + 200)
    assert states[master]["step"] == STEP
    assert (master == -1).sum() == 20 - (stop - start)  # the rest is left alone


def test_a_range_that_no_file_has_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "shard", (0, 4), (8, 12))
    master = torch.zeros(12)
    with pytest.raises(ShardError, match="w: the checkpoint lacks 4 of its elements from 0 to 12"):
        shards.load([path], [Piece("w", 0, 12, master, 0)], {master: {}}, STEP)
    with pytest.raises(ShardError, match="v: the checkpoint lacks 2 of its elements"):
        shards.load([path], [Piece("v", 0, 2, master, 0)], {master: {}}, STEP)


def test_numbers_that_are_none_are_written_too(tmp_path: Path) -> None:
    shards.write(tmp_path / "shard", {"weight:0:w": torch.tensor([float("nan"), float("inf")])})


def test_a_shard_that_the_disk_changed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"weight:0:v": torch.ones(2), "weight:0:w": torch.zeros(3)}
    other = content | {"weight:0:w": torch.tensor([0.0, 0.0, 1.0])}
    monkeypatch.setattr(shards, "save_file", lambda content, path: save_file(other, path))
    with pytest.raises(ShardError, match="weight:0:w is not what was written"):
        shards.write(tmp_path / "shard", content)
