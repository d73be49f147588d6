"""A global batch is divided into equal micro-batches, whatever limits them."""

from typing import Any

import pytest

from bench.run.config import EngineConfig, RunConfig
from bench.run.errors import SettingError
from bench.run.micro_batch import clamp_micro_batch, micro_batches


def make_config(**engine: Any) -> RunConfig:
    return RunConfig(model="vit_nano2", steps=1, batch_size=64, engine=EngineConfig(**engine))


@pytest.mark.parametrize(
    ("world_size", "micro", "expected"),
    [(1, None, (64, 1)), (4, None, (16, 1)), (4, 8, (8, 2)), (2, 1, (1, 32))],
)
def test_micro_batches_times_steps_times_devices_is_the_batch(
    world_size: int, micro: int | None, expected: tuple[int, int]
) -> None:
    config = make_config(micro_batch_size=micro)
    assert micro_batches(config, world_size) == expected


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(
        SettingError, match="batch_size: given 64, expected a multiple of 3 devices"
    ):
        micro_batches(make_config(), 3)
    config = make_config(micro_batch_size=24)
    with pytest.raises(SettingError, match=r"micro_batch_size: given 24.* 64 / 2 = 32"):
        micro_batches(config, 2)


@pytest.mark.parametrize(("limit", "expected"), [(None, 24), (24, 24), (12, 12), (11, 8), (1, 1)])
def test_a_limit_makes_micro_batches_smaller_and_keeps_the_batch(
    limit: int | None, expected: int
) -> None:
    config = RunConfig(model="vit_nano2", steps=1, batch_size=48)
    found = clamp_micro_batch(config, 2, limit)
    assert micro_batches(found, 2) == (expected, 24 // expected)
    assert found.engine.eval_batch_size == 256 * expected // 24
    assert found.batch_size == 48
