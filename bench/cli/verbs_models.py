"""The verbs about models and this machine; like all, they import what they call, inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import output as show
from bench.cli.lists import Verbs
from bench.cli.options import RUNS, Json, Root, between

app = Verbs()

NUM_CLASSES = 1000
SIZE_HELP = "Side of the images in pixels, at least 1; without, the model's own."
MODEL_HELP = "Registered models, or networks of your own: MODULE:FUNCTION."


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Raise BadParameter if another option is given that `option` does not use."""
    given = [name for name, value in others.items() if value]
    if given:
        raise typer.BadParameter(f"{option}: given beside {', '.join(given)}, expected alone")


@app.command()
def models(
    name: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Models; without, all.")
    ] = None,
    json: Json = False,
) -> None:
    """List the registered models with their parameters and forward multiply-adds."""
    from bench.cli import cost as costs
    from bench.cli import layouts

    show.rows(costs.of_registry(name or ()), json=json, columns=layouts.MODELS)


@app.command()
def cost(
    model: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            help=SIZE_HELP,
            callback=between(1),
        ),
    ] = None,
    num_classes: Annotated[
        int, typer.Option(help="Outputs of the head, at least 1.", callback=between(1))
    ] = NUM_CLASSES,
    examples: Annotated[
        int | None, typer.Option(help="Training images, at least 1.", callback=between(1))
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Epochs of the training.")] = None,
    by_module: Annotated[
        bool, typer.Option("--by-module", help="Count module by module, with fvcore.")
    ] = False,
    published: Annotated[
        str | None,
        typer.Option(help="Figures to lay beside: table6 (ViT paper, exaFLOPs) or timm (GMACs)."),
    ] = None,
    json: Json = False,
) -> None:
    """Count parameters, multiply-adds and FLOPs of models, and of a whole training.

    One multiply-add is 2 FLOPs, training is 3 × forward. "valid" leaves out the kernel taps that
    fall on zero padding, as the ViT paper's figures do.
    """
    from bench.cli import cost as costs
    from bench.cli import layouts

    names = model or []
    if published is not None:
        others = {
            "MODEL…": names,
            "--image-size": image_size,
            "--num-classes": num_classes != NUM_CLASSES,
            "--examples": examples,
            "--epochs": epochs,
            "--by-module": by_module,
        }
        _refuse_beside("--published", others)
        from bench.measure import published as papers

        rows = papers.rows(published)
        show.rows(rows, json=json, columns=layouts.PUBLISHED)
        for line in papers.implausible(rows):
            show.note(f"warning: {line}")
    elif not names:
        raise typer.BadParameter("missing MODEL…, expected a registered name or --published")
    elif by_module:
        _refuse_beside("--by-module", {"--examples": examples, "--epochs": epochs})
        rows = costs.by_module(names, image_size, num_classes)
        show.rows(rows, json=json, columns=layouts.BY_MODULE)
    else:
        rows = costs.of_models(names, image_size, num_classes, examples, epochs)
        show.rows(rows, json=json, columns=layouts.COST)


@app.command()
def throughput(
    model: Annotated[list[str], typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    batch_sizes: Annotated[
        str, typer.Option(help="Such as 1,8,64; default: up to the largest that fits.")
    ] = "",
    mode: Annotated[str, typer.Option(help="What is timed: train or infer.")] = "train",
    precision: Annotated[str, typer.Option(help="Precision: fp32 or bf16.")] = "fp32",
    image_size: Annotated[
        int | None,
        typer.Option(
            help=SIZE_HELP,
            callback=between(1),
        ),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    seconds: Annotated[
        float, typer.Option(help="Time for each batch size.", callback=between(0))
    ] = 5.0,
    output: Annotated[
        Path | None, typer.Option("-o", help="A Parquet file; a missing folder is made.")
    ] = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Measure images a second at each batch size, memory and utilization; rows go to Parquet."""
    from bench.cli import layouts
    from bench.measure import throughput

    sizes = throughput.parse_sizes(batch_sizes)
    throughput.check(model, mode=mode, precision=precision, image_size=image_size)
    path = throughput.place(output, root)
    if (warning := throughput.peak_warning(precision)) is not None:
        show.note(f"warning: {warning}")
    rows: list[throughput.Row] = []
    try:
        for name in model:
            for row in throughput.measure(
                name,
                sizes,
                mode=mode,
                precision=precision,
                image_size=image_size,
                compiled=compiled,
                seconds=seconds,
            ):
                rows.append(row)
                show.note(throughput.describe(row))
    finally:  # an error must not lose the rows measured before it
        if rows:
            throughput.write(rows, path)
            show.note(f"{path}: {len(rows)} rows")
    show.rows(rows, json=json, columns=layouts.THROUGHPUT)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .npz, .safetensors, .pth, or shards.")
    ],
    output: Annotated[
        Path, typer.Option("-o", help="A .safetensors or .npz file; a missing folder is made.")
    ],
    image_size: Annotated[
        int | None, typer.Option(help="Resize the position embedding for it.", callback=between(1))
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(help="Outputs of a new head, all zeros.", callback=between(1))
    ] = None,
    num_heads: Annotated[
        int | None, typer.Option(help="Heads, where the file does not say.", callback=between(1))
    ] = None,
    gelu: Annotated[
        str | None, typer.Option(help="GELU, erf or tanh, where the file does not say.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="Pooling that you expect, token or gap.")
    ] = None,
) -> None:
    """Turn a published checkpoint into ours, or back, without loss."""
    import models as registry

    network = registry.load_checkpoint(
        source,
        image_size=image_size,
        num_classes=num_classes,
        num_heads=num_heads,
        gelu=gelu,
        pooling=pooling,
    )
    registry.save_checkpoint(network, output)
    show.note(f"{output}: {sum(p.numel() for p in network.parameters()):,} parameters")


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine can do, and what is missing for a study."""
    from bench.cli import doctor

    checks = doctor.examine()
    show.doctor(checks, json=json)
    if not all(check["ok"] for check in checks if check["needed"]):
        raise typer.Exit(1)
