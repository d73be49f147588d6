"""Processes that die, hang or fail beside others."""

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from bench.run import heartbeat
from bench.run.heartbeat import Ended, Heartbeat
from bench.training.failures import stack_path
from tests.helpers.processes import Start
from tests.helpers.runs import BATCH_SIZE, alive, read_all, write_run

NUM_RANKS, HANG_SECONDS = 4, 3.0


# Forks the processes of one attempt after the other: what they import is loaded once.
RANKS = """
import os, sys, traceback
from pathlib import Path
import torch._dynamo
import bench.training.loop as job
from bench.engine.engine import Engine
from bench.training.signals import Stopped

run_dir, size = Path(sys.argv[1]), int(os.environ["WORLD_SIZE"])
os.dup2(os.open(run_dir / "errors", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
step = Engine.train_step

def train_step(engine, *given, **more):
    asked = run_dir / f"raise-{engine.world.rank}"
    if asked.exists():
        asked.unlink()
        raise ValueError("boom")
    step(engine, *given, **more)

def train(rank):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    Engine.train_step = train_step
    try:
        job.train(run_dir)
    except Stopped:
        os._exit(5)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

for line in sys.stdin:
    os.environ["MASTER_PORT"] = line.strip()
    pids = []
    for rank in range(size):
        if not (pid := os.fork()):
            train(rank)
        pids.append(pid)
    print(*pids, flush=True)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(*codes, flush=True)
"""


class Ranks:
    """Attempts at a run by four processes each."""

    def __init__(self, process: "subprocess.Popen[str]", run_dir: Path) -> None:
        self.process, self.run_dir = process, run_dir
        self.number = 0

    def start(self) -> list[int]:
        """The processes of the next attempt, when they have made some steps."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            print(probe.getsockname()[1], file=self.process.stdin, flush=True)
        self.number += 1
        pids = self._answer()
        first, deadline = None, time.monotonic() + 120
        while first is None or self.step() < first + 5:
            assert time.monotonic() < deadline, (self.run_dir / "errors").read_text()
            time.sleep(0.02)
            beat = self.beat()
            seen = beat.from_examples if beat else None
            first = seen // BATCH_SIZE if first is None and seen is not None else first
        return pids

    def beat(self) -> Heartbeat | None:
        return heartbeat.read(self.run_dir, self.number)

    def step(self) -> int:
        beat = self.beat()
        return (beat.step if beat else None) or 0

    def end(self) -> list[int]:
        """The exit status of each process, when all have left."""
        return self._answer()

    def _answer(self) -> list[int]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return [int(word) for word in line.split()]


def test_whatever_happens_to_one_of_four_all_leave(tmp_path: Path, start_python: Start) -> None:
    engine = {"num_workers": 1, "log_steps": 5, "hang_seconds": HANG_SECONDS}
    engine |= {"heartbeat_seconds": 0.01}
    run_dir = write_run(tmp_path, engine, steps=10**6)
    mark = f"watchdog-{os.getpid()}"
    shared = {"WORLD_SIZE": NUM_RANKS, "MASTER_ADDR": "127.0.0.1", "MARK": mark}
    process = start_python(RANKS, run_dir, **shared)
    ranks = Ranks(process, run_dir)
    moments = random.Random(0)

    def act(what: str, rank: int, action: Any, seconds: float, ended: Ended) -> str:
        pids = ranks.start()
        assert len(marked(mark)) == 1 + 2 * NUM_RANKS  # each with its loader's worker
        time.sleep(moments.uniform(0, 0.3))
        began, step = time.monotonic(), ranks.step()
        action(pids[rank])
        codes = ranks.end()
        passed = time.monotonic() - began
        left = [p for p in marked(mark) if p.pid != process.pid]
        psutil.wait_procs(left, timeout=5)
        assert not [p for p in marked(mark) if p.pid != process.pid]
        beat = ranks.beat()
        assert beat is not None
        steps = ranks.step() - step
        print(f"{what} of process {rank}: {ended} after {passed:.1f} s and {steps} steps, {codes}")
        print(f"    {beat.reason}")
        assert beat.ended == ended, beat
        assert passed < seconds
        assert all(codes) and len(codes) == NUM_RANKS
        return beat.reason or ""

    def send(signum: int) -> Any:
        return lambda pid: os.kill(pid, signum)

    for rank in (3, 0):
        reason = act("SIGUSR2", rank, send(signal.SIGUSR2), 20, "preempted")
        assert "SIGUSR2: saved at step" in reason
    for rank in (2, 0):
        reason = act("SIGSTOP", rank, send(signal.SIGSTOP), HANG_SECONDS + 20, "hang")
        assert reason.endswith(f"no sign of life from process {rank}")
        for other in set(range(NUM_RANKS)) - {rank}:
            assert "bench/training/loop.py" in stack_path(run_dir, ranks.number, other).read_text()
        assert not stack_path(run_dir, ranks.number, rank).exists()
    reason = act("SIGKILL", 1, send(signal.SIGKILL), 20, "lost")
    assert reason.startswith("process 1 of the attempt")
    reason = act("ValueError", 3, lambda _: (run_dir / "raise-3").touch(), 20, "failed")
    assert reason == "process 3: ValueError: boom"
    # A row for each, and nothing is trained on but from where the attempt before had saved.
    rows = read_all(run_dir / "attempts")
    ended = ["preempted"] * 2 + ["hang"] * 2 + ["lost", "failed"]
    assert [row["ended"] for row in rows] == ended
    assert [row["attempt"] for row in rows] == list(range(1, 7))
    assert rows[0]["to_examples"] == rows[1]["from_examples"]
    saved = rows[1]["to_examples"]
    assert {row["from_examples"] for row in rows[2:]} == {saved}
    assert all(row["train_seconds"] > HANG_SECONDS for row in rows if row["ended"] == "hang")


def marked(mark: str) -> list[psutil.Process]:
    return alive(mark, variable="MARK")
