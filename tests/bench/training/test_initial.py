"""Runs that start from the weights of a run or a file: what they keep and what they cost."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import models
from bench.data import sources
from bench.run.config import Run, RunConfig
from bench.run.errors import SettingError
from bench.run.init import WEIGHTS_FOLDER, Inits
from bench.training.initial import InitError, load
from bench.training.loop import train
from tests.helpers.runs import row_of

STILL = {"lr": 1e-30, "weight_decay": 0.0}  # what is trained with it stays as it was


def make(study: Path, given: str | None = None, **changes: Any) -> Run:
    values = {"model": "vit_nano2", "data": "digits", "steps": 3, "batch_size": 32}
    config = RunConfig.model_validate(values | {"init": given} | changes)
    info = sources.describe(config.data)
    init = None if given is None else Inits(Path.cwd(), study).find(given)
    return Run(study=study.name, config=config, data=info, init=init)


def write(study: Path, run: Run) -> Path:
    folder = study / run.run_id
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(run.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, whose head has moved."""
    study = tmp_path_factory.mktemp("study")
    folder = write(study, make(study, recipe={"lr": 0.01}))
    train(folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint" / "weights.safetensors")


def test_a_run_starts_where_another_ended(trunk: Path) -> None:
    study = trunk.parent
    run = make(study, trunk.name, recipe=STILL)
    folder = write(study, run)
    train(folder)
    before, after = weights(trunk), weights(folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    row, first = row_of(folder), row_of(trunk)
    assert row["loss"] == first["loss"]
    assert row["init_run_id"] == trunk.name
    assert row["init"] == make(study, recipe={"lr": 0.01}, seed=5).name
    assert row["init_flops"] == first["train_flops"]
    assert row["init_examples_seen"] == first["examples_seen"] == 96
    assert row["own_flops"] == row["train_flops"] == first["train_flops"]
    assert row["total_flops"] == 2 * row["train_flops"]
    assert first["total_flops"] == first["own_flops"] == first["train_flops"]
    assert first["init"] is first["init_flops"] is None


def test_costs_of_a_chain_add_up(trunk: Path) -> None:
    study = trunk.parent
    second = write(study, make(study, trunk.name, seed=1))
    third = make(study, second.name, seed=1)
    assert third.init is not None
    assert third.init.flops == 2 * row_of(trunk)["train_flops"]
    assert third.init.examples_seen == 2 * 96


def test_a_head_is_kept_on_the_same_data_only(trunk: Path) -> None:
    study = trunk.parent
    assert make(study, trunk.name).keeps_head
    assert not make(study, trunk.name, init_head="new").keeps_head
    file = str(trunk / "checkpoint" / "weights.safetensors")
    assert not make(study, file).keeps_head
    assert make(study, file, init_head="keep").keeps_head
    run = make(study, trunk.name, init_head="new", model_options={"head_bias_init": -3.0})
    network = models.assemble(run.network, num_classes=10)
    load(study / run.run_id, run, network)
    state, before = network.state_dict(), weights(trunk)
    assert not state["head.weight"].any() and state["head.bias"].unique().tolist() == [-3.0]
    others = [name for name in state if not name.startswith("head.")]
    assert all(torch.equal(state[name], before[name]) for name in others)


def test_what_a_run_starts_from_is_part_of_its_id(trunk: Path, tmp_path: Path) -> None:
    study = trunk.parent
    file = trunk / "checkpoint" / "weights.safetensors"
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())
    plain, of_run, of_file, of_copy = (
        make(study, given).run_id for given in (None, trunk.name, str(file), str(copy))
    )
    assert of_file == of_copy
    assert len({plain, of_run, of_file}) == 3
    network = models.load_checkpoint(copy)
    with torch.no_grad():
        network.get_submodule("head").bias.add_(1)  # type: ignore[operator]
    models.save_checkpoint(network, copy)
    assert make(study, str(copy)).run_id != of_file
    assert make(study, trunk.name).run_id == make(study, str(trunk)).run_id == of_run


def test_the_name_of_what_a_run_starts_from_has_no_seed(trunk: Path, tmp_path: Path) -> None:
    first, second = (make(tmp_path, seed=seed) for seed in (0, 1))
    for run in (first, second):
        write(tmp_path, run)
    starts = [make(tmp_path, run.run_id, steps=2) for run in (first, second)]
    names = [run.init.name for run in starts if run.init is not None]
    assert names[0] == names[1] == first.name == second.name
    assert starts[0].run_id != starts[1].run_id and starts[0].name == starts[1].name


def test_a_file_says_nothing_of_its_cost(trunk: Path) -> None:
    run = make(trunk.parent, str(trunk / "checkpoint" / "weights.safetensors"), recipe=STILL)
    folder = write(trunk.parent, run)
    train(folder)
    row = row_of(folder)
    assert run.init is not None
    assert row["init"] == f"weights.safetensors-{run.init.digest[:8]}"
    assert row["init_run_id"] is row["init_flops"] is row["total_flops"] is None
    assert row["own_flops"] == row["train_flops"]


def test_positions_are_resized_as_published(trunk: Path) -> None:
    study = trunk.parent
    run = make(study, trunk.name, image_size=12, init_head="new")
    network = models.assemble(run.network, num_classes=10)
    load(study / run.run_id, run, network)
    expected = models.load_checkpoint(trunk / "checkpoint/weights.safetensors", image_size=12)
    name = "position_embedding.tokens"
    assert torch.equal(network.state_dict()[name], expected.state_dict()[name])


def test_a_named_file_is_found_in_the_folder_of_weights(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (trunk / "checkpoint" / "weights.safetensors").read_bytes()
    (tmp_path / "ViT-nano.safetensors").write_bytes(content)
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    assert Inits(Path.cwd()).find("ViT-nano").source == str(tmp_path / "ViT-nano.safetensors")
    with pytest.raises(SettingError, match="init: ViT-B_16 does not exist, expected a run's id"):
        Inits(tmp_path).find("ViT-B_16")


def test_another_network_is_refused_in_one_line(trunk: Path) -> None:
    study = trunk.parent
    for changes, complaint in (
        ({"model": "vit_micro2"}, "with width 48, the run's"),
        ({"model": "bit_nano"}, "holds a network of family vit, the run's is bit"),
        ({"model_options": {"gelu": "erf"}}, "with gelu 'tanh', the run's .* has 'erf'"),
    ):
        run = make(study, trunk.name, **changes)
        network = models.assemble(run.network, num_classes=10)
        with pytest.raises(InitError, match=complaint) as caught:
            load(study / run.run_id, run, network)
        assert "\n" not in str(caught.value)


def test_a_run_that_has_not_ended_fails_those_that_start_from_it(tmp_path: Path) -> None:
    study = tmp_path / "study"
    trunk = write(study, make(study))
    run = make(study, trunk.name)
    folder = write(study, run)
    with pytest.raises(InitError, match=f"run {trunk.name} has no weights yet"):
        train(folder)
    row = row_of(folder)
    assert row["state"] == "failed" and "has no weights yet" in row["failure"]


def test_a_config_of_before_has_no_initial_weights(trunk: Path) -> None:
    content = json.loads((trunk / "config.json").read_text())
    content.pop("init")
    for key in ("init", "init_head"):
        content["config"].pop(key)
    old = Run.model_validate_json(json.dumps(content))
    assert old.init is None and old.run_id == trunk.name
