"""Help of every verb: what to type after each option, in words, within 80 columns."""

import re
import subprocess
import sys

import pytest

from bench.cli.app import SECTIONS

VERBS = [verb for verbs in SECTIONS.values() for verb in verbs]
PYTHON_TYPE = re.compile(r"<(str|int|float|list|tuple|path|bool)|\[\[|TEXT|INTEGER")


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help of each verb, as a terminal of 80 columns shows it."""
    program = """
import sys
from bench.cli.app import main
for verb in sys.argv[1:]:
    print(f"=== {verb}", flush=True)
    try:
        main([verb, "--help"])
    except SystemExit as end:
        assert end.code == 0, verb
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *VERBS],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "80", "PATH": "/usr/bin:/bin"},
    )
    parts = re.split(r"^=== (\S+)\n", done.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_no_python_type_and_fits_80_columns(verb: str, helps: dict[str, str]) -> None:
    assert not PYTHON_TYPE.search(helps[verb])
    assert max(map(len, helps[verb].splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_each_option_has_a_sentence(verb: str, helps: dict[str, str]) -> None:
    _, _, options = helps[verb].partition("Options:\n")
    found = re.findall(r"^  (-\S.*?)(?:  |\n +)(\S.*(?:\n {4,}.*)*)", options, flags=re.MULTILINE)
    assert found
    for option, text in found:
        assert re.match(r"[A-Z.0-9]|An? ", text), (option, text)
        assert text.rstrip().endswith((".", "]", ":")), (option, text)
