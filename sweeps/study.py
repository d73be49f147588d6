"""The record of a study, `study.json`: the spec as it was submitted, its runs, the code."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.run.config import RunSummary
from bench.run.errors import SettingError
from results.ledger.files import write_json

NAME = "study.json"
_COLUMNS = tuple(column.name for column in fields(RunSummary))


class StudyError(SettingError):
    """There is no study at a path."""


@dataclass(frozen=True)
class StudyRecord:
    """What `submit` records of a study.

    `spec` is the resolved spec as JSON, `evaluations` are the keys of those that every run is to
    have, `software` the commit and versions that submitted it.
    """

    study: str
    runs: tuple[RunSummary, ...]
    spec: dict[str, Any] = field(default_factory=dict)
    evaluations: tuple[str, ...] = ()
    submitted_at: str | None = None
    software: dict[str, Any] = field(default_factory=dict)

    @property
    def analysis(self) -> dict[str, str]:
        """The files that the spec asks for once all runs have ended."""
        found: dict[str, str] = self.spec.get("analysis") or {}
        return found

    def write(self, study_dir: Path) -> None:
        """Write `study.json` into the study's folder, whole."""
        content = {
            "study": self.study,
            "spec": self.spec,
            "submitted_at": self.submitted_at,
            **self.software,
            "evaluations": list(self.evaluations),
            "runs": [asdict(run) for run in self.runs],
        }
        write_json(study_dir / NAME, content)


def read(study_dir: Path) -> StudyRecord:
    """Return the record of a study; raise StudyError where there is none that can be read.

    Columns that are unknown here are left out, those that an older version did not write are null.
    """
    path = study_dir / NAME
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise StudyError(f"{path}: not JSON, expected what submit writes") from error
    except FileNotFoundError:
        raise StudyError(
            f"{study_dir}: no such study, expected a folder with a study.json "
            "(a study's name, or its path)"
        ) from None
    rows = content.get("runs") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "run_id" in r for r in rows):
        raise StudyError(f"{path}: no list of runs in it, expected what submit writes")
    others = ("study", "spec", "submitted_at", "evaluations", "runs")
    return StudyRecord(
        study=str(content.get("study", study_dir.name)),
        runs=tuple(_summary(row) for row in rows),
        spec=content.get("spec") or {},
        evaluations=tuple(content.get("evaluations") or ()),
        submitted_at=content.get("submitted_at"),
        software={key: value for key, value in content.items() if key not in others},
    )


def _summary(row: dict[str, Any]) -> RunSummary:
    known: dict[str, Any] = {name: row.get(name) for name in _COLUMNS}
    return RunSummary(**known)
