"""A process that makes no progress ends its attempt, with time for a first step and a nap."""

import signal
import time
from pathlib import Path
from subprocess import Popen

from tests.helpers.heartbeats import last_beat
from tests.helpers.processes import Start
from tests.helpers.runs import write_run

HANG_SECONDS, PATIENCE_SECONDS = 2.0, 6.0

# Two steps, the first of them slower than a step may be; then what the second argument says.
PROGRAM = """
import sys, time
from pathlib import Path
from bench.engine.world import join_world
from bench.run.config import read_run
from bench.training import watchdog
from bench.training.clock import Clock
from bench.training.recorder import Recorder

run_dir, hang, patience, then = Path(sys.argv[1]), *map(float, sys.argv[2:])
watchdog.PATIENCE_SECONDS = patience
run, world, clock = read_run(run_dir), join_world(), Clock()
recorder = Recorder(run_dir, run, clock)
with watchdog.Watchdog(run_dir, run, world, clock, recorder) as dog:
    clock.switch("train")
    time.sleep((hang + patience) / 2)
    dog.progress(is_step=True)
    dog.progress(is_step=True)
    print("stepping", flush=True)
    time.sleep(then)
    dog.progress(is_step=True)
print("over")
"""


def start(tmp_path: Path, start_python: Start, then: float) -> tuple[Path, "Popen[str]"]:
    run_dir = write_run(tmp_path, {"hang_seconds": HANG_SECONDS})
    process = start_python(PROGRAM, run_dir, HANG_SECONDS, PATIENCE_SECONDS, then)
    assert process.stdout is not None
    assert process.stdout.readline() == "stepping\n"
    return run_dir, process


def test_a_step_that_hangs_ends_the_attempt_and_a_slow_first_one_does_not(
    tmp_path: Path, start_python: Start
) -> None:
    run_dir, process = start(tmp_path, start_python, then=600.0)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    beat = last_beat(run_dir)
    assert beat.ended == "hang" and str(beat.reason).startswith("no progress for ")
    stacks = (run_dir / "log" / "stack-0001-rank0.txt").read_text()
    assert "time.sleep" in stacks or "<string>" in stacks


def test_a_process_that_was_suspended_does_not_hang(tmp_path: Path, start_python: Start) -> None:
    run_dir, process = start(tmp_path, start_python, then=HANG_SECONDS / 4)
    process.send_signal(signal.SIGSTOP)
    time.sleep(2 * HANG_SECONDS)
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "over\n"), errors
    assert last_beat(run_dir).ended is None
