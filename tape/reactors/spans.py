"""A run's entries as spans: one for the run, and below it one per decision, effect and lease. Pure.

Times come from entries. No argument, prompt, reply, result or reason goes into a span: only what happened, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event
from tape.core.kernel.lifecycle import RUN_ENDS, EffectStatus, LeaseStatus, RunStatus

Attributes = dict[str, str | int | bool]


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
    start_us: int | None = None
    over: bool = False
    happenings: list[Happening] = field(default_factory=lambda: [])
    _asked: dict[int, tuple[int, int]] = field(default_factory=lambda: {})
    _decided: dict[str, Span] = field(default_factory=lambda: {})
    _effects: dict[str, tuple[int, Attributes]] = field(default_factory=lambda: {})
    _leases: dict[int, tuple[int, Attributes]] = field(default_factory=lambda: {})

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

    def asked(self, entry: Entry, event: events.ModelAsked) -> None:
        self._asked[event.index] = entry.at_us, event.asks
        if event.asks > 1:
            self.happened("asked again", entry, decision=event.index, asks=event.asks)

    def decided(self, entry: Entry, event: events.Decision) -> None:
        """Held back until its charge, which stands in the same transaction."""
        start_us, asks = self._asked.pop(event.index, (entry.at_us, 1))
        what = f"decision {event.index}"
        attributes: Attributes = {"tape.decision": event.index, "tape.model": event.name, "tape.asks": asks}
        failed = event.error is not None
        self._decided[what] = Span(
            self.run_id, what, f"decision {event.name}", start_us, entry.at_us, attributes, failed
        )

    def charged(self, entry: Entry, event: events.Charge) -> Span | None:
        span = self._decided.pop(event.pays_for, None)
        if span is not None:
            span.attributes["tape.tokens_in"] = event.tokens_in
            span.attributes["tape.tokens_out"] = event.tokens_out
            span.attributes["tape.usd_micro"] = event.usd_micro
        return span

    def begun(self, entry: Entry, event: events.EffectBegun) -> None:
        self._effects[event.key] = (
            entry.at_us,
            {
                "tape.key": event.key,
                "tape.tool": event.tool,
                "tape.semantics": event.semantics,
                "tape.dispatch": event.dispatch,
            },
        )

    def ended(self, entry: Entry, event: events.EffectEnded) -> Span:
        start_us, attributes = self._effects.pop(event.key, (entry.at_us, {"tape.key": event.key}))
        attributes |= {
            "tape.status": event.status,
            "tape.resolution": event.resolution,
            "tape.writer": event.writer,
            "tape.attempts": event.attempt,
        }
        failed = event.status == EffectStatus.FAILED
        name = f"effect {event.tool}"
        return Span(self.run_id, f"effect {event.key}", name, start_us, entry.at_us, attributes, failed)

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
        return Span(self.run_id, f"lease {event.epoch}", "lease", start_us, entry.at_us, attributes, failed)

    def moved(self, entry: Entry, event: events.RunMoved) -> Span | None:
        if event.status == RunStatus.STUCK:
            self.happened("stuck", entry)
        if event.status not in RUN_ENDS:
            return None
        self.over = True
        attributes: Attributes = {"tape.run": self.run_id, "tape.agent": self.agent, "tape.status": event.status}
        start_us = entry.at_us if self.start_us is None else self.start_us
        failed = event.status != RunStatus.TERMINAL
        name, told = f"run {self.agent}".rstrip(), tuple(self.happenings)
        return Span(self.run_id, "", name, start_us, entry.at_us, attributes, failed, told)

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
    events.RunMoved: RunTrace.moved,
    events.PointReached: RunTrace.point_reached,
    events.EffectDoubted: RunTrace.doubted,
    events.Observed: RunTrace.observed,
    events.Attached: RunTrace.attached,
    events.WriteRefused: RunTrace.write_refused,
    events.ConflictOpened: RunTrace.conflict,
}
