"""Every row of a ledger leads back to what made it."""

import json
import shutil
from pathlib import Path

import pytest

from results import store
from results.ledger import origin, parquet
from results.ledger.compact import compact
from tests.helpers.paths import LEDGER

LONG = "vit_nano2-digits-n200-s0-a2cbc70b0f30"
NEVER_BEGUN = "bit_nano-digits-n100-s0-117929f35251"
COMMIT = "a320a28da57ce4f5e9964be2f3557762e4ef5626"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LEDGER, tmp_path / "first"))


def test_a_row_leads_to_code_seeds_images_hosts_and_attempts(study: Path) -> None:
    found = store.trace(study, LONG)
    assert (found.study, found.run_id) == ("first", LONG)
    assert found.row is not None and found.manifest is not None
    assert (
        found.row["top1_accuracy"]
        == store.load(study).runs.set_index("run_id").loc[LONG, "top1_accuracy"]
    )
    assert found.seeds == {"seed": 0, "subset_seed": 0}
    assert found.config["config"]["steps"] == 400
    assert len(json.loads(found.manifest.read_text())["indices"]) == 200
    assert found.hosts == ("node01",)
    assert [(row["attempt"], row["ended"]) for row in found.attempts] == [(1, "lost"), (2, "done")]
    (code,) = found.code
    assert code.attempts == (1, 2)
    assert code.software["git_commit"] == COMMIT
    assert (code.patch, code.environment) == (None, None)  # it was not submitted


def test_the_changes_and_packages_of_each_code_are_named(study: Path) -> None:
    path = study / LONG / "attempts" / "0002.parquet"
    (row,) = parquet.read_rows(path)
    parquet.write(path, "attempts", [row | {"git_dirty": True, "code_hash": "0123456789ab"}])
    kept = study / "code" / "0123456789ab"
    kept.mkdir(parents=True)
    (kept / "diff.patch").write_text("--- a\n")
    (kept / "environment.txt").write_text("numpy==2\n")
    first, second = store.trace(study, LONG).code
    assert (first.attempts, first.patch) == ((1,), None)
    assert (second.attempts, second.patch) == ((2,), kept / "diff.patch")
    assert second.environment == kept / "environment.txt"


def test_a_merged_study_is_traced_alike(study: Path) -> None:
    before = store.trace(study, LONG)
    compact(study)
    assert store.trace(study, LONG) == before


def test_an_attempt_under_way_is_there_from_its_heartbeat(study: Path) -> None:
    (study / LONG / "attempts" / "0002.parquet").unlink()
    found = store.trace(study, LONG)
    assert [row["attempt"] for row in found.attempts] == [1, 2]
    assert found.attempts[1]["state"] == "running"
    assert found.attempts[1]["git_commit"] == COMMIT


def test_a_run_that_never_began_has_its_config(study: Path) -> None:
    found = store.trace(study, NEVER_BEGUN)
    assert (found.row, found.attempts, found.code, found.manifest) == (None, (), (), None)
    assert found.config["config"]["model"] == "bit_nano"


def test_an_id_may_be_cut_short_but_not_too_short(study: Path) -> None:
    assert store.trace(study, "bit_nano-digits-n100").run_id == NEVER_BEGUN
    with pytest.raises(origin.UnknownRun, match=r"given run 'vit', which may be .* or vit_nano2"):
        store.trace(study, "vit")
    with pytest.raises(origin.UnknownRun, match=f"did you mean {LONG}"):
        store.trace(study, LONG.replace("a2c", "b2c"))


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(store.NotAStudy):
        store.trace(tmp_path, "a")
