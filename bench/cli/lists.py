"""Verbs as typer makes them, with help for people: no Python types, and lists of what there is."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

# What stands after an option, by the type that typer would print.
METAVARS = {
    "<str>": "NAME",
    "<list[str]>": "NAME,…",
    "<int>": "N",
    "<list[int]>": "N",
    "<int range>": "N",
    "<float>": "NUMBER",
    "<list[float]>": "NUMBER",
    "<float range>": "NUMBER",
    "<str,str>": "NAME NAME",
}


class Verb(TyperCommand):
    """A verb whose help shows what to type after an option instead of Python's types."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.display_type = lambda ctx: ""  # type: ignore[method-assign]
            elif isinstance(parameter, TyperOption) and parameter.metavar is None:
                known = METAVARS.get(parameter.display_type(ctx), "FILE")
                parameter.metavar = None if parameter.is_flag else known
        super().format_help(ctx, formatter)


class Verbs(typer.Typer):
    """A group of verbs."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = Verb, **given: Any
    ) -> Callable[..., Any]:
        """Return the decorator that makes a function a verb."""
        return super().command(name, cls=cls, **given)


def _protocols() -> str:
    from bench.run.protocols import OPTIONS

    return "; ".join(f"{name}: {model.summary}" for name, model in OPTIONS.items()) + "."


def _sources() -> str:
    from bench.data import sources

    return f"{sources.expected()}."


def _clusters() -> str:
    from sweeps.schedulers import SCHEDULERS

    return f"{', '.join(SCHEDULERS)}; by default what the spec says."


def _costs() -> str:
    from results.schema import of_role

    return f"{', '.join(column.name for column in of_role('cost'))}."


# Parameters of verbs whose help ends with a list.
LISTS = {"protocol": _protocols, "source": _sources, "cluster": _clusters, "cost": _costs}


class ListingCommand(Verb):
    """A verb whose help lists what a registry has, from outside programs too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; what it lists is imported only now."""
        listing = [p for p in self.params if isinstance(p, TyperOption) and p.name in LISTS]
        own = [parameter.help for parameter in listing]
        try:
            for parameter in listing:
                listed = LISTS[str(parameter.name)]()
                parameter.help = f"{parameter.help or ''} {listed}".strip()
            super().format_help(ctx, formatter)
        finally:
            for parameter, text in zip(listing, own, strict=True):
                parameter.help = text
