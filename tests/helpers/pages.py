"""Code that a page of the documentation shows, so that tests can run it."""

import importlib.util
import re
from pathlib import Path

from tests.helpers.paths import ROOT


def code_blocks(page: str, language: str = "python") -> list[str]:
    """Return the fenced blocks of a language, in order: `code_blocks("docs/README.md")`."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def load_program(page: str, path: Path) -> Path:
    """Write the only program of a page to `path` and import it as a module; returns `path`."""
    (code,) = code_blocks(page)
    path.write_text(code)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return path
