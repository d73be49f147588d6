"""The tables and figures of a study, made once all its runs and evaluations have ended."""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from results.ledger.files import write_json

FOLDER = "analysis"
TRACE = "analysis.json"
# What a line of `analysis` may begin with.
VERBS = ("table", "plot", "report")


class AnalysisError(Exception):
    """A table or figure could not be made."""


def read_trace(study_dir: Path) -> dict[str, Any]:
    """How the last analysis went: `ended` is done, failed or None; {} before there was one."""
    try:
        return json.loads((study_dir / FOLDER / TRACE).read_text())
    except FileNotFoundError:
        return {}


def analyse(study_dir: Path) -> None:
    """Makes what the spec's `analysis` names, into the folder analysis/ of the study.

    One that cannot be made does not stop the others. Raises AnalysisError with all complaints.
    """
    wanted = json.loads((study_dir / "study.json").read_text())["spec"]["analysis"]
    (study_dir / FOLDER).mkdir(exist_ok=True)
    trace = {"wanted": wanted, "created_at": _now(), "ended": None, "reason": None}
    _write(study_dir, trace)
    problems = [said for name, words in wanted.items() if (said := _make(study_dir, name, words))]
    ended = {"ended": "failed" if problems else "done", "reason": "; ".join(problems) or None}
    _write(study_dir, trace | ended | {"ended_at": _now()})
    if problems:
        raise AnalysisError("; ".join(problems))


def command(study_dir: Path, file: Path, words: str) -> list[str]:
    """The command line that makes a file: `plot frontier` becomes `plot frontier STUDY -o FILE`."""
    verb, *rest = shlex.split(words)
    # The kind of a plot comes before the study, options come last.
    at = next((i for i, word in enumerate(rest) if word.startswith("-")), len(rest))
    given = [*rest[:at], str(study_dir), *rest[at:]]
    return [sys.executable, "-m", "bench", verb, *given, "-o", str(file)]


def _make(study_dir: Path, name: str, words: str) -> str | None:
    """What went wrong, or None."""
    line = command(study_dir, study_dir / FOLDER / name, words)
    done = subprocess.run(line, capture_output=True, text=True)
    if not done.returncode:
        return None
    said = done.stderr.strip().splitlines()
    return f"{name}: {words}: {said[-1] if said else f'exit {done.returncode}'}"


def check(wanted: Mapping[str, str]) -> str | None:
    """What is wrong with the `analysis` of a spec, or None."""
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


def _write(study_dir: Path, trace: dict[str, Any]) -> None:
    write_json(study_dir / FOLDER / TRACE, trace, indent=2)
