"""An evaluation protocol from outside the packages, from the spec to the figure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.app import main
from bench.data.sources import describe_from
from bench.protocols import evaluations
from bench.run import protocols
from results import schema, store
from sweeps import expand, submit
from sweeps import spec as specs
from tests.helpers import pages

PAGE = "docs/how-to/add-a-protocol.md"
SPEC = """
study: noisy
base: {data: digits, model: vit_nano2, image_size: 8, steps: 60, batch_size: 64, recipe.lr: 0.002}
evaluations: [{protocol: noise, levels: [0.5]}]
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of the page, loaded; beside it a spec that asks for its protocol."""
    (tmp_path / "noisy.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(protocols, "OPTIONS", dict(protocols.OPTIONS))
    monkeypatch.setattr(evaluations, "PROTOCOLS", dict(evaluations.PROTOCOLS))
    monkeypatch.setitem(schema.TABLES, "evals", schema.TABLES["evals"])
    return pages.load_program(PAGE, tmp_path / "my_protocols.py")


def scalestudy(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    complaint = capsys.readouterr().err
    assert end.value.code == 2 and complaint.count("\n") == 1
    return complaint


def test_a_toy_protocol_is_planned_measured_and_shown(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (planned,) = json.loads(scalestudy(capsys, "plan", "noisy.yaml", "--json"))["runs"]
    spec, folder = specs.load("noisy.yaml")
    assert specs.dump(spec).endswith("evaluations:\n- protocol: noise\n  levels:\n  - 0.5\n")
    (request,) = expand.evaluations(spec, describe_from(folder))
    assert protocols.read_request(json.loads(json.dumps(request.as_json()))) == request
    (one,) = expand.expand(spec, describe_from(folder))
    run = one.run
    study = tmp_path / "runs" / "noisy"
    submit.write_study(study, spec, [run], [request])
    submit.write_config(study, run)
    command = [sys.executable, str(program), "train", str(study / planned["run_id"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

    evaluate = ("evaluate", "noisy", "--protocol", "noise", "--set")
    rows = json.loads(scalestudy(capsys, *evaluate, "levels=[0.5, 2]", "--json"))
    assert [row["noise"] for row in rows] == [0.5, 2.0]
    assert rows[0]["value"] > rows[1]["value"] > 0.05  # of ten classes
    shown = scalestudy(capsys, *evaluate, "levels=[2, 4]")
    assert all(f"noise {level}" in shown for level in (0.5, 2.0, 4.0))

    evals = store.load(study).evals
    assert evals.loc[evals["protocol"] == "noise", "noise"].tolist() == [0.5, 2.0, 4.0]
    row = scalestudy(capsys, "table", "noisy", "--rows", "label", "--columns", "noise")
    assert all(level in row for level in ("0.5", "2", "4"))
    scalestudy(capsys, "plot", "frontier", "noisy", "--where", "noise=0.5", "-o", "noisy.svg")
    assert (tmp_path / "noisy.svg").exists()
    scalestudy(capsys, "report", "noisy", "-o", "noisy.html")
    assert "noise digits, noise 0.5, top-1 accuracy" in (tmp_path / "noisy.html").read_text()

    # What the spec asks for is done once it has a record of its own.
    scalestudy(capsys, *evaluate, "levels=[0.5]")
    (status,) = json.loads(scalestudy(capsys, "status", "noisy", "--json"))["runs"]
    assert (status["evaluations"], status["evaluations_done"]) == (1, 1)


def test_help_and_refusals_list_the_toy_protocol(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    helped = " ".join(scalestudy(capsys, "evaluate", "--help").split())
    assert "ridge regression on few images; " in helped
    assert "; noise: accuracy on noisy images." in helped
    complaint = refused(capsys, "evaluate", "noisy", "--protocol", "nose")
    assert "given 'nose', expected one of " in complaint and ", noise" in complaint
    complaint = refused(capsys, "evaluate", "noisy", "--protocol", "noise", "--shots", "5")
    assert "shots: unknown key (expected one of protocol, data, levels)" in complaint
    (tmp_path / "wrong.yaml").write_text(SPEC.replace("noise,", "nose,"))
    complaint = refused(capsys, "plan", "wrong.yaml")
    assert "evaluations.0.protocol: given 'nose', expected 'fewshot', " in complaint
    assert " or 'noise'" in complaint
    (tmp_path / "wrong.yaml").write_text(SPEC.replace("levels", "level"))
    complaint = refused(capsys, "plan", "wrong.yaml")
    assert "evaluations.0.level: unknown key; did you mean levels?" in complaint
    (tmp_path / "wrong.yaml").write_text(SPEC.replace("[0.5]", "[-0.5]"))
    complaint = refused(capsys, "plan", "wrong.yaml")
    assert "evaluations.0.levels.0: given -0.5, expected greater than 0" in complaint
