"""Help that lists what there is: protocols, data sources, schedulers, figures; imported late."""

from typing import Any

from typer.core import TyperCommand, TyperOption


def _protocols() -> str:
    from bench.run.protocols import OPTIONS

    return "; ".join(f"{name}: {model.summary}" for name, model in OPTIONS.items()) + "."


def _sources() -> str:
    from bench.data import sources

    return f"{sources.expected()}."


def _clusters() -> str:
    from sweeps.schedulers import SCHEDULERS

    return f"{', '.join(SCHEDULERS)}; by default what the spec says."


# Parameters of verbs whose help ends with a list.
LISTS = {"protocol": _protocols, "source": _sources, "cluster": _clusters}


class ListingCommand(TyperCommand):
    """A verb whose help lists what a registry has, from outside programs too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; what it lists is imported only now."""
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.name in LISTS:
                own = parameter.help or ""
                listed = LISTS[parameter.name]()
                parameter.help = own if own.endswith(listed) else f"{own} {listed}".strip()
        super().format_help(ctx, formatter)
