"""The command line: the roof over all verbs, and what their errors look like."""

import errno
import re
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bench.cli import (
    output,
    verbs_laws,
    verbs_models,
    verbs_results,
    verbs_studies,
)

# The verbs in the order of a study.
SECTIONS = {
    "Models and cost": ("models", "cost", "throughput", "convert"),
    "Studies": ("plan", "submit", "status", "cancel", "train", "evaluate", "compact", "trace"),
    "Answers": ("table", "plot", "fit", "compare", "next", "report"),
    "This machine": ("doctor",),
}

# A path that the user could have given better; other errors of the disk are failures.
BAD_PATH = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class Sections(TyperGroup):
    """Help with the verbs in sections, each with its whole first line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                helps = [(self.commands[name].help or "").split("\n\n")[0] for name in names]
                formatter.write_dl(list(zip(names, helps, strict=True)))


app = typer.Typer(
    name="scalestudy",
    cls=Sections,
    # Plain help, for importing rich's costs more than all the rest of it.
    rich_markup_mode=None,
    help="Scaling studies of image classifiers (ViT, hybrid, BiT-ResNet): what they cost, what "
    "they reach, in one ledger.\n\nStart with: scalestudy submit demo --wait, then scalestudy "
    "table demo.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(verbs_models.app)
app.add_typer(verbs_studies.app)
app.add_typer(verbs_results.app)
app.add_typer(verbs_laws.app)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"scalestudy {version('scalestudy')}")
        raise typer.Exit


@app.callback(help=app.info.help)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no verb."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 the work failed, 2 wrong input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments or ["--help"], prog_name="scalestudy", standalone_mode=False)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        output.note("interrupted; submitted jobs continue")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except typer.TyperException as error:
        # typer's class of a missing parameter is private: only its name is known.
        if type(error).__name__ == "MissingParameter":
            _refuse(_missing(error.param))  # type: ignore[attr-defined]
        # Usage errors say more in format_message, which the public base class lacks.
        _refuse(_plain(getattr(error, "format_message", error.__str__)()))
    except Exception as error:  # sorted by type below, so that start-up imports none of them
        from bench.run.errors import BenchError
        from models import ModelsError
        from results.ledger.compact import NotWritten
        from results.schema import NoAnswer, ResultsError
        from sweeps.documents import SpecError
        from sweeps.forecast.plan import LimitExceeded
        from sweeps.forecast.probe import ProbeFailed
        from sweeps.schedulers.base import SchedulerError

        if isinstance(error, LimitExceeded | NoAnswer | NotWritten | ProbeFailed | SchedulerError):
            output.note(f"scalestudy: {error}")
            sys.exit(1)
        if isinstance(error, BenchError | ModelsError | ResultsError | SpecError):
            _refuse(str(error))
        if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
            output.note(f"scalestudy: {error.filename or 'output'}: {error.strerror}")
            sys.exit(2 if error.errno in BAD_PATH else 1)
        raise
    sys.exit(code or 0)


def _missing(parameter: Any) -> str:
    """Return the message about a missing argument or option, with what its help expects."""
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
    words = (parameter.help or "a value").partition(";")[0].rstrip(".:")
    return f"missing {name}: expected {words[:1].lower()}{words[1:]}"


def _plain(message: str) -> str:
    """Return typer's message about a value in the words of our own.

    >>> _plain("Invalid value for '--level': Input should be a valid number, unable to parse …")
    '--level: expected a valid number'
    """
    message = re.sub(r"^Invalid value for '(.*?)': ", r"\1: ", message)
    return re.sub(r"Input should be (.*?), unable to parse.*", r"expected \1", message)


def _refuse(message: str) -> NoReturn:
    """One line on standard error, exit 2."""
    output.note("scalestudy: " + " ".join(message.split()))
    sys.exit(2)
