"""The report in a real Chromium: what it draws, says, loads, and lets a reader do."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from results import store
from results.report import write
from tests.helpers import large_ledger

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium")
DEMO = "tests/data/ledger_v1"
EVIL = "<script>alert(1)</script>"
READY_MS = 60_000
WIDE: dict[str, Any] = {"viewport": {"width": 1400, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
Page = Any  # of playwright, which is not installed everywhere
Visit = Callable[..., Page]
Drawn = tuple[store.Study, Path]  # a study and its report


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as player:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = player.chromium.launch(executable_path=CHROMIUM, args=options)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Opens a page and waits for its charts; at the end nothing was loaded and no error logged."""
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []

    def dismiss(dialog: Any) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    def go(path: Path, **options: Any) -> Page:
        context = browser.new_context(**(options or WIDE))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", dismiss)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=READY_MS)
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []
    assert {urlparse(url).scheme for url in requests} <= {"file", "data", "blob"}
    assert len([url for url in requests if url.startswith("file")]) == len(contexts)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Drawn:
    folder = tmp_path_factory.mktemp("report")
    study = store.load(request.config.rootpath / DEMO)
    return study, write.write(study, folder / "demo.html", published=True)


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """300 runs: 15 models in 4 sizes of the training set, 5 seeds each, 6 of them failed."""
    folder = tmp_path_factory.mktemp("report")
    study = store.load(large_ledger.write(folder / "study", 300))
    return study, write.write(study, folder / "middle.html")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    folder = tmp_path_factory.mktemp("report")
    study = store.load(large_ledger.write(folder / "study", 10_000))
    return study, write.write(study, folder / "large.html")


def points(page: Page, chart: str) -> int:
    """How many markers a chart has drawn."""
    return int(page.locator(f"#{chart} .plot .scatterlayer .points path").count())


def choose(page: Page, chart: str, **chosen: str) -> None:
    for name, value in chosen.items():
        page.locator(f"#{chart} select[name={name}]").select_option(value)


def axis(page: Page, chart: str, letter: str) -> str:
    return str(page.locator(f"#{chart} .plot .{letter}title").text_content())


def ledger(page: Page, name: str) -> list[str]:
    """The texts of a shown column of the ledger's page."""
    heads = page.locator("#rows thead button").evaluate_all("all => all.map(b => b.dataset.column)")
    at = heads.index(name) + 1
    return list(page.locator(f"#rows tbody tr > :nth-child({at})").all_text_contents())


def hovered(page: Page, chart: str, run_id: str) -> list[str]:
    """Hovers with the mouse over a run's marker; the lines of the text that appears."""
    at = page.evaluate(
        """([chart, run]) => {
          const plot = document.querySelector(`#${chart} .plot`);
          const { x: left, y: top } = plot.getBoundingClientRect();
          const { xaxis, yaxis } = plot._fullLayout;
          const points = plot.data.flatMap((trace) => trace.meta ?? []);
          const { x, y } = points.find(({ row }) => cell("run_id", row) === run);
          return [left + xaxis._offset + xaxis.d2p(x), top + yaxis._offset + yaxis.d2p(y)];
        }""",
        [chart, run_id],
    )
    page.mouse.move(*at)
    lines = page.locator(f"#{chart} .hoverlayer .hovertext .line")
    lines.first.wait_for()
    return list(lines.all_text_contents())


def test_the_charts_of_a_small_study_are_drawn_beside_the_papers_points(
    visit: Visit, demo: Drawn
) -> None:
    study, path = demo
    page = visit(path)
    done = int((study.runs["state"] == "done").sum())
    assert points(page, "frontier") == done + 18  # those of Table 6
    assert page.locator("#frontier .drawn").text_content().startswith(f"{done} runs drawn; ")


