"""Heartbeats are written and read back, also those of other versions."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.run import heartbeat
from bench.run.heartbeat import Heartbeat
from bench.training.meters import METERS
from results.schema import columns
from tests.helpers.heartbeats import make_beat
from tests.helpers.paths import DATA

# As version 0.1.0 wrote it, in a run that had just begun.
CLAIM = {
    "job_id": None,
    "cluster": "local",
    "host": "n1",
    "pid": 12,
    "pid_started": 1774000000.5,
    "created_at": "2026-03-20T10:00:00.250000+00:00",
    "ended": None,
}
CREATED = datetime(2026, 3, 20, 10, 0, 0, 250000, tzinfo=UTC)


def test_a_heartbeat_survives_its_file(tmp_path: Path) -> None:
    assert heartbeat.read(tmp_path, 1) is None
    beat = make_beat(step=7, loss=float("nan"), git_dirty=False, ended="hang", ended_at=CREATED)
    beat = replace(beat, measured={"energy_joules": 3.5, "peak_memory_bytes": 7})
    heartbeat.write(tmp_path, 1, beat)
    found = heartbeat.read(tmp_path, 1)
    assert found is not None and found.loss != found.loss
    assert replace(found, loss=None) == replace(beat, loss=None)


def test_a_claim_is_the_same_file_as_ever() -> None:
    beat = heartbeat.from_json(CLAIM)
    assert (beat.host, beat.pid, beat.created_at) == ("n1", 12, CREATED)
    assert beat.step is None and beat.train_seconds is None and beat.interval is None
    assert beat.as_json() == CLAIM


@pytest.mark.parametrize("path", sorted(DATA.glob("ledger_v1/*/attempts/*.json")), ids=str)
def test_an_old_ledgers_heartbeat_loses_nothing(path: Path) -> None:
    content = json.loads(path.read_text())
    beat = heartbeat.from_json(content)
    known = {name: value for name, value in content.items() if value is not None}
    assert known.items() <= beat.as_json().items()
    assert beat.micro_batch_size is None  # a later version's


def test_fields_of_a_later_version_are_left_out() -> None:
    later = CLAIM | {"step": 3, "carbon_grams": 4.0}
    assert heartbeat.from_json(later) == replace(heartbeat.from_json(CLAIM), step=3)


@pytest.mark.parametrize("ended", ["done", "lost", None])
def test_an_attempt_without_an_end_is_lost(ended: str | None) -> None:
    assert make_beat(ended=ended).outcome == (ended or "lost")


def test_all_that_the_ledger_says_of_an_attempt_is_in_its_heartbeat() -> None:
    known = {field.name for field in fields(Heartbeat)}
    asked = {column.name for column in columns("attempts")} - set(METERS)
    assert asked - known == {"study", "run_id", "attempt", "state"}


def test_attempts_are_numbered_by_their_files(tmp_path: Path) -> None:
    assert heartbeat.last_attempt(tmp_path) == 0
    for number in (1, 2, 11):
        heartbeat.write(tmp_path, number, make_beat(step=number))
    (tmp_path / "attempts" / "0012.parquet").touch()
    (tmp_path / "attempts" / ".0013.json.tmp").touch()
    assert heartbeat.last_attempt(tmp_path) == 12
    assert [beat.step for beat in heartbeat.read_all(tmp_path, after=1)] == [2, 11]
    assert json.loads(heartbeat.path(tmp_path, 2).read_text())["step"] == 2
