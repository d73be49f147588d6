"""Recipes: names, what does not fit together, and their line in the ledger."""

from typing import Any

import pytest
from pydantic import ValidationError

from bench.run.config import DataInfo, Run, RunConfig
from bench.run.micro_batch import clamp_micro_batch, micro_batches
from bench.run.recipe import Recipe

DATA = DataInfo(
    name="digits",
    source="digits",
    kind="digits",
    num_train=1000,
    num_eval=100,
    num_classes=10,
    fingerprint="f",
)


def run(**values: Any) -> Run:
    config = RunConfig.model_validate({"model": "vit_nano2", "data": "digits"} | values)
    return Run(study="s", config=config, data=DATA)


def test_adamw_is_adam_by_the_name_that_people_use() -> None:
    assert Recipe.model_validate({"optimizer": "adamw"}) == Recipe()
    ids = [run(steps=1, recipe={"optimizer": name}).run_id for name in ("adam", "adamw")]
    assert ids[0] == ids[1] == run(steps=1).run_id


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"decay": "step"}, "expected decay_steps"),
        ({"decay_steps": [1]}, "decay_steps: not used by decay 'linear'"),
        ({"decay": "step", "decay_steps": [3, 2]}, "expected rising steps"),
        ({"decay": "constant", "end_lr": 0.1}, "end_lr: not used"),
        ({"nesterov": True}, "expected optimizer sgd"),
        ({"layer_decay": 0.0}, "greater than 0"),
        ({"ema_decay": 1.0}, "less than 1"),
        ({"randaugment_magnitude": 10.0}, "given 10 without randaugment_layers"),
        ({"randaugment_layers": 2, "randaugment_magnitude": 31.0}, "given 31, expected 0 to 30"),
        ({"random_erasing": 1.0}, "less than 1"),
        ({"color_jitter": -0.1}, "greater than or equal to 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Recipe.model_validate(values)


def test_the_label_names_what_differs_from_the_default() -> None:
    recipe = Recipe(
        optimizer="sgd",
        lr=0.003,
        nesterov=True,
        weight_decay=0.0,
        warmup_steps=100,
        decay="step",
        decay_steps=[200, 300],
        mixup=0.1,
        ema_decay=0.9999,
    )
    assert recipe.label == (
        "sgd lr=0.003 wd=0 warmup=100 step clip=1 momentum=0.9 "
        "nesterov=True at=200,300 mixup=0.1 ema=0.9999 fp32"
    )


def test_every_field_is_in_the_label() -> None:
    others: dict[str, Any] = {
        "optimizer": "lamb",
        "decay": "cosine",
        "decay_mask": "all",
        "head_weight_decay": 1.0,
        "loss": "sigmoid",
        "precision": "bf16",
        "clip_norm": None,
        "nesterov": True,
        "decay_steps": [1],
        "timescale": 5,
        "warmup_steps": 5,
        "cooldown_steps": 5,
        "end_lr": 0.5,
        "randaugment_layers": 2,
        "three_augment": True,
    }
    needed: dict[str, dict[str, Any]] = {"decay_steps": {"decay": "step"}}
    needed["nesterov"] = {"optimizer": "sgd"}
    needed["randaugment_magnitude"] = {"randaugment_layers": 1}
    needed["momentum"] = {"optimizer": "sgd"}
    for name, field in Recipe.model_fields.items():
        base = needed.get(name, {})
        before = base | ({"decay_steps": [2]} if name == "decay_steps" else {})
        number = 0.25 if not isinstance(field.default, float) else field.default * 0.5 or 0.25
        after = base | {name: others.get(name, number)}
        labels = {Recipe.model_validate(values).label for values in (before, after)}
        assert len(labels) == 2, name


def test_a_duration_in_flops_is_met_to_the_nearest_step() -> None:
    # 3 x 2 x multiply-adds x images; the network's are in the registry's table.
    macs = run(steps=1).cost.forward_macs
    per_step = 6 * macs * 64
    assert run(flops=10.4 * per_step).num_steps == 10
    assert run(flops=10.6 * per_step).num_steps == 11
    assert run(flops=1.0).num_steps == 1
    assert run(flops=10.0 * per_step).run_id == run(steps=10).run_id


def test_mixing_needs_pairs() -> None:
    config = run(steps=1, batch_size=12, recipe={"mixup": 0.2}).config
    assert micro_batches(config, 2) == (6, 1)
    with pytest.raises(Exception, match="given a micro-batch of 3, expected an even number"):
        micro_batches(config, 4)
    assert micro_batches(clamp_micro_batch(config, 2, 3), 2) == (2, 3)
    assert micro_batches(clamp_micro_batch(config, 2, 1), 2) == (2, 3)
