"""Analysis job: the tables and figures of a study, once all its runs and evaluations ended."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bench.run import provenance
from results.ledger.files import write_json
from sweeps import study

FOLDER = "analysis"
RECORD = "analysis.json"
# What a line of `analysis` may begin with.
VERBS = ("table", "plot", "report")


class AnalysisError(Exception):
    """A table or figure could not be made."""


@dataclass(frozen=True)
class AnalysisRecord:
    """How far the analysis of a study has come; `ended` is done or failed, None until then."""

    wanted: dict[str, str]
    created_at: str
    ended: Literal["done", "failed"] | None = None
    reason: str | None = None
    ended_at: str | None = None

    def write(self, study_dir: Path) -> None:
        """Write the record into the study's folder, whole."""
        write_json(study_dir / FOLDER / RECORD, asdict(self), indent=2)


def read_record(study_dir: Path) -> AnalysisRecord | None:
    """Return the record of the study's last analysis; None before there was one."""
    try:
        return AnalysisRecord(**json.loads((study_dir / FOLDER / RECORD).read_text()))
    except FileNotFoundError:
        return None


def analyse(study_dir: Path) -> None:
    """Make the files that the spec's `analysis` names, in the folder analysis/ of the study.

    One that cannot be made does not stop the others. Raises AnalysisError with all complaints.
    """
    wanted = study.read(study_dir).analysis
    (study_dir / FOLDER).mkdir(exist_ok=True)
    record = AnalysisRecord(wanted, _now())
    record.write(study_dir)
    problems = [
        problem for name, words in wanted.items() if (problem := _make(study_dir, name, words))
    ]
    reason = "; ".join(problems) or None
    ended = replace(record, ended="failed" if problems else "done", reason=reason, ended_at=_now())
    ended.write(study_dir)
    if problems:
        raise AnalysisError("; ".join(problems))


def command(study_dir: Path, file: Path, words: str) -> list[str]:
    """Return the command line for a file: `plot frontier` becomes `plot frontier STUDY -o FILE`."""
    verb, *rest = shlex.split(words)
    # The kind of a plot comes before the study, options come last.
    at = next((i for i, word in enumerate(rest) if word.startswith("-")), len(rest))
    given = [*rest[:at], str(study_dir), *rest[at:]]
    return [sys.executable, "-m", "bench", verb, *given, "-o", str(file)]


def _make(study_dir: Path, name: str, words: str) -> str | None:
    """Make one file; return the error message, or None."""
    line = command(study_dir, study_dir / FOLDER / name, words)
    outer = os.environ | provenance.python_path(provenance.ROOT)
    done = subprocess.run(line, capture_output=True, text=True, env=outer)
    if not done.returncode:
        return None
    lines = done.stderr.strip().splitlines()
    return f"{name}: {words}: {lines[-1] if lines else f'exit {done.returncode}'}"


def check(wanted: Mapping[str, str]) -> str | None:
    """Return a complaint about the `analysis` of a spec, or None."""
    for name, words in wanted.items():
        try:
            verb = shlex.split(words)[0]
        except (ValueError, IndexError):
            verb = words
        if verb not in VERBS:
            return f"analysis.{name}: given {words!r}, expected one of {', '.join(VERBS)} first"
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat()
