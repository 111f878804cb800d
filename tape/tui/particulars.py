"""What the entries of one run say beside its story: its gates with their answers, who promoted it, its money as its own
records tell it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the first paint needs none of it
    from tape.core.kernel.events import Entry

OPEN, ANSWERED, TIMED_OUT = "open", "answered", "timed out"


@dataclass(frozen=True, slots=True)
class GateFact:
    """One instance of a gate. `call`: what its answer is bound to, as people see it; `args_hash`: the hash of its
    arguments; `used_by`: the key of the effect that used the approval up; `void`: taken over from another run, approves
    nothing."""

    name: str
    ordinal: int
    status: str = OPEN
    answer: str = ""
    actor: str = ""
    reason: str = ""
    call: str = ""
    args_hash: str = ""
    used_by: str = ""
    void: bool = False
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Particulars:
    """`tokens` and `usd_micro` are what the run's own records have charged, `lost_tokens` and `lost_usd_micro` what was
    taken for replies that nobody saw: of its children nothing. `promoted` is the run that acts for this fork."""

    gates: tuple[GateFact, ...] = ()
    tokens: int = 0
    usd_micro: int = 0
    lost_tokens: int = 0
    lost_usd_micro: int = 0
    promoted: str = ""


@dataclass(slots=True)
class Particularity:
    """The fold. Damaged entries say nothing."""

    _gates: dict[tuple[str, int], GateFact] = field(default_factory=lambda: {})
    _known: Particulars = field(default_factory=Particulars)

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                self._take(entry)
            except (TypeError, ValueError, AttributeError, KeyError):
                continue

    def known(self) -> Particulars:
        gates = tuple(self._gates.values())
        if gates != self._known.gates:
            self._known = replace(self._known, gates=gates)
        return self._known

    def _take(self, entry: Entry) -> None:
        from tape.core.kernel import events

        event = entry.event
        if isinstance(event, events.GateOpened):
            self._opened(event)
        elif isinstance(event, events.GateAnswered):
            status = TIMED_OUT if event.timed_out else ANSWERED
            said: Mapping[str, Any] = {"answer": event.answer or "", "actor": event.actor, "reason": event.reason}
            self._change(event.name, event.ordinal, status=status, void=event.void, **said)
        elif isinstance(event, events.EarlyAnswer):
            said = {"answer": event.answer, "actor": event.actor, "reason": event.reason}
            self._change(event.name, event.ordinal, status=ANSWERED, **said)
        elif isinstance(event, events.AnswerRefused):
            known = self._gate(event.name, event.ordinal)
            self._change(event.name, event.ordinal, refused=known.refused + 1)
        elif isinstance(event, events.EffectBegun) and event.approval:
            name, _, ordinal = event.approval.rpartition(" ")
            self._change(name, int(ordinal), used_by=event.key)
        elif isinstance(event, events.Charge) and entry.epoch:
            tokens = self._known.tokens + event.tokens_in + event.tokens_out
            self._known = replace(self._known, tokens=tokens, usd_micro=self._known.usd_micro + event.usd_micro)
        elif isinstance(event, events.BudgetLost):
            lost, lost_usd = self._known.lost_tokens + event.tokens, self._known.lost_usd_micro + event.usd_micro
            self._known = replace(self._known, lost_tokens=lost, lost_usd_micro=lost_usd)
        elif isinstance(event, events.ForkPromoted):
            self._known = replace(self._known, promoted=event.run)

    def _opened(self, event: Any) -> None:
        from tape.core.kernel.hidden import visible
        from tape.core.text import call

        bound = event.approves
        if bound:
            said = call(bound["tool"], visible(bound["args"], bound.get("hidden")))
            self._change(event.name, event.ordinal, call=said, args_hash=str(bound.get("args_hash", "")))
        else:
            self._change(event.name, event.ordinal)

    def _gate(self, name: str, ordinal: int) -> GateFact:
        return self._gates.get((name, ordinal)) or GateFact(name, ordinal)

    def _change(self, name: str, ordinal: int, **changes: Any) -> None:
        self._gates[name, ordinal] = replace(self._gate(name, ordinal), **changes)


def particulars_of(entries: Sequence[Entry]) -> Particulars:
    folded = Particularity()
    folded.add(entries)
    return folded.known()
