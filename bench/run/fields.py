"""Base class and field types of what a person writes: strict, immutable configs."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_INT = 2**63 - 1  # the largest value of a ledger column
PositiveInt = Annotated[int, Field(gt=0, le=MAX_INT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Frozen(BaseModel):
    """A strict, immutable config: unknown keys and wrong types are errors that name the path."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())
