"""`tape budget`: what its options mean, and how a purse is printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tape.cli_common import output
from tape.core.kernel.errors import UsageError

if TYPE_CHECKING:
    from tape.core.config import Config

LIMIT = 10**15


def asked_caps(usd: float | None, tokens: int | None, calls: Sequence[str]) -> dict[str, int]:
    """The caps by unit. Raises UsageError for what is no cap."""
    caps: dict[str, int] = {}
    if usd is not None:
        if not 0 <= usd <= LIMIT / 1_000_000:
            raise UsageError(f"--usd is {usd}; it is an amount of dollars, not negative, such as 2.50")
        caps["usd_micro"] = round(usd * 1_000_000)
    if tokens is not None:
        if not 0 <= tokens <= LIMIT:
            raise UsageError(f"--tokens is {tokens}; it is a whole number, not negative, such as 50000")
        caps["tokens"] = tokens
    for text in calls:
        tool, _, number = text.rpartition("=")
        if not tool or "/" in tool or not re.fullmatch("[0-9]{1,15}", number):
            raise UsageError(f"--calls is {text!r}; it is a tool and a whole number, such as wire_money=3")
        if f"calls:{tool}" in caps:
            raise UsageError(f"--calls {tool} is given twice")
        caps[f"calls:{tool}"] = int(number)
    return caps


def print_run_budget(config: Config, run_id: str, as_json: bool) -> None:
    """The purse as it stands in the journal."""
    from tape.core.journal.shapes import view_json
    from tape.core.journal.views import open_reader
    from tape.core.report_doctor import print_budget

    with open_reader(config.journal) as reader:
        purse = reader.budget(run_id)
    if as_json:
        output().json({"run": run_id, "budget": [view_json(row, {}) for row in purse]}, indent=2)
    else:
        print_budget(output(), purse)
