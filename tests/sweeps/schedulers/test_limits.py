"""What a site takes, asked of programs that answer as Slurm 22.05 does."""

import getpass
import stat
from pathlib import Path

import pytest

from sweeps.resources import Resources
from sweeps.schedulers import SCHEDULERS, limits
from sweeps.schedulers.base import Limits

SLURM = Resources(cluster="slurm")
CONFIG = """
AccountingStorageEnforce = associations,limits
MaxArraySize            = 51
MaxJobCount             = 10000
"""
# Lines as `scontrol show assoc_mgr --oneliner` prints them, shortened.
ASSOCIATIONS = """Current Association Manager state
Association Records
ClusterName=lab Account=lab UserName= Partition= DefAssoc=No GrpSubmitJobs=900(200) MaxSubmitJobs=
ClusterName=lab Account=lab UserName={user}(0) Partition= DefAssoc=Yes GrpSubmitJobs=N(0) \
MaxSubmitJobs=500(20)
ClusterName=lab Account=big UserName={user}(0) Partition= DefAssoc=No GrpSubmitJobs=N(0) \
MaxSubmitJobs=5000(0)
QOS Records
QOS=normal(1) GrpSubmitJobs=N(0) MaxSubmitJobsPU=
QOS=short(2) GrpSubmitJobs=N(0) MaxSubmitJobsPU=30(10)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a program in scontrol's place, which prints the files beside it."""
    program = tmp_path / "scontrol"
    program.write_text(f'#!/bin/sh\ncat "{tmp_path}/$2"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "assoc_mgr").write_text(ASSOCIATIONS.format(user=getpass.getuser()))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_the_least_room_of_user_and_account_counts(site: Path) -> None:
    assert limits.ask(SLURM) == Limits(51, 500 - 20)
    user = (site / "assoc_mgr").read_text().replace("MaxSubmitJobs=500(20)", "MaxSubmitJobs=")
    (site / "assoc_mgr").write_text(user)
    assert limits.ask(SLURM).room == 900 - 200


def test_another_account_and_quality_of_service_have_their_own(site: Path) -> None:
    assert limits.ask(Resources(cluster="slurm", account="big")).room == 5000
    assert limits.ask(Resources(cluster="slurm", account="big", qos="short")).room == 30 - 10


def test_limits_that_are_not_enforced_are_none(site: Path) -> None:
    (site / "config").write_text(CONFIG.replace("associations,limits", "associations"))
    assert limits.ask(SLURM).room == 10_000


def test_the_spec_goes_before_what_the_site_says(site: Path) -> None:
    asked = Resources(cluster="slurm", max_array_size=10, max_jobs=3)
    assert limits.ask(asked) == Limits(10, 3)


def test_a_site_that_does_not_say_has_slurms_own_default(site: Path) -> None:
    (site / "config").unlink()
    assert limits.ask(SLURM) == Limits(1001, None)
    assert SCHEDULERS["local"].limits(Resources()).room is None
