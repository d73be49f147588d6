"""The one door to DeepSpeed: data-parallel training, on a CPU (gloo) as on GPUs (NCCL)."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from bench.data.transforms import normalize
from bench.engine import shards
from bench.engine.devices import keep_freed_memory
from bench.run.config import RunConfig, micro_batches
from models.layers import StdConv2d
from models.recompute import recompute

# DeepSpeed chooses its accelerator when it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "warning")
import deepspeed
import torch.distributed as dist

# The watchdog is faster; this is for what it does not see.
TIMEOUT = timedelta(minutes=30)
ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}

# Variables that this process has set for a world of its own.
_lent: set[str] = set()
# What ZeRO stage 3 replaces for the rest of the process, with something fvcore cannot count.
LINEAR = F.linear


@dataclass(frozen=True)
class World:
    """The processes of one attempt, one a device."""

    rank: int
    local_rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of `values` over all processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def share(self, value: Any) -> Any:
        """The main process's `value`, on every process."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0, device=self.device)
        return holder[0]

    def gather(self, value: Any) -> list[Any]:
        """Every process's `value`, by rank."""
        if self.size == 1:
            return [value]
        found = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def barrier(self) -> None:
        """Returns when every process has come here."""
        if self.size > 1:
            dist.barrier()


def join_world() -> World:
    """Connects the processes that RANK, WORLD_SIZE, LOCAL_RANK and MASTER_* describe.

    A process started without them is a world of its own.
    """
    if "RANK" not in os.environ:
        os.environ.update(ALONE, MASTER_PORT=str(_free_port()))
        _lent.update(ALONE, ["MASTER_PORT"])
    local_rank = int(os.environ["LOCAL_RANK"])
    on_gpu = torch.cuda.is_available()
    device = torch.device("cpu")
    if on_gpu:
        # A scheduler may show each process its own device alone, which then is number 0.
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
        os.environ["LOCAL_RANK"] = str(device.index)  # by which DeepSpeed chooses
        torch.cuda.set_device(device)
    else:
        keep_freed_memory()
    backend = "nccl" if on_gpu else "gloo"
    # A kernel for inference only, which DeepSpeed would compile for half a minute on a CPU.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend=backend, auto_mpi_discovery=False, timeout=TIMEOUT, verbose=False
    )
    return World(dist.get_rank(), local_rank, dist.get_world_size(), device)


