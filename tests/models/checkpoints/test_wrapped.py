"""Weights as training code leaves them: torch.save, wrappers' prefixes, shards with an index."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import models
from models.checkpoints.convert import load_checkpoint
from models.layouts.rules import Layout
from tests.helpers.layouts import config_of, rules


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    made = models.build("vit_ti16", num_classes=5, depth=1, image_size=32, gelu="erf")
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter))
    return made


@pytest.fixture(scope="module")
def state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The network's arrays by timm's names."""
    layout, own = Layout("timm", position_key="pos_embed"), network.state_dict()
    return {
        r.theirs: r.to_theirs(own[r.ours]).contiguous() for r in rules(config_of(network), layout)
    }


def same(path: Path, network: torch.nn.Module) -> None:
    found, expected = load_checkpoint(path).state_dict(), network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    "place", [None, "model", "state_dict", "model_state_dict", "model_ema", "teacher"]
)
def test_a_file_of_torch_save_is_read_wherever_its_weights_stand(
    network: torch.nn.Module,
    state: dict[str, torch.Tensor],
    place: str | None,
    is_zip: bool,
    tmp_path: Path,
) -> None:
    content: Any = state if place is None else {place: state, "epoch": 3, "args": {"lr": 0.1}}
    path = tmp_path / "x.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    same(path, network)


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "model.encoder.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_left_out_and_said(
    network: torch.nn.Module,
    state: dict[str, torch.Tensor],
    prefix: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({prefix + name: value for name, value in state.items()}, path)
    with caplog.at_level(logging.WARNING):
        same(path, network)
    assert f"{path}: names are read without their prefix {prefix!r}" in caplog.messages
    bare = {name if name.startswith("head.") else prefix + name: v for name, v in state.items()}
    torch.save({"model": bare, "model_ema": bare}, tmp_path / "x.pth")
    same(tmp_path / "x.pth", network)
    assert any(
        "the weights below 'model' are read, not model_ema" in line for line in caplog.messages
    )


def shard(state: dict[str, torch.Tensor], folder: Path) -> dict[str, str]:
    names = sorted(state)
    places: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        safetensors.torch.save_file({name: state[name] for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    return places


def test_shards_are_read_by_their_index_or_folder(
    network: torch.nn.Module, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    places = shard(state, tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    same(index, network)
    same(tmp_path, network)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "expected a weight_map"),
        ("[1]", "expected a weight_map"),
        ("no json", "expected a weight_map"),
        ('{"weight_map": {"a": "../x.safetensors"}}', "expected a file beside the index"),
        ('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "a is not in model-00001"),
        ('{"weight_map": {"a": "gone.safetensors"}}', "No such file"),
    ],
)
def test_a_wrong_index_is_refused_in_one_line(
    state: dict[str, torch.Tensor], text: str, complaint: str, tmp_path: Path
) -> None:
    shard(state, tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(models.CheckpointError, match=complaint) as caught:
        load_checkpoint(index)
    assert "\n" not in str(caught.value)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("unpickled",)


def test_nothing_but_tensors_is_unpickled(
    state: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pth"
    torch.save({"model": state, "args": Evil()}, path)
    with pytest.raises(models.CheckpointError, match="holds more than tensors") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value) and "unpickled" not in capsys.readouterr().out


def test_what_holds_no_weights_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"optimizer": {"lr": 1.0}, "epoch": 3}, path)
    with pytest.raises(models.CheckpointError, match="holds optimizer, epoch; expected tensors"):
        load_checkpoint(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(models.CheckpointError, match="a directory with 0 files of weights"):
        load_checkpoint(tmp_path / "empty")
