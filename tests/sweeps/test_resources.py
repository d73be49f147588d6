"""Resources: from a site's profile, and what of them may not reach a batch script."""

import os
from pathlib import Path
from typing import Any

import pytest

from bench.run.errors import SettingError
from sweeps import spec as specs
from sweeps.documents import SpecError
from sweeps.resources import OPTIONS, OWN_OPTIONS, Resources, check
from sweeps.schedulers import SCHEDULERS

SPEC = """
study: small
base: {data: digits, steps: 10, model: vit_nano2}
resources:
  profile: lab
  nodes: 2
  setup: [source venv/bin/activate]
  sbatch: {nice: 5}
"""
PROFILE = """
partition: gpu
nodes: 8
accelerator: NVIDIA H100
price_per_accelerator_hour: 2.5
setup: [module load cuda]
sbatch: {nice: 100, reservation: vision}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the profile `lab`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "scalestudy" / "lab.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(PROFILE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return path


def load(site: Path, *settings: str, profile: str | None = None) -> Resources:
    spec = site.parents[2] / "spec.yaml"
    return specs.load(str(spec), settings, profile)[0].resources


def test_a_profile_lies_under_what_the_spec_says(site: Path) -> None:
    found = load(site)
    assert found.partition == "gpu" and found.accelerator == "NVIDIA H100"
    assert found.nodes == 2
    assert found.setup == ["module load cuda", "source venv/bin/activate"]
    assert found.sbatch == {"nice": 5, "reservation": "vision"}
    assert load(site, "resources.partition=cpu").partition == "cpu"


def test_a_profile_below_the_former_name_is_found(site: Path) -> None:
    former = site.parents[1] / "scalebench" / "old.yaml"
    former.parent.mkdir()
    former.write_text("partition: former\n")
    assert load(site, "resources.profile=old").partition == "former"
    (site.parent / "old.yaml").write_text("partition: newer\n")
    assert load(site, "resources.profile=old").partition == "newer"


def test_a_profile_can_be_a_file_and_given_by_the_command(site: Path) -> None:
    other = site.parents[2] / "other.yaml"
    other.write_text("partition: long\n")
    assert load(site, profile=str(other)).partition == "long"
    assert load(site, "resources.profile=other.yaml").partition == "long"
    with pytest.raises(SpecError, match=r"profile nowhere: no such file, .*nowhere.yaml"):
        load(site, profile="nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partiton: gpu", r"lab.yaml: partiton: unknown key; did you mean partition"),
        ("nodes: many", r"lab.yaml: nodes: given 'many', expected a valid integer"),
        ('account: "a\\nb"', r"lab.yaml: account: given .*, expected printable text"),
        ("profile: lab", "a profile has no profile"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_file(site: Path, text: str, message: str) -> None:
    site.write_text(text)
    with pytest.raises(SpecError, match=message):
        load(site)


def test_shell_lines_come_from_files_only(site: Path) -> None:
    with pytest.raises(SpecError, match="lines of shell come from a spec or a profile only"):
        load(site, "resources.setup=[touch x]")


@pytest.mark.parametrize("option", [*OPTIONS, *OWN_OPTIONS, "outp", "dep", "-a", "a", "x y", "A"])
def test_options_that_are_not_the_users_are_refused(option: str) -> None:
    with pytest.raises(SettingError, match=f"^sbatch.{option}: "):
        check(Resources(sbatch={option: "x"}))


def test_other_options_of_sbatch_are_taken() -> None:
    check(Resources(sbatch={"reservation": "vision", "mail-type": "FAIL", "exclusive": "user"}))


def test_a_single_run_has_no_study_wide_resource(site: Path) -> None:
    spec = site.parents[2] / "spec.yaml"
    spec.write_text(SPEC + "overrides: [{match: {seed: 0}, set: {resources.cluster: local}}]\n")
    with pytest.raises(SpecError, match=r"overrides.0.set.resources.cluster: no resource of"):
        load(site)
    spec.write_text(SPEC + "overrides: [{match: {seed: 0}, set: {resources.node: 4}}]\n")
    with pytest.raises(SpecError, match=r"did you mean nodes"):
        load(site)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 8),
        ({"cpus_per_task": 3}, 2),
        ({"tasks_per_node": 2, "cpus_per_task": 2}, 2),
        ({"cpus_per_task": 16}, 1),
        ({"cpus_per_task": 4, "parallel": 5}, 5),
        ({"cluster": "slurm"}, None),
    ],
)
def test_as_many_local_runs_at_a_time_as_have_cores_each(
    given: dict[str, Any], expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    wanted = Resources(**given)
    assert SCHEDULERS[wanted.cluster].slots(wanted) == expected
