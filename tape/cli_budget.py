"""`tape budget`: what its options mean, and how a purse is printed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tape.cli_common import hint, output
from tape.core.journal.commands import budget_commands
from tape.core.kernel.errors import UsageError
from tape.core.render import amount

if TYPE_CHECKING:
    from tape.core.config import Config

LIMIT = 10**15


def asked_caps(usd: float | None, tokens: int | None, calls: Sequence[str]) -> dict[str, int]:
    """The caps by unit. Raises UsageError for what is no cap."""
    caps: dict[str, int] = {}
    if usd is not None:
        if not 0 <= usd <= LIMIT / 1_000_000:
            raise UsageError(f"--usd is {usd}; it is dollars, from 0 to {LIMIT // 1_000_000:,}, such as 2.50")
        caps["usd_micro"] = round(usd * 1_000_000)
    if tokens is not None:
        if not 0 <= tokens <= LIMIT:
            raise UsageError(f"--tokens is {tokens}; it is a whole number from 0 to {LIMIT:,}, such as 50000")
        caps["tokens"] = tokens
    for text in calls:
        tool, _, number = text.rpartition("=")
        if not tool or "/" in tool or not re.fullmatch("[0-9]{1,15}", number):
            raise UsageError(f"--calls is {text!r}; it is a tool and a whole number, such as wire_money=3")
        if f"calls:{tool}" in caps:
            raise UsageError(f"--calls {tool} is given twice")
        caps[f"calls:{tool}"] = int(number)
    return caps


def say_who_goes_on(done: Mapping[str, Any]) -> None:
    """What the order came to for those who wait for a cap, as hints."""
    for run_id in done.get("woken", ()):
        hint(f"{run_id} goes on")
    for still in done.get("waiting", ()):
        place, unit = still["place"].removeprefix(f"{still['run']}/"), still["unit"]
        left = max(0, still["cap"] - still["spent"] - still["reserved"])
        enough, _ = budget_commands(still["run"], still["budget"], unit, still["enough"])
        hint(
            f"{still['run']} still waits: {place} may take {amount(unit, still['asked'])}, and {amount(unit, left)} "
            f"are left in the budget of {still['budget']}: `{enough.removesuffix(' --reason TEXT')}` is enough"
        )
    for place in done.get("denied", ()):
        hint(f"{place} is refused")


def print_run_budget(config: Config, run_id: str, as_json: bool, done: Mapping[str, Any] = {}) -> None:
    """The purse as it stands in the journal; as JSON with what an order came to."""
    from tape.core.journal.shapes import view_json
    from tape.core.journal.views import open_reader
    from tape.core.report_doctor import print_budget

    with open_reader(config.journal) as reader:
        purse = reader.budget(run_id)
    if as_json:
        told = {name: done[name] for name in ("woken", "waiting", "denied") if name in done}
        output().json({"run": run_id, "budget": [view_json(row, {}) for row in purse], **told}, indent=2)
    else:
        print_budget(output(), purse)
