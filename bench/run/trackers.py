"""Trackers that a run's curve can be exported to, and the packages that they need."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Literal

from bench.run.errors import SettingError

Tracker = Literal["csv", "tensorboard", "wandb"]
# The package that each needs beyond this one's own.
PACKAGES: dict[Tracker, str | None] = {"csv": None, "tensorboard": "tensorboard", "wandb": "wandb"}


def check_packages(trackers: Iterable[Tracker]) -> None:
    """Raise SettingError if the package of a tracker is not installed."""
    for tracker in trackers:
        package = PACKAGES[tracker]
        if package and find_spec(package) is None:
            raise SettingError(
                f"engine.trackers: given {tracker}, but its package is not installed; "
                f"expected it after: pip install {package}"
            )
