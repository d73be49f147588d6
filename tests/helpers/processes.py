"""Processes that tests start."""

import subprocess
from collections.abc import Callable

Start = Callable[..., "subprocess.Popen[str]"]
