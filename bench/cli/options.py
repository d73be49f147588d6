"""What several verbs of the command line take."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


def between(low: float, high: float = math.inf) -> Callable[[Any], Any]:
    """Return the check of an option that refuses numbers outside of the range, in one line."""

    def check(given: Any) -> Any:
        if given is not None and not low <= given <= high:
            words = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise typer.BadParameter(f"given {given:g}, expected a number {words}")
        return given

    return check


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value of the spec: epochs=3, data=PATH, 'model=[vit_s16, bit_r50x1]', "
        "recipe.lr=1e-3, resources.parallel=1. May be given several times.",
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="The same as --set KEY=VALUE: epochs=3."),
]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A site's resources, under the spec's own: a YAML file, or its name in "
        "~/.config/scalestudy.",
    ),
]
Root = Annotated[
    Path, typer.Option("--root", metavar="FOLDER", help="The folder that contains the studies.")
]
Spec = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or a bundled spec: demo.")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or its folder.")]
STUDIES = typer.Argument(
    metavar="STUDY", help="A study's name or its folder; several are read together."
)
Studies = Annotated[list[str], STUDIES]
StudiesIfAny = Annotated[list[str] | None, STUDIES]
WithPublished = Annotated[
    bool,
    typer.Option("--with-published", help="Lay the ViT paper's runs beside those of the studies."),
]
PublishedRuns = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE", help="Use the ViT paper's runs instead of studies: table5 or table6."
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Use only rows that meet this: family=vit,bit, seed!=0, 'epochs>=7', "
        "energy_joules=null. May be given several times.",
    ),
]
Level = Annotated[
    float,
    typer.Option(
        callback=between(0.5, 0.999),
        help="Confidence level of the intervals, between 0.5 and 0.999.",
    ),
]
Replicas = Annotated[
    int,
    typer.Option(callback=between(100), help="Bootstrap resamples of an interval, at least 100."),
]
METRIC_HELP = "such as top1_accuracy, loss, or a short name: top1, imagenet."
Metric = Annotated[str, typer.Option(metavar="METRIC", help=f"The metric, {METRIC_HELP}")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC,…", help=f"Metrics, {METRIC_HELP}  [default: top1_accuracy]"),
]
RUNS = Path("runs")


def positive(given: Any) -> Any:
    """Return the value or values if all are finite and above 0; raise BadParameter otherwise."""
    for value in given if isinstance(given, list) else [given]:
        if value is not None and not 0 < value < math.inf:
            raise typer.BadParameter(f"given {value:g}, expected a finite number above 0")
    return given


def study_dir(study: str, root: Path) -> Path:
    """Return the folder of a study given by its name or by its path."""
    path = Path(study)
    is_study = (path / "study.json").exists() or not (root / study).is_dir()
    return path if is_study else root / study
