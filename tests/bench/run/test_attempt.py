"""One attempt at a time claims a run, and a dead one gives it up."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from bench.run import attempt
from bench.run.attempt import AlreadyRunning, Attempt, read_disk
from bench.run.heartbeat import Ended, last_attempt, unrecorded
from results.ledger import parquet
from tests.helpers.processes import Start

CLAIM = """
import sys, time
from pathlib import Path
from bench.run.attempt import Attempt
Attempt(Path(sys.argv[1])).beat(0.0, step=7)
print("claimed", flush=True)
time.sleep(60)
"""

RACE = """
import os, sys
from pathlib import Path
from bench.run.attempt import AlreadyRunning, Attempt

def claim(run_dir, start, finish, result):
    os.read(start, 1)  # returns for all at once, when the other end is closed
    try:
        Attempt(run_dir)
        os.write(result, b"won ")
    except AlreadyRunning:
        os.write(result, b"lost ")
    os.read(finish, 1)  # a winner lives until all have tried

for round in range(10):
    run_dir = Path(sys.argv[1]) / str(round)
    start, finish, result = os.pipe(), os.pipe(), os.pipe()
    children = []
    for _ in range(8):
        if not (child := os.fork()):
            os.close(start[1]), os.close(finish[1])
            claim(run_dir, start[0], finish[0], result[1])
            os._exit(0)
        children.append(child)
    os.close(start[1])
    answers = b""
    while answers.count(b" ") < 8:
        answers += os.read(result[0], 100)
    os.close(finish[1])
    for child in children:
        os.waitpid(child, 0)
    print(*sorted(answers.decode().split()))
