"""The verbs that look after a ledger itself."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cli import ledgers, output
from results import store
from results.ledger import compact as compacts
from results.ledger.origin import Trace


def compact(studies: Sequence[Path], *, json: bool) -> None:
    """Merge the small files of studies, and print the outcome for each table."""
    rows = []
    for study in studies:
        for done in compacts.compact(study):
            for line in done.skipped:
                output.note(f"skipped: {line}")
            rows.append({"study": study.name, **asdict(done)})
    if json:
        output.document(rows)
        return
    for row in rows:
        output.note(
            "{study}: {table}: {rows:,} rows of {parts:,} parts are in one file; "
            "{removed_files:,} files removed".format(**row)
        )


def trace(study: Path, run_id: str, *, json: bool) -> None:
    """Print the origin of the rows of a run."""
    found = store.trace(study, run_id)
    if json:
        output.document(asdict(found))
    else:
        _print(found, study)


def trace_chosen(study: Path, run_id: str | None, where: Sequence[str], *, json: bool) -> None:
    """Print the origin of the rows of the ended runs that meet the conditions, a list as JSON.

    With `run_id` only those whose id begins so. Raises LedgerError where no run is left.
    """
    ids = [str(found) for found in ledgers.runs([study], where)["run_id"]]
    ids = [found for found in ids if found.startswith(run_id or "")]
    if not ids:
        raise ledgers.LedgerError(f"{study}: no run that meets --where begins with {run_id!r}")
    found = [store.trace(study, one) for one in ids]
    if json:
        output.document([asdict(one) for one in found])
        return
    for one in found:
        _print(one, study)


def _print(found: Trace, study: Path) -> None:
    state = (found.row or {}).get("state") or "no row yet"
    lines: list[tuple[str, Any]] = [
        ("run", f"{found.run_id} of study {found.study}: {state}"),
        ("submitted", found.submitted_at),
        ("config", study / found.run_id / "config.json"),
        ("seeds", ", ".join(f"{name} {value}" for name, value in found.seeds.items())),
        ("images", found.manifest),
        ("hosts", ", ".join(found.hosts)),
    ]
    for code in found.code:
        software = {name: value for name, value in code.software.items() if value is not None}
        lines += [
            (f"code of attempt {', '.join(map(str, code.attempts))}", _listed(software)),
            ("  changes", "none" if software.get("git_dirty") is False else code.patch),
            ("  packages", code.environment),
        ]
    for row in found.attempts:
        ended = row["ended"] or row["state"]
        reason = f": {row['reason']}" if row["reason"] else ""
        span = f"{row['created_at']} to {row['ended_at'] or '?'} on {row['hosts']}"
        lines.append((f"attempt {row['attempt']}", f"{span}: {ended}{reason}"))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        text = "not known" if value in (None, "") else value
        sys.stdout.write(f"{name.ljust(width)}  {text}\n")


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
