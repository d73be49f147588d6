"""Map ZeRO's partitions to ranges of parameters, from DeepSpeed's private attributes.

DeepSpeed has no public way to ask which range of which parameter a rank updates. The attributes
are those of VERSION; before pinning another version, compare `pieces` and `publish` with its
`runtime/zero/stage_1_and_2.py` and `stage3.py`.
"""

from typing import Any

from torch import nn

from bench.engine.shards import Piece

VERSION = "0.19.8"


def pieces(module: nn.Module, zero: Any, stage: int, rank: int, world_size: int) -> list[Piece]:
    """Return the pieces that `rank` updates; `zero` is DeepSpeed's optimizer at stages 1 to 3.

    At stage 0 every rank updates all parameters.
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
    """Stages 1 and 2: a rank updates a range of each group of concatenated parameters."""
    mapping = parameter._hp_mapping
    if mapping is None:
        return None
    here, whole = mapping.hp_fragment_address, mapping.lp_fragment_address
    master = zero.single_partition_of_fp32_groups[mapping.param_group_index]
    return Piece(name, whole.start, whole.numel, master, here.start)


def _piece_of_partition(
    name: str, parameter: Any, zero: Any, rank: int, world_size: int
) -> Piece | None:
    """Stage 3: each parameter is split into equal parts, the last one padded."""
    group, offset, size = zero.grad_position[zero.get_param_id(parameter)]
    start = rank * size
    master = zero.fp32_partitioned_groups_flat[group]
    return Piece(name, start, min(size, parameter.ds_numel - start), master, offset)


def publish(zero: Any, stage: int) -> None:
    """Copy a ZeRO optimizer's fp32 partitions to the network after loading (collective)."""
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
        # Persistent parameters keep a stale gathered copy; partition and gather them again.
        if zero.persistent_parameters:
            zero.persistent_parameters[0].partition(zero.persistent_parameters)
            zero.persistent_parameters[0].all_gather(zero.persistent_parameters)
