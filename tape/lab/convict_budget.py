"""Declarations under which a budget does not hold: asks and acts that cost more than was held back for them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from tape.core.journal.dump import RunDump
from tape.core.kernel.events import BudgetOverrun, Charge, Decision, ModelAsked
from tape.core.render import amount
from tape.core.text import show
from tape.lab.proof import Cause, Mistake


def overruns(dump: RunDump) -> Iterator[Cause]:
    """Whatever cost more than its mark says: under a cap, the next one that does so passes the cap."""
    events = [entry.event for entry in dump.entries]
    names = {f"decision {event.index}": event.name for event in events if isinstance(event, Decision)}
    held: dict[str, Mapping[str, int]] = {}
    for event in events:
        if isinstance(event, ModelAsked) and event.reserved:
            held[f"decision {event.index}"] = cast("Mapping[str, int]", event.reserved)
        elif isinstance(event, Charge):
            paid = {"tokens": event.tokens_in + event.tokens_out, "usd_micro": event.usd_micro}
            for unit, most in held.get(event.pays_for, {}).items():
                if paid.get(unit, 0) > most:
                    yield _of_model(names.get(event.pays_for, event.pays_for), unit, paid[unit], most)
        elif isinstance(event, BudgetOverrun) and event.place not in names:
            tool = show(event.place.rpartition("/")[2], 60)
            yield Cause(
                Mistake.OVERRUN,
                f"{tool} cost more than its declared cost= and passed the cap by {amount(event.unit, event.by)}: "
                "declare what a call costs at most",
                tool,
            )


def _of_model(name: str, unit: str, paid: int, most: int) -> Cause:
    shown = show(name, 60)
    mark = "max_tokens" if unit == "tokens" else "max_usd"
    return Cause(
        Mistake.OVERRUN,
        f"{shown} cost {amount(unit, paid)} where its mark @tape.model holds back {amount(unit, most)}: "
        f"a run passes its cap that way; set {mark}= to what one ask costs at most",
        shown,
    )