"""


def test_the_first_claim_is_attempt_one(tmp_path: Path) -> None:
    assert read_disk(tmp_path).state == "missing"
    claim = Attempt(tmp_path)
    assert claim.number == 1
    assert [path.name for path in (tmp_path / "attempts").iterdir()] == ["0001.json"]
    disk = read_disk(tmp_path)
    assert (disk.state, disk.attempt) == ("running", 1)
    assert disk.beat is not None
    assert (disk.beat.host, disk.beat.pid) == (socket.gethostname(), os.getpid())


def test_a_second_claim_is_refused_while_the_first_is_alive(tmp_path: Path) -> None:
    Attempt(tmp_path)
    with pytest.raises(AlreadyRunning, match=f"as process {os.getpid()}"):
        Attempt(tmp_path)
    assert last_attempt(tmp_path) == 1


def test_a_claim_ends_with_its_process(tmp_path: Path, start_python: Start) -> None:
    process = start_python(CLAIM, tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "claimed\n"
    with pytest.raises(AlreadyRunning, match=f"as process {process.pid}"):
        Attempt(tmp_path)

    process.kill()
    # Nobody has asked for its exit status yet: it is a zombie, and as good as gone.
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)
    assert read_disk(tmp_path).state == "missing"
    process.wait()
    assert read_disk(tmp_path).state == "missing"

    assert Attempt(tmp_path).number == 2
    ((number, beat),) = unrecorded(tmp_path, before=2)
    assert (number, beat.step, beat.ended) == (1, 7, None)


def test_of_eight_processes_exactly_one_wins(tmp_path: Path, start_python: Start) -> None:
    output, errors = start_python(RACE, tmp_path).communicate(timeout=240)
    assert output.splitlines() == [" ".join(["lost"] * 7 + ["won"])] * 10, errors
    for round in range(10):
        names = os.listdir(tmp_path / str(round) / "attempts")
        assert names == ["0001.json"]  # and no drafts are left


def test_another_process_with_the_same_number_is_not_the_same(tmp_path: Path) -> None:
    claim = Attempt(tmp_path)
    claim.beat(0.0, pid_started=claim.last.pid_started - 60)
    assert read_disk(tmp_path).state == "missing"


def test_a_claim_from_elsewhere_counts_while_its_heart_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    Attempt(tmp_path).beat(0.0, host="another-host")
    path = tmp_path / "attempts" / "0001.json"
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    assert read_disk(tmp_path).state == "running"
    # A requeued job is its own successor, on whatever host it wakes.
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert read_disk(tmp_path).state == "missing"
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    silent = time.time() - attempt.SILENT_SECONDS - 1
    os.utime(path, (silent, silent))
    assert read_disk(tmp_path).state == "missing"


@pytest.mark.parametrize(("silent", "state"), [(170.0, "running"), (190.0, "missing")])
def test_a_slow_heartbeat_from_elsewhere_has_three_intervals(
    tmp_path: Path, silent: float, state: str
) -> None:
    claim = Attempt(tmp_path)
    claim.beat(60.0, host="another-host")
    claim.beat(0.0)
    at = time.time() - silent
    os.utime(tmp_path / "attempts" / "0001.json", (at, at))
    assert read_disk(tmp_path).state == state


def test_outside_a_job_a_claim_from_elsewhere_is_not_this_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID", "SUBMITIT_LOCAL_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    Attempt(tmp_path).beat(0.0, host="another-host")
    assert read_disk(tmp_path).state == "running"


def test_a_heart_beats_no_faster_than_asked(tmp_path: Path) -> None:
    claim = Attempt(tmp_path)
    path = tmp_path / "attempts" / "0001.json"
    claim.beat(0.0, step=1)
    claim.beat(60.0, step=2)
    assert json.loads(path.read_text())["step"] == 1
    assert claim.last.step == 2
    claim.beat(0.0)
    assert json.loads(path.read_text())["step"] == 2


@pytest.mark.parametrize("ended", ["done", "failed"])
def test_an_attempt_that_ended_says_how(tmp_path: Path, ended: Ended) -> None:
    Attempt(tmp_path).end(ended, "a reason")
    disk = read_disk(tmp_path)
    assert (disk.state, disk.reason) == (ended, "a reason")
    assert Attempt(tmp_path).number == 2


def test_without_heartbeats_the_ledger_tells_the_state(tmp_path: Path) -> None:
    row = {"study": "s", "run_id": "r", "state": "done"}
    parquet.write(tmp_path / "run.parquet", "runs", [row])
    assert read_disk(tmp_path).state == "done"


def test_the_row_of_earlier_attempts_says_nothing_about_a_later_one(tmp_path: Path) -> None:
    row = {"study": "s", "run_id": "r", "state": "failed", "failure": "no luck", "attempts": 1}
    Attempt(tmp_path).end("lost")
    parquet.write(tmp_path / "run.parquet", "runs", [row])
    disk = read_disk(tmp_path)
    assert (disk.state, disk.reason) == ("failed", "no luck")
    Attempt(tmp_path).end("lost")
    assert read_disk(tmp_path).state == "missing"


def test_attempts_with_a_row_are_recorded(tmp_path: Path) -> None:
    for _ in range(3):
        Attempt(tmp_path).end("failed")
    (tmp_path / "attempts" / "0002.parquet").write_bytes(b"")
    assert [number for number, _ in unrecorded(tmp_path, before=4)] == [1, 3]
    assert unrecorded(tmp_path, before=1) == []


@pytest.mark.parametrize("ignored", ["", "signal.signal(signal.SIGUSR2, signal.SIG_IGN)"])
def test_a_job_that_starts_again_ends_what_is_left_of_its_earlier_start(
    tmp_path: Path, start_python: Start, monkeypatch: pytest.MonkeyPatch, ignored: str
) -> None:
    claim = f"import signal\n{ignored}\n{CLAIM}"
    process = start_python(claim, tmp_path, SLURM_JOB_ID=17)
    assert process.stdout is not None and process.stdout.readline() == "claimed\n"
    for another in ("18", None):
        if another:
            monkeypatch.setenv("SLURM_JOB_ID", another)
        attempt.end_orphan(tmp_path, seconds=0.5)
        assert process.poll() is None
        monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    attempt.end_orphan(tmp_path, seconds=0.5)
    assert process.wait(timeout=5) == -(signal.SIGKILL if ignored else signal.SIGUSR2)
    assert Attempt(tmp_path).number == 2
