"""A run's entries as spans: one for the run, and below it one per decision, effect and lease. Pure.

Times come from entries. No argument, prompt, reply, result or reason goes into a span: only what happened, and when.
Names are those of OpenTelemetry's conventions for generative AI where there are any (a run is `invoke_agent`, a
decision `chat`, an effect `execute_tool`); all else is called `tape.`. Which model and provider a decision went to is
the author's business and not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event
from tape.core.kernel.lifecycle import RUN_ENDS, EffectStatus, LeaseStatus, RunStatus

Attributes = dict[str, str | int | bool]
OPERATION, ERROR_TYPE = "gen_ai.operation.name", "error.type"
TOKENS_IN, TOKENS_OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
OTHER_ERROR = "_OTHER"
"""What the conventions call an error whose type is not known."""


class Operation(StrEnum):
    RUN = "invoke_agent"
    DECISION = "chat"
    EFFECT = "execute_tool"
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Happening:
    """A moment on the run's span."""

    name: str
    at_us: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """`what` is its identity within the run, empty for the run itself; `failed` is its status."""

    run_id: str
    what: str
    operation: Operation
    name: str
    start_us: int
    end_us: int
    attributes: Attributes
    failed: bool = False
    happenings: tuple[Happening, ...] = ()


@dataclass(slots=True)
class RunTrace:
    """Takes one run's entries in order, from its first one, and gives each span when it is over."""

    run_id: str
    agent: str = ""
    family: Attributes = field(default_factory=lambda: {})
    error: str = ""
    start_us: int | None = None
    closed: bool = False
    happenings: list[Happening] = field(default_factory=lambda: [])
    _asked: dict[int, tuple[int, int]] = field(default_factory=lambda: {})
    _decided: dict[str, Span] = field(default_factory=lambda: {})
    _effects: dict[str, tuple[int, Attributes]] = field(default_factory=lambda: {})
    _leases: dict[int, tuple[int, Attributes]] = field(default_factory=lambda: {})

    @property
    def over(self) -> bool:
        """Whether the run has ended, and what was left to itself too."""
        return self.closed and not self._effects

    def take(self, entry: Entry) -> Span | None:
        if self.start_us is None:
            self.start_us = entry.at_us
        if entry.epoch == 0 and isinstance(entry.event, _OF_DRIVES):
            return None  # taken over with the tape that this run was forked from
        taker = _TAKERS.get(type(entry.event))
        return None if taker is None else taker(self, entry, entry.event)

    def happened(self, name: str, entry: Entry, **attributes: str | int | bool) -> None:
        named: Attributes = {f"tape.{key}": value for key, value in attributes.items()}
        self.happenings.append(Happening(name, entry.at_us, named))

    # --- spans ------------------------------------------------------------------------------------------------

    def started(self, entry: Entry, event: events.RunStarted) -> None:
        self.agent, self.start_us = event.agent, entry.at_us
        self.family = {
            name: run_id for name, run_id in (("tape.parent", event.parent), ("tape.source", event.source)) if run_id
        }

    def asked(self, entry: Entry, event: events.ModelAsked) -> None:
        self._asked[event.index] = entry.at_us, event.asks
        if event.asks > 1:
            self.happened("asked again", entry, decision=event.index, asks=event.asks)

    def decided(self, entry: Entry, event: events.Decision) -> None:
        """Held back until its charge, which stands in the same transaction."""
        start_us, asks = self._asked.pop(event.index, (entry.at_us, 1))
        what = f"decision {event.index}"
        attributes: Attributes = {"tape.decision": event.index, "tape.function": event.name, "tape.asks": asks}
        error = "" if event.error is None else _type_of(event.error)
        self._decided[what] = self._span(Operation.DECISION, what, event.name, start_us, entry, attributes, error)

    def charged(self, entry: Entry, event: events.Charge) -> Span | None:
        span = self._decided.pop(event.pays_for, None)
        if span is not None:
            span.attributes[TOKENS_IN] = event.tokens_in
            span.attributes[TOKENS_OUT] = event.tokens_out
            span.attributes["tape.usd_micro"] = event.usd_micro
        return span

    def begun(self, entry: Entry, event: events.EffectBegun) -> None:
        self._effects[event.key] = (
            entry.at_us,
            {
                "tape.semantics": event.semantics,
                "tape.dispatch": event.dispatch,
            },
        )

    def ended(self, entry: Entry, event: events.EffectEnded) -> Span:
        start_us, attributes = self._effects.pop(event.key, (entry.at_us, {}))
        attributes |= {
            "gen_ai.tool.name": event.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.key,
            "tape.status": event.status,
            "tape.resolution": event.resolution,
            "tape.writer": event.writer,
            "tape.attempts": event.attempt,
        }
        error = _type_of(event.error) if event.status == EffectStatus.FAILED else ""
        return self._span(Operation.EFFECT, f"effect {event.key}", event.tool, start_us, entry, attributes, error)

    def granted(self, entry: Entry, event: events.LeaseGranted) -> None:
        self._leases[event.epoch] = (
            entry.at_us,
            {
                "tape.epoch": event.epoch,
                "tape.drive": event.drive,
                "tape.worker": event.worker,
                "tape.pid": event.pid,
            },
        )
        if event.drive > 1:
            self.happened("re-driven", entry, drive=event.drive, next_seq=event.next_seq)

    def lease_ended(self, entry: Entry, event: events.LeaseEnded) -> Span:
        start_us, attributes = self._leases.pop(event.epoch, (entry.at_us, {"tape.epoch": event.epoch}))
        attributes["tape.status"] = event.status
        failed = event.status != LeaseStatus.RELEASED
        if failed:
            self.happened("crash", entry, epoch=event.epoch, pid=event.pid, status=event.status)
        error = event.status if failed else ""
        return self._span(Operation.LEASE, f"lease {event.epoch}", "", start_us, entry, attributes, error)

    def run_ended(self, entry: Entry, event: events.RunEnded) -> None:
        self.error = "" if event.error is None else _type_of(event.error)

    def moved(self, entry: Entry, event: events.RunMoved) -> Span | None:
        if event.status == RunStatus.STUCK:
            self.happened("stuck", entry)
        if event.status not in RUN_ENDS:
            return None
        self.closed = True
        attributes: Attributes = {"gen_ai.agent.name": self.agent, "tape.status": event.status, **self.family}
        start_us = entry.at_us if self.start_us is None else self.start_us
        error = "" if event.status == RunStatus.TERMINAL else self.error or event.status
        told = tuple(self.happenings)
        return self._span(Operation.RUN, "", self.agent, start_us, entry, attributes, error, told)

    def _span(
        self,
        operation: Operation,
        what: str,
        about: str,
        start_us: int,
        end: Entry,
        attributes: Attributes,
        error: str,
        told: tuple[Happening, ...] = (),
    ) -> Span:
        """`about` stands behind the operation in the span's name; `error`: of which type, empty for none."""
        named: Attributes = {} if operation is Operation.LEASE else {OPERATION: str(operation)}
        named |= {"tape.run": self.run_id, **attributes} | ({ERROR_TYPE: error} if error else {})
        name = f"{operation} {about}".rstrip()
        return Span(self.run_id, what, operation, name, start_us, end.at_us, named, bool(error), told)

    # --- recovery -----------------------------------------------------------------------------------------------

    def point_reached(self, entry: Entry, event: events.PointReached) -> None:
        self.happened("point reached", entry, point=event.point, death=event.death, pid=event.pid)

    def doubted(self, entry: Entry, event: events.EffectDoubted) -> None:
        self.happened("effect doubted", entry, key=event.key, row=event.row, step=event.step)

    def observed(self, entry: Entry, event: events.Observed) -> None:
        self.happened("observed", entry, key=event.key, answer=event.answer, row=event.row)

    def attached(self, entry: Entry, event: events.Attached) -> None:
        if event.drive > 1:
            self.happened("attached", entry, drive=event.drive, replayed=len(event.replayed))

    def write_refused(self, entry: Entry, event: events.WriteRefused) -> None:
        self.happened("write refused", entry, epoch=event.epoch, live_epoch=event.live_epoch, write=event.write)

    def conflict(self, entry: Entry, event: events.ConflictOpened) -> None:
        self.happened("conflict", entry, key=event.key)


def _type_of(error: Any) -> str:
    """The class of a recorded error; its message may hold anything, and stays."""
    named: Any = error.get("type") if isinstance(error, Mapping) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return named if isinstance(named, str) and named else OTHER_ERROR


_OF_DRIVES = (events.Decision, events.Charge, events.EffectBegun, events.EffectEnded)
_TAKERS: Mapping[type[Event], Callable[[RunTrace, Entry, Any], Span | None]] = {
    events.RunStarted: RunTrace.started,
    events.ModelAsked: RunTrace.asked,
    events.Decision: RunTrace.decided,
    events.Charge: RunTrace.charged,
    events.EffectBegun: RunTrace.begun,
    events.EffectEnded: RunTrace.ended,
    events.LeaseGranted: RunTrace.granted,
    events.LeaseEnded: RunTrace.lease_ended,
    events.RunEnded: RunTrace.run_ended,
    events.RunMoved: RunTrace.moved,
    events.PointReached: RunTrace.point_reached,
    events.EffectDoubted: RunTrace.doubted,
    events.Observed: RunTrace.observed,
    events.Attached: RunTrace.attached,
    events.WriteRefused: RunTrace.write_refused,
    events.ConflictOpened: RunTrace.conflict,
}
