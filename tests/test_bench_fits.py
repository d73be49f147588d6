"""The verb `fit`, on a ledger whose law is known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from results import parquet

NUM, SEEDS = 8, 2


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Errors of two families fall as 0.5 C^-0.4 and 0.6 C^-0.3 with 1 % of noise."""
    folder = tmp_path_factory.mktemp("runs") / "known"
    (folder).mkdir()
    (folder / "study.json").write_text("{}")
    rng = np.random.default_rng(0)
    laws = {"vit": (0.5, 0.4), "bit": (0.6, 0.3)}
    for family, (a, b) in laws.items():
        for number, cost in enumerate(np.geomspace(1, 200, NUM)):
            for seed in range(SEEDS):
                error = a * cost**-b * np.exp(0.01 * rng.standard_normal())
                run_id = f"{family}-{number}-{seed}"
                row = {
                    "study": "known",
                    "run_id": run_id,
                    "state": "done",
                    "model": f"{family}_{number}",
                    "family": family,
                    "seed": seed,
                    "params": 1000 + number,
                    "train_flops": 1e12 * cost,
                    "top1_accuracy": 1 - error,
                }
                (folder / run_id).mkdir()
                parquet.write(folder / run_id / "run.parquet", "runs", [row])
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_the_laws_of_two_families_as_json(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "fit", study, "--form", "power", "--at", 4e14, "--replicas", 200, "--json"
    )
    assert code == 0
    document = json.loads(out)
    assert document["not_fitted"] == {}
    vit, bit = document["fits"]
    assert (vit["group"], bit["group"]) == ("vit", "bit")
    for made, (a, b) in ((vit, (0.5, 0.4)), (bit, (0.6, 0.3))):
        assert made["parameters"]["b"]["value"] == pytest.approx(b, abs=0.02)
        assert made["parameters"]["b"]["low"] < b < made["parameters"]["b"]["high"]
        (at,) = made["predictions"]
        assert at["error"] == pytest.approx(a * 400**-b, rel=0.05)
        assert at["next_run_low"] < at["low"] < at["high"] < at["next_run_high"]
        assert [warning["code"] for warning in at["warnings"]] == []
        assert (made["num_configurations"], made["num_runs"]) == (NUM, NUM * SEEDS)
        assert made["hold_out"]["num_held"] == 1


def test_the_laws_as_a_table(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "fit", study, "--at", 1e16, "--with-published")
    assert code == 0
    assert "vit, ViT paper" in out and "a·C^-b" in out and "hold-out" in out
    assert "extrapolation" in out
    assert "90 % intervals" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--x", "train_flop"), "column 'train_flop' is missing; did you mean train_flops"),
        (("--form", "cubic"), "form 'cubic' is unknown; expected auto, power"),
        (("--points", "best"), "expected one of all, frontier"),
        (("--x", "accelerator_days"), "vit: none of 0 points"),
    ],
)
def test_a_wrong_question_is_refused_in_a_line(
    study: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    code, out, err = run(capsys, "fit", study, *words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err


def test_fit_needs_no_torch(study: Path) -> None:
    program = (
        "import sys\nfrom bench.cli import main\n"
        f"try:\n    main(['fit', {str(study)!r}, '--json', '--replicas', '100'])\n"
        "except SystemExit:\n    print(sorted({'torch', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_study_without_runs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.json").write_text("{}")
    code, _, err = run(capsys, "fit", tmp_path)
    assert code == 2
    assert "no run has ended yet" in err
