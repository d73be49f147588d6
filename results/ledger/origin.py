"""Where a row of a ledger is from: code, environment, hosts, seeds, data, attempts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.ledger import segments
from results.schema import SOFTWARE, ResultsError, Row, columns, suggestion

CODE = "code"  # of a study: what was submitted, by hash, with its changes and its environment


class UnknownRun(ResultsError):
    """The study has no such run, or several that begin so."""


@dataclass(frozen=True)
class Code:
    """The code of one or several attempts.

    `patch` is the file of its changes on top of the commit and `environment` that of the installed
    packages, where the study keeps them: None for a run that was not submitted.
    """

    attempts: tuple[int, ...]
    software: Row
    patch: Path | None
    environment: Path | None


@dataclass(frozen=True)
class Trace:
    """All that a run left of where its rows are from; what is not known is None or empty.

    `config` is the complete resolved config, `seeds` are those in it, `manifest` is the file that
    lists the training images, `attempts` are rows of the table of that name, the one under way
    included, and `code` is what they ran, each once.
    """

    study: str
    run_id: str
    row: Row | None
    config: dict[str, Any]
    seeds: dict[str, int]
    submitted_at: str | None
    manifest: Path | None
    hosts: tuple[str, ...]
    code: tuple[Code, ...]
    attempts: tuple[Row, ...]


def _find(study: Path, run_id: str) -> Path:
    folders = sorted(path.parent.name for path in study.glob("*/config.json"))
    folders += [] if folders else sorted(path.parent.name for path in study.glob("*/run.parquet"))
    found = [name for name in folders if name == run_id] or [
        name for name in folders if name.startswith(run_id)
    ]
    if len(found) == 1:
        return study / found[0]
    if found:
        raise UnknownRun(f"{study}: given run {run_id!r}, which may be {' or '.join(found[:5])}")
    raise UnknownRun(f"{study}: has no run {run_id!r}; {suggestion(run_id, folders[:1000])}")


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    except FileNotFoundError:
        return {}


def _rows(study: Path, run: str, table: str, names: Iterable[str]) -> list[Row]:
    read = segments.read_own(study, [f"{run}/{name}" for name in names], table)
    return [row for found in read.tables for row in found.to_pylist()]


def _attempts(run_dir: Path) -> list[Row]:
    """Return the recorded attempts, and one without a row yet from its heartbeat."""
    folder = run_dir / "attempts"
    names = [f"attempts/{path.name}" for path in sorted(folder.glob("[0-9]*.parquet"))]
    rows = {row["attempt"]: row for row in _rows(run_dir.parent, run_dir.name, "attempts", names)}
    for path in folder.glob("[0-9]*.json"):
        number = int(path.stem)
        if number not in rows:
            beat = _json(path)
            row = {column.name: beat.get(column.name) for column in columns("attempts")}
            rows[number] = row | {"run_id": run_dir.name, "attempt": number, "state": "running"}
    return [rows[number] for number in sorted(rows)]


def _code(study: Path, attempts: Iterable[Row]) -> list[Code]:
    """Return the code that the attempts ran, deduplicated, in the order of first attempts."""
    found: dict[tuple[Any, ...], list[int]] = {}
    names = [column.name for column in SOFTWARE]
    for row in attempts:
        found.setdefault(tuple(row[name] for name in names), []).append(row["attempt"])
    made = []
    for values, numbers in found.items():
        software = dict(zip(names, values, strict=True))
        kept = study / CODE / str(software["code_hash"])
        patch, environment = kept / "diff.patch", kept / "environment.txt"
        made.append(
            Code(
                tuple(numbers),
                software,
                patch if patch.is_file() else None,
                environment if environment.is_file() else None,
            )
        )
    return made


def trace(study: Path, run_id: str) -> Trace:
    """All that is known of where the rows of a run are from; `run_id` may be cut short.

    Raises UnknownRun.
    """
    run_dir = _find(study, run_id)
    rows = _rows(study, run_dir.name, "runs", ["run.parquet"])
    resolved = _json(run_dir / "config.json")
    config = resolved.get("config", {})
    attempts = _attempts(run_dir)
    row = rows[0] if rows else None
    manifest = (row or {}).get("data_manifest")
    listed = sorted((study / "manifests").glob(f"*-{manifest}.json")) if manifest else []
    submitted = _json(study / "study.json")
    hosts = [host for one in attempts for host in (one["hosts"] or "").split(",") if host]
    return Trace(
        study=submitted.get("study") or (row or {}).get("study") or study.name,
        run_id=run_dir.name,
        row=row,
        config=resolved,
        seeds={key: value for key, value in config.items() if key.endswith("seed")},
        submitted_at=submitted.get("submitted_at"),
        manifest=listed[0] if listed else None,
        hosts=tuple(dict.fromkeys(hosts)),
        code=tuple(_code(study, attempts)),
        attempts=tuple(attempts),
    )
