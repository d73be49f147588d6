"""Training memory: what ZeRO shares out, and the walk through the backward pass, by hand."""

from typing import get_args

import pytest

import models
import models.cost.macs
from bench.run.config import EngineConfig, RunConfig
from bench.run.errors import SettingError
from bench.run.memory import training_memory
from bench.run.recipe import Recipe
from models.cost.memory import kept
from models.operators import Device


def config(batch_size: int = 8, optimizer: str = "adam", **engine: object) -> RunConfig:
    return RunConfig(
        model="vit_ti16",
        steps=1,
        batch_size=batch_size,
        recipe=Recipe.model_validate({"optimizer": optimizer}),
        engine=EngineConfig.model_validate(engine),
    )


def needed(run: RunConfig, num_devices: int = 1, image_size: int = 224) -> tuple[int, ...]:
    memory = training_memory(run, image_size=image_size, num_classes=10, num_devices=num_devices)
    return memory.state_bytes, memory.gradient_bytes, memory.activation_bytes, memory.peak_bytes


PARAMS = models.cost.macs.count(models.config("vit_ti16"), num_classes=10).params
WEIGHTS = 4 * PARAMS


@pytest.mark.parametrize(
    ("stage", "num_devices", "optimizer", "state", "gradients"),
    [
        # Weights and two moments, or one; gradients.
        (0, 1, "adam", 3 * WEIGHTS, WEIGHTS),
        (0, 4, "adam", 3 * WEIGHTS, WEIGHTS),
        (0, 1, "sgd", 2 * WEIGHTS, WEIGHTS),
        # Weights, and of a quarter of them a copy and the moments; gradients and the buffer.
        (1, 4, "adam", WEIGHTS + 3 * (WEIGHTS // 4), WEIGHTS // 4 + WEIGHTS),
        (2, 4, "sgd", WEIGHTS + 2 * (WEIGHTS // 4), WEIGHTS // 4 + WEIGHTS),
        (3, 4, "adam", 4 * (WEIGHTS // 4), WEIGHTS // 4 + WEIGHTS),
        (0, 1, "adam_coupled", 3 * WEIGHTS, WEIGHTS),
        (0, 1, "lamb", 3 * WEIGHTS, WEIGHTS),
    ],
)
def test_states_are_shared_out_as_the_stage_says(
    stage: int, num_devices: int, optimizer: str, state: int, gradients: int
) -> None:
    got = needed(config(8, optimizer, zero_stage=stage), num_devices)
    assert got[0] == pytest.approx(state, abs=8)
    assert got[1] == pytest.approx(gradients, abs=8)


def test_a_large_batch_peaks_where_the_backward_pass_begins() -> None:
    parts = kept(models.config("vit_ti16"), num_classes=10)
    activations = sum(8 * part.per_image + part.constant for part in parts)
    state, _, activation_bytes, peak = needed(config(8))
    assert activation_bytes == activations
    # All is kept yet, and the last block's gradients: of its tokens and of the MLP's, in fp32.
    head, block = parts[-1], parts[-2]
    assert block.gradients == 4 * 197 * (192 + 768)
    alive = activations - (8 * head.per_image + head.constant) + 8 * block.gradients
    at_block = alive + 4 * head.params
    at_head = activations + 8 * 4 * 197 * 192
    assert peak == state + max(at_block, at_head)


def test_a_small_batch_peaks_where_all_gradients_are_there() -> None:
    state, gradients, _, peak = needed(config(1), image_size=16)
    assert peak == pytest.approx(state + gradients, rel=0.01)


def test_micro_batches_keep_less_but_have_all_gradients() -> None:
    _, _, whole, _ = needed(config(8))
    state, gradients, quarter, peak = needed(config(8, micro_batch_size=2))
    assert quarter == whole // 4
    assert peak > state + gradients + quarter


def test_recomputing_keeps_the_tokens_between_blocks() -> None:
    _, _, kept_bytes, _ = needed(config(8, activation_checkpointing=True))
    parts = kept(models.config("vit_ti16"), num_classes=10)
    ends = 8 * (parts[0].per_image + parts[-1].per_image)
    assert kept_bytes == ends + 8 * 12 * 4 * 197 * 192


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(SettingError, match="batch_size"):
        needed(config(8), num_devices=3)


def test_dropout_of_attention_takes_more_on_a_cpu() -> None:
    run = config(8).model_copy(update={"model_options": {"attention_dropout": 0.1}})
    on = {
        device: training_memory(
            run, image_size=224, num_classes=10, num_devices=1, device=device
        ).activation_bytes
        for device in get_args(Device)
    }
    # 12 blocks of 3 heads keep weights, mask and product of 197 x 197 a head, not a log-sum.
    assert on["cpu"] - on["cuda"] == 8 * 12 * 3 * 4 * (3 * 197 * 197 - 197)


def test_averages_are_one_more_copy_of_what_a_device_updates() -> None:
    plain = config(8, zero_stage=1)
    averaged = plain.model_copy(update={"recipe": Recipe(ema_decay=0.99)})
    more = [a - b for a, b in zip(needed(averaged, 4), needed(plain, 4), strict=True)]
    assert more[:3] == [WEIGHTS // 4, 0, 0] and more[3] == WEIGHTS // 4