def leave_world() -> None:
    """Closes the process group, so that the next run of this process can join another."""
    F.linear = LINEAR
    if dist.is_initialized():
        # DeepSpeed's own, since it also forgets the groups that it keeps between engines.
        deepspeed.comm.destroy_process_group()
    deepspeed.comm.comm.cdb = None
    # A child that inherited them would try to join the world that is gone.
    while _lent:
        os.environ.pop(_lent.pop(), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    """A network under training: steps, evaluation, and the state that a checkpoint keeps."""

    def __init__(self, model: torch.nn.Module, config: RunConfig, world: World) -> None:
        self.world = world
        self.recipe = config.recipe
        self.micro_batch_size, self.num_micro_batches = micro_batches(config, world.size)
        if config.engine.activation_checkpointing:
            recompute(model)
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=model.to(world.device),
            optimizer=make_optimizer(model, config),
            config=self._settings(model, config),
            dist_init_required=False,
        )
        if world.size == 1 and self._zero_stage == 0:
            # There is nothing to reduce, but DeepSpeed would copy all gradients there and back.
            self._engine.enable_backward_allreduce = False
        # Stage 2 would hold the deferred gradients beside its own, stage 3 moves the weights about;
        # recomputation would standardise once more.
        defers = self._zero_stage < 2 and not config.engine.activation_checkpointing
        self._deferring = [
            module for module in model.modules() if isinstance(module, StdConv2d) and defers
        ]
        self._loss_sum = torch.zeros((), device=world.device)
        self._num_losses = 0
        self._norm: torch.Tensor | None = None

    def train_step(
        self, images: torch.Tensor, labels: torch.Tensor, lr: float, *, measure: bool = False
    ) -> None:
        """One optimizer step on this device's share: images uint8 (B, C, H, W), labels (B,).

        `measure` takes the gradient's norm, for `grad_norm`, also where nothing is clipped.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        for number, (x, y) in enumerate(self._micro_batches(images, labels), start=1):
            for layer in self._deferring:
                layer.defers = number < self.num_micro_batches
            loss = F.cross_entropy(
                self._engine(normalize(x)).float(), y, label_smoothing=self.recipe.label_smoothing
            )
            self._engine.backward(loss)
            self._loss_sum += loss.detach()
            if self._zero_stage == 0 and self._engine.is_gradient_accumulation_boundary():
                self._clip(measure)
            self._engine.step()
        self._num_losses += self.num_micro_batches

    def take_loss(self) -> float:
        """The mean training loss over all devices since the last call; waits for the device."""
        mean = self.world.sum(self._loss_sum / self._num_losses) / self.world.size
        self._loss_sum.zero_()
        self._num_losses = 0
        return float(mean)

    def grad_norm(self) -> float | None:
        """The global norm, before clipping, of the gradients of the last measured step."""
        norm = self._norm if self._zero_stage == 0 else self._engine.get_global_grad_norm()
        return None if norm is None else float(norm)

    @torch.no_grad()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (B, num_classes) of a uint8 batch, in evaluation mode."""
        self._engine.eval()
        scores = self._engine(normalize(images.to(self.world.device))).float()
        self._engine.train()
        return scores

    def shard(self) -> dict[str, torch.Tensor]:
        """This process's part of weights and moments, as `shards` names them."""
        pieces, world = self._pieces(), self.world
        if self._zero_stage == 0:  # where every process has everything
            pieces = pieces[world.rank :: world.size]
        return shards.tensors(pieces, self._states)

    def losses(self) -> dict[str, Any]:
        """The losses since the last `take_loss`, for a checkpoint; all processes must enter."""
        sums = self.world.gather(float(self._loss_sum))
        return {"sums": sums, "count": self._num_losses, "a_step": self.num_micro_batches}

    def load(self, paths: list[Path], step: int, losses: dict[str, Any]) -> None:
        """Goes on from the shards of a checkpoint made after `step`; all processes must enter.

        Raises ShardError where they do not hold this network.
        """
        shards.load(paths, self._pieces(), self._states, step)
        shards.take_over(self._optimizer, self._zero_stage)
        sums, world = losses["sums"], self.world
        mine = sums[world.rank] if len(sums) == world.size else sum(sums) / len(sums)
        # Each step counts alike, also where it now has other micro-steps.
        scale = self.num_micro_batches / losses["a_step"]
        self._loss_sum.fill_(mine * scale)
        self._num_losses = round(losses["count"] * scale)

    def _pieces(self) -> list[shards.Piece]:
        module, world = self._engine.module, self.world
        return shards.pieces(module, self._optimizer, self._zero_stage, world.rank, world.size)

    @property
    def _states(self) -> Any:
        """The torch optimizer's state: DeepSpeed wraps it at stages 1 to 3."""
        wrapped = self._optimizer.optimizer if self._zero_stage else self._optimizer
        return wrapped.state

    def first_non_finite(self) -> str | None:
        """The first weight, in the network's order, that is no number; all processes must enter."""
        found = (name for name, value in self.weights().items() if not value.isfinite().all())
        return next(found, None)

    def weights(self) -> dict[str, torch.Tensor]:
        """The whole network's fp32 state on the CPU; all processes must enter."""
        module = self._engine.module
        parameters = list(module.parameters())
        with deepspeed.zero.GatheredParameters(parameters, enabled=self._zero_stage == 3):
            return {
                name: value.detach().to("cpu", torch.float32, copy=True).contiguous()
                for name, value in module.state_dict().items()
            }

    def close(self) -> None:
        """Gives torch back as it was; the network can be trained no further."""
        F.linear = LINEAR

    def _clip(self, measure: bool) -> None:
        """Clips the whole gradient, and keeps its norm, which DeepSpeed does not at stage 0."""
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
        """DeepSpeed's configuration: what costs time for nothing is off.

        Autocast keeps weights and gradients in fp32, buckets are no larger than the network.
        """
        self._zero_stage = stage = config.engine.zero_stage
        num_parameters = sum(p.numel() for p in model.parameters())
        zero: dict[str, Any] = {"stage": stage}
        if stage:
            # DeepSpeed refuses odd sizes.
            bucket = num_parameters + num_parameters % 2
            zero |= {"reduce_bucket_size": bucket, "allgather_bucket_size": bucket}
            zero["overlap_comm"] = self.world.device.type == "cuda"
        settings: dict[str, Any] = {
            "train_batch_size": config.batch_size,
            "train_micro_batch_size_per_gpu": self.micro_batch_size,
            "gradient_accumulation_steps": self.num_micro_batches,
            # At stage 0 `_clip` does it, with torch's batched kernels.
            "gradient_clipping": (config.recipe.clip_norm or 0.0) if stage else 0.0,
            "zero_optimization": zero,
            "zero_allow_untested_optimizer": True,
            "timers": {"throughput": {"enabled": False}},
            "steps_per_print": 2**31,
        }
        if config.recipe.precision == "bf16":
            settings["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
        return settings


def make_optimizer(model: torch.nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Adam with decoupled decay, or SGD with torch's; only kernels (axes ≥ 2, `weight`) decay."""
    recipe = config.recipe
    kernels: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_kernel = name.endswith("weight") and parameter.ndim > 1
        (kernels if is_kernel else others).append(parameter)
    groups = [{"params": kernels, "weight_decay": recipe.weight_decay}]
    groups += [{"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        betas = (recipe.beta1, recipe.beta2)
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, fused=True)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=True)
