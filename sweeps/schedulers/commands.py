"""Calls of Slurm's commands: one place for time limits and for what a failure means."""

import shutil
import subprocess

from sweeps.schedulers.base import SchedulerError

SECONDS = 30.0


def ask(program: str, *words: str, seconds: float = SECONDS) -> str | None:
    """Return what a command prints; None where it is not installed, fails, or takes too long."""
    if shutil.which(program) is None:
        return None
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, check=True, timeout=seconds
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout


def order(program: str, *words: str, seconds: float = SECONDS) -> None:
    """Run a command that must succeed; raise SchedulerError where it does not."""
    try:
        subprocess.run(
            [program, *words], check=True, capture_output=True, text=True, timeout=seconds
        )
    except (subprocess.SubprocessError, OSError) as error:
        complaint = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise SchedulerError(f"{program} {' '.join(words)}: {complaint[-1]}") from error


def fields(line: str) -> dict[str, str]:
    """Return the `key=value` words of a line that scontrol prints."""
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def describe_nodes(names: str) -> list[dict[str, str]]:
    """Return what Slurm knows of nodes, given with commas between them; [] without an answer."""
    shown = ask("scontrol", "--oneliner", "show", "node", names) or ""
    return [found for found in map(fields, shown.splitlines()) if "NodeName" in found]
