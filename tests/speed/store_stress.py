"""A ledger under stress: many writers, one that merges, one that reads; and kill -9 at any moment.

    python -m tests.speed.store_stress                 # 64 writers of 200 runs, 200 kills
    python -m tests.speed.store_stress --writers 8 --runs 25 --kills 24

Every run is a row of `runs`, one of `evals` and two parts of `curve`. A writer counts a run in
shared memory once all its writes have returned; each load must hold every run counted before it
began, each row once, and pass over no file. A third of the kills fall inside `compact`.
"""

import argparse
import mmap
import multiprocessing
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from results import store
from results.ledger import parquet
from results.ledger.compact import compact
from results.schema import STUDY_TABLES, columns

fork = multiprocessing.get_context("fork")
POINTS = 3  # of the curve, in each of its two parts
ROWS = {"runs": 1, "evals": 1, "curve": 2 * POINTS}


class Counts:
    """Numbers in memory that forked processes share."""

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, 8 * size)
        self._size = size

    def read(self) -> list[int]:
        """All of them."""
        return list(struct.unpack(f"{self._size}q", self._memory[:]))

    def set(self, at: int, value: int) -> None:
        """One of them."""
        struct.pack_into("q", self._memory, 8 * at, value)


def write_run(study: Path, run_id: str) -> None:
    """All rows of one run."""
    ids = {"study": study.name, "run_id": run_id}
    for part in range(2):
        points = [ids | {"attempt": 1, "step": POINTS * part + at} for at in range(POINTS)]
        parquet.write(study / run_id / "curve" / f"0001-{part}.parquet", "curve", points)
    about = {"protocol": "upstream", "dataset": "digits", "split": "eval", "metric": "loss"}
    parquet.write(study / run_id / "evals" / "upstream.parquet", "evals", [ids | about])
    parquet.write(study / run_id / "run.parquet", "runs", [ids | {"state": "done"}])


def write_runs(study: Path, writer: int, num_runs: int, counts: Counts) -> None:
    """Runs of one writer, counted as they are there."""
    for number in range(num_runs):
        write_run(study, f"w{writer}-r{number}")
        counts.set(writer, number + 1)


def check(study: Path, counts: Counts) -> list[str]:
    """What is wrong with a load: lost rows, rows twice, files passed over."""
    due = {f"w{at}-r{n}" for at, number in enumerate(counts.read()) for n in range(number)}
    loaded = store.load(study)
    wrong = []
    for table, each in ROWS.items():
        frame = getattr(loaded, table)
        key = [column.name for column in columns(table) if column.key]
        there = frame.groupby("run_id").size()
        lost = [run for run in due if there.get(run, 0) < each]
        wrong += [f"{table}: {run} is lost, of {each} rows {there.get(run, 0)}" for run in lost]
        if frame.duplicated(key).any():
            wrong.append(f"{table}: {frame.duplicated(key).sum()} rows are there twice")
    return wrong + [f"skipped: {line}" for line in loaded.skipped]


def repeat(
    action: Callable[[], list[str]], stop: Counts, found: "multiprocessing.Queue[Any]"
) -> None:
    """Does something until it is stopped; reports how often, and what was wrong."""
    times, wrong = 0, list[str]()
    while True:
        is_last = bool(stop.read()[0])
        try:
            wrong += action()
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        times += 1
        if is_last:
            found.put((times, wrong))
            return


def compact_whole(study: Path) -> list[str]:
    """Merges; what is unreadable is wrong."""
    return [line for done in compact(study) for line in done.skipped]


def writers_reader_and_compact(study: Path, num_writers: int, num_runs: int) -> list[str]:
    """Writers side by side while one process merges and one reads; prints what was seen."""
    study.mkdir()
    (study / "study.json").write_text("{}")
    counts, stop = Counts(num_writers), Counts(1)
    merges, reads = fork.Queue(), fork.Queue()
    others = [
        fork.Process(target=repeat, args=(lambda: compact_whole(study), stop, merges)),
        fork.Process(target=repeat, args=(lambda: check(study, counts), stop, reads)),
    ]
    writers = [
        fork.Process(target=write_runs, args=(study, at, num_runs, counts))
        for at in range(num_writers)
    ]
    start = time.perf_counter()
    for process in others + writers:
        process.start()
    for process in writers:
        process.join()
    seconds = time.perf_counter() - start
    stop.set(0, 1)
    (num_merges, wrong), (num_reads, unread) = merges.get(), reads.get()
    for process in others:
        process.join()
    wrong += unread + check(study, counts)
    wrong += [f"a writer ended with {p.exitcode}" for p in writers if p.exitcode]
    loaded = store.load(study)
    total = num_writers * num_runs
    found = {table: len(getattr(loaded, table)) for table in ROWS}
    wrong += [f"{t}: {n} rows" for t, n in found.items() if n != total * ROWS[t]]
    print(
        f"{num_writers} writers x {num_runs} runs in {seconds:.0f} s, merged {num_merges} times, "
        f"read {num_reads} times: {found} rows, {len(wrong)} errors"
    )
    return list(wrong)


def die_after(process: BaseProcess, seconds: float) -> bool:
    """Kills a process; whether it was still at work."""
    process.join(seconds)
    was_alive = process.is_alive()
    if was_alive:
        process.kill()
    process.join()
    return was_alive and process.exitcode == -signal.SIGKILL


def kills(study: Path, num_kills: int, random_: random.Random) -> list[str]:
    """Writers killed at random moments, a third of the kills inside `compact`."""
    study.mkdir()
    (study / "study.json").write_text("{}")
    counts = Counts(num_kills)
    wrong = list[str]()
    inside, writer, duration = 0, 0, 0.05
    while writer + inside < num_kills:
        if 3 * inside < writer + inside:
            start = time.perf_counter()
            process = fork.Process(target=compact, args=(study,))
            process.start()
            if die_after(process, random_.uniform(0, 1.2 * duration)):
                inside += 1
            else:
                duration = time.perf_counter() - start
        else:
            process = fork.Process(target=write_runs, args=(study, writer, 10**6, counts))
            process.start()
            die_after(process, random_.uniform(0, 0.3))
            writer += 1
        wrong += check(study, counts)
    rows = sum(counts.read())
    before = {table: len(getattr(store.load(study), table)) for table in STUDY_TABLES}
    wrong += compact_whole(study)
    after = {table: len(getattr(store.load(study), table)) for table in STUDY_TABLES}
    wrong += check(study, counts)
    wrong += [] if before == after else [f"{before} rows before the last compact, {after} after"]
    print(
        f"{writer} writers and {inside} merges killed at random moments, {rows} runs whose writes "
        f"had returned, {after['runs']} in the ledger, {len(wrong)} errors"
    )
    return list(wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        wrong = writers_reader_and_compact(folder / "stress", given.writers, given.runs)
        wrong += kills(folder / "kills", given.kills, random.Random(given.seed))
    finally:
        shutil.rmtree(folder)
    for line in wrong[:20]:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
