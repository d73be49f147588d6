"""The verb `fit`, on a ledger whose law is known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.app import main
from results.ledger import parquet

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
    assert "90% intervals" in err and "Traceback" not in err


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
        "import sys\nfrom bench.cli.app import main\n"
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


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three budgets of five sizes each; the error is least at a size of 1e5 sqrt(C / 1e12)."""
    folder = tmp_path_factory.mktemp("runs") / "grid"
    folder.mkdir()
    (folder / "study.json").write_text("{}")
    rng = np.random.default_rng(0)
    for budget in (1e12, 4e12, 1.6e13):
        for step, ratio in enumerate((0.25, 0.5, 1, 2, 4)):
            size = 1e5 * (budget / 1e12) ** 0.5 * ratio
            error = 0.3 * (budget / 1e12) ** -0.1 * np.exp(0.1 * np.log(ratio) ** 2)
            row = {
                "study": "grid",
                "run_id": f"{budget:.0f}-{step}",
                "state": "done",
                "model": f"vit_{size:.0f}",
                "family": "vit",
                "seed": 0,
                "params": int(size),
                "train_flops": budget,
                "examples_seen": int(budget / size / 10),
                "top1_accuracy": 1 - error * np.exp(0.002 * rng.standard_normal()),
            }
            (folder / row["run_id"]).mkdir()
            parquet.write(folder / row["run_id"] / "run.parquet", "runs", [row])
    return folder


def test_isoflop_gives_the_best_size_and_its_growth(
    grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("fit", grid, "--isoflop", "--replicas", 200)
    code, out, _ = run(capsys, *words, "--at", 1e14, "--json")
    (made,) = json.loads(out)["isoflop"]
    assert code == 0
    best = [profile["best_size"]["value"] for profile in made["profiles"]]
    assert best == pytest.approx([1e5, 2e5, 4e5], rel=0.05)
    assert made["growth"]["exponent"]["value"] == pytest.approx(0.5, abs=0.05)
    assert made["growth"]["predictions"][0]["best_size"] == pytest.approx(1e6, rel=0.2)
    code, out, err = run(capsys, *words)
    assert code == 0 and "best size" in out
    assert "best params grows with budget^0." in err


def test_joint_divides_a_budget(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fit", grid, "--joint", "--at", 1e13, "--replicas", 100)
    code, out, _ = run(capsys, *words, "--json")
    (made,) = json.loads(out)["joint"]
    assert code == 0
    (division,) = made["divisions"]
    assert made["compute_factor"] == pytest.approx(10, rel=1e-3)
    spent = 10 * division["params"]["value"] * division["data"]["value"]
    assert spent == pytest.approx(1e13, rel=1e-3)
    code, out, _ = run(capsys, *words)
    assert code == 0 and "e + a·N^-alpha + b·D^-beta" in out and "best parameters" in out


def test_a_study_without_equal_budgets_has_no_profile(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "fit", study, "--isoflop")
    assert code == 2
    assert "no train_flops within 10% of each other has 3 different params" in err


def test_published_constants_stand_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fit", "--constants", "--replicas", 100)
    code, out, err = run(capsys, *words)
    assert code == 0
    assert "imagenet_finetune_error" in out and "ours" in out
    assert "hoffmann_2022_chinchilla: not fitted" in err
    code, out, _ = run(capsys, *words, "--json")
    rows = json.loads(out)["constants"]
    assert len(rows) == 8 and rows[0]["published"] == 0.26


def test_fit_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "fit")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "missing STUDY" in err


def test_axes_have_short_names_as_costs_have(
    grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for x in ("seen", "examples_seen"):
        code, out, err = run(capsys, "fit", grid, "--x", x, "--replicas", 100, "--json")
        assert code == 0, err
        answers.append(json.loads(out))
    assert answers[0] == answers[1]
    code, _, err = run(capsys, "fit", grid, "--x", "sean")
    assert code == 2 and "column 'sean' is missing" in err
