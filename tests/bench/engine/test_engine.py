"""DeepSpeed trains as a bare loop over torch's optimizers does, at every stage and world size."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import models
from bench.data.transforms import normalize
from bench.engine.engine import Engine
from bench.engine.world import World
from bench.run.config import RunConfig
from bench.run.recipe import Recipe
from models import layers
from tests.helpers.engines import (
    BATCH_SIZE,
    LRS,
    NUM_CLASSES,
    RECIPE,
    Point,
    batches,
    build,
    build_bit,
    load,
    mlp,
    run,
    save,
)
from tests.helpers.processes import Start

pytestmark = [
    # DeepSpeed compiles a function on import, and torch's compiler still uses torch.jit.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    # DeepSpeed's stage 3 calls collectives by names that torch has renamed.
    pytest.mark.filterwarnings("ignore:.*torch.distributed:FutureWarning"),
]

STAGES = (0, 1, 2, 3)


def step_once(engine: Engine, step: int) -> None:
    images, labels = (part[step] for part in batches())
    engine.train_step(images, labels, LRS[step])


def bare(recipe: Recipe = RECIPE) -> tuple[list[Point], nn.Module]:
    """The same in plain torch: points, and the trained network."""
    model = mlp()
    kernels = [model[1].weight, model[4].weight]  # type: ignore[index]
    others = [p for p in model.parameters() if all(p is not kernel for kernel in kernels)]
    groups = [{"params": kernels, "weight_decay": recipe.weight_decay}]
    groups += [{"params": others, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "adam":
        optimizer = torch.optim.AdamW(groups, betas=(recipe.beta1, recipe.beta2))
    else:
        optimizer = torch.optim.SGD(groups, momentum=recipe.momentum)
    points: list[Point] = []
    for images, labels, lr in zip(*batches(), LRS, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = lr
        scores = model(normalize(images))
        loss = F.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        limit = recipe.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
        optimizer.step()
        points.append((loss.item(), norm.item()))
    return points, model


def close(a: list[Point], b: list[Point], tolerance: float) -> None:
    assert torch.allclose(torch.tensor(a), torch.tensor(b), rtol=0, atol=tolerance)


def same_weights(engine: Engine, weights: dict[str, torch.Tensor], tolerance: float) -> None:
    found = engine.weights()
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        assert torch.allclose(found[name], value, rtol=0, atol=tolerance), name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip_norm": None},
        {"clip_norm": 0.1},
        {"beta1": 0.5, "beta2": 0.95, "label_smoothing": 0.1},
        {"optimizer": "sgd", "momentum": 0.8},
    ],
)
def test_stage_0_is_a_bare_loop(world: World, changes: dict[str, Any]) -> None:
    recipe = RECIPE.model_copy(update=changes)
    engine = build(world, recipe)
    expected, model = bare(recipe)
    close(run(engine), expected, 1e-6)
    same_weights(engine, model.state_dict(), 1e-6)


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("micro", [None, 4])
def test_every_stage_takes_the_same_way(world: World, stage: int, micro: int | None) -> None:
    engine = build(world, stage=stage, micro=micro)
    expected, model = bare()
    close(run(engine), expected, 1e-5)
    same_weights(engine, model.state_dict(), 1e-5)


def test_stage_3_may_take_dense_layers_as_convolutions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "_SMALL_PRODUCT", 0)
    # SGD, since Adam would blow up the rounding in the biases of the keys, whose gradient is 0.
    recipe = RECIPE.model_copy(update={"optimizer": "sgd"})
    found = []
    for stage in (0, 3):
        torch.manual_seed(0)
        network = models.build("vit_nano4", num_classes=NUM_CLASSES, image_size=4)
        engine = build(world, recipe, stage, 4, network)
        run(engine)
        found.append(engine.weights())
        engine.close()
    for name, value in found[0].items():
        assert torch.allclose(found[1][name], value, rtol=0, atol=1e-5), name


def test_two_micro_batches_are_one_batch(world: World) -> None:
    whole, halves = build(world), build(world, micro=4)
    assert (halves.micro_batch_size, halves.num_micro_batches) == (4, 2)
    close(run(halves), run(whole), 1e-6)
    same_weights(halves, whole.weights(), 1e-6)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_micro_batches_share_a_standardization(world: World, stage: int) -> None:
    whole, parts = build_bit(world), build_bit(world, stage, 2)
    assert parts.num_micro_batches == 4
    close(run(parts), run(whole), 1e-5)
    same_weights(parts, whole.weights(), 1e-5)
    parts.close()


@pytest.mark.parametrize("stage", [0, 2])
def test_clipping_limits_the_step(world: World, stage: int) -> None:
    # Without momentum a step of SGD moves the weights by lr times the clipped gradient.
    recipe = Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0, clip_norm=0.25)
    engine = build(world, recipe, stage)
    before = engine.weights()
    ((_, norm),) = run(engine, range(1))
    after = engine.weights()
    moved = torch.cat([(after[name] - before[name]).flatten() for name in before]).norm()
    assert norm is not None and norm > 1.0  # as measured before clipping
    assert float(moved) == pytest.approx(LRS[0] * 0.25, rel=1e-3)


def test_kernels_decay_and_nothing_else_does(world: World) -> None:
    # Without a gradient, AdamW multiplies a weight by 1 - lr · decay.
    engine = build(world, Recipe(lr=0.1, weight_decay=0.5))
    engine._engine.module[4].weight.data.zero_()
    before = engine.weights()
    images, labels = torch.zeros(8, 3, 4, 4, dtype=torch.uint8), torch.arange(8) % NUM_CLASSES
    engine.train_step(images, labels, lr=0.1)
    after = engine.weights()
    assert torch.allclose(after["1.weight"], before["1.weight"] * (1 - 0.1 * 0.5))
    for name in ("1.bias", "2.weight", "2.bias"):
        assert torch.equal(after[name], before[name]), name
    assert not torch.equal(after["4.bias"], before["4.bias"])


def test_bf16_is_close_to_fp32_and_keeps_fp32_weights(world: World) -> None:
    engine = build(world, RECIPE.model_copy(update={"precision": "bf16"}))
    found = torch.tensor([loss for loss, _ in run(engine)])
    expected = torch.tensor([loss for loss, _ in bare()[0]])
    # bf16 rounds a number by up to one part in 2⁹ = 512.
    assert not torch.equal(found, expected)
    assert torch.allclose(found, expected, rtol=5 / 512)
    assert all(value.dtype == torch.float32 for value in engine.weights().values())


def test_the_loss_is_the_mean_since_it_was_last_taken(world: World) -> None:
    engine = build(world, micro=2)
    for step in range(3):
        step_once(engine, step)
    first = engine.take_loss()
    assert first == pytest.approx(sum(loss for loss, _ in bare()[0][:3]) / 3, abs=1e-6)
    close(run(engine, range(3, 5)), bare()[0][3:], 1e-5)


def test_scores_are_those_of_evaluation_mode(world: World) -> None:
    model = nn.Sequential(mlp(), nn.Dropout(0.9))
    config = RunConfig(model="mlp", steps=1, batch_size=BATCH_SIZE)
    engine = Engine(model, config, world)
    images = batches()[0][0]
    expected = mlp()(normalize(images))
    assert torch.allclose(engine.logits(images), expected)
    assert model.training and not engine.logits(images).requires_grad


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_loaded_checkpoint_goes_on_where_it_was_saved(
    world: World, stage: int, optimizer: str, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": optimizer})
    engine = build(world, recipe, stage)
    run(engine, range(2))
    save(engine, tmp_path)
    saved, rest = engine.weights(), run(engine, range(2, 5))

    fresh = load(build(world, recipe, stage), tmp_path, 2)
    same_weights(fresh, saved, 0.0)
    assert run(fresh, range(2, 5)) == rest  # with the moments, to the last bit
    same_weights(fresh, engine.weights(), 0.0)


def test_losses_go_on_with_other_micro_batches(world: World, tmp_path: Path) -> None:
    engine = build(world)
    step_once(engine, 0)
    save(engine, tmp_path)
    fresh = load(build(world, micro=2), tmp_path, 1)
    step_once(fresh, 1)
    # Each of the two steps counts one half, though the second had four micro-steps.
    assert fresh.take_loss() == pytest.approx(sum(loss for loss, _ in bare()[0][:2]) / 2, abs=1e-6)


def test_a_closed_engine_leaves_torch_as_it_was(world: World) -> None:
    # Stage 3 replaces the function for the rest of the process.
    engine = build(world, stage=3)
    assert F.linear.__name__ != "linear"
    engine.close()
    assert F.linear.__name__ == "linear"


TWO = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
import torch
from bench.engine.world import join_world, leave_world
from tests.helpers.engines import build, build_bit, load, run, save

world, folder = join_world(), Path(sys.argv[1])
found = {"sum": world.sum(torch.tensor([world.rank + 1.0])).tolist()}
found["broadcast"] = world.broadcast({"from": world.rank})
for stage in (0, 1, 2, 3):
    engine = build(world, stage=stage, micro=2)
    points = run(engine, range(2))
    save(engine, folder / f"two-{stage}")
    world.barrier()
    points += run(engine, range(2, 5))
    found[f"points {stage}"] = points
    save_file(engine.weights(), folder / f"weights-{stage}-{world.rank}")
    load(engine, folder / f"two-{stage}", 2)
    found[f"again {stage}"] = run(engine, range(2, 5))
    load(engine, folder / f"one-{stage}", 2)
    found[f"from one {stage}"] = run(engine, range(2, 5))
for stage in (0, 1, 2, 3):
    engine = build_bit(world, stage, 1)
    found[f"bit {stage}"] = run(engine)
    save_file(engine.weights(), folder / f"bit-{stage}-{world.rank}")
    engine.close()
(folder / f"{world.rank}.json").write_text(json.dumps(found))
world.barrier()
leave_world()
"""


