"""Code that a page of the documentation shows, so that tests can run it."""

import re

from tests.helpers.paths import ROOT


def code_blocks(page: str, language: str = "python") -> list[str]:
    """Return the fenced blocks of a language, in order: `code_blocks("docs/README.md")`."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
