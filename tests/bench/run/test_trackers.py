"""Trackers whose package is missing are refused by name, and none is a part of a run's identity."""

import pytest

from bench.data import sources
from bench.run import trackers
from bench.run.config import EngineConfig, Run, RunConfig
from bench.run.errors import SettingError


def test_a_missing_package_is_named_with_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trackers.PACKAGES, "wandb", "no_such_package")
    trackers.check_packages(["csv"])
    with pytest.raises(SettingError, match=r"given wandb.*pip install no_such_package"):
        trackers.check_packages(["csv", "wandb"])


def test_trackers_do_not_change_a_run() -> None:
    ids = set()
    for names in ([], ["csv"], ["csv", "tensorboard", "wandb"]):
        engine = EngineConfig.model_validate({"trackers": names})
        config = RunConfig(model="vit_nano2", steps=1, engine=engine)
        ids.add(Run(study="s", config=config, data=sources.describe("digits")).run_id)
    assert len(ids) == 1


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(ValueError, match="'csv', 'tensorboard' or 'wandb'"):
        EngineConfig.model_validate({"trackers": ["mlflow"]})
