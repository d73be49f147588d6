"""The options of verbs that read ledgers mean the same in each, with the same checks and words."""

from pathlib import Path

import pytest

from bench.cli.app import main
from tests.helpers.paths import DATA

LEDGER = str(DATA / "ledger_v1")
TABLE6 = ("--published", "table6")
# Each verb with what it needs beside a study, or beside the paper's runs instead of studies.
VERBS = {
    "table": (),
    "plot": ("frontier", "-o", "{folder}/a.svg"),
    "report": ("-o", "{folder}/a.html"),
    "fit": (),
    "compare": (),
    "next": ("--budget-days", "1"),
}


def run(verb: str, *arguments: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a refused command says."""
    given = [word.format(folder=folder) for word in VERBS[verb]]
    kind, options = (given[:1], given[1:]) if verb == "plot" else ([], given)
    with pytest.raises(SystemExit) as end:
        main([verb, *kind, *arguments, *options])
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("scalestudy: ")
    assert not any(folder.iterdir())
    return err


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "next"])
@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("family=resnet", "--where family=resnet: no row is left; family is bit, vit"),
        ("famly=vit", "did you mean family?"),
        ("family", "given 'family', expected COLUMN=VALUE"),
        ("params<many", "--where params<many: given 'many', expected a number"),
    ],
)
def test_a_condition_is_checked_alike(
    verb: str, condition: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in run(verb, LEDGER, "--where", condition, folder=tmp_path, capsys=capsys)


@pytest.mark.parametrize("verb", ["table", "plot", "fit", "compare"])
def test_without_a_study_each_verb_asks_for_one(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "missing STUDY: expected a study's name or its folder" in run(
        verb, folder=tmp_path, capsys=capsys
    )


@pytest.mark.parametrize("verb", ["table", "plot", "compare"])
def test_the_papers_own_table_is_instead_of_studies(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(verb, LEDGER, *TABLE6, folder=tmp_path, capsys=capsys)
    assert "the paper's own table instead of studies" in said


@pytest.mark.parametrize("verb", ["fit", "compare", "next"])
@pytest.mark.parametrize("level", ["0.2", "1.0"])
def test_a_level_outside_its_range_is_refused(
    verb: str, level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--level" in run(verb, LEDGER, "--level", level, folder=tmp_path, capsys=capsys)


@pytest.mark.parametrize("verb", ["table", "plot", "report", "compare", "fit"])
def test_an_unknown_metric_is_refused_with_near_ones(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(verb, LEDGER, "--metric", "top1_acuracy", folder=tmp_path, capsys=capsys)
    assert "did you mean top1_accuracy" in said


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        ("table", "--cost"),
        ("plot", "--cost"),
        ("report", "--cost"),
        ("compare", "--cost"),
        ("fit", "--x"),
    ],
)
def test_an_unknown_cost_is_refused_with_near_ones(
    verb: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(verb, LEDGER, option, "train_flop", folder=tmp_path, capsys=capsys)
    assert "did you mean train_flops" in said


@pytest.mark.parametrize(
    ("verb", "option"), [("table", "--metric"), ("report", "--metric"), ("fit", "--metric")]
)
def test_a_short_metric_is_accepted_alike(
    verb: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for number, name in enumerate(("top1", "top1_accuracy")):
        given = ["-o", str(tmp_path / f"{number}.html")] if verb == "report" else []
        with pytest.raises(SystemExit) as end:
            main([verb, LEDGER, option, name, *given])
        out, err = capsys.readouterr()
        outputs.append((end.value.code, out, err.replace(f"{number}.html", "")))
    assert outputs[0] == outputs[1]
    assert "missing" not in outputs[0][2]


def test_a_short_cost_is_the_only_column_that_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for name in ("peak_memory", "peak_memory_bytes"):
        with pytest.raises(SystemExit) as end:
            main(["table", LEDGER, "--cost", name])
        assert end.value.code == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("verb", ["table", "plot", "compare"])
def test_an_unknown_table_of_the_paper_is_refused_alike(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(verb, "--published", "table9", folder=tmp_path, capsys=capsys)
    assert "--published: given 'table9', expected one of table" in said


@pytest.mark.parametrize("verb", ["next", "report"])
def test_a_missing_study_is_named(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "missing STUDY: expected " in run(verb, folder=tmp_path, capsys=capsys)


def test_a_level_is_refused_with_what_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run("fit", LEDGER, "--level", "0.3", folder=tmp_path, capsys=capsys)
    assert "given 0.3, expected a number between 0.5 and 0.999" in said


@pytest.mark.parametrize("verb", ["status", "trace"])
def test_conditions_of_status_and_trace_are_those_of_the_other_verbs(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([verb, LEDGER, "--where", "model=vit_nano2", "--json"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    assert "vit_nano2" in out and "bit_" not in out
    with pytest.raises(SystemExit) as end:
        main([verb, LEDGER, "--where", "famly=vit"])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == "" and "did you mean family?" in err
