"""What several verbs of the command line take."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

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
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A site's resources, under the spec's own: a YAML file, or its name in "
        "~/.config/scalestudy.",
    ),
]
Root = Annotated[Path, typer.Option("--root", metavar="FOLDER", help="Where studies are kept.")]
Spec = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or a bundled spec: demo.")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or its folder.")]
Studies = Annotated[
    list[str], typer.Argument(metavar="STUDY", help="Studies, by name or by folder.")
]
WithPublished = Annotated[
    bool,
    typer.Option("--with-published", help="Lay the ViT paper's runs beside those of the studies."),
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
    float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals.")
]
Replicas = Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind an interval.")]
Metric = Annotated[
    str, typer.Option(metavar="COLUMN", help="The metric: top1_accuracy, top5_accuracy or loss.")
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