@pytest.fixture(scope="module")
def two_processes(
    world: World, tmp_path_factory: pytest.TempPathFactory, start_python: Start
) -> Path:
    """What two processes left behind that trained together, with two micro-batches a step.

    They also went on from what one process had saved at another stage.
    """
    folder = tmp_path_factory.mktemp("two")
    for stage in STAGES:
        engine = build(world, stage=stage)
        run(engine, range(2))
        save(engine, folder / f"one-{3 - stage}")
        engine.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        start_python(TWO, folder, RANK=rank, LOCAL_RANK=rank, PYTHONPATH="tests", **shared)
        for rank in range(2)
    ]
    for process in ranks:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    return folder


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_two_processes_are_one_with_the_same_global_batch(two_processes: Path, stage: int) -> None:
    expected, model = bare()
    weights = model.state_dict()
    for rank in range(2):
        found = json.loads((two_processes / f"{rank}.json").read_text())
        close(found[f"points {stage}"], expected, 1e-5)
        for name, value in load_file(two_processes / f"weights-{stage}-{rank}").items():
            assert torch.allclose(value, weights[name], rtol=0, atol=1e-5), name
        assert found[f"again {stage}"] == found[f"points {stage}"][2:]
        close(found[f"from one {stage}"], expected[2:], 1e-5)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("before", STAGES)
def test_one_process_goes_on_where_two_were_at_any_stage(
    world: World, two_processes: Path, before: int, stage: int
) -> None:
    engine = load(build(world, stage=stage), two_processes / f"two-{before}", 2)
    expected, model = bare()
    close(run(engine, range(2, 5)), expected[2:], 1e-5)
    same_weights(engine, model.state_dict(), 1e-5)
    engine.close()


def test_processes_add_and_share(two_processes: Path) -> None:
    for rank in range(2):
        found = json.loads((two_processes / f"{rank}.json").read_text())
        assert found["sum"] == [3.0]
        assert found["broadcast"] == {"from": 0}


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_two_processes_share_standardizations_each(
    world: World, two_processes: Path, stage: int
) -> None:
    whole = build_bit(world)
    expected = run(whole)
    for rank in range(2):
        found = json.loads((two_processes / f"{rank}.json").read_text())
        close(found[f"bit {stage}"], expected, 1e-5)
        for name, value in load_file(two_processes / f"bit-{stage}-{rank}").items():
            assert torch.allclose(value, whole.weights()[name], rtol=0, atol=1e-5), name
