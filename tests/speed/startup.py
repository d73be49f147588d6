"""How long commands take to start, and a job to its first training step: medians of five.

    python -m tests.speed.startup

Every command is a fresh process; the commands take turns, so that a slow moment of the machine
does not fall on one of them alone. Limits are those of the design.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.data.sources import describe_from
from results import store
from sweeps import spec as specs
from sweeps.expand import expand
from sweeps.submit import write_study
from tests.helpers.heartbeats import write_beat
from tests.speed.history import Figure, record

ROUNDS = 5
COMMANDS = {
    ("--help",): 0.3,
    ("models",): 0.6,
    ("models", "--json"): 0.6,
}
NUM_RUNS = 10_000
STATUS_LIMIT = 1.5
FIRST_STEP_LIMIT = 7.0
STUDY = ("--set", "study=startup", "--set", "model=vit_nano2", "--set", "steps=2")


def seconds(command: tuple[str, ...]) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "bench", *command], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return time.perf_counter() - start


def first_step_seconds(folder: Path) -> float:
    """From the start of the job's process to its first step, as the ledger has it."""
    shutil.rmtree(folder, ignore_errors=True)
    seconds(
        ("submit", "demo", *STUDY, "--set", "train_examples=50", "--root", str(folder), "--wait")
    )
    (startup,) = store.load(folder / "startup").runs["startup_seconds"]
    return float(startup)


def make_large_study(root: Path) -> None:
    """A study of 10,000 runs that are done, as their jobs would have left it."""
    settings = ["study=large", "model=vit_nano2", "train_examples=50"]
    spec, folder = specs.load("demo", [*settings, f"seed={list(range(NUM_RUNS))}"])
    runs = [one.run for one in expand(spec, describe_from(folder))]
    write_study(root / "large", spec, runs)
    for run in runs:
        write_beat(root / "large" / run.run_id, ended="done", step=150, num_steps=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {" ".join(command): [] for command in COMMANDS}
    taken |= {"status of 10,000 runs": [], "first training step": []}
    with tempfile.TemporaryDirectory() as folder:
        make_large_study(Path(folder))
        for command in COMMANDS:
            seconds(command)
        for _ in range(rounds):
            for command in COMMANDS:
                taken[" ".join(command)].append(seconds(command))
            taken["status of 10,000 runs"].append(seconds(("status", f"{folder}/large")))
            taken["first training step"].append(first_step_seconds(Path(folder) / "runs"))
    limits = {" ".join(command): limit for command, limit in COMMANDS.items()}
    limits |= {"status of 10,000 runs": STATUS_LIMIT, "first training step": FIRST_STEP_LIMIT}
    print(f"{'':<22}{'median':>8}{'min':>8}{'max':>8}{'limit':>8}")
    for name, values in taken.items():
        figures = (statistics.median(values), min(values), max(values), limits[name])
        print(f"{name:<22}" + "".join(f"{figure:>7.2f}s" for figure in figures))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    sys.exit(not record(__file__, (Figure(n, v, "s", limits[n]) for n, v in medians.items())))


if __name__ == "__main__":
    main()
