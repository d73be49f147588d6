"""From a spec to runs, each checked before anything starts."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import models
from bench import data
from bench.config import BenchError, Run, RunConfig, explain, micro_batches
from sweeps.spec import SpecError, StudySpec

Values = dict[str, Any]


def expand(spec: StudySpec, base_folder: Path) -> list[Run]:
    """Every run of the study, in the order of the grid, the last axis fastest.

    Relative data paths start from `base_folder`. Raises SpecError naming the run's values where
    a config is wrong, a model or a data set unknown, a batch does not divide, or two runs are
    the same.
    """
    runs: dict[str, Run] = {}
    for chosen, values in _points(spec):
        run = _resolve(spec, chosen, values, base_folder)
        if run.run_id in runs:
            raise SpecError(
                f"study {spec.study}: two runs are the same, {run.run_id}: "
                f"{_words(chosen)} repeats an earlier point of the grid"
            )
        runs[run.run_id] = run
    if not runs:
        raise SpecError(f"study {spec.study}: no runs are left after exclude")
    return list(runs.values())


def _points(spec: StudySpec) -> Iterator[tuple[Values, Values]]:
    """The grid's own values of each point, and all values with base and overrides."""
    keys = list(spec.grid)
    for combination in itertools.product(*spec.grid.values()):
        chosen = dict(zip(keys, combination, strict=True))
        values = spec.base | chosen
        if any(_matches(values, match) for match in spec.exclude):
            continue
        for override in spec.overrides:
            if _matches(values, override.match):
                values = values | override.set
        yield chosen, values


def _matches(values: Values, match: Values) -> bool:
    """Whether all of `match` holds; a list there means any of its values."""
    return all(
        values.get(key) in wanted if isinstance(wanted, list) else values.get(key) == wanted
        for key, wanted in match.items()
    )


def _resolve(spec: StudySpec, chosen: Values, values: Values, base_folder: Path) -> Run:
    try:
        config = RunConfig.model_validate(_nest(values))
        models.config(config.model, **_options(config))
        info = data.describe(config.data, base_folder)
        micro_batches(config, spec.resources.num_devices)
        if config.train_examples and config.train_examples > info.num_train:
            raise SpecError(
                f"train_examples: given {config.train_examples}, "
                f"expected at most {info.num_train}, what {info.name} has"
            )
    except ValidationError as error:
        raise SpecError(f"{_where(spec, chosen)}: {explain(error, RunConfig)}") from error
    except (models.ModelsError, BenchError, SpecError) as error:
        raise SpecError(f"{_where(spec, chosen)}: {error}") from error
    # Its parts have been validated; once more is a tenth of the time of planning 100,000 runs.
    return Run.model_construct(study=spec.study, config=config, data=info)


def _options(config: RunConfig) -> Values:
    size = {"image_size": config.image_size} if config.image_size else {}
    return config.model_options | size


def _where(spec: StudySpec, chosen: Values) -> str:
    return f"study {spec.study}" + (f", run {_words(chosen)}" if chosen else "")


def _nest(values: Values) -> Values:
    """Dotted keys as inner ones: {"recipe.lr": 1} becomes {"recipe": {"lr": 1}}."""
    nested: Values = {}
    for key, value in values.items():
        *path, last = key.split(".")
        here = nested
        for part in path:
            here = here.setdefault(part, {})
        if isinstance(value, dict) and isinstance(here.get(last), dict):
            here[last] = here[last] | value
        else:
            here[last] = dict(value) if isinstance(value, dict) else value
    return nested


def _words(values: Values) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items()) or "(no grid)"
