"""What sbatch is given, by a program in its place that keeps it: arrays, groups, whole scripts."""

import re
import stat
import sys
from pathlib import Path

import pytest

from bench.data.sources import describe_from
from sweeps import spec as specs
from sweeps.expand import expand
from sweeps.launch import Work
from sweeps.submit import Submitted, submit
from tests.helpers.paths import DATA

RECORD = DATA / "batch_script.sh"
SBATCH = """#!/bin/sh
for script; do :; done
id=$(( 100 + $(ls "{folder}" | grep -c sh$) ))
cp "$script" "{folder}/$id.sh"
echo "Submitted batch job $id"
"""
SCONTROL = "#!/bin/sh\necho 'MaxArraySize = 3'\n"
SPEC = """
study: many
base: {data: digits, image_size: 8, steps: 1}
grid: {model: [vit_nano2, bit_nano], seed: [0, 1, 2, 3]}
overrides: [{match: {model: bit_nano}, set: {resources.nodes: 2}}]
resources: {cluster: slurm, parallel: 2}
"""
PROFILE = """
partition: gpu
account: vision
qos: long
constraint: h100&ib
exclude: node[07-08]
gpus_per_node: 8
cpus_per_task: 12
mem_gb: 960.0
setup: [module load cuda/12.4, source /opt/site/env.sh]
sbatch: {reservation: vision, mail-type: FAIL}
"""
GPU_SPEC = """
study: large
base: {data: digits, model: vit_b16, steps: 1, batch_size: 1024}
grid: {seed: [0, 1, 2]}
resources:
  cluster: slurm
  profile: site.yaml
  nodes: 4
  parallel: 2
  timeout_min: 1440
  setup: [export NCCL_DEBUG=WARN]
  sbatch: {nice: 100}
"""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where scripts are kept by their job's id, from 100 on."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {"sbatch": SBATCH.replace("{folder}", str(folder)), "scontrol": SCONTROL}
    for name in ("squeue", "srun", "sacct"):
        programs[name] = "#!/bin/sh\n"
    for name, text in programs.items():
        program = folder / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def submit_spec(folder: Path, text: str, *settings: str) -> Submitted:
    path = folder / "spec.yaml"
    path.write_text(text)
    spec, base = specs.load(str(path), settings)
    return submit(spec, expand(spec, describe_from(base)), folder / "runs")


def options(sbatch: Path, key: str) -> list[str]:
    """The values of one option of sbatch in the scripts, by their jobs' ids; "" without it."""
    found = []
    for script in sorted(sbatch.glob("*.sh")):
        values = re.findall(rf"^#SBATCH --{key}=(.*)$", script.read_text(), re.MULTILINE)
        found.append(values[0] if values else "")
    return found


def test_equal_resources_are_one_array_split_where_the_site_wants_it(
    sbatch: Path, tmp_path: Path
) -> None:
    done = submit_spec(tmp_path, SPEC)
    assert len(done.submitted) == 8
    # Four runs of each of two groups, at most three elements an array.
    assert options(sbatch, "array") == ["0-2%2", "", "0-2%2", ""]
    assert options(sbatch, "nodes") == ["1", "1", "2", "2"]
    # Two at a time: the second part of a group waits for its first.
    assert options(sbatch, "dependency") == ["", "afterany:100", "", "afterany:102"]


def test_without_a_cap_arrays_wait_for_nothing(sbatch: Path, tmp_path: Path) -> None:
    submit_spec(tmp_path, SPEC, "resources.parallel=0", "resources.max_array_size=10")
    assert options(sbatch, "array") == ["0-3%4", "0-3%4"]
    assert options(sbatch, "dependency") == ["", ""]


def test_what_the_queue_does_not_take_is_left_for_the_next_submit(
    sbatch: Path, tmp_path: Path
) -> None:
    done = submit_spec(tmp_path, SPEC, "resources.max_jobs=5")
    assert (len(done.submitted), len(done.left)) == (5, 3)
    assert not {*done.submitted} & {*done.left} and done.skipped == []


def test_a_run_and_its_evaluations_go_together_or_not_at_all() -> None:
    work = Work({"a": 0, "b": 2}, [(None, ["a", "b", "done"])], analyse=True)  # type: ignore[list-item]
    assert work.fit_into(None) is work and work.fit_into(6) is work
    # Each run takes two jobs, the evaluation of what is done one.
    assert work.fit_into(5) == Work({"a": 0, "b": 2}, [(None, ["a", "b", "done"])], False)  # type: ignore[list-item]
    assert work.fit_into(3) == Work({"a": 0}, [(None, ["a", "done"])], False)  # type: ignore[list-item]
    assert work.fit_into(0) == Work({}, [], False)


def test_the_batch_script_of_a_full_request_is_as_recorded(sbatch: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(PROFILE)
    done = submit_spec(tmp_path, GPU_SPEC)
    (script,) = sbatch.glob("*.sh")
    text = script.read_text().replace(sys.executable, "PYTHON")
    text = text.replace(str(done.study_dir), "STUDY")
    text = re.sub(r"STUDY/code/[0-9a-f]{12}", "STUDY/code/HASH", text)
    assert text == RECORD.read_text()
