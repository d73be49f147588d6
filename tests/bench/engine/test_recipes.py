"""Each recipe trains as it does in plain PyTorch, at every ZeRO stage and world size."""

import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.engine.optimizer import layer_indices, parameter_groups
from bench.engine.world import World
from bench.run.recipe import Recipe
from models import build
from tests.helpers.engines import load, save
from tests.helpers.plain import RECIPES, STEPS, Tower, train
from tests.helpers.processes import Start
from tests.helpers.recipes import engine_of, steps

pytestmark = [
    # DeepSpeed compiles a function on import, and torch's compiler still uses torch.jit.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    # DeepSpeed's stage 3 calls collectives by names that torch has renamed.
    pytest.mark.filterwarnings("ignore:.*torch.distributed:FutureWarning"),
]
STAGES = (0, 1, 2, 3)
# Plain PyTorch and the engine round differently, which Adam's division enlarges over 20 steps.
TOLERANCE = 1e-6


def equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=0, atol=atol), name


@pytest.mark.parametrize("micro", [None, 2])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_as_plain_torch_does(
    world: World, name: str, stage: int, micro: int | None
) -> None:
    engine = engine_of(world, name, stage, micro)
    steps(engine, name, range(1))
    equal(engine.weights(), train(RECIPES[name], 1)[0], TOLERANCE)
    steps(engine, name, range(1, STEPS))
    weights, averages = train(RECIPES[name])
    equal(engine.weights(), weights, TOLERANCE)
    with engine.averaged():
        equal(engine.weights(), averages if name == "ema" else weights, TOLERANCE)
    equal(engine.weights(), weights, TOLERANCE)
    engine.close()


TWO = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from bench.engine.world import join_world, leave_world
from tests.helpers.engines import save
from tests.helpers.plain import RECIPES, STEPS
from tests.helpers.recipes import engine_of, steps

world, folder = join_world(), Path(sys.argv[1])
for name in RECIPES:
    for stage in (0, 1, 2, 3):
        engine = engine_of(world, name, stage, 2)
        steps(engine, name, range(STEPS // 2))
        save(engine, folder / f"{name}-{stage}")
        steps(engine, name, range(STEPS // 2, STEPS))
        with engine.averaged():
            save_file(engine.weights(), folder / f"{name}-{stage}-{world.rank}.weights")
        engine.close()
        world.barrier()
leave_world()
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory, start_python: Start) -> Path:
    """What two processes that trained together left: weights, and checkpoints half way."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        start_python(TWO, folder, RANK=rank, LOCAL_RANK=rank, PYTHONPATH="tests", **shared)
        for rank in range(2)
    ]
    for process in ranks:
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors
    return folder


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_train_as_one(two_processes: Path, name: str, stage: int) -> None:
    weights, averages = train(RECIPES[name])
    for rank in range(2):
        found = load_file(two_processes / f"{name}-{stage}-{rank}.weights")
        equal(found, averages if name == "ema" else weights, TOLERANCE)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["ema", "lamb", "layer_decay", "nesterov"])
def test_a_checkpoint_continues_at_another_stage_and_world_size(
    world: World, two_processes: Path, name: str, stage: int
) -> None:
    engine = load(engine_of(world, name, stage), two_processes / f"{name}-{3 - stage}", STEPS // 2)
    steps(engine, name, range(STEPS // 2, STEPS))
    weights, averages = train(RECIPES[name])
    equal(engine.weights(), weights, TOLERANCE)
    with engine.averaged():
        equal(engine.weights(), averages if name == "ema" else weights, TOLERANCE)
    engine.close()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["ema", "lamb"])
def test_a_loaded_checkpoint_continues_to_the_last_bit(
    world: World, name: str, stage: int, tmp_path: Path
) -> None:
    engine = engine_of(world, name, stage)
    steps(engine, name, range(2))
    save(engine, tmp_path)
    steps(engine, name, range(2, 5))
    fresh = load(engine_of(world, name, stage), tmp_path, 2)
    steps(fresh, name, range(2, 5))
    with engine.averaged(), fresh.averaged():
        equal(fresh.weights(), engine.weights(), 0.0)


def test_layers_are_counted_from_the_embedding_to_the_head() -> None:
    found = layer_indices(Tower())
    assert found["token"] == found["embedding.weight"] == 0
    assert [found[f"blocks.{number}.hidden.bias"] for number in range(2)] == [1, 2]
    assert found["norm.bias"] == found["head.weight"] == 3


def test_layers_of_a_hybrid_begin_with_its_resnet() -> None:
    found = layer_indices(build("r8_vit_nano2", num_classes=5))
    first = min(number for name, number in found.items() if name.startswith("blocks."))
    units = {number for name, number in found.items() if name.startswith("resnet.")}
    assert found["resnet.0.conv.weight"] == 0 and units == set(range(first))
    for name in ("embedding.weight", "class_token", "position_embedding.tokens"):
        assert found[name] == first, name
    assert found["head.bias"] == found["norm.bias"] == max(found.values())


def test_layers_of_a_bit_are_its_units() -> None:
    found = layer_indices(build("bit_nano", num_classes=5))
    assert found["root.conv.weight"] == 0 and found["norm.bias"] == max(found.values())
    assert sorted(set(found.values())) == list(range(max(found.values()) + 1))


def test_head_and_mask_choose_what_decays() -> None:
    def decay(**changes: object) -> dict[str, float]:
        model = Tower()
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        groups = parameter_groups(model, Recipe.model_validate({"weight_decay": 0.3} | changes))
        return {
            names[id(parameter)]: group["weight_decay"]
            for group in groups
            for parameter in group["params"]
        }

    kernels = {"embedding.weight", "blocks.0.hidden.weight", "blocks.1.hidden.weight"}
    assert {name for name, value in decay().items() if value} == kernels | {"head.weight"}
    assert set(decay(decay_mask="all").values()) == {0.3}
    found = decay(head_weight_decay=3.0)
    assert found["head.weight"] == 3.0 and found["head.bias"] == 0.0
    assert {found[name] for name in kernels} == {0.3}
