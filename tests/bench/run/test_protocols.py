"""Evaluations that are asked for, and their traces."""

from pathlib import Path

import pytest

from bench.data.sources import describe
from bench.run.protocols import (
    FewShot,
    from_json,
    read_trace,
    traced,
)


def test_the_key_tells_evaluations_apart_and_survives_json() -> None:
    plain, other = FewShot(shots=(1, 5)), FewShot(data=describe("digits"), shots=(1, 5))
    assert plain.key == FewShot(shots=(5, 1)).key
    assert len({plain.key, other.key, FewShot(shots=(1,)).key, FewShot(seeds=(7,)).key}) == 4
    assert from_json(other.as_json()) == other and from_json(plain.as_json()) == plain


def test_a_trace_says_how_it_ended(tmp_path: Path) -> None:
    wanted = FewShot()
    assert read_trace(tmp_path, wanted.key) == {}
    with traced(tmp_path, wanted):
        assert read_trace(tmp_path, wanted.key)["ended"] is None
    assert read_trace(tmp_path, wanted.key)["ended"] == "done"
    with pytest.raises(ZeroDivisionError), traced(tmp_path, wanted):
        1 / 0  # noqa: B018
    trace = read_trace(tmp_path, wanted.key)
    assert (trace["ended"], trace["reason"]) == ("failed", "ZeroDivisionError: division by zero")
    assert trace["created_at"] <= trace["ended_at"]
