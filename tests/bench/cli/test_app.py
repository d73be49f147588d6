"""The command line: what it prints, and one line and exit 2 for what is wrong."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from bench.cli.app import app, main
from bench.data.sources import describe_from
from results.store import load


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def test_models_lists_every_registered_name(capsys: pytest.CaptureFixture[str]) -> None:
    import models

    code, out, _ = run(capsys, "models", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["name"] for row in rows] == models.names()
    wanted = {"name", "label", "family", "image_size", "params", "forward_macs_per_image"}
    assert all(wanted <= row.keys() for row in rows)
    _, text, _ = run(capsys, "models")
    assert all(name in text for name in models.names())


def test_cost_gives_the_published_gmacs(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("vit_b16", "r50_vit_b16", "bit_r50x1")
    _, out, _ = run(capsys, "cost", *names, "--image-size", "224", "--json")
    gmacs = {row["name"]: row["forward_macs_per_image"] / 1e9 for row in json.loads(out)}
    # Dosovitskiy et al. 2021, Table 6, from its exaFLOPs; every kernel tap counted.
    assert gmacs == {
        "vit_b16": pytest.approx(17.56, rel=0.01),
        "r50_vit_b16": pytest.approx(21.5, rel=0.01),
        "bit_r50x1": pytest.approx(4.1, rel=0.01),
    }


def test_cost_of_a_training_is_six_times_macs_times_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("cost", "vit_l16", "--examples", "303000000", "--epochs", "14", "--json")
    _, out, _ = run(capsys, *arguments)
    (row,) = json.loads(out)
    exa = 6 * row["forward_macs_per_image"] * 303e6 * 14 / 1e18
    assert row["train_exaflops"] == pytest.approx(exa)
    assert row["train_exaflops"] == pytest.approx(1567, rel=0.015)  # the ViT paper, Table 6


def test_cost_by_module_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "cost", "vit_nano2", "--by-module", "--json")
    rows = {row["module"]: row["forward_macs_per_image"] for row in json.loads(out)}
    top = [macs for name, macs in rows.items() if name != "(all)" and "." not in name]
    assert sum(top) == rows["(all)"]


def test_help_shows_every_verb_in_one_section(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    verbs = re.findall(r"^  ([a-z]+)  +\S", out, re.MULTILINE)
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    assert sorted(verbs) == sorted(group.commands)
    assert out.count("...") == 1  # of [ARGS]...: no line is cut short


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert (code, out) == (0, f"scalestudy {version('scalestudy')}\n")


def test_doctor_finds_what_a_study_needs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    assert code == 0
    assert checks["deepspeed"]["ok"] and checks["CPU cores"]["ok"]
    _, text, _ = run(capsys, "doctor")
    assert "deepspeed" in text


SPEC = "study: bad\nbase: {model: vit_nano2, data: digits, steps: 2}\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("grid: {model: [vit_b17]}", "unknown model 'vit_b17': did you mean vit_b16"),
        ("bsae: {}", "bsae: unknown key; did you mean base?"),
        ("grid: {batch_sise: [1]}", "grid.batch_sise: unknown key; did you mean batch_size?"),
        ("grid: {batch_size: [many]}", "batch_size: given 'many', expected a valid integer"),
        ("grid: {seed: []}", "grid.seed: given an empty list, expected at least one value"),
        ("grid: {data: [nowhere/at/all]}", "data: nowhere/at/all does not exist"),
        ("grid: {seed: [99999999999999999999]}", "seed: given 99999999999999999999"),
        ("grid: {epochs: [1e300]}", "epochs: given"),
        ("grid: {model_options: [{name: x}]}", "unknown field 'name'"),
        ("grid: {data: ['']}", "data: given ''"),
        ("resources: {tasks_per_node: 3}", "batch_size: given 64, expected a multiple of 3"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "submit"])
def test_bad_specs_are_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str, lines: str, expected: str
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC + lines + "\n")
    root = tmp_path / "runs"
    message = refused(capsys, verb, str(tmp_path / "spec.yaml"), "--root", str(root))
    assert expected in message and str(tmp_path / "spec.yaml") in message
    assert not root.exists()


def test_a_parquet_file_without_the_columns_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), tmp_path / "train.parquet")
    (tmp_path / "spec.yaml").write_text(SPEC.replace("digits", "train.parquet"))
    message = refused(capsys, "submit", str(tmp_path / "spec.yaml"), "--root", str(tmp_path / "r"))
    assert "train.parquet: column 'image' is missing; it has x" in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["modles"], "No such command 'modles'"),
        (["cost"], "missing MODEL"),
        (["cost", "vit_b16", "--image-size", "x"], "--image-size"),
        (["cost", "vit_b16", "--image-size", "225"], "image_size"),
        (["cost", "vit_b16", "--examples", "3"], "expected both or none"),
        (["cost", "vit_b16", "--examples", "5", "--epochs", "inf"], "given 5 and inf"),
        (["cost", "vit_b16", "--examples", "5", "--epochs", "1e300"], "given 5 and 1e+300"),
        (["cost", "vit_b16", "--published", "table6"], "--published: given beside MODEL…"),
        (["cost", "--published", "timm", "--examples", "5"], "beside --examples"),
        (["cost", "vit_b16", "--by-module", "--epochs", "5"], "--by-module: given beside --epochs"),
        (["models", "vit"], "unknown model 'vit'"),
        (["plan", "nowhere.yaml"], "nowhere.yaml: no such spec"),
        (["plan", "demo", "--set", "lr=3"], "unknown key 'lr'"),
        (["submit", "demo", "--cluster", "pbs"], "expected 'local' or 'slurm'"),
        (["status", "nowhere"], "nowhere: no such study"),
        (["table", "nowhere"], "nowhere"),
        (["report", "nowhere", "-o", "report.html"], "nowhere"),
        (["report", "nowhere", "-o", "report.pdf"], "expected a name in .html"),
        (["plot", "frontier", "nowhere", "-o", "x.png"], "nowhere"),
        (["plot", "pie", "nowhere", "-o", "x.png"], "expected one of frontier, data-scale"),
        (["plot", "frontier", "nowhere", "-o", "x.bmp"], "x.bmp"),
        (["table", "nowhere", "--format", "xls"], "expected one of text, markdown, latex, csv"),
        (["train", "nowhere"], "expected a run's folder with a config.json"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert expected in refused(capsys, *arguments)


def test_a_place_where_nothing_can_be_written_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    output = str(tmp_path / "file" / "table6.svg")
    message = refused(capsys, "plot", "frontier", "--published", "table6", "-o", output)
    assert str(tmp_path / "file") in message


def test_convert_makes_the_folder_and_gives_a_headless_network_a_head(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import numpy as np

    import models
    from models.checkpoints.convert import to_npz

    body = to_npz(models.build("vit_micro2", num_classes=3))
    body = {name: array for name, array in body.items() if not name.startswith("head/")}
    np.savez(tmp_path / "body.npz", **body)  # type: ignore[arg-type]
    source, target = str(tmp_path / "body.npz"), tmp_path / "new" / "folder" / "x.safetensors"
    assert "num_classes must be given" in refused(capsys, "convert", source, "-o", str(target))
    code, _, _ = run(capsys, "convert", source, "-o", str(target), "--num-classes", "7")
    head: Any = models.load_checkpoint(target).head
    assert code == 0 and head.out_features == 7
    impossible = str(tmp_path / "body.npz" / "x.safetensors")
    assert "body.npz" in refused(capsys, "convert", str(target), "-o", impossible)


def test_train_runs_a_prepared_run_in_this_process(tmp_path: Path) -> None:
    from sweeps import submit as submission
    from sweeps.expand import expand
    from sweeps.spec import StudySpec

    base = {"model": "vit_nano2", "data": "digits", "image_size": 8, "steps": 2}
    (prepared,) = expand(StudySpec(study="one", base=base), describe_from(tmp_path))
    submission.write_config(tmp_path / "one", prepared.run)
    run_dir = tmp_path / "one" / prepared.run_id
    command = [sys.executable, "-m", "bench", "train", str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "one").runs["state"].tolist() == ["done"]


def test_a_folder_that_is_no_study_does_not_hide_one_of_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bench.cli.options import study_dir

    monkeypatch.chdir(tmp_path)
    for folder in ("digits", "runs/digits", "elsewhere/digits"):
        Path(folder).mkdir(parents=True)
    for folder in ("runs/digits", "elsewhere/digits"):
        Path(folder, "study.json").write_text("{}")
    assert study_dir("digits", Path("runs")) == Path("runs/digits")
    assert study_dir("elsewhere/digits", Path("runs")) == Path("elsewhere/digits")
    assert study_dir("nowhere", Path("runs")) == Path("nowhere")


@pytest.mark.parametrize("verb", ["plan", "submit"])
def test_a_value_given_as_an_argument_overrides_the_spec(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str
) -> None:
    root = ("--root", str(tmp_path / "runs"))
    assert "unknown key 'lr'" in refused(capsys, verb, "demo", "lr=3", *root)
    assert "given 'epochs', expected KEY=VALUE" in refused(capsys, verb, "demo", "epochs", *root)
    assert not (tmp_path / "runs").exists()


def test_an_argument_plans_the_same_as_set(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = ("--root", str(tmp_path / "runs"), "--json")
    code, as_argument, _ = run(capsys, "plan", "demo", "epochs=3", "model=vit_nano2", *root)
    _, as_option, _ = run(
        capsys, "plan", "demo", "--set", "epochs=3", "--set", "model=vit_nano2", *root
    )
    assert code == 0
    assert json.loads(as_argument)["runs"] == json.loads(as_option)["runs"]
    assert {row["model"] for row in json.loads(as_argument)["runs"]} == {"vit_nano2"}
