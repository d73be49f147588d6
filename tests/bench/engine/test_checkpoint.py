"""A checkpoint exists whole or not at all, whenever the process that writes it is killed."""

import hashlib
import json
import os
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import load_file

from bench.engine import checkpoint, checkpoint_files
from bench.engine.checkpoint import Checkpoints
from bench.engine.checkpoint_files import ShardFile, TrainingCheckpointError
from bench.engine.world import World
from bench.run.config import EngineConfig
from tests.helpers.checkpoints import build, fill, names, save, values
from tests.helpers.disk import record_flushes


def pointer(run_dir: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_dir / "checkpoint" / "latest.json").read_text())
    return content


def test_without_a_checkpoint_a_run_begins_at_zero(world: World, tmp_path: Path) -> None:
    assert checkpoint.resume(tmp_path, build(world), world) == 0


def test_the_pointer_names_the_step_and_the_state_names_the_files(
    world: World, tmp_path: Path
) -> None:
    save(tmp_path, build(world), world, 7)
    folder = tmp_path / "checkpoint" / "step-00000007"
    assert {path.name for path in folder.iterdir()} == {"state.json", "shard-00000.safetensors"}
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    digests = {name: hashlib.sha256(value).hexdigest() for name, value in content.items()}
    found = pointer(tmp_path)
    assert found == {"name": folder.name, "step": 7, "sha256": digests["state.json"]}
    name = "shard-00000.safetensors"
    state = json.loads(content["state.json"])
    assert state["step"] == 7
    assert state["files"] == {name: {"bytes": len(content[name]), "sha256": digests[name]}}


def test_resume_gives_the_step_and_the_weights(world: World, tmp_path: Path) -> None:
    save(tmp_path, fill(build(world), 7.0), world, 7)
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 7
    assert values(fresh) == {7.0}


def test_shards_state_and_folders_are_flushed_before_the_pointer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes = record_flushes(monkeypatch)
    save(tmp_path, build(world), world, 7)
    root, name = tmp_path / "checkpoint", "step-00000007"
    sizes = {path.name: path.stat().st_size for path in (root / name).iterdir()}
    beside = root / f".{name}.tmp"
    # Each file is complete when it is flushed, then the folder that names them.
    assert {(flush.path, flush.size) for flush in flushes[:2]} == {
        (beside / file, size) for file, size in sizes.items()
    }
    assert flushes[2].path == beside and flushes[2].names == sizes.keys()
    # Then the rename, and only then the pointer, which is renamed and flushed too.
    assert flushes[3].path == root and flushes[3].names == {name}
    assert flushes[4].path.name.startswith(".latest.json.")
    assert flushes[5].path == root and flushes[5].names == {name, "latest.json"}
    assert len(flushes) == 6


def test_the_one_before_is_removed_and_what_killed_saves_left(world: World, tmp_path: Path) -> None:
    engine = build(world)
    save(tmp_path, engine, world, 2)
    (tmp_path / "checkpoint" / ".step-00000003.tmp").mkdir()
    save(tmp_path, engine, world, 4)
    assert names(tmp_path) == {"step-00000004", "latest.json"}


def test_the_newest_are_kept_and_milestones_for_ever(world: World, tmp_path: Path) -> None:
    config = EngineConfig(checkpoint_steps=2, keep_checkpoints=2, milestones=[3, 6])
    engine = build(world)
    checkpoints = Checkpoints(tmp_path, config, engine, world)
    for step in range(1, 10):
        if checkpoints.is_due(step, may_ask=True):
            checkpoints.save(step)
    kept = {"milestone-00000003", "milestone-00000006"}
    assert names(tmp_path) == kept | {"step-00000004", "step-00000008", "latest.json"}
    assert checkpoint.resume(tmp_path, build(world), world) == 8
    checkpoint.write_weights(tmp_path, engine, world, {})
    checkpoint.remove(tmp_path)
    assert names(tmp_path) == kept | {"weights.safetensors"}


@pytest.mark.parametrize(
    ("config", "due"),
    [
        ({}, []),
        ({"checkpoint_steps": 4}, [4, 8]),
        ({"milestones": 5}, [5, 10]),
        ({"milestones": [1, 7]}, [1, 7]),
        ({"checkpoint_seconds": 1e-9}, [3, 6, 9]),  # where it is asked
    ],
)
def test_when_a_checkpoint_is_due(
    world: World, tmp_path: Path, config: dict[str, Any], due: list[int]
) -> None:
    checkpoints = Checkpoints(tmp_path, EngineConfig(**config), build(world), world)
    found = [step for step in range(1, 11) if checkpoints.is_due(step, may_ask=step % 3 == 0)]
    assert found == due


def test_time_between_checkpoints_counts_from_the_end_of_a_save(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, write = [0.0], checkpoint.save

    def slow_save(*arguments: Any, **options: Any) -> None:
        now[0] += 50.0
        write(*arguments, **options)

    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoint, "save", slow_save)
    config = EngineConfig(checkpoint_seconds=300.0)
    checkpoints = Checkpoints(tmp_path, config, build(world), world)
    due = []
    for step in range(1, 10):
        now[0] += 100.0
        if checkpoints.is_due(step, may_ask=True):
            due.append((step, now[0]))
            checkpoints.save(step)
            assert (checkpoints.save_seconds, checkpoints.last_step) == (50.0, step)
    # Later than 300 seconds after the start, and after 450 and 900, where the saves ended.
    assert due == [(4, 400.0), (8, 850.0)]


