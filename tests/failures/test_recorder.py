"""Attempts that are killed while they record."""

from pathlib import Path

import pytest

from bench.run import ledger
from bench.run.heartbeat import NO_REPORT
from bench.training.clock import Clock
from bench.training.recorder import Recorder
from results.ledger import parquet
from tests.helpers.processes import Start
from tests.helpers.recorders import DEVICE, EVALUATION, WORLD, make_run

KILLED = """
import os, signal, sys
from pathlib import Path
from bench.training.clock import Clock
from bench.training.recorder import Recorder
from tests.helpers.recorders import DEVICE, WORLD, make_run
recorder = Recorder(Path(sys.argv[1]), make_run(), Clock())
if sys.argv[2] != "claimed":
    recorder.begin(WORLD, DEVICE, 16)
if sys.argv[2] == "trained":
    recorder.start_steps(0)
    recorder.clock.switch("train")
    recorder.beat(3)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["claimed", "begun", "trained"])
def test_a_killed_attempt_is_charged_by_the_next(
    moment: str, tmp_path: Path, start_python: Start
) -> None:
    start_python(KILLED, tmp_path, moment).communicate(timeout=60)
    assert not (tmp_path / "attempts" / "0001.parquet").exists()

    recorder = Recorder(tmp_path, make_run(), Clock())
    recorder.begin(WORLD, DEVICE, 16)
    recorder.start_steps(0)
    recorder.clock.switch("train")
    recorder.finish(10, EVALUATION)
    lost, done = ledger.read_attempts(tmp_path)
    assert (lost["state"], lost["ended"]) == ("failed", "lost")
    assert lost["reason"] == NO_REPORT
    assert lost["to_examples"] == (96 if moment == "trained" else None)
    (row,) = parquet.read_rows(tmp_path / "run.parquet")
    assert (row["state"], row["attempts"]) == ("done", 2)
    for name in ("train_seconds", "startup_seconds"):
        assert row[name] == pytest.approx(lost[name] + done[name])
    assert row["accelerator_days"] == pytest.approx(row["train_seconds"] / 86400)
