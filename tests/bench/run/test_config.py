"""What a person may ask of a run, what is refused with its path, and what enters a run's id."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.run.config import (
    DataInfo,
    EngineConfig,
    Recipe,
    Run,
    RunConfig,
    check_name,
    clamp_micro_batch,
    explain,
    known_keys,
    micro_batches,
    read_run,
)
from bench.run.errors import ConfigError

DATA = DataInfo(
    name="cats",
    source="/data/cats",
    kind="folder",
    num_train=1000,
    num_eval=100,
    num_classes=10,
    fingerprint="f00d",
)
BASE: dict[str, Any] = {"model": "vit_nano2", "epochs": 2, "batch_size": 64}


def make_run(data: DataInfo = DATA, study: str = "study", **changes: Any) -> Run:
    chosen = {key: value for key, value in (BASE | changes).items() if value is not None}
    return Run(study=study, config=RunConfig(**chosen), data=data)


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        RunConfig(**(BASE | changes))
    message = explain(caught.value, RunConfig)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modle": "x"}, "modle: unknown key; did you mean model?"),
        ({"recipe": {"warmup": 3}}, "recipe.warmup: unknown key; did you mean warmup_steps?"),
        ({"engine": {"workers": 1}}, "engine.workers: unknown key; did you mean num_workers?"),
        ({"batch_size": "64"}, "batch_size: given '64', expected a valid integer"),
        ({"batch_size": 64.0}, "batch_size: given 64.0, expected a valid integer"),
        ({"seed": True}, "seed: given True, expected a valid integer"),
        ({"seed": -1}, "seed: given -1, expected greater than or equal to 0"),
        ({"epochs": float("inf")}, "epochs: given inf, expected a finite number"),
        ({"recipe": {"lr": 0}}, "recipe.lr: given 0, expected greater than 0"),
        ({"recipe": {"decay": "step"}}, "recipe.decay: given 'step', expected 'linear', 'cosine'"),
        ({"engine": {"zero_stage": 4}}, "engine.zero_stage: given 4, expected 0, 1, 2 or 3"),
        ({"steps": 5}, "given epochs and steps, expected exactly one of epochs, steps, examples"),
        ({"epochs": None}, "given no duration, expected exactly one of epochs, steps, examples"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(changes: dict[str, Any], expected: str) -> None:
    assert refusal(**changes).startswith(expected)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({"epochs": 1})
    assert explain(caught.value, RunConfig) == "model: missing"


def test_an_unknown_key_comes_with_all_choices() -> None:
    message = refusal(engine={"gpus": 8})
    assert all(field in message for field in EngineConfig.model_fields)
    assert known_keys(RunConfig, ["engine"]) == list(EngineConfig.model_fields)
    assert known_keys(RunConfig, ["model_options"]) == []


def test_a_config_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_run().config.seed = 1  # type: ignore[misc]


def test_the_id_is_a_prefix_and_a_hash_of_the_identity() -> None:
    run = make_run(seed=3)
    content = json.dumps(run.identity, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    assert run.run_id == f"vit_nano2-cats-n1000-s3-{digest}"


@pytest.mark.parametrize(
    "same",
    [
        {"engine": EngineConfig(zero_stage=3, num_workers=4, micro_batch_size=8)},
        {"data": DATA.model_copy(update={"source": "/elsewhere/cats"})},
        {"study": "another"},
        {"epochs": None, "steps": 32},  # ⌈2 · 1000 / 64⌉ = ⌈31.25⌉
        {"epochs": None, "examples": 2000},
        {"epochs": None, "examples": 32 * 64},
        {"train_examples": 1000},
        {"image_size": 8},  # vit_nano2's own
        {"recipe": Recipe(lr=1e-3)},  # the default, said aloud
        {"seed": 0, "augment": "none"},
    ],
)
def test_the_id_ignores_what_leaves_the_result_alone(same: dict[str, Any]) -> None:
    assert make_run(**same).run_id == make_run().run_id


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"subset_seed": 1},
        {"batch_size": 32},
        {"epochs": 3},
        {"model": "vit_micro2"},
        {"train_examples": 500},
        {"augment": "flip"},
        {"model_options": {"dropout": 0.1}},
        {"recipe": Recipe(lr=2e-3)},
        {"recipe": Recipe(clip_norm=None)},
        {"data": DATA.model_copy(update={"fingerprint": "beef"})},
    ],
)
def test_the_id_changes_with_what_determines_the_result(other: dict[str, Any]) -> None:
    assert make_run(**other).run_id != make_run().run_id


def test_a_field_at_its_default_does_not_enter_the_identity() -> None:
    # So a field added later, whose default keeps the old behaviour, changes no existing id.
    assert make_run().identity == {
        "model": "vit_nano2",
        "data": ["cats", "f00d"],
        "steps": 32,
        "image_size": 8,
        "train_examples": 1000,
    }
    assert make_run(recipe=Recipe(lr=2e-3)).identity["recipe"] == {"lr": 2e-3}


@pytest.mark.parametrize(
    ("duration", "steps"),
    [({"steps": 7}, 7), ({"examples": 65}, 2), ({"examples": 1}, 1), ({"epochs": 0.0001}, 1)],
)
def test_a_partial_batch_counts_as_a_step(duration: dict[str, Any], steps: int) -> None:
    run = make_run(**({"epochs": None} | duration))
    assert run.num_steps == steps
    assert run.examples_seen == steps * 64


@pytest.mark.parametrize(
    ("world_size", "micro", "expected"),
    [(1, None, (64, 1)), (4, None, (16, 1)), (4, 8, (8, 2)), (2, 1, (1, 32))],
)
def test_micro_batches_times_steps_times_devices_is_the_batch(
    world_size: int, micro: int | None, expected: tuple[int, int]
) -> None:
    config = make_run(engine=EngineConfig(micro_batch_size=micro)).config
    assert micro_batches(config, world_size) == expected


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size: given 64, expected a multiple of 3 devices"):
        micro_batches(make_run().config, 3)
    config = make_run(engine=EngineConfig(micro_batch_size=24)).config
    with pytest.raises(ConfigError, match=r"micro_batch_size: given 24.* 64 / 2 = 32"):
        micro_batches(config, 2)


def test_the_recipe_in_one_line() -> None:
    assert Recipe().label == "adam lr=0.001 wd=0.1 warmup=0 linear clip=1 fp32"
    sgd = Recipe(optimizer="sgd", lr=0.03, clip_norm=None, end_lr=0.0, precision="bf16")
    assert sgd.label == "sgd lr=0.03 wd=0.1 warmup=0 linear end=0 momentum=0.9 bf16"
    other = Recipe(beta2=0.95, label_smoothing=0.1)
    assert other.label == "adam lr=0.001 wd=0.1 warmup=0 linear clip=1 smooth=0.1 beta2=0.95 fp32"


@pytest.mark.parametrize("name", ["a", "vit_b16-n10.json", "A" * 101])
def test_names_that_may_be_folders(name: str) -> None:
    assert check_name(name, "study") == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "a\n", "ä", "a" * 102])
def test_names_that_may_not_be_folders(name: str) -> None:
    with pytest.raises(ConfigError, match="study: given "):
        check_name(name, "study")


def test_a_run_read_back_is_the_same(tmp_path: Path) -> None:
    run = make_run(recipe=Recipe(lr=3e-4), model_options={"dropout": 0.1})
    (tmp_path / "config.json").write_text(run.model_dump_json(indent=1))
    assert read_run(tmp_path) == run
    assert read_run(tmp_path).run_id == run.run_id


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{ nonsense", r"config\.json: Invalid JSON"),
        (b"\xff\xfe", r"config\.json: Invalid JSON"),
        (b"[]", r"config\.json: given \[\], expected an object"),
        (b'{"study": "s", "config": {"model": "m", "lr": 1}}', r"config\.lr: unknown key"),
    ],
)
def test_a_broken_config_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as caught:
        read_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a run's folder with a config\.json"):
        read_run(tmp_path)


@pytest.mark.parametrize(("limit", "expected"), [(None, 24), (24, 24), (12, 12), (11, 8), (1, 1)])
def test_a_limit_makes_micro_batches_smaller_and_keeps_the_batch(
    limit: int | None, expected: int
) -> None:
    config = RunConfig(model="vit_nano2", steps=1, batch_size=48)
    found = clamp_micro_batch(config, 2, limit)
    assert micro_batches(found, 2) == (expected, 24 // expected)
    assert found.engine.eval_batch_size == 256 * expected // 24
    assert found.batch_size == 48


def test_the_ledgers_recipe_tells_augmentation_and_options_apart() -> None:
    plain = {"model": "vit_nano2", "steps": 1}
    label = RunConfig.model_validate(plain).recipe_label
    assert label == Recipe().label
    other = plain | {"augment": "flip", "model_options": {"pool": "gap", "dropout": 0.1}}
    assert (
        RunConfig.model_validate(other).recipe_label == f"{label} augment=flip dropout=0.1 pool=gap"
    )