def test_a_shard_cut_short_before_all_have_written_is_not_published(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, fill(build(world), 2.0), world, 2)
    write = checkpoint_files.write_shard

    def cut(folder: Path, *arguments: Any) -> ShardFile:
        shard = write(folder, *arguments)
        os.truncate(folder / shard.file, shard.bytes - 1)
        return shard

    monkeypatch.setattr(checkpoint, "write_shard", cut)
    with pytest.raises(TrainingCheckpointError, match="step-00000004: not saved"):
        save(tmp_path, fill(build(world), 4.0), world, 4)
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 2
    assert values(fresh) == {2.0}


def test_a_milestone_made_again_replaces_itself(world: World, tmp_path: Path) -> None:
    config = EngineConfig(milestones=[3])
    for value in (1.0, 2.0):
        engine = fill(build(world), value)
        Checkpoints(tmp_path, config, engine, world).save(3)
    assert names(tmp_path) == {"milestone-00000003", "latest.json"}
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 3
    assert values(fresh) == {2.0}


def test_a_full_disk_leaves_the_one_before(world: World, tmp_path: Path) -> None:
    save(tmp_path, fill(build(world), 2.0), world, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system refuses to write the shard, of some hundred bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (80, limits[1]))
    try:
        with pytest.raises(
            TrainingCheckpointError, match="step-00000004: not saved; older checkpoints"
        ):
            save(tmp_path, fill(build(world), 4.0), world, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 2
    assert values(fresh) == {2.0}


def test_without_space_nothing_is_begun(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, fill(build(world), 2.0), world, 2)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_050))
    # 26 weights of four bytes and a megabyte to spare.
    message = "1000104 bytes are needed, 1000050 are free"
    with pytest.raises(TrainingCheckpointError, match=message):
        save(tmp_path, build(world), world, 4)
    assert names(tmp_path) == {"step-00000002", "latest.json"}


def test_a_checkpoint_that_is_not_whole_is_refused(world: World, tmp_path: Path) -> None:
    save(tmp_path, build(world), world, 3)
    folder = tmp_path / "checkpoint" / "step-00000003"
    path = folder / "shard-00000.safetensors"
    content = path.read_bytes()

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        TrainingCheckpointError, match=rf"{path.name}: expected a file with SHA-256"
    ):
        checkpoint.resume(tmp_path, build(world), world)
    message = rf"{path.name}: expected a file of {len(content)} bytes, as state\.json says"
    os.truncate(path, len(content) - 1)
    with pytest.raises(TrainingCheckpointError, match=message):
        checkpoint.resume(tmp_path, build(world), world)
    path.unlink()
    with pytest.raises(TrainingCheckpointError, match=message):
        checkpoint.resume(tmp_path, build(world), world)
    shutil.rmtree(folder)
    with pytest.raises(TrainingCheckpointError, match=r"state\.json: expected a file with SHA-256"):
        checkpoint.resume(tmp_path, build(world), world)


def test_an_older_one_is_taken_where_the_newest_is_not_whole(world: World, tmp_path: Path) -> None:
    for step in (2, 4, 6):
        save(tmp_path, fill(build(world), float(step)), world, step, keep=3)
    root, fresh = tmp_path / "checkpoint", build(world)
    os.truncate(root / "step-00000006" / "shard-00000.safetensors", 0)
    assert checkpoint.resume(tmp_path, fresh, world) == 4
    assert values(fresh) == {4.0}
    (root / "step-00000004" / "state.json").write_text("")
    assert checkpoint.resume(tmp_path, fresh, world) == 2
    assert values(fresh) == {2.0}
    shutil.rmtree(root / "step-00000002")
    with pytest.raises(TrainingCheckpointError, match=r"step-00000006.*step-00000004"):
        checkpoint.resume(tmp_path, fresh, world)


def test_without_its_pointer_the_newest_is_taken(world: World, tmp_path: Path) -> None:
    save(tmp_path, fill(build(world), 3.0), world, 3)
    (tmp_path / "checkpoint" / "latest.json").unlink()
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 3
    assert values(fresh) == {3.0}


def test_two_checkpoints_must_have_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=239))
    checkpoint.check_room(tmp_path, 9)  # weight and two moments of four bytes, twice: 216
    with pytest.raises(TrainingCheckpointError, match="need 240 bytes, 239 are free"):
        checkpoint.check_room(tmp_path, 10)


def test_the_final_weights_replace_the_checkpoints(world: World, tmp_path: Path) -> None:
    engine = fill(build(world), 9.0)
    save(tmp_path, engine, world, 9)
    (tmp_path / "checkpoint" / ".step-00000008.tmp").mkdir()
    checkpoint.write_weights(tmp_path, engine, world, {"model": "linear"})
    assert names(tmp_path) >= {"weights.safetensors", "step-00000009", "latest.json"}
    assert checkpoint.resume(tmp_path, build(world), world) == 9  # until the run is in the ledger
    checkpoint.remove(tmp_path)
    assert names(tmp_path) == {"weights.safetensors"}
    path = tmp_path / "checkpoint" / "weights.safetensors"
    weights = load_file(path)
    assert {name: value.shape for name, value in weights.items()} == {
        "1.weight": (2, 12),
        "1.bias": (2,),
    }
    assert all(torch.all(value == 9.0) for value in weights.values())
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"model": "linear"}