def test_the_charts_draw_every_finished_run(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    assert points(page, "frontier") == points(page, "scale") == 294
    assert "6 not drawn" in page.locator("#frontier .drawn").text_content()


def test_the_hover_text_names_run_cost_accuracy_and_commit(visit: Visit, middle: Drawn) -> None:
    study, path = middle
    page = visit(path)
    scores = study.runs["top1_accuracy"]
    for chart, at in (("frontier", scores.idxmax()), ("scale", scores.idxmin())):
        run: dict[Any, Any] = study.runs.loc[int(str(at))].to_dict()
        page.locator(f"#{chart}").scroll_into_view_if_needed()
        text = "\n".join(hovered(page, chart, run["run_id"]))
        assert run["run_id"] in text and run["label"] in text
        assert f"training images: {run['train_examples']:,}" in text
        assert f"top-1: {100 * run['top1_accuracy']:.2f}%" in text
        assert f"commit: {run['git_commit'][:12]}" in text
        if chart == "frontier":
            assert f"training compute (FLOPs): {run['train_flops'] / 1e18:.4g} E" in text


def test_axes_scales_and_metrics_can_be_switched(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    assert axis(page, "frontier", "x") == "training compute (FLOPs)"
    choose(page, "frontier", x="energy_joules", xscale="linear", metric="loss", yscale="linear")
    assert axis(page, "frontier", "x") == "energy (joules)"
    assert axis(page, "frontier", "y") == "loss (nats)"
    assert page.locator("#frontier select[name=show]").is_disabled()
    types = "['xaxis', 'yaxis'].map(a => document.querySelector('#frontier .plot').layout[a].type)"
    assert page.evaluate(types) == ["linear", "linear"]
    assert points(page, "frontier") == 264  # 30 of 300 have no energy; none of them failed
    assert points(page, "scale") == 294


def test_means_over_seeds_are_one_point_a_configuration(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    choose(page, "frontier", points="means")
    assert points(page, "frontier") == 60
    assert "as 60 means" in page.locator("#frontier .drawn").text_content()


def test_the_frontier_is_that_of_the_package(visit: Visit, middle: Drawn) -> None:
    from results.frontier import frontier

    study, path = middle
    runs = study.runs[study.runs["state"] == "done"]
    mask = frontier(runs["train_flops"], 1 - runs["top1_accuracy"])
    line = "document.querySelector('#frontier .plot').data.find(t => t.name == 'Pareto frontier')"
    drawn = visit(path).evaluate(f"({line}).x")
    wanted = sorted(runs["train_flops"][mask])
    assert drawn == pytest.approx(wanted, rel=1e-6)


def test_laws_are_drawn_where_they_were_fitted(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    choose(page, "frontier", line="laws")
    lines = page.locator("#frontier .plot .scatterlayer path.js-line, #frontier .plot path.js-fill")
    assert lines.count() >= 3
    choose(page, "frontier", x="params")
    assert "Laws were fitted for" in page.locator("#frontier .drawn").text_content()


def test_the_ledger_sorts_by_any_column_unknown_last(visit: Visit, middle: Drawn) -> None:
    study, path = middle
    page = visit(path)
    head = page.locator("#rows th", has=page.locator("[data-column=top1_accuracy]"))
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    ordered = study.runs["top1_accuracy"].dropna().sort_values()
    assert ledger(page, "top1_accuracy") == [f"{100 * v:.2f}%" for v in ordered[:50]]
    page.locator("#rows [data-column=top1_accuracy]").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert ledger(page, "top1_accuracy")[0] == f"{100 * ordered.iloc[-1]:.2f}%"
    page.locator("[data-step=last]").click()
    assert ledger(page, "top1_accuracy")[-6:] == [""] * 6
    assert page.locator("#page").text_content() == "251 to 300 of 300"


def test_the_filter_takes_words_and_comparisons_for_charts_and_ledger(
    visit: Visit, middle: Drawn
) -> None:
    study, path = middle
    runs = study.runs
    page = visit(path)
    wanted = {
        "r50_vit": runs["model"].str.contains("r50_vit"),
        "family=bit seed=0": (runs["family"] == "bit") & (runs["seed"] == 0),
        "top1_accuracy>80%": runs["top1_accuracy"] > 0.8,
        "state=failed": runs["state"] == "failed",
        '"out of memory"': runs["failure"].notna(),
        "nothing-has-this": runs["seed"] < 0,
    }
    for words, mask in wanted.items():
        page.locator("#filter").fill(words)
        page.wait_for_function(
            "text => document.getElementById('counted').textContent === text",
            arg=f"{mask.fillna(False).sum()} of 300 runs",
        )
        shown = min(int(mask.sum()), 50)
        assert page.locator("#rows tbody tr").count() == shown, words
        done = mask & (runs["state"] == "done")
        assert points(page, "frontier") == done.sum(), words


def test_columns_can_be_added_and_a_run_opened_with_all_of_them(
    visit: Visit, middle: Drawn
) -> None:
    page = visit(middle[1])
    page.locator("#columns summary").click()
    page.locator("#columns label", has_text=re.compile("^ host$")).click()
    assert ledger(page, "host")[0].startswith("node")
    page.locator("#rows tbody button").first.click()
    text = page.locator("dialog#run").inner_text()
    assert "deepspeed version" in text and ledger(page, "run_id")[0] in text
    page.keyboard.press("Escape")
    assert not page.locator("dialog#run").is_visible()


def test_everything_can_be_done_from_a_keyboard(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#frontier .plot").focus()
    page.keyboard.press("ArrowRight")
    assert "commit: " in page.locator("#frontier .spoken").text_content()
    assert page.locator("#frontier .hoverlayer .hovertext").count() == 1
    page.keyboard.press("Enter")
    assert page.locator("dialog#run").is_visible()
    page.keyboard.press("Escape")
    page.locator("#rows [data-column=seed]").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.column") == "seed"
    assert page.locator("#rows th[aria-sort=ascending]").count() == 1
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_every_control_has_a_name_for_those_who_cannot_see_it(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    nameless = page.locator("button, select, input, a").evaluate_all(
        """all => all.filter(e => !(e.getAttribute("aria-label") || e.textContent.trim()
             || e.labels?.length)).map(e => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 390, "height": 844}}])
def test_a_phones_width_has_room_for_the_page(
    visit: Visit, middle: Drawn, demo: Drawn, options: dict[str, Any]
) -> None:
    for path in (middle[1], demo[1]):
        page = visit(path, **options)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("#frontier .plot .main-svg").first.bounding_box()
        assert box["width"] <= 390 and box["height"] > 200


def luminance(color: str) -> float:
    red, green, blue = (int(part) for part in re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_light_and_dark_follow_the_system_and_can_be_chosen(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1], color_scheme="dark", **WIDE)
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('#frontier .plot .xtitle')).fill"
    assert luminance(page.evaluate(paper)) < 0.2 < 0.8 < luminance(page.evaluate(ink))
    page.locator("#theme").click()
    assert luminance(page.evaluate(ink)) < 0.2 < 0.8 < luminance(page.evaluate(paper))
    page.locator("#theme").click()
    assert luminance(page.evaluate(paper)) < 0.2 < 0.8 < luminance(page.evaluate(ink))


def test_names_are_shown_and_never_run(visit: Visit, tmp_path: Path) -> None:
    names = dict.fromkeys(("study", "run_id", "label", "model", "family", "recipe", "host"), EVIL)
    names |= {"dataset": "<img src=x onerror=alert(2)>", "git_commit": '"><b onclick=alert(3)>'}
    folder = large_ledger.write(tmp_path / "study", 5, **names)
    (folder / "study.json").write_text(f'{{"study": "{EVIL}", "spec": "{EVIL}"}}')
    page = visit(write.write(store.load(folder), tmp_path / "evil.html"))
    assert page.locator("h1").text_content() == EVIL
    assert page.locator("img, [onerror], [onclick]").count() == 0
    assert EVIL in "\n".join(hovered(page, "frontier", EVIL))
    assert page.locator("#frontier .legendtext").last.text_content() == EVIL
    page.locator("#rows tbody button").first.click()
    assert EVIL in page.locator("dialog#run").inner_text()


def test_ten_thousand_runs_are_drawn_sorted_and_filtered(visit: Visit, large: Drawn) -> None:
    study, path = large
    page = visit(path)
    assert points(page, "frontier") == 2000  # means over five seeds
    page.locator("#rows [data-column=loss]").click()
    assert float(ledger(page, "loss")[0]) == pytest.approx(study.runs["loss"].min(), rel=1e-4)
    page.locator("#filter").fill("model=vit_b16 train_examples>5e6")
    chosen = study.runs[(study.runs["model"] == "vit_b16") & (study.runs["train_examples"] > 5e6)]
    text = f"{len(chosen)} of 10,000 runs"
    page.wait_for_function("t => document.getElementById('counted').textContent === t", arg=text)
    choose(page, "frontier", points="runs")
    assert points(page, "frontier") == (chosen["state"] == "done").sum()


def test_it_prints_without_its_controls(visit: Visit, middle: Drawn) -> None:
    page = visit(middle[1])
    page.emulate_media(media="print")
    assert not page.locator("#filter").is_visible() and page.locator("#rows").is_visible()
