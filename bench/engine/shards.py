"""Read and write training state as shards that do not depend on the world size.

Each rank writes the elements of each parameter that it updates, with their optimizer states, under
the parameter's name. The files know neither world size nor ZeRO stage: a rank that loads them
takes the ranges it updates from whichever files contain them.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bench.run.errors import BenchError

WEIGHT = "weight"
# Optimizer states of Adam, LAMB and SGD.
MOMENTS = ("exp_avg", "exp_avg_sq", "momentum_buffer")
AVERAGE = "average"
# Returns the moving average of a piece, shaped like its master.
Average = Callable[["Piece"], torch.Tensor]


class ShardError(BenchError):
    """Shards of a checkpoint lack a part of the network, or differ from what was written."""


@dataclass(frozen=True)
class Piece:
    """A range of a parameter, and where the optimizer keeps it.

    Elements `start` to `start + size` of the flattened parameter `name` are elements `offset` to
    `offset + size` of `master`, the fp32 tensor that the optimizer updates and keys its state by.
    """

    name: str
    start: int
    size: int
    master: torch.Tensor
    offset: int

    def view_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a view (size,) of this range in a tensor shaped like `master`."""
        return tensor.detach().view(-1)[self.offset : self.offset + self.size]


def tensors(
    own: list[Piece], states: Any, average: Average | None = None
) -> dict[str, torch.Tensor]:
    """Return weights, optimizer states and averages of the pieces on the CPU.

    `states` has the masters as keys.
    """
    found = {}
    for piece in own:
        state = states.get(piece.master, {})
        kinds = {WEIGHT: piece.master, **{kind: state.get(kind) for kind in MOMENTS}}
        kinds[AVERAGE] = average(piece) if average else None
        for kind, tensor in kinds.items():
            if tensor is not None:
                found[f"{kind}:{piece.start}:{piece.name}"] = piece.view_in(tensor).cpu()
    return found


def write(path: Path, content: dict[str, torch.Tensor]) -> None:
    """Write `content` and read it back; raise ShardError if it differs."""
    save_file(content, path)
    with safe_open(path, "pt") as file:
        for name, tensor in content.items():
            # As bytes, because NaN does not equal itself.
            if not torch.equal(file.get_tensor(name).view(torch.uint8), tensor.view(torch.uint8)):
                raise ShardError(f"{path}: {name} is not what was written")


def load(
    paths: list[Path], own: list[Piece], states: Any, step: int, average: Average | None = None
) -> None:
    """Fill pieces, optimizer states and averages from shards of any world size and ZeRO stage.

    Raises ShardError if a range is in none of the files.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(path, "pt")) for path in paths]
        index: dict[tuple[str, str], list[tuple[int, Any, str]]] = defaultdict(list)
        for file in files:
            for key in file.keys():  # noqa: SIM118 (not a dictionary)
                kind, start, name = key.split(":", 2)
                index[kind, name].append((int(start), file, key))
        kinds = {kind for kind, _ in index} - {WEIGHT, AVERAGE}
        for piece in own:
            _fill(piece.view_in(piece.master), index[WEIGHT, piece.name], piece)
            if average:
                _fill(piece.view_in(average(piece)), index[AVERAGE, piece.name], piece)
            state = states[piece.master]
            for kind in kinds:
                if state.get(kind) is None:
                    state[kind] = torch.zeros_like(piece.master)
                _fill(piece.view_in(state[kind]), index[kind, piece.name], piece)
            if "exp_avg" in kinds:
                state["step"] = torch.tensor(float(step), device=piece.master.device)


def _fill(target: torch.Tensor, sources: list[tuple[int, Any, str]], piece: Piece) -> None:
    """Copy a piece's range into `target` from sources (start, file, key) that may overlap it."""
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
