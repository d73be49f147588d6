"""A run's config, and what of it enters the run id."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.run.config import DataInfo, EngineConfig, Run, RunConfig, read_run
from bench.run.errors import SettingError
from bench.run.recipe import Recipe
from results.schema import columns

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


def test_a_config_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_run().config.seed = 1


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


def test_a_summary_has_the_columns_that_are_known_before_a_run() -> None:
    run = make_run(train_examples=500, seed=3, image_size=8)
    assert asdict(run.summary()) == {
        "run_id": run.run_id,
        "model": "vit_nano2",
        "dataset": "cats",
        "image_size": 8,
        "train_examples": 500,
        "examples_seen": 1024,  # two epochs of 500, in whole batches of 64
        "steps": 16,
        "batch_size": 64,
        "seed": 3,
        "recipe": Recipe().label,
    }
    assert asdict(run.summary()).keys() <= {column.name for column in columns("runs")}


def test_a_field_at_its_default_does_not_enter_the_identity() -> None:
    # So a field added later, whose default keeps the old behavior, changes no existing id.
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


def test_the_recipe_in_one_line() -> None:
    assert Recipe().label == "adam lr=0.001 wd=0.1 warmup=0 linear clip=1 fp32"
    sgd = Recipe(optimizer="sgd", lr=0.03, clip_norm=None, end_lr=0.0, precision="bf16")
    assert sgd.label == "sgd lr=0.03 wd=0.1 warmup=0 linear end=0 momentum=0.9 bf16"
    other = Recipe(beta2=0.95, label_smoothing=0.1)
    assert other.label == "adam lr=0.001 wd=0.1 warmup=0 linear clip=1 smooth=0.1 beta2=0.95 fp32"


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
    with pytest.raises(SettingError, match=expected) as caught:
        read_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"expected a run's folder with a config\.json"):
        read_run(tmp_path)


def test_the_ledgers_recipe_tells_augmentation_and_options_apart() -> None:
    plain = {"model": "vit_nano2", "steps": 1}
    label = RunConfig.model_validate(plain).recipe_label
    assert label == Recipe().label
    other = plain | {"augment": "flip", "model_options": {"pool": "gap", "dropout": 0.1}}
    assert (
        RunConfig.model_validate(other).recipe_label == f"{label} augment=flip dropout=0.1 pool=gap"
    )
