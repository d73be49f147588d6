"""Counts every registered network: in closed form, and by torch's counter on the meta device.

    python -m tests.speed.count_registry

Limits: `models --json` in 0.6 s, start-up included, without torch; the meta device in 30 s and
0.6 GB of resident memory, torch included, no weight allocated; both counts the same.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from tests.speed.history import Figure, record

SECONDS, META_SECONDS, META_BYTES = 0.6, 30.0, 0.6e9
REPEATS = 5


def listed() -> tuple[list[dict[str, Any]], float]:
    """What `models --json` says, and the median of its seconds."""
    times, said = [], ""
    for _ in range(REPEATS):
        start = time.perf_counter()
        command = [sys.executable, "-m", "bench", "models", "--json"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        times.append(time.perf_counter() - start)
    return json.loads(said), statistics.median(times)


def main() -> None:
    rows, seconds = listed()
    print(f"closed form  {len(rows)} networks in {seconds:.2f} s, start-up included")
    from bench import flops

    start = time.perf_counter()
    differing = []
    for row in rows:
        if flops.count_meta(row["name"], row["image_size"]) != row["forward_macs_per_image"]:
            differing.append(row["name"])
    meta_seconds = time.perf_counter() - start
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"meta device  {len(rows)} networks in {meta_seconds:.2f} s, {peak / 1e9:.2f} GB resident"
    )
    print(f"differing    {', '.join(differing) or 'none'}")
    figures = (
        Figure("closed form", seconds, "s", SECONDS),
        Figure("meta device", meta_seconds, "s", META_SECONDS),
        Figure("peak", peak, "B", META_BYTES),
    )
    sys.exit(not record(__file__, figures) or bool(differing))


if __name__ == "__main__":
    main()
