"""A network's training state in pieces, which any number of processes can take up again.

A process writes the elements that it updates of each parameter, with their moments, under the
parameter's name. So the files know neither world sizes nor ZeRO stages: whoever loads them takes
the ranges it updates itself from whichever file holds them.
"""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from bench.run.errors import BenchError

WEIGHT = "weight"
# What torch's AdamW and SGD keep beside a weight.
MOMENTS = ("exp_avg", "exp_avg_sq", "momentum_buffer")


class ShardError(BenchError):
    """Files of a checkpoint do not hold what a network needs."""


@dataclass(frozen=True)
class Piece:
    """`size` elements of the flattened parameter `name` from `start` on, which are those of
    `held` from `offset` on: `held` is what the optimizer updates and keeps its state by.
    """

    name: str
    start: int
    size: int
    held: torch.Tensor
    offset: int

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """This piece of a tensor as large as `held`, sharing its memory: (size,)."""
        return tensor.detach().view(-1)[self.offset : self.offset + self.size]


def pieces(module: nn.Module, zero: Any, stage: int, rank: int, world_size: int) -> list[Piece]:
    """What process `rank` updates; `zero` is DeepSpeed's optimizer (stages 1 to 3).

    At stage 0, where every process updates everything, all of it.
    """
    named = list(module.named_parameters())
    if stage == 0:
        return [Piece(name, 0, p.numel(), p, 0) for name, p in named]
    find = _piece_of_partition if stage == 3 else _piece_of_group
    found = (find(name, p, zero, rank, world_size) for name, p in named)
    return [piece for piece in found if piece is not None and piece.size > 0]


def _piece_of_group(
    name: str, parameter: Any, zero: Any, rank: int, world_size: int
) -> Piece | None:
    """At stages 1 and 2 a process updates a range of each group of parameters, laid end to end."""
    mapping = parameter._hp_mapping
    if mapping is None:
        return None
    here, whole = mapping.hp_fragment_address, mapping.lp_fragment_address
    held = zero.single_partition_of_fp32_groups[mapping.param_group_index]
    return Piece(name, whole.start, whole.numel, held, here.start)


def _piece_of_partition(
    name: str, parameter: Any, zero: Any, rank: int, world_size: int
) -> Piece | None:
    """At stage 3 each parameter is cut into equal parts, the last one padded."""
    group, offset, size = zero.grad_position[zero.get_param_id(parameter)]
    start = rank * size
    held = zero.fp32_partitioned_groups_flat[group]
    return Piece(name, start, min(size, parameter.ds_numel - start), held, offset)


def tensors(own: list[Piece], states: Any) -> dict[str, torch.Tensor]:
    """Weights and moments of the pieces, on the CPU; `states` is the optimizer's, by `held`."""
    found = {}
    for piece in own:
        state = states.get(piece.held, {})
        for kind in (WEIGHT, *MOMENTS):
            tensor = piece.held if kind == WEIGHT else state.get(kind)
            if tensor is not None:
                found[f"{kind}:{piece.start}:{piece.name}"] = piece.of(tensor).cpu()
    return found


def write(path: Path, content: dict[str, torch.Tensor]) -> None:
    """Writes `content` and reads it back; raises ShardError where it is not the same."""
    save_file(content, path)
    with safe_open(path, "pt") as file:
        for name, tensor in content.items():
            # As bytes: no number equals one that is none.
            if not torch.equal(file.get_tensor(name).view(torch.uint8), tensor.view(torch.uint8)):
                raise ShardError(f"{path}: {name} is not what was written")


def load(paths: list[Path], own: list[Piece], states: Any, step: int) -> None:
    """Fills the pieces and their optimizer's states from files of any world size and stage.

    Raises ShardError where a range is in none of the files.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(path, "pt")) for path in paths]
        index: dict[tuple[str, str], list[tuple[int, Any, str]]] = defaultdict(list)
        for file in files:
            for key in file.keys():  # noqa: SIM118 (it is no dictionary)
                kind, start, name = key.split(":", 2)
                index[kind, name].append((int(start), file, key))
        kinds = {kind for kind, _ in index} - {WEIGHT}
        for piece in own:
            _fill(piece.of(piece.held), index[WEIGHT, piece.name], piece)
            state = states[piece.held]
            for kind in kinds:
                if state.get(kind) is None:
                    state[kind] = torch.zeros_like(piece.held)
                _fill(piece.of(state[kind]), index[kind, piece.name], piece)
            if "exp_avg" in kinds:
                state["step"] = torch.tensor(float(step), device=piece.held.device)


def _fill(target: torch.Tensor, sources: list[tuple[int, Any, str]], piece: Piece) -> None:
    """Copies the piece's range of elements, of which each source has one from its start on."""
    missing = piece.size
    for start, file, key in sources:
        source = file.get_slice(key)
        first = max(start, piece.start)
        last = min(start + source.get_shape()[0], piece.start + piece.size)
        if first < last:
            part = source[first - start : last - start]
            target[first - piece.start : last - piece.start].copy_(part)
            missing -= last - first
    if missing:
        raise ShardError(
            f"{piece.name}: the checkpoint lacks {missing} of its elements "
            f"from {piece.start} to {piece.start + piece.size}"
        )


def take_over(zero: Any, stage: int) -> None:
    """Gives a ZeRO optimizer's loaded partitions to the network; all processes must enter."""
    if stage in (1, 2):
        zero.update_lp_params()
    elif stage == 3:
        flats = zip(
            zero.fp16_partitioned_groups_flat, zero.fp32_partitioned_groups_flat, strict=True
        )
        for number, (low, high) in enumerate(flats):
            low.data.copy_(high.data)
            parts = zero.fp16_partitioned_groups[number]
            for part, value in zip(parts, zero.unflatten(low, parts), strict=True):
                part.data = value.data
        # Small parameters stay gathered: what is gathered is of before.
        if zero.persistent_parameters:
            zero.persistent_parameters[0].partition(zero.persistent_parameters)
            zero.persistent_parameters[0].all_gather(zero.persistent_parameters)
