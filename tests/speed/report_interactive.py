"""How long a report takes to be usable in a headless Chromium: medians of nine openings.

    python -m tests.speed.report_interactive

"ledger" is when the ledger can be sorted and filtered, "interactive" when both charts are drawn
too, both in seconds since the page was asked for; "busy" is the processor time of the page's main
thread, which a busy machine changes less. The reports, of 20 and of 10,000 runs, take turns.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from results import store
from results.report import write
from tests.helpers import large_ledger
from tests.speed.history import Figure, record

ROUNDS = 9
LIMIT = 3.0
SIZES = (20, 10_000)
MARKS = "performance.getEntriesByType('mark').map(mark => [mark.name, mark.startTime / 1000])"


def opened(browser: Browser, path: Path) -> dict[str, float]:
    """The marks of one opening in a fresh context, and its main thread's processor time."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=120_000)
    metrics = session.send("Performance.getMetrics")["metrics"]
    (busy,) = [metric["value"] for metric in metrics if metric["name"] == "ThreadTime"]
    found = dict(page.evaluate(MARKS)) | {"busy": busy}
    context.close()
    return found


def main() -> int:
    """Prints the figures; 1 where the large report takes longer than the limit."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        paths = {}
        for size in SIZES:
            study = store.load(large_ledger.write(Path(folder) / str(size), size))
            start = time.perf_counter()
            paths[size] = write.write(study, Path(folder) / f"{size}.html")
            seconds, size_mb = time.perf_counter() - start, paths[size].stat().st_size / 1e6
            print(f"{size:6,} runs: written in {seconds:.1f} s, {size_mb:.1f} MB")
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        rounds = [{size: opened(browser, paths[size]) for size in SIZES} for _ in range(ROUNDS)]
        browser.close()
    for size in SIZES:
        names = ("ledger", "interactive", "busy")
        medians = {name: statistics.median(turn[size][name] for turn in rounds) for name in names}
        print(f"{size:6,} runs: " + ", ".join(f"{k} {v:.2f} s" for k, v in medians.items()))
        limits = {"interactive": LIMIT if size == SIZES[-1] else None}
        figures += [Figure(f"{size} {k}", v, "s", limits.get(k)) for k, v in medians.items()]
    print(f"limit: interactive {LIMIT:.1f} s")
    return int(not record(__file__, figures))


if __name__ == "__main__":
    sys.exit(main())
