"""Divide a global batch into micro-batches per device."""

from bench.run.config import RunConfig
from bench.run.errors import SettingError


def micro_batches(config: RunConfig, world_size: int) -> tuple[int, int]:
    """Return the micro-batch size and the number of gradient accumulation steps per device.

    Raises SettingError unless batch_size = micro-batch × accumulation steps × devices.

    >>> micro_batches(RunConfig(model="vit_b16", epochs=1, batch_size=64), 4)
    (16, 1)
    """
    batch, micro = config.batch_size, config.engine.micro_batch_size
    if batch % world_size:
        raise SettingError(
            f"batch_size: given {batch}, expected a multiple of {world_size} devices"
        )
    share = batch // world_size
    if micro is not None and share % micro:
        raise SettingError(
            f"engine.micro_batch_size: given {micro}, expected a divisor of "
            f"batch_size / devices = {batch} / {world_size} = {share}"
        )
    if config.recipe.mixes and (micro or share) % 2:
        raise SettingError(
            f"recipe: mixup and cutmix mix neighbouring images, given a micro-batch of "
            f"{micro or share}, expected an even number"
        )
    return micro or share, share // (micro or share)


def clamp_micro_batch(config: RunConfig, world_size: int, limit: int | None) -> RunConfig:
    """Return the config with micro-batches of at most `limit` images, the global batch unchanged.

    Evaluation batches shrink in proportion.

    >>> small = clamp_micro_batch(RunConfig(model="vit_b16", epochs=1, batch_size=48), 2, 11)
    >>> micro_batches(small, 2), small.engine.eval_batch_size
    ((8, 3), 85)
    """
    before, _ = micro_batches(config, world_size)
    if limit is None or before <= limit:
        return config
    share = config.batch_size // world_size
    mixes = config.recipe.mixes
    sizes = [n for n in range(1, limit + 1) if share % n == 0 and not (mixes and n % 2)]
    size = max(sizes, default=2)
    changes = {
        "micro_batch_size": size,
        "eval_batch_size": max(1, config.engine.eval_batch_size * size // before),
    }
    return config.model_copy(update={"engine": config.engine.model_copy(update=changes)})
