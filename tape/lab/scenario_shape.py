"""What every mapping of a scenario file has: nothing unknown, defaults for what is left empty, amounts of money.

A problem that lies between two fields is raised for the whole model and names the field it is about (`BETWEEN`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from tape.lab.scenario import Loc

BETWEEN = "tape_between"
NULL_MEANS_NULL = ("result", "input")


class Shape(BaseModel):
    """A mapping of the file. What is left empty has its default."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def drop_empty(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        named = cast("dict[str, Any]", given)
        kept = {key for key in named if key in NULL_MEANS_NULL or key not in cls.model_fields}
        return {key: value for key, value in named.items() if value is not None or key in kept}

    def refuse(self, problems: Iterable[tuple[str | Loc, str]]) -> None:
        found = list(problems)
        if found:
            raise PydanticCustomError(BETWEEN, "between fields", {"problems": found})


def wrong_amount(unit: str, amount: Any) -> str:
    """What is wrong with so much of a unit; empty if nothing is."""
    if abs(amount * parts_of(unit) - round(amount * parts_of(unit))) <= 0.001:
        return ""
    least = "0.000001 dollars is the smallest amount" if unit == "usd" else f"{unit} are whole numbers"
    return f"{amount} is no amount; {least}"


def parts_of(unit: str) -> int:
    return 1_000_000 if unit == "usd" else 1
