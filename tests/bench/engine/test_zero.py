"""ZeRO's partitions, read from private attributes of one version of DeepSpeed."""

import inspect
from importlib.metadata import version

import deepspeed.runtime.zero.stage3
import deepspeed.runtime.zero.stage_1_and_2
import deepspeed.utils.mixed_precision_linkage
import pytest
from torch import nn

from bench.engine import zero

STAGE_1_AND_2 = inspect.getsource(deepspeed.runtime.zero.stage_1_and_2)
STAGE_3 = inspect.getsource(deepspeed.runtime.zero.stage3)
LINKAGE = inspect.getsource(deepspeed.utils.mixed_precision_linkage)


def test_deepspeed_is_the_version_whose_private_attributes_are_read() -> None:
    assert version("deepspeed") == zero.VERSION, (
        "compare bench/engine/zero.py with the source of this version, then change VERSION"
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (LINKAGE, ["_hp_mapping"]),
        (STAGE_1_AND_2, ["single_partition_of_fp32_groups", "update_lp_params"]),
        (
            STAGE_3,
            [
                "grad_position",
                "get_param_id",
                "fp16_partitioned_groups",
                "fp16_partitioned_groups_flat",
                "fp32_partitioned_groups_flat",
                "persistent_parameters",
                "unflatten",
            ],
        ),
    ],
)
def test_its_attributes_are_in_deepspeeds_source(source: str, names: list[str]) -> None:
    assert [name for name in names if name not in source] == []


def test_at_stage_0_a_process_has_every_parameter_whole() -> None:
    module = nn.Linear(4, 3)
    found = zero.pieces(module, None, 0, rank=1, world_size=2)
    assert [(piece.name, piece.start, piece.size) for piece in found] == [
        ("weight", 0, 12),
        ("bias", 0, 3),
    ]
    assert found[0].view_in(found[0].master).tolist() == module.weight.flatten().tolist()
