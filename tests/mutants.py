"""Plant faults into a copy of the code and report which the tests notice.

`python -m tests.mutants [WORD…]` plants those whose file or meaning contains a word; without one,
all. It exits 1 if a fault survived, or if its line is not there any more.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.paths import ROOT

COPIED = ("models", "bench", "sweeps", "results", "tests", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Fault:
    """A fault: in `file` the only `old` becomes `new`, which `tests` (a path) should notice."""

    meaning: str
    file: str
    old: str
    new: str
    tests: str


TRAINING, ENGINE, RUN = "tests/bench/training", "tests/bench/engine", "tests/bench/run"

FAULTS = (
    Fault(
        "checkpoint time is charged as training",
        "bench/training/loop.py",
        'with clock.during("checkpoint"):',
        'with clock.during("train"):',
        TRAINING,
    ),
    Fault(
        "set-up and resume are charged as training",
        "bench/training/loop.py",
        "        recorder.begin(world,",
        '        clock.switch("train")\n        recorder.begin(world,',
        TRAINING,
    ),
    Fault(
        "evaluation is charged as training",
        "bench/training/loop.py",
        'clock.switch("eval")',
        'clock.switch("train")',
        TRAINING,
    ),
    Fault(
        "writing the weights is charged as evaluation",
        "bench/training/loop.py",
        'clock.switch("checkpoint")',
        'clock.switch("eval")',
        TRAINING,
    ),
    Fault(
        "dropout seeds without the rank",
        "bench/training/loop.py",
        '"dropout", step, world.rank)',
        '"dropout", step, 0)',
        TRAINING,
    ),
    Fault(
        "dropout seeds without the step",
        "bench/training/loop.py",
        '"dropout", step, world.rank)',
        '"dropout", 0, world.rank)',
        TRAINING,
    ),
    Fault(
        "a checkpoint's shards are not flushed",
        "bench/engine/checkpoint_files.py",
        '    with path.open("rb") as file:\n        os.fsync(file.fileno())\n    return ShardFile(',
        "    return ShardFile(",
        ENGINE,
    ),
    Fault(
        "a checkpoint's folder is not flushed before the rename",
        "bench/engine/checkpoint.py",
        "        sync_folder(temporary)\n",
        "",
        ENGINE,
    ),
    Fault(
        "a checkpoint's parent is not flushed after the rename",
        "bench/engine/checkpoint.py",
        "        sync_folder(root)\n",
        "",
        ENGINE,
    ),
    Fault(
        "a checkpoint's state is not flushed",
        "bench/engine/checkpoint_files.py",
        "        file.flush()\n        os.fsync(file.fileno())\n",
        "",
        ENGINE,
    ),
    Fault(
        "an energy counter that was reset gives negative joules",
        "bench/engine/devices.py",
        " or now < last else now",
        " else now",
        ENGINE,
    ),
    Fault(
        "energy in millijoules",
        "bench/engine/devices.py",
        "(last - start) / 1000",
        "(last - start)",
        ENGINE,
    ),
    Fault(
        "a new file's folder is not flushed",
        "results/ledger/files.py",
        "    _flush_folder(path.parent)\n    return path",
        "    return path",
        "tests/results/ledger/test_files.py",
    ),
    Fault(
        "a new file is not flushed",
        "results/ledger/files.py",
        "            os.fsync(stream.fileno())\n",
        "",
        "tests/results/ledger/test_files.py",
    ),
)


def notices(fault: Fault, root: Path) -> bool | None:
    """Return whether the tests notice a fault; None if its place is not in the code once."""
    text = (ROOT / fault.file).read_text()
    if text.count(fault.old) != 1:
        return None
    path = root / fault.file
    path.write_text(text.replace(fault.old, fault.new))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", fault.tests]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=900)
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(text)
    return done.returncode != 0


def copy_code(root: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, root / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    words = parser.parse_args().words
    chosen = [f for f in FAULTS if not words or any(w in f.file + f.meaning for w in words)]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        copy_code(Path(folder))
        for fault in chosen:
            found = notices(fault, Path(folder))
            outcome = {True: "noticed ", False: "SURVIVED", None: "NOT THERE"}[found]
            bad += not found
            print(f"{outcome}  {fault.file}: {fault.meaning}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} faults are noticed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
