"""A run's budget as its own code sees it: caps, and what the records that have been handed over have paid. Nothing of
it comes from the live database, so it is the same on replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from tape.core.kernel.errors import BudgetExceeded
from tape.core.sdk.effects import Budget
from tape.core.sdk.replay import Body, Outcome

TOKENS, USD_MICRO, CALLS = "tokens", "usd_micro", "calls:"
DOLLAR = 1_000_000
Caps = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class RunBudget:
    """`run.budget`: what the run's own caps allow, and what its own records have spent, as of the current record. None
    is no cap. What is held back for asks and calls under way is not in it, nor what child runs, lost replies, and calls
    that were left to the outbox cost."""

    usd_cap: float | None
    usd_spent: float
    tokens_cap: int | None
    tokens_spent: int
    _calls: Mapping[str, tuple[int | None, int]] = field(default_factory=lambda: {})

    @property
    def usd_left(self) -> float | None:
        return None if self.usd_cap is None else max(0.0, round(self.usd_cap - self.usd_spent, 6))

    @property
    def tokens_left(self) -> int | None:
        return None if self.tokens_cap is None else max(0, self.tokens_cap - self.tokens_spent)

    def calls_cap(self, tool: str) -> int | None:
        return self._calls.get(tool, (None, 0))[0]

    def calls_spent(self, tool: str) -> int:
        """Calls of the tool that are confirmed: one that failed is given back."""
        return self._calls.get(tool, (None, 0))[1]

    def calls_left(self, tool: str) -> int | None:
        cap = self.calls_cap(tool)
        return None if cap is None else max(0, cap - self.calls_spent(tool))


class Purse:
    """The budget of one drive. `capped`: an ask or a call may be refused, so each waits for the server's answer."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.capped = bool(told.get("capped"))
        self.known = bool(told.get("known"))
        self.declared: dict[str, int] = {}
        self.gated = False
        """A person is asked where a cap is in the way: told with `declared`."""
        self._caps: list[tuple[int, Caps]] = [(seq, dict(caps)) for seq, caps in told.get("caps", [])] or [(0, {})]
        self._spent: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._at = 1

    def declare(self, budget: Budget | None) -> None:
        """The agent's own caps, which the server learns with the first attachment; from then on the journal's hold."""
        if budget is None or self.known:
            return
        self.declared = budget.caps()
        self.gated = budget.on_exceeded == "gate"
        self.capped = self.capped or bool(self.declared)
        for _, caps in self._caps:
            for unit, cap in self.declared.items():
                known = caps.get(unit)
                caps[unit] = cap if known is None else min(cap, known)

    def hand_over(self, seq: int, name: Outcome, body: Body, charges: Iterable[Mapping[str, int]]) -> None:
        """Counts an outcome that the code gets now. `seq` 0: its record is on its way."""
        self._at = seq or self._caps[-1][0]
        for charge in charges:
            self._spent[TOKENS] += charge["tokens_in"] + charge["tokens_out"]
            self._spent[USD_MICRO] += charge["usd_micro"]
        if name[0] == "effect" and body["status"] == "CONFIRMED":
            self._calls[cast(str, name[1]).split("/", 3)[3]] += 1

    def view(self) -> RunBudget:
        """As of the latest record that was handed over: with the caps that its drive was granted under."""
        caps: Caps = next((caps for seq, caps in reversed(self._caps) if seq <= self._at + 1), self._caps[0][1])
        usd = caps.get(USD_MICRO)
        named = {unit.removeprefix(CALLS) for unit in caps if unit.startswith(CALLS)} | {*self._calls}
        return RunBudget(
            usd_cap=None if usd is None else usd / DOLLAR,
            usd_spent=self._spent[USD_MICRO] / DOLLAR,
            tokens_cap=caps.get(TOKENS),
            tokens_spent=self._spent[TOKENS],
            _calls={tool: (caps.get(f"{CALLS}{tool}"), self._calls[tool]) for tool in named},
        )


def exceeded(refused: Body, run_id: str) -> BudgetExceeded:
    """The error for a recorded refusal, with its numbers: the same each time."""
    unit, place = refused["unit"], refused["place"]
    left = refused["cap"] - refused["spent"] - refused["reserved"]
    what = f"{place} is not asked for" if place.startswith("decision ") else f"{place} is not begun"
    whose = "" if refused["run"] == run_id else f" (drawn from by {run_id})"
    flag = {TOKENS: "--tokens N", USD_MICRO: "--usd N"}.get(unit, f"--calls {unit.removeprefix(CALLS)}=N")
    asked, cap, spent, reserved = (amount(unit, refused[name]) for name in ("asked", "cap", "spent", "reserved"))
    if refused.get("actor"):
        reason = f": {refused['reason']}" if refused.get("reason") else ""
        way_out = f"{refused['actor']} would not raise it{reason}"
    else:
        way_out = f"`tape budget {refused['run']} {flag}` raises it"
    return BudgetExceeded(
        f"{what}: it may take {asked}, and {amount(unit, max(0, left))} are left in the budget of "
        f"{refused['run']}{whose}: cap {cap}, spent {spent}, reserved {reserved}; {way_out}"
    )


def amount(unit: str, number: int) -> str:
    if unit == USD_MICRO:
        return f"${number / DOLLAR:.6f}".rstrip("0").rstrip(".")
    if unit == TOKENS:
        return f"{number} token{'' if number == 1 else 's'}"
    return f"{number} call{'' if number == 1 else 's'} of {unit.removeprefix(CALLS)}"
