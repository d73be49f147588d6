"""A checkpoint exists whole or not at all, whenever the process that writes it is killed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from conftest import Start
from safetensors.torch import load_file
from torch import nn

from bench import checkpoint
from bench.checkpoint import CheckpointError
from bench.config import RunConfig
from bench.engine import Engine, World, join_world, leave_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield join_world()
    leave_world()


def build(world: World, kind: type[Engine] = Engine) -> Engine:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    return kind(model, RunConfig(model="linear", steps=1, batch_size=4), world)


def fill(engine: Engine, value: float) -> Engine:
    """The engine with all weights set to `value`, so that a checkpoint tells its step."""
    for parameter in engine._engine.module.parameters():
        parameter.data.fill_(value)
    return engine


def values(engine: Engine) -> set[float]:
    return {value for tensor in engine.weights().values() for value in tensor.unique().tolist()}


def names(run_dir: Path) -> set[str]:
    return {path.name for path in (run_dir / "checkpoint").iterdir()}


def pointer(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "checkpoint" / "latest.json").read_text())


def test_without_a_checkpoint_a_run_begins_at_zero(world: World, tmp_path: Path) -> None:
    assert checkpoint.resume(tmp_path, build(world), world) == 0


def test_the_pointer_names_step_and_files_with_their_sizes(world: World, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, build(world), world, 7)
    folder = tmp_path / "checkpoint" / "step-00000007"
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes and all(sizes.values())
    assert pointer(tmp_path) == {"name": folder.name, "step": 7, "files": sizes}


def test_resume_gives_the_step_and_the_weights(world: World, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, fill(build(world), 7.0), world, 7)
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 7
    assert values(fresh) == {7.0}


def test_the_one_before_is_removed_and_what_killed_saves_left(world: World, tmp_path: Path) -> None:
    engine = build(world)
    checkpoint.save(tmp_path, engine, world, 2)
    (tmp_path / "checkpoint" / ".step-00000003.tmp").mkdir()
    checkpoint.save(tmp_path, engine, world, 4)
    assert names(tmp_path) == {"step-00000004", "latest.json"}


class FullDisk(Engine):
    """An engine whose shards are written, and then something goes wrong."""

    def save(self, folder: Path, client_state: dict[str, Any]) -> None:
        super().save(folder, client_state)
        raise OSError("No space left on device")


def test_the_pointer_moves_only_when_every_process_has_saved(world: World, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, fill(build(world), 2.0), world, 2)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, fill(build(world, FullDisk), 4.0), world, 4)
    assert pointer(tmp_path)["step"] == 2
    fresh = build(world)
    assert checkpoint.resume(tmp_path, fresh, world) == 2
    assert values(fresh) == {2.0}


def test_a_checkpoint_that_is_not_whole_is_refused(world: World, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, build(world), world, 3)
    folder = tmp_path / "checkpoint" / "step-00000003"
    path = max(folder.iterdir(), key=lambda file: file.stat().st_size)
    size = path.stat().st_size
    message = rf"{path.name}: expected a file of {size} bytes, as latest\.json says"

    os.truncate(path, size - 1)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.resume(tmp_path, build(world), world)
    path.unlink()
    with pytest.raises(CheckpointError, match=message):
        checkpoint.resume(tmp_path, build(world), world)


def test_the_final_weights_replace_the_checkpoints(world: World, tmp_path: Path) -> None:
    engine = fill(build(world), 9.0)
    checkpoint.save(tmp_path, engine, world, 9)
    (tmp_path / "checkpoint" / ".step-00000008.tmp").mkdir()
    checkpoint.write_weights(tmp_path, engine, world, {"model": "linear"})
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


KILL = """
import os, signal, sys
from pathlib import Path
import torch._dynamo  # which the first optimizer imports: here once for all children
from bench import checkpoint
from bench.engine import join_world
from test_bench_checkpoint import build, fill

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")

def save_twice(run_dir, deadly):
    world = join_world()
    engine = build(world)
    checkpoint.save(run_dir, fill(engine, 2.0), world, 2)
    count = 0
    def watch(event, _):
        nonlocal count
        if event in EVENTS:
            count += 1
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    checkpoint.save(run_dir, fill(engine, 4.0), world, 4)

# One child after the other, each killed one file operation later than the one before.
deadly, status = 0, signal.SIGKILL
while status == signal.SIGKILL:
    deadly += 1
    run_dir = Path(sys.argv[1]) / f"{deadly:03d}"
    run_dir.mkdir()
    if not (child := os.fork()):
        save_twice(run_dir, deadly)
        os._exit(0)
    _, status = os.waitpid(child, 0)
assert status == 0, status
"""


def test_a_save_killed_at_any_moment_leaves_a_usable_checkpoint(
    world: World, tmp_path: Path, start_python: Start
) -> None:
    process = start_python(KILL, tmp_path, PYTHONPATH="tests")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors

    fresh, steps = build(world), []
    for run_dir in sorted(tmp_path.iterdir()):
        steps.append(checkpoint.resume(run_dir, fresh, world))
        assert values(fresh) == {float(steps[-1])}
        # The next save is not disturbed by what is left.
        checkpoint.save(run_dir, fresh, world, 6)
        assert names(run_dir) == {"step-00000006", "latest.json"}
    assert steps == sorted(steps)  # first the old one, and the new one once the pointer moved
    assert steps.count(2) > 5 and steps.count(4) > 2
