"""Runs that could be added to a study, what they would cost, and the spec that asks for some."""

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import models
from bench.run.config import Describe, Run, read_run
from sweeps import expand, study
from sweeps.forecast import plan
from sweeps.spec import StudySpec

Row = dict[str, Any]

LARGE_IMAGES = 64  # from here on networks with the large root make sense at any size
DEFAULT_SEEDS = 3  # of a configuration, besides those that it has


def read(study_dir: Path) -> tuple[StudySpec, list[Run]]:
    """Return the spec of a submitted study, its data by full path, and its runs."""
    record = study.read(study_dir)
    spec = StudySpec.model_validate(record.spec)
    return spec, [read_run(study_dir / run.run_id) for run in record.runs]


def widen(
    spec: StudySpec, runs: Sequence[Run], families: Sequence[str], seeds: int = DEFAULT_SEEDS
) -> StudySpec:
    """Return the spec with every model of these families that suits its images, and new seeds.

    Where it varies the number of images, there are numbers between its own, and twice the largest
    if the data have as many. Its other axes stay; so do excludes and overrides.
    """
    sides = {_side(run.image_size) for run in runs}
    own = {run.config.model for run in runs}
    suited = [
        name
        for name in models.names()
        if models.config(name).family in families and (name in own or _suits(name, sides))
    ]
    used = sorted({run.config.seed for run in runs})
    new = itertools.islice((n for n in itertools.count() if n not in used), seeds)
    sources = sorted({run.data.source for run in runs})
    base = {key: value for key, value in spec.base.items() if key not in ("model", "seed", "data")}
    grid = dict(spec.grid) | {"model": suited, "seed": [*used, *new]}
    if "train_examples" in grid:
        grid["train_examples"] = [*grid["train_examples"], *_more_sizes(runs)]
    if len(sources) == 1:
        base["data"] = sources[0]
        grid.pop("data", None)
    resources = spec.resources.model_copy(update={"max_accelerator_days": None})
    return spec.model_copy(update={"base": base, "grid": grid, "resources": resources})


def _more_sizes(runs: Sequence[Run]) -> list[int]:
    """Return training-set sizes halfway, in logarithms, between those of the runs, and twice the
    largest."""
    sizes = sorted({run.train_examples for run in runs})
    between = {round(math.sqrt(low * high)) for low, high in itertools.pairwise(sizes)}
    beyond = {2 * sizes[-1]} if 2 * sizes[-1] <= min(run.data.num_train for run in runs) else set()
    return sorted((between | beyond) - set(sizes))


def _suits(name: str, sides: set[int]) -> bool:
    own = _side(models.config(name).image_size)
    return any(side == own or min(side, own) >= LARGE_IMAGES for side in sides)


def _side(image_size: int | tuple[int, int]) -> int:
    return image_size if isinstance(image_size, int) else max(image_size)


def costs(spec: StudySpec, root: Path, describe: Describe) -> tuple[list[Run], list[Row], bool]:
    """Return the runs of a spec that were never made, their rows of `plan`, and if days are known.

    A model that was never measured is taken to be as fast, in FLOPs a day, as the median of the
    others; without any, no days are known and they stay null.
    """
    planned = expand.expand(spec, describe)
    rows = plan.plan(spec, planned, root)
    pairs = zip(planned, rows, strict=True)
    kept = [(one.run, row) for one, row in pairs if row["state"] == "missing"]
    speeds = [
        row["train_flops"] / row["accelerator_days"] for row in rows if row["accelerator_days"]
    ]
    if speeds:
        typical = statistics.median(speeds)
        for _, row in kept:
            row["accelerator_days"] = row["accelerator_days"] or row["train_flops"] / typical
    return [run for run, _ in kept], [row for _, row in kept], bool(speeds)


def only(spec: StudySpec, chosen: Sequence[Run]) -> StudySpec:
    """Return a spec of the chosen runs and no others, as a grid with excludes."""
    points = [_point(run, list(spec.grid)) for run in chosen]
    axes = {
        key: [v for v in axis if any(p[key] == v for p in points)]
        for key, axis in spec.grid.items()
    }
    outer = [key for key in axes if key != "seed"]
    exclude = list(spec.exclude)
    for values in itertools.product(*(axes[key] for key in outer)):
        match = dict(zip(outer, values, strict=True))
        wanted = [p["seed"] for p in points if all(p[key] == match[key] for key in outer)]
        left = [seed for seed in axes["seed"] if seed not in wanted]
        if left:
            exclude.append(match | ({"seed": left} if wanted else {}))
    return spec.model_copy(update={"grid": axes, "exclude": exclude})


def _point(run: Run, keys: Sequence[str]) -> Row:
    """Return the values of a run at dotted keys of its config."""
    config = run.config.model_dump(mode="json")
    point: Row = {}
    for key in keys:
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        point[key] = value
    return point
