"""What a column is: its type and unit, its name for people, its role, how attempts add up."""

from dataclasses import dataclass
from typing import Any, Literal

Type = Literal["text", "int", "float", "bool", "time"]
Role = Literal[
    "identity",  # which run, model and data
    "scale",  # how much training: images, epochs, steps
    "setting",  # other choices of the run
    "state",  # how far it came, and why it ended
    "metric",
    "cost",
    "overhead",  # seconds besides training
    "size",  # of the network, known before training
    "performance",
    "provenance",  # code, software and machine
    "time",  # dates
]
Total = Literal["sum", "max", "last"]
View = Literal["table", "report"]
Plan = Literal["computed", "predicted"]
Display = tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Column:
    """One column. `unit` is empty for text, flags and plain numbers; `required` forbids null.

    Rows that agree in all `key` columns are the same fact, written twice. The rest says how a
    column is used and shown, and has defaults that suit a setting:

    - `title` is its name for people, by default the name without underscores;
    - `role` is what it is about: costs, for example, are summed up, planned and drawn as axes;
    - `total` is how the values of a run's attempts become the run's, None if they do not;
    - `display` are its units for people, largest first, each with its size in `unit` and the
      header of a table in it; a column is shown in the largest that its maximum reaches;
    - `shown` are the views that show it by default: comparison tables, the report;
    - `plan` is how `plan` knows a cost: "computed" under its own name, or "predicted" from earlier
      runs, as `predicted_{name}`;
    - `rank` orders the columns of a role where the order of the table is not that of importance.
    """

    name: str
    type: Type
    unit: str
    meaning: str
    required: bool = False
    key: bool = False
    title: str = ""
    role: Role = "setting"
    total: Total | None = None
    display: Display = ()
    shown: tuple[View, ...] = ()
    plan: Plan | None = None
    rank: int = 0

    @property
    def words(self) -> str:
        """Return the name for people: `train_examples` is "training images"."""
        return self.title or self.name.replace("_", " ")

    @property
    def planned(self) -> str:
        """Return the name of the plan's column for this cost."""
        return f"predicted_{self.name}" if self.plan == "predicted" else self.name


def key(name: str, type: Type, unit: str, meaning: str, required: bool = True) -> Column:
    """Return a column that tells rows apart."""
    return Column(name, type, unit, meaning, required=required, key=True, role="identity")


def cost(name: str, unit: str, meaning: str, **more: Any) -> Column:
    """Return a cost of a run: plan, totals and axes have it."""
    return Column(name, "float", unit, meaning, role="cost", **more)


def overhead(name: str, meaning: str) -> Column:
    """Return seconds that a run spends besides training."""
    return Column(name, "float", "seconds", meaning, role="overhead", total="sum")


def metric(name: str, unit: str, meaning: str, **more: Any) -> Column:
    """Return a score of a run."""
    return Column(name, "float", unit, meaning, role="metric", **more)


def software(name: str, type: Type, meaning: str, **more: Any) -> Column:
    """Return a column about the code that ran: a run has that of its last attempt."""
    return Column(name, type, "", meaning, role="provenance", total="last", **more)


def units(header: str, *units: tuple[float, str]) -> Display:
    """Return the units of a column with their headers, `header` having a place for each."""
    return tuple((size, header.format(unit)) for size, unit in units)
