"""What Slurm is asked for: parameters, arrays as long as the site takes, nothing for a shell."""

from pathlib import Path

import pytest

from sweeps.documents import SpecError
from sweeps.resources import Resources
from sweeps.schedulers import slurm
from sweeps.schedulers.base import After
from sweeps.spec import load


def test_parameters_are_one_task_a_device() -> None:
    resources = Resources(
        cluster="slurm",
        nodes=2,
        gpus_per_node=4,
        partition="gpu",
        parallel=8,
        mem_gb=64.0,
        setup=["module load cuda"],
        sbatch={"reservation": "vision", "nice": 100},
    )
    assert slurm.parameters(resources) == {
        "name": "scalestudy",
        "nodes": 2,
        "tasks_per_node": 4,
        "gpus_per_node": 4,
        "cpus_per_task": 1,
        "timeout_min": 1440,
        "mem_gb": 64.0,
        "slurm_srun_args": ["--kill-on-bad-exit=1", "--cpus-per-task=1"],
        "slurm_array_parallelism": 8,
        "slurm_partition": "gpu",
        "slurm_signal_delay_s": 90,
        "slurm_setup": [
            "export SCALESTUDY_STARTED=$(date +%s)",
            "export SCALESTUDY_END_TIME=$((SCALESTUDY_STARTED + 86400))",
            "module load cuda",
        ],
        "slurm_additional_parameters": {"requeue": True, "reservation": "vision", "nice": 100},
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("partition", '"gpu\\nrm -rf ~"'),
        ("setup", '["module load cuda\\n"]'),
        ("sbatch", '{"comment\\n#SBATCH": "x"}'),
        ("sbatch", '{comment: "a\\rb"}'),
        ("account", '"vision\\x7f"'),
    ],
)
def test_control_characters_are_refused(tmp_path: Path, key: str, value: str) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"study: s\nbase: {{data: digits, epochs: 1}}\nresources: {{{key}: {value}}}\n")
    with pytest.raises(SpecError, match=f"resources.{key}: given .*, expected printable text"):
        load(str(spec), [])


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (After(), None),
        (After(("17_0", "17_1", "9")), "afterany:17:9"),
        (After(("17_0", "17_1"), each=True), "aftercorr:17"),
        (After(("17",), each=True), "afterok:17"),
    ],
)
def test_a_dependency_is_on_arrays_or_on_their_elements_one_by_one(
    after: After, expected: str | None
) -> None:
    assert slurm.dependency_of(after) == expected
