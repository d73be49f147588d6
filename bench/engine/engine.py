"""Data-parallel training with DeepSpeed, on CPUs (gloo) and on GPUs (NCCL)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from bench.data.mixing import Mix, mixed
from bench.data.transforms import normalize
from bench.engine import shards, zero
from bench.engine.average import WeightAverage
from bench.engine.lamb import Lamb
from bench.engine.loss import loss
from bench.engine.optimizer import LR_SCALE, make_optimizer
from bench.engine.world import LINEAR, World
from bench.run.config import RunConfig
from bench.run.micro_batch import micro_batches
from models.layers import StdConv2d, recompute

# isort: split
# After bench.engine.world, which chooses DeepSpeed's accelerator.
import deepspeed


@dataclass(frozen=True)
class Losses:
    """Loss sums of each rank over `count` micro-batches, of which there are `a_step` per step."""

    sums: list[float]
    count: int
    a_step: int


class Engine:
    """A network under training: optimizer steps, evaluation, and its state for checkpoints."""

    def __init__(self, model: torch.nn.Module, config: RunConfig, world: World) -> None:
        self.world = world
        self.recipe = config.recipe
        self.micro_batch_size, self.num_micro_batches = micro_batches(config, world.size)
        if config.engine.activation_checkpointing:
            recompute(model)
        optimizer = make_optimizer(model, config)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=model.to(world.device),
            optimizer=optimizer,
            config=self._settings(model, config),
            dist_init_required=False,
        )
        if world.size == 1 and self._zero_stage == 0:
            # Nothing is to be reduced, but DeepSpeed would copy all gradients back and forth.
            self._engine.enable_backward_allreduce = False
        # Stage 2 would keep the deferred gradients beside its own, stage 3 moves the weights, and
        # recomputation would standardize the weights twice.
        defers = self._zero_stage < 2 and not config.engine.activation_checkpointing
        self._deferring = [
            module for module in model.modules() if isinstance(module, StdConv2d) and defers
        ]
        if isinstance(optimizer, Lamb):
            names = [name for name, _ in model.named_parameters()]
            optimizer.bind(names, self._pieces(), world.sum if self._zero_stage else _unchanged)
        decay = self.recipe.ema_decay
        self._average = None if decay is None else WeightAverage(self._pieces(), decay)
        self._average_of = self._average.of if self._average else None
        self._loss_sum = torch.zeros((), device=world.device)
        self._num_losses = 0
        self._norm: torch.Tensor | None = None

    def train_step(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        lr: float,
        *,
        mix: Mix | None = None,
        measure: bool = False,
    ) -> None:
        """Do one optimizer step on this rank's images, uint8 (B, C, H, W), and labels (B,).

        `mix` mixes neighbouring images. `measure` computes the gradient norm that `grad_norm`
        returns, even without clipping.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = lr * group[LR_SCALE]
        for number, (x, y) in enumerate(self._micro_batches(images, labels), start=1):
            for layer in self._deferring:
                layer.defers = number < self.num_micro_batches
            pixels = normalize(x) if mix is None else mixed(normalize(x), mix)
            value = loss(self._engine(pixels).float(), y, self.recipe, mix)
            self._engine.backward(value)
            self._loss_sum += value.detach()
            if self._zero_stage == 0 and self._engine.is_gradient_accumulation_boundary():
                self._clip(measure)
            self._engine.step()
        self._num_losses += self.num_micro_batches
        if self._average:
            self._average.update()

    def take_loss(self) -> float:
        """Return the mean training loss of all ranks since the last call; wait for the device."""
        mean = self.world.sum(self._loss_sum / self._num_losses) / self.world.size
        self._loss_sum.zero_()
        self._num_losses = 0
        return float(mean)

    def grad_norm(self) -> float | None:
        """Return the global gradient norm, before clipping, of the last measured step."""
        norm = self._norm if self._zero_stage == 0 else self._engine.get_global_grad_norm()
        return None if norm is None else float(norm)

    @torch.no_grad()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, num_classes) of a uint8 batch in evaluation mode, as fp32."""
        self._engine.eval()
        scores: torch.Tensor = self._engine(normalize(images.to(self.world.device))).float()
        self._engine.train()
        return scores

    def shard(self) -> dict[str, torch.Tensor]:
        """Return this rank's part of the weights and optimizer states, keyed as in `shards`."""
        pieces, world = self._pieces(), self.world
        if self._zero_stage == 0:  # every rank has the whole state
            pieces = pieces[world.rank :: world.size]
        return shards.tensors(pieces, self._states, self._average_of)

    def losses(self) -> Losses:
        """Return the losses since the last `take_loss`, for a checkpoint (collective)."""
        sums = self.world.all_gather(float(self._loss_sum))
        return Losses(sums, self._num_losses, self.num_micro_batches)

    def load(self, paths: list[Path], step: int, losses: Losses) -> None:
        """Restore the state saved after `step` from a checkpoint's shards (collective).

        Raises ShardError if they are not of this network.
        """
        shards.load(paths, self._pieces(), self._states, step, self._average_of)
        zero.publish(self._optimizer, self._zero_stage)
        sums, world = losses.sums, self.world
        mine = sums[world.rank] if len(sums) == world.size else sum(sums) / len(sums)
        # A step keeps its weight in the mean if it now has another number of micro-batches.
        scale = self.num_micro_batches / losses.a_step
        self._loss_sum.fill_(mine * scale)
        self._num_losses = round(losses.count * scale)

    def _pieces(self) -> list[shards.Piece]:
        module, world = self._engine.module, self.world
        return zero.pieces(module, self._optimizer, self._zero_stage, world.rank, world.size)

    @property
    def _states(self) -> Any:
        """State of the torch optimizer, which DeepSpeed wraps at stages 1 to 3."""
        wrapped = self._optimizer.optimizer if self._zero_stage else self._optimizer
        return wrapped.state

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the network has its averaged weights, if it averages (collective)."""
        if self._average is None:
            yield
            return
        self._average.swap()
        zero.publish(self._optimizer, self._zero_stage)
        try:
            yield
        finally:
            self._average.swap()
            zero.publish(self._optimizer, self._zero_stage)

    def first_non_finite(self) -> str | None:
        """Return the name of the first tensor with a non-finite value, if any (collective)."""
        found = (name for name, value in self.weights().items() if not value.isfinite().all())
        return next(found, None)

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the whole network's state dict as fp32 on the CPU (collective)."""
        module = self._engine.module
        parameters = list(module.parameters())
        with deepspeed.zero.GatheredParameters(parameters, enabled=self._zero_stage == 3):
            return {
                name: value.detach().to("cpu", torch.float32, copy=True).contiguous()
                for name, value in module.state_dict().items()
            }

    def close(self) -> None:
        """Undo what DeepSpeed changed in torch; the network cannot be trained further."""
        F.linear = LINEAR

    def _clip(self, measure: bool) -> None:
        """Clip by the global norm and store it, which DeepSpeed does not offer at stage 0."""
        parameters = self._engine.module.parameters()
        if self.recipe.clip_norm is not None:
            self._norm = torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
        elif measure:
            gradients = [p.grad for p in parameters if p.grad is not None]
            self._norm = torch.nn.utils.get_total_norm(gradients)

    def _micro_batches(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        device = self.world.device
        for start in range(0, len(labels), self.micro_batch_size):
            part = slice(start, start + self.micro_batch_size)
            yield (
                images[part].to(device, non_blocking=True),
                labels[part].to(device, non_blocking=True),
            )

    def _settings(self, model: torch.nn.Module, config: RunConfig) -> dict[str, Any]:
        """Return DeepSpeed's configuration, with costly defaults switched off.

        Autocast keeps weights and gradients in fp32; buckets are no larger than the network.
        """
        self._zero_stage = stage = config.engine.zero_stage
        num_parameters = sum(p.numel() for p in model.parameters())
        zero: dict[str, Any] = {"stage": stage}
        if stage:
            # DeepSpeed rejects odd sizes.
            bucket = num_parameters + num_parameters % 2
            zero |= {"reduce_bucket_size": bucket, "allgather_bucket_size": bucket}
            zero["overlap_comm"] = self.world.device.type == "cuda"
        settings: dict[str, Any] = {
            "train_batch_size": config.batch_size,
            "train_micro_batch_size_per_gpu": self.micro_batch_size,
            "gradient_accumulation_steps": self.num_micro_batches,
            # At stage 0 `_clip` does it with torch's batched kernels.
            "gradient_clipping": (config.recipe.clip_norm or 0.0) if stage else 0.0,
            "zero_optimization": zero,
            "zero_allow_untested_optimizer": True,
            "timers": {"throughput": {"enabled": False}},
            "steps_per_print": 2**31,
        }
        if config.recipe.precision == "bf16":
            settings["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
        return settings


def _unchanged(values: torch.Tensor) -> torch.Tensor:
    """Return sums that every rank has whole: at stage 0 no layer is divided."""
    return values
