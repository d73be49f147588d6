"""Predict the memory that training needs on each device, from the config of a network.

Imports no torch. What DeepSpeed 0.19 allocates was read from `runtime/zero/stage_1_and_2.py` and
measured on every tensor created during training (tests/speed/peak_memory.py). Not included: the
libraries themselves (some hundred MB on a GPU), their scratch space and fragmentation.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import models
from bench.run.config import RunConfig
from bench.run.micro_batch import micro_batches
from models.cost.memory import Kept, kept
from models.operators import Device, Precision

_FP32 = 4


@dataclass(frozen=True)
class TrainingMemory:
    """Predicted bytes on one device.

    `state_bytes`: weights and optimizer states (Rajbhandari et al. 2020, figure 1, all in fp32;
    stages 1 and 2 have a second copy of the weights that a device updates). `gradient_bytes`:
    gradients and the buffer in which they are reduced. `activation_bytes`: tensors saved by
    autograd. `peak_bytes`: the maximum over time of their sum.
    """

    state_bytes: int
    gradient_bytes: int
    activation_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class _Setting:
    """The part of a run's config that its memory depends on, besides the network."""

    image_size: int
    num_classes: int
    num_devices: int
    images: int
    num_micro_batches: int
    precision: Precision
    device: Device
    num_moments: int
    averages: bool
    holds_updates: bool
    zero_stage: int
    recomputes: bool


def _backward(
    parts: tuple[Kept, ...],
    saved: list[int],
    recomputed: list[int],
    images: int,
    share: int,
    has_gradients: bool,
) -> int:
    """Return the peak bytes of the backward pass, which frees saved tensors part by part.

    Weight gradients appear along the way, or all exist already (`has_gradients`) from an earlier
    micro-batch.
    """
    before = list(accumulate(saved))
    whole = sum(part.params for part in parts)
    most, done = 0, 0
    for part, still_saved, again in reversed(list(zip(parts, before, recomputed, strict=True))):
        gradients = _FP32 * (whole if has_gradients else done) // share
        most = max(most, still_saved + again + images * part.gradients + gradients)
        done += part.params
    return max(most, _FP32 * whole // share)


@lru_cache(maxsize=1024)
def _training_memory(network: models.Config, setting: _Setting) -> TrainingMemory:
    parts = kept(
        network,
        image_size=setting.image_size,
        num_classes=setting.num_classes,
        precision=setting.precision,
        device=setting.device,
    )
    images, stage, num_devices = setting.images, setting.zero_stage, setting.num_devices
    weights = _FP32 * sum(part.params for part in parts)
    moments = setting.num_moments * weights
    share = num_devices if stage else 1
    state = moments // share + (weights // share if stage == 3 else weights)
    state += weights // share if setting.averages else 0
    buffer = 0
    if stage:
        state += weights // share
        buffer = weights
    gradients = weights // share

    saved = [images * part.per_image + part.constant for part in parts]
    recomputed = [0] * len(parts)
    if setting.recomputes:
        for number, part in enumerate(parts):
            if part.is_recomputable:
                recomputed[number] = saved[number]
                saved[number] = images * part.entering
    alive = _backward(parts, saved, recomputed, images, share, setting.num_micro_batches > 1)
    # ZeRO concatenates a device's gradients for its optimizer, when the buffer is free.
    joined = 2 * gradients if stage else 0
    if setting.holds_updates:  # of all layers, until their norms are known
        joined = max(joined, gradients + weights // share)
    return TrainingMemory(
        state, gradients + buffer, sum(saved), state + max(buffer + alive, joined)
    )


def training_memory(
    config: RunConfig,
    *,
    image_size: int,
    num_classes: int,
    num_devices: int,
    device: Device = "cuda",
) -> TrainingMemory:
    """Return the memory that one device of a run needs.

    Raises SettingError if the batch size is not divisible, NotDescribed if the operators of the
    network are not described.
    """
    images, num_micro_batches = micro_batches(config, num_devices)
    return _training_memory(
        config.network,
        _Setting(
            image_size,
            num_classes,
            num_devices,
            images,
            num_micro_batches,
            config.recipe.precision,
            device,
            num_moments=config.recipe.num_moments,
            averages=config.recipe.ema_decay is not None,
            holds_updates=config.recipe.optimizer == "lamb",
            zero_stage=config.engine.zero_stage,
            recomputes=config.engine.activation_checkpointing,
        ),
    )
