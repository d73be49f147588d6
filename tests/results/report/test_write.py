"""The report is one page that needs nothing else and lets no name become code."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from results import store
from results.columns.configurations import MissingColumn
from results.report import write
from results.schema import ResultsError
from tests.helpers import large_ledger
from tests.helpers.known import known

EVIL = "<script>alert(1)</script>"
LOADING = {"src", "href", "action", "data", "poster", "srcset", "formaction", "background"}


class Page(HTMLParser):
    """Elements, their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        else:
            self.words.append(data)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> store.Study:
    return store.load(large_ledger.write(tmp_path_factory.mktemp("runs") / "s", 120))


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> store.Study:
    names = dict.fromkeys(("study", "label", "recipe", "dataset", "failure", "host"), EVIL)
    folder = tmp_path_factory.mktemp("runs") / "evil"
    large_ledger.write(folder, 30, **names)
    (folder / "study.json").write_text(f'{{"study": "{EVIL}"}}')
    return store.load(folder)


def test_nothing_is_loaded_from_elsewhere(study: store.Study) -> None:
    for tag, attributes in Page(write.html(study)).tags:
        for name in LOADING & attributes.keys():
            assert known(attributes[name]).startswith("#"), (tag, attributes)
        assert tag not in ("link", "iframe", "img", "object", "embed", "base"), tag


def test_only_the_pages_own_scripts_may_run(study: store.Study) -> None:
    page = Page(write.html(study))
    (policy,) = [known(a["content"]) for tag, a in page.tags if tag == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none';") and "unsafe-eval" not in policy
    allowed = re.findall(r"sha256-([^']+)", policy)
    run = [text for text in page.scripts if not text.startswith("{")]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert sorted(hashes) == sorted(allowed) and len(run) == 2
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_names_are_escaped_everywhere(evil: store.Study) -> None:
    text = write.html(evil)
    assert EVIL not in text
    page = Page(text)
    assert len(page.scripts) == 3
    assert any(EVIL in words for words in page.words)


def test_the_page_has_what_a_reader_looks_for(study: store.Study) -> None:
    words = " ".join(Page(write.html(study)).words)
    for title in ("Charts", "Ledger", "Comparison", "Costs", "Provenance"):
        assert title in words
    assert "117 of 120" in words  # rows 7, 57 and 107 failed


def test_controls_have_labels(study: store.Study) -> None:
    text = write.html(study)
    page = Page(text)
    labeled = {a["for"] for tag, a in page.tags if tag == "label" and "for" in a}
    for tag, attributes in page.tags:
        if tag == "input":
            assert attributes["id"] in labeled
    assert len(re.findall(r"<label>\w+ <select", text)) == text.count("<select")


def test_published_rows_lie_beside_the_studys_own(study: store.Study) -> None:
    assert "ViT paper, Table 6" in write.html(study, published=True)


def test_an_unknown_column_and_an_empty_study_are_refused(
    study: store.Study, tmp_path: Path
) -> None:
    with pytest.raises(MissingColumn, match="'accuracy'"):
        write.html(study, metric="accuracy")
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(ResultsError, match="no run has ended"):
        write.html(store.load(tmp_path))


def test_a_study_without_scores_or_costs_has_a_report_all_the_same(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("top1_accuracy", "loss", "train_flops", "params", "label", "family"))
    study = store.load(large_ledger.write(tmp_path / "s", 5, **nothing))
    assert "Comparison" not in " ".join(Page(write.html(study)).words)


def test_ten_thousand_runs_are_a_file_of_less_than_4_megabytes(tmp_path: Path) -> None:
    study = store.load(large_ledger.write(tmp_path / "s", 10_000))
    assert write.write(study, tmp_path / "new" / "large.html").stat().st_size < 4e6
