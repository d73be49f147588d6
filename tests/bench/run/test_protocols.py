"""Evaluations that are asked for, and the records that they leave."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.data.sources import describe
from bench.run.protocols import (
    EvaluationOptions,
    EvaluationRecord,
    EvaluationRequest,
    FewShotOptions,
    read_options,
    read_record,
    read_request,
    recorded,
    resolve,
)
from bench.run.validation import explain


def few_shot(**values: Any) -> EvaluationRequest:
    return resolve(read_options({"protocol": "fewshot"} | values), describe)


def test_the_key_tells_evaluations_apart_and_survives_json() -> None:
    plain, other = few_shot(shots=[1, 5]), few_shot(shots=[1, 5], data="digits")
    assert plain.key == few_shot(shots=[5, 1]).key
    assert len({plain.key, other.key, few_shot(shots=[1]).key, few_shot(seeds=[7]).key}) == 4
    for request in (plain, other):
        assert read_request(json.loads(json.dumps(request.as_json()))) == request


def test_keys_and_requests_of_older_versions_are_the_same() -> None:
    # SHA-256 of "[null, [1, 5, 10, 25], [0, 1, 2]]", as version 0.1 wrote it.
    assert few_shot().key == "fewshot-03703359"
    assert read_request({"data": None, "shots": [1], "seeds": [0]}) == few_shot(
        shots=[1], seeds=[0]
    )


def test_a_record_says_how_an_evaluation_ended(tmp_path: Path) -> None:
    wanted = few_shot()
    assert read_record(tmp_path, wanted.key) is None
    with recorded(tmp_path, wanted):
        begun = read_record(tmp_path, wanted.key)
        assert begun is not None and begun.ended is None
    done = read_record(tmp_path, wanted.key)
    assert done is not None and done.ended == "done"
    with pytest.raises(ZeroDivisionError), recorded(tmp_path, wanted):
        1 / 0  # noqa: B018
    record = read_record(tmp_path, wanted.key)
    assert record is not None and record.ended_at is not None
    assert (record.ended, record.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert record.created_at <= record.ended_at
    assert record.options == {"shots": [1, 5, 10, 25], "seeds": [0, 1, 2]}


def test_a_trace_of_version_0_1_is_read(tmp_path: Path) -> None:
    old = {
        "key": "fewshot-00000000",
        "protocol": "fewshot",
        "data": "pets",
        "shots": [1],
        "seeds": [0],
        "job_id": None,
        "host": "node7",
        "pid": 12,
        "created_at": "2025-01-01T00:00:00+00:00",
        "ended": None,
        "reason": None,
    }
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "fewshot-00000000.json").write_text(json.dumps(old))
    read = read_record(tmp_path, "fewshot-00000000")
    assert isinstance(read, EvaluationRecord) and read.ended is None and read.host == "node7"
    assert read.options == {"shots": [1], "seeds": [0]}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"protocol": "zeroshot"}, "protocol: given 'zeroshot', expected 'fewshot'"),
        ({}, "protocol: missing"),
        ({"protocol": "fewshot", "shots": [0]}, "shots.0: given 0, expected greater than 0"),
        (
            {"protocol": "fewshot", "shot": [1]},
            "shot: unknown key; did you mean shots? (expected one of protocol, data, shots, seeds)",
        ),
        ({"protocol": "fewshot", "seeds": []}, "seeds: given [], expected "),
    ],
)
def test_wrong_options_are_refused_in_one_line(value: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_options(value)
    line = explain(caught.value, EvaluationOptions)
    assert line.startswith(complaint.replace("expected [", "[")) and "\n" not in line


def test_options_are_cases_of_the_ledger() -> None:
    options = read_options({"protocol": "fewshot", "shots": [1, 5], "seeds": [3]})
    assert isinstance(options, FewShotOptions)
    assert options.cases() == [{"shots": 1, "seed": 3}, {"shots": 5, "seed": 3}]
