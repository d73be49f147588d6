"""Plants faults one at a time and lists those that no test notices.

    python -m tests.mutants                   # all of tests/mutants.toml, about half a minute each
    python -m tests.mutants checkpoint clock  # those whose name or file has one of these words

`mutants.toml` names for each fault the file, the text before and after, and the tests that must
fail. The faults are planted in a copy of the checkout. Exits 1 where a fault survives, or where
its text is no longer in its file exactly once (then the fault is out of date: plant it anew).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.paths import ROOT

FAULTS = Path(__file__).with_suffix(".toml")
LIMIT_SECONDS = 600
LEFT_OUT = (".git", ".venv", "runs", "__pycache__", "*.egg-info", ".*_cache")


@dataclass(frozen=True)
class Fault:
    """A change of one place in one file that the tests must notice."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def planted(self, text: str) -> str | None:
        """Return the file's text with the fault; None where its place is not there just once."""
        return text.replace(self.before, self.after) if text.count(self.before) == 1 else None


def faults(words: tuple[str, ...] = ()) -> list[Fault]:
    """Return the faults whose name or file contains one of `words`; all without words."""
    found = [
        Fault(**entry | {"tests": tuple(entry["tests"])})
        for entry in tomllib.loads(FAULTS.read_text())["fault"]
    ]
    return [f for f in found if not words or any(w in f"{f.name} {f.file}" for w in words)]


def is_noticed(fault: Fault, checkout: Path) -> bool:
    """Return True if the tests of `checkout`, a copy, fail with the fault in it.

    Raises ValueError where the fault is out of date.
    """
    file = checkout / fault.file
    sound = file.read_text()
    faulty = fault.planted(sound)
    if faulty is None:
        raise ValueError(f"{fault.file}: expected {fault.before!r} exactly once")
    file.write_text(faulty)
    try:
        return not _passes(fault, checkout)
    finally:
        file.write_text(sound)


def _passes(fault: Fault, checkout: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *fault.tests]
    outer = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(checkout)}
    try:
        done = subprocess.run(
            command, cwd=checkout, env=outer, capture_output=True, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode > 1:  # neither passed nor failed: the tests named do not exist
        raise ValueError(f"{fault.name}: {done.stdout.decode()[-300:]}")
    return done.returncode == 0


def main() -> None:
    """Print a line for each fault; exit 1 where one survives or is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="Only faults with one of these words.")
    chosen = faults(tuple(parser.parse_args().words))
    counts = {"noticed": 0, "SURVIVED": 0, "OUT OF DATE": 0}
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        for number, fault in enumerate(chosen, 1):
            try:
                outcome = "noticed" if is_noticed(fault, checkout) else "SURVIVED"
            except ValueError as error:
                outcome = "OUT OF DATE"
                print(error)
            counts[outcome] += 1
            print(f"[{number}/{len(chosen)}] {outcome:<12}{fault.file}: {fault.name}", flush=True)
    print(", ".join(f"{count} {outcome.lower()}" for outcome, count in counts.items()))
    sys.exit(counts["noticed"] < len(chosen))


if __name__ == "__main__":
    main()
