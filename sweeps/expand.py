"""From a spec to runs, each checked before anything starts."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

import models
from bench.run.config import Describe, Init, Run, RunConfig
from bench.run.errors import BenchError, SettingError
from bench.run.init import Inits
from bench.run.micro_batch import micro_batches
from bench.run.protocols import EvaluationRequest, resolve
from bench.run.trackers import check_packages
from bench.run.validation import explain
from models.families import family_of
from sweeps.documents import SpecError
from sweeps.points import DEFAULTS, Values, flat, matches, nest, points, words
from sweeps.resources import Resources, check
from sweeps.spec import StudySpec


@dataclass(frozen=True)
class Planned:
    """A run of a study with the resources that it is given.

    Runs with the same resources have the same object.
    """

    run: Run
    resources: Resources

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id


def expand(spec: StudySpec, describe: Describe, inits: Inits | None = None) -> list[Planned]:
    """Return every run of the study, in the order of the grid, the last axis fastest.

    `describe` finds out what a data set holds, `inits` where initial weights come from (by default
    from the current folder). Raises SpecError naming the run's values where a config is wrong, a
    model or a data set unknown, a batch does not divide, or two runs are the same.
    """
    planned: dict[str, Planned] = {}
    resolver = _Resolver(spec, describe, inits or Inits(Path.cwd()))
    for number, point in enumerate(resolver.points):
        made = resolver.planned(number)
        if made.run_id in planned:
            raise SpecError(
                f"study {spec.study}: two runs are the same, {made.run_id}: "
                f"{words(point.chosen)} repeats an earlier point of the grid"
            )
        planned[made.run_id] = made
    if not planned:
        raise SpecError(f"study {spec.study}: no runs are left after exclude")
    return list(planned.values())


def evaluations(spec: StudySpec, describe: Describe) -> list[EvaluationRequest]:
    """Return the evaluations that every run of the study is to have; raise SpecError."""
    found = {}
    for number, options in enumerate(spec.evaluations):
        try:
            request = resolve(options, describe)
        except BenchError as error:
            raise SpecError(f"study {spec.study}, evaluations.{number}: {error}") from error
        found[request.key] = request
    return list(found.values())


class _Resources:
    """The resources of single runs, each set of them made and checked once."""

    def __init__(self, spec: StudySpec) -> None:
        self._shared = spec.resources
        self._made: dict[str, Resources] = {}

    def of(self, own: Values) -> Resources:
        """Return the study's resources with `own` ones; raise ValidationError or SettingError."""
        if not own:
            return self._shared
        key = json.dumps(own, sort_keys=True, default=str)
        if key not in self._made:
            made = Resources.model_validate(self._shared.model_dump() | own)
            check(made)
            self._made[key] = self._shared if made == self._shared else made
        return self._made[key]


class _Resolver:
    """Makes each point of the grid a run, after the run of the study that it starts from."""

    def __init__(self, spec: StudySpec, describe: Describe, inits: Inits) -> None:
        self._spec, self._describe, self._inits = spec, describe, inits
        self.points = list(points(spec))
        self._placed = _Resources(spec)
        self._flats: list[Values] = []
        self._made: dict[int, Planned] = {}
        self._pending: set[int] = set()

    def planned(self, number: int) -> Planned:
        """Return the run of a point; raise SpecError."""
        if number not in self._made:
            self._pending.add(number)
            self._made[number] = self._resolve(number)
            self._pending.remove(number)
        return self._made[number]

    def _resolve(self, number: int) -> Planned:
        point, spec = self.points[number], self._spec
        try:
            config = RunConfig.model_validate(nest(point.values))
            check_packages(config.engine.trackers)
            family_of(config.network).check(config.network)
            info = self._describe(config.data)
            resources = _place(self._placed, point.placed)
            micro_batches(config, resources.num_devices)
            if config.train_examples and config.train_examples > info.num_train:
                raise SpecError(
                    f"train_examples: given {config.train_examples}, "
                    f"expected at most {info.num_train}, what {info.name} has"
                )
            init = self._init(number, config)
        except ValidationError as error:
            raise SpecError(f"{_where(spec, point.chosen)}: {explain(error, RunConfig)}") from error
        except (models.ModelsError, BenchError, SpecError) as error:
            raise SpecError(f"{_where(spec, point.chosen)}: {error}") from error
        # Its parts have been validated; once more is a tenth of the time of planning 100,000 runs.
        run = Run.model_construct(study=spec.study, config=config, data=info, init=init)
        return Planned(run, resources)

    def _init(self, number: int, config: RunConfig) -> Init | None:
        if config.init is None:
            if config.init_head is not None:
                raise SpecError("init_head: not used without init")
            return None
        if isinstance(config.init, str):
            return self._inits.find(config.init)
        wanted = {"model": config.model, "seed": config.seed} | flat(config.init)
        if not self._flats:
            self._flats = [DEFAULTS | flat(point.values) for point in self.points]
        others = [
            other
            for other, values in enumerate(self._flats)
            if other != number and matches(values, wanted)
        ]
        if len(others) != 1:
            raise SpecError(
                f"init: {len(others)} runs of the study have {words(wanted)}, expected one"
            )
        (trunk,) = others
        if trunk in self._pending:
            raise SpecError(f"init: the run with {words(wanted)} starts from this one itself")
        return self._inits.of_run(self.planned(trunk).run)


def _place(placed: _Resources, own: Values) -> Resources:
    try:
        return placed.of(own)
    except ValidationError as error:
        raise SpecError(f"resources.{explain(error, Resources)}") from error
    except SettingError as error:
        raise SpecError(f"resources.{error}") from error


def _where(spec: StudySpec, chosen: Values) -> str:
    return f"study {spec.study}" + (f", run {words(chosen)}" if chosen else "")
