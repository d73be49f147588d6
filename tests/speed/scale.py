"""10,000 runs: planned, submitted as job arrays, asked for their state; 100,000 planned.

    python -m tests.speed.scale

Programs in the place of sbatch, squeue, scontrol and sacct count how often they are called, and
answer as Slurm does, so that what is measured is ours. Every command is a fresh process, start-up
included. Prints wall and processor seconds, peak memory and calls beside the limits; exits 1 where
one is missed (of time: where both exceed it, for on a busy machine only the second tells).
"""

import json
import math
import os
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.speed.history import Figure, record

ROOT = Path(__file__).resolve().parents[2]
NUM_RUNS, MANY_RUNS = 10_000, 100_000
MAX_ARRAY_SIZE = 1001
MODELS = ("vit_nano2", "vit_nano4", "bit_nano", "r8_vit_nano2")
# One of the models has resources of its own: two groups.
SPEC = """
study: {study}
base: {{data: digits, image_size: 8, epochs: 3, batch_size: 64, recipe.lr: 1e-3}}
grid:
  model: [{models}]
  train_examples: [100, 200, 400, 800, 1000]
  seed: {seeds}
overrides:
  - match: {{model: bit_nano}}
    set: {{resources.nodes: 2}}
resources: {{cluster: slurm}}
"""
PROGRAMS = {
    "sbatch": """
for script; do :; done
id=$(( 1000 + $(cat arrays 2>/dev/null | wc -l) ))
echo "$id $(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")" >> arrays
echo "Submitted batch job $id"
""",
    "squeue": """
awk '{ for (i = 0; i <= $2; i++) print $1 "_" i "|PENDING||Resources" }' arrays
""",
    "scontrol": f"""
[ "$2" = config ] && echo "MaxArraySize = {MAX_ARRAY_SIZE}" && echo "MaxJobCount = 1000000"
""",
    "sacct": "",
    "srun": "",
}


@dataclass(frozen=True)
class Used:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    calls: dict[str, int]
    said: bytes


def make_programs(folder: Path) -> None:
    folder.mkdir()
    for name, body in PROGRAMS.items():
        program = folder / name
        text = f'#!/bin/sh\necho {name} >> "{folder}/calls"\n'
        text += body.replace("arrays", f'"{folder}/arrays"')
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


def run(programs: Path, *arguments: str) -> Used:
    (programs / "calls").write_text("")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments], env=environment, stdout=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, arguments
        output.seek(0)
        said = output.read()
    names = (programs / "calls").read_text().split()
    calls = {name: names.count(name) for name in PROGRAMS if name in names}
    cpu = usage.ru_utime + usage.ru_stime
    return Used(seconds, cpu, 1024 * usage.ru_maxrss, calls, said)


def write_spec(folder: Path, study: str, num_runs: int) -> str:
    seeds = list(range(num_runs // (len(MODELS) * 5)))
    path = folder / f"{study}.yaml"
    path.write_text(SPEC.format(study=study, models=", ".join(MODELS), seeds=seeds))
    return str(path)


def show(name: str, used: Used, seconds: float, peak_bytes: float | None = None) -> list[Figure]:
    calls = ", ".join(f"{count} {program}" for program, count in used.calls.items()) or "none"
    limit = f"{seconds:g} s" + (f", {peak_bytes / 1e9:.1f} GB" if peak_bytes else "")
    print(
        f"{name:<28}{used.seconds:>7.2f} s{used.cpu_seconds:>7.2f} s"
        f"{used.peak_bytes / 1e9:>7.2f} GB   {limit:<14}{calls}",
        flush=True,
    )
    return [
        Figure(name, min(used.seconds, used.cpu_seconds), "s", seconds),
        Figure(f"{name}, peak", used.peak_bytes, "B", peak_bytes),
    ]


def main() -> None:
    print(f"{'':<28}{'wall':>9}{'CPU':>9}{'peak':>10}   {'limits':<14}calls to Slurm")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs, root = folder / "bin", ("--root", str(folder / "runs"))
        make_programs(programs)
        spec = write_spec(folder, "large", NUM_RUNS)
        figures, too_many_calls = [], False
        planned = run(programs, "plan", spec, "--json", *root)
        figures += show(f"plan {NUM_RUNS:,} --json", planned, 3.0, 0.3e9)
        figures += show(f"plan {NUM_RUNS:,}", run(programs, "plan", spec, *root), 3.0, 0.3e9)

        submitted = run(programs, "submit", spec, "--json", *root)
        figures += show(f"submit {NUM_RUNS:,}", submitted, 10.0)
        assert len(json.loads(submitted.said)["submitted"]) == NUM_RUNS
        groups = (NUM_RUNS // len(MODELS), NUM_RUNS - NUM_RUNS // len(MODELS))
        most = sum(math.ceil(group / MAX_ARRAY_SIZE) for group in groups)
        too_many_calls |= submitted.calls["sbatch"] > most
        print(f"{'':<28}two groups of {groups[0]:,} and {groups[1]:,}: at most {most} sbatch")

        again = run(programs, "submit", spec, "--json", *root)
        figures += show("submit again", again, 10.0)
        assert not json.loads(again.said)["submitted"] and "sbatch" not in again.calls
        for arguments in (("status", "large", "--json"), ("status", "large")):
            used = run(programs, *arguments, *root)
            figures += show(" ".join(arguments), used, 1.5)
            too_many_calls |= sum(used.calls.values()) > 1

        many = write_spec(folder, "many", MANY_RUNS)
        planned = run(programs, "plan", many, "--json", *root)
        figures += show(f"plan {MANY_RUNS:,} --json", planned, 20.0)
        assert len(json.loads(planned.said)["runs"]) == MANY_RUNS
    sys.exit(not record(__file__, figures) or too_many_calls)


if __name__ == "__main__":
    main()
