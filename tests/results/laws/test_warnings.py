import re

import pytest

from results.laws import warnings
from tests.helpers.paths import ROOT


def test_an_unheard_of_code_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        warnings.ResultWarning("unheard_of", "")


def test_every_code_is_given_somewhere_and_documented() -> None:
    text = "".join(path.read_text() for path in (ROOT / "results").rglob("*.py"))
    given = set(re.findall(r"ResultWarning\(\s*\"([a-z_]+)\"", text))
    assert given == set(warnings.WARNING_CODES)
