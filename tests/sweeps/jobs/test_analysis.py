"""Tables and figures that a spec asks for."""

import json
import sys
from pathlib import Path

import pytest

from sweeps.documents import SpecError
from sweeps.jobs import analysis
from sweeps.spec import load


def test_a_line_becomes_a_command_of_ours() -> None:
    study, file = Path("runs/s"), Path("runs/s/analysis/f.png")
    words = analysis.command(study, file, "plot frontier --cost accelerator_days")
    assert words == [
        *(sys.executable, "-m", "bench", "plot", "frontier", "runs/s"),
        *("--cost", "accelerator_days", "-o", "runs/s/analysis/f.png"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{f.png: rm -rf}", "analysis.f.png: given 'rm -rf', expected one of table, plot, report"),
        ("{f.png: ''}", "analysis.f.png: given '', expected one of"),
        ("{../f.png: table}", "analysis: given '../f.png', expected letters"),
    ],
)
def test_other_commands_and_folders_are_refused(tmp_path: Path, line: str, complaint: str) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"study: s\nbase: {{data: digits, epochs: 1}}\nanalysis: {line}\n")
    with pytest.raises(SpecError, match=complaint):
        load(str(spec), [])


def test_one_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(
        json.dumps({"spec": {"analysis": {"t.csv": "table"}}, "runs": []})
    )
    with pytest.raises(analysis.AnalysisError, match=r"t.csv: table: "):
        analysis.analyse(tmp_path)
    record = analysis.read_record(tmp_path)
    assert record is not None and record.ended == "failed"
    assert record.reason is not None and record.reason.startswith("t.csv: table: ")
