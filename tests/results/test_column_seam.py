"""A cost from outside the packages, from the meter to the report."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.app import main
from bench.data.sources import describe_from
from bench.run import ledger
from bench.run.config import Run
from bench.training import meters
from bench.training.clock import Clock
from bench.training.recorder import Recorder
from results import schema, store
from results.columns import formatting
from results.ledger import parquet
from sweeps import expand, submit
from sweeps import spec as specs
from tests.helpers import pages
from tests.helpers.paths import DATA
from tests.helpers.recorders import DEVICE, WORLD

PAGE = "docs/how-to/add-a-column.md"
SPEC = """
study: wet
base: {data: digits, model: vit_nano2, image_size: 8, steps: 4, batch_size: 64}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of the page, loaded; beside it a spec."""
    (tmp_path / "wet.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    for table, columns in schema.TABLES.items():
        monkeypatch.setitem(schema.TABLES, table, columns)
    monkeypatch.setattr(meters, "METERS", dict(meters.METERS))
    return pages.load_program(PAGE, tmp_path / "my_columns.py")


def scalestudy(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0, capsys.readouterr().err
    return capsys.readouterr().out


def preempt_once(run_dir: Path, run: Run) -> float:
    """Record an attempt that is stopped before its first step; return the water it used."""
    recorder = Recorder(run_dir, run, Clock())
    recorder.begin(WORLD, DEVICE, 64)
    recorder.start_steps(0)
    recorder.stop(0, "preempted", "SIGUSR2")
    (row,) = ledger.read_attempts(run_dir)
    assert row["ended"] == "preempted"
    return float(row["water_liters"])


def test_a_toy_cost_is_measured_summed_and_shown(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, folder = specs.load("wet.yaml")
    (one,) = expand.expand(spec, describe_from(folder))
    study = tmp_path / "runs" / "wet"
    submit.write_study(study, spec, [one.run], [])
    submit.write_config(study, one.run)
    run_dir = study / one.run_id
    first = preempt_once(run_dir, one.run)
    assert first > 0
    command = [sys.executable, str(program), "train", str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

    loaded = store.load(study)
    assert loaded.attempts["water_liters"].tolist()[0] == first
    second = loaded.attempts["water_liters"].tolist()[1]
    assert second > first
    assert loaded.runs["water_liters"].tolist() == [first + second]

    heading, *_ = scalestudy(capsys, "table", "wet").splitlines()
    assert "water (l)" in heading
    assert "water (l)" in scalestudy(capsys, "table", "wet", "--cost", "water_liters")
    figure = ("plot", "frontier", "wet", "--cost", "water_liters", "-o", "wet.svg")
    scalestudy(capsys, *figure)
    assert "water (liters)" in (tmp_path / "wet.svg").read_text()
    scalestudy(capsys, "report", "wet", "--cost", "water_liters", "-o", "wet.html")
    page = (tmp_path / "wet.html").read_text()
    payload = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert "water_liters" in payload["axes"] and "water_liters" in payload["shown"]
    assert (
        '<th scope="col">water</th>' in page
        and formatting.amount("water_liters", first + second) in page
    )

    planned = json.loads(scalestudy(capsys, "plan", "wet.yaml", "--set", "seed=1", "--json"))
    (row,) = planned["runs"]
    assert row["predicted_water_liters"] == pytest.approx(first + second)
    assert planned["totals"]["predicted_water_liters_to_do"] == row["predicted_water_liters"]
    assert "water (l)" in scalestudy(capsys, "plan", "wet.yaml", "--set", "seed=1")


@pytest.mark.parametrize("verb", ["table", "plot", "report", "compare"])
def test_help_lists_the_toy_cost(
    program: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    helped = " ".join(scalestudy(capsys, verb, "--help").split())
    assert "energy_joules, water_liters, train_seconds." in helped


def test_a_ledger_from_before_the_toy_cost_loads(program: Path, tmp_path: Path) -> None:
    shutil.copytree(DATA / "ledger_v1", tmp_path / "old")
    loaded = store.load(tmp_path / "old")
    assert len(loaded.runs) and loaded.runs["water_liters"].isna().all()
    (path, *_) = sorted((tmp_path / "old").glob("*/attempts/*.parquet"))
    assert ledger.totals(parquet.read_rows(path))["water_liters"] is None
