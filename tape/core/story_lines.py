"""The lines of one run's tape: its records by seq, and between them the story of each crash. Pure.

Every entry's words are `render.line`'s. Two lines are not entries: the CUT, one line for all that says that the
driver is gone (`point_reached` or the order, `worker_died`, `lease_ended`), and `← resume here` at the seq where the
run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tape.core.kernel import events
from tape.core.kernel.events import Entry, Event
from tape.core.kernel.lifecycle import RUN_ENDS, LeaseStatus, ObligationStatus, RunStatus
from tape.core.kernel.points import Death
from tape.core.marks import EFFECT_MARKS, FORK, OBLIGATION_MARKS, RUN_MARKS, UNKNOWN_MARK, Mark, Style
from tape.core.render import ANSWER_MARKS, Line
from tape.core.story_facts import DEATHS, Facts, at_hook, blow, by_agent, struck
from tape.core.text import duration, show

RESUME_TEXT = "← resume here"
NOT_CALLED = "not called"
SIGNALS: Mapping[str, str] = {Death.KILL: "SIGKILL", Death.STOP: "SIGSTOP", Death.TERM: "SIGTERM"}
_OWN_REASONS = ("killed at ", "killed by order", "terminated at ", "terminated by order", "frozen")
_BLANK = Mark("", Style.PLAIN)


class LineKind(StrEnum):
    RECORD = "RECORD"
    STORY = "STORY"
    CUT = "CUT"
    RESUME = "RESUME"


@dataclass(frozen=True, slots=True)
class TapeLine:
    """One line. `(id, kind)` is unique; `id` is `entry.id`. `state` is the short word on the right, empty where the
    glyph says it all. `dimmed`: a record that the latest drive to attach answered from the tape."""

    id: int
    seq: int | None
    since_us: int
    glyph: str
    text: str
    style: Style
    state: str
    state_glyph: str
    state_style: Style
    kind: LineKind
    dimmed: bool
    entry: Entry


@dataclass(frozen=True, slots=True)
class _Blow:
    """A death under way: where, which, whose, and its CUT if one stands already."""

    entry: Entry
    point: str
    death: str
    worker: int
    pid: int
    position: int | None


@dataclass(slots=True)
class Lines:
    """The fold. `full` keeps the entries that the story leaves out or merges."""

    full: bool = False
    lines: list[TapeLine] = field(default_factory=lambda: [])
    _since_us: int | None = None
    _bright: list[int] = field(default_factory=lambda: [])
    _blow: _Blow | None = None
    _fallen: Entry | None = None
    _held: events.PointReached | None = None
    _workers: set[int] = field(default_factory=lambda: set())

    def take(self, entry: Entry, shown: Line, facts: Facts) -> None:
        """`facts` have taken the entry already."""
        event = entry.event
        if self._since_us is None:
            self._since_us = entry.at_us
        if entry.seq is not None:
            self._go_on(entry)
            self._bright.append(len(self.lines))
        merged = self._merge(entry, facts)
        if self.full or not (merged or self._is_quiet(entry, facts)):
            kind = LineKind.STORY if entry.seq is None else LineKind.RECORD
            self.lines.append(self._line(entry, kind, shown, facts))
        if isinstance(event, events.Attached) and entry.run_id is not None:
            self._dim(event.next_seq, facts)

    def keep(self, entry: Entry, shown: Line) -> None:
        """An entry whose body is damaged: its line, and nothing made of it."""
        if not self.lines or self.lines[-1].entry is not entry:
            kind = LineKind.STORY if entry.seq is None else LineKind.RECORD
            self.lines.append(self._plain(entry, kind, shown.glyph, shown.text, shown.style))

    def told(self, facts: Facts) -> tuple[TapeLine, ...]:
        """All lines, with the place to resume at the end while nobody has gone on there."""
        if self._fallen is None:
            return tuple(self.lines)
        return (*self.lines, self._resume(self._fallen, facts.seq + 1))

    # --- lines ------------------------------------------------------------------------------------------------

    def _line(self, entry: Entry, kind: LineKind, shown: Line, facts: Facts) -> TapeLine:
        state, mark = _state(entry.event)
        if isinstance(entry.event, events.EffectBegun | events.EffectEnded):
            effect = facts.effects.get(entry.event.key)
            if effect is not None and effect.quarantined:
                state, mark = NOT_CALLED, FORK
        return self._plain(entry, kind, shown.glyph, shown.text, shown.style, show(str(state), 40), mark)

    def _plain(
        self, entry: Entry, kind: LineKind, glyph: str, text: str, style: Style, state: str = "", mark: Mark = _BLANK
    ) -> TapeLine:
        return TapeLine(
            id=entry.id,
            seq=entry.seq,
            since_us=entry.at_us - (entry.at_us if self._since_us is None else self._since_us),
            glyph=glyph,
            text=text,
            style=style,
            state=state,
            state_glyph=mark.glyph,
            state_style=mark.style,
            kind=kind,
            dimmed=False,
            entry=entry,
        )

    def _resume(self, entry: Entry, seq: int) -> TapeLine:
        return replace(self._plain(entry, LineKind.RESUME, "", RESUME_TEXT, Style.ACCENT), seq=seq)

    def _go_on(self, entry: Entry) -> None:
        """A record: by the agent that took the run up again, the mark stays here; by the end of the run, it goes."""
        if not by_agent(entry.event):
            if isinstance(entry.event, events.RunEnded):
                self._fallen = None
            return
        self._held = None
        if self._fallen is not None:
            self.lines.append(self._resume(entry, entry.seq or 0))
            self._fallen = None
        blow = self._blow
        if blow is not None and blow.death == Death.STOP and blow.position is not None:
            line = self.lines[blow.position]
            thawed = f"{line.text} · thawed before its lease ran out"
            self.lines[blow.position] = replace(line, text=thawed, kind=LineKind.STORY)
            self._blow = None

    def _dim(self, next_seq: int, facts: Facts) -> None:
        """What the drive had from the tape; an effect that is still open was not answered, and is looked at again."""
        still: list[int] = []
        for position in self._bright:
            line = self.lines[position]
            event = line.entry.event
            effect = facts.effects.get(event.key) if isinstance(event, events.EffectBegun) else None
            if (line.seq or 0) >= next_seq or (effect is not None and effect.open):
                still.append(position)
            else:
                self.lines[position] = replace(line, dimmed=True)
        self._bright = still

    # --- deaths -----------------------------------------------------------------------------------------------

    def _merge(self, entry: Entry, facts: Facts) -> bool:
        """Makes or amends a CUT; True if it says all that the entry does."""
        event = entry.event
        if isinstance(event, events.PointReached):
            return self._reach(entry, event)
        if isinstance(event, events.OrderPlaced):
            self._order(entry, event, facts)
        elif isinstance(event, events.WorkerDied):
            return self._worker_died(entry, event, facts)
        elif isinstance(event, events.LeaseEnded):
            return self._lease_ended(entry, event)
        elif isinstance(event, events.LeaseGranted | events.AttemptStarted) and event.worker is not None:
            self._workers.add(event.worker)
        return False

    def _reach(self, entry: Entry, event: events.PointReached) -> bool:
        death = blow(event.point, event.death)
        if at_hook(event.point):
            return False
        if death not in (Death.KILL, Death.STOP):
            self._held = event if death not in DEATHS else None
            return False
        text = _cut_text(SIGNALS[death], event.point, event.pid)
        self._cut(_Blow(entry, event.point, death, event.worker, event.pid, None), text)
        return True

    def _order(self, entry: Entry, event: events.OrderPlaced, facts: Facts) -> None:
        lease = facts.live
        death = struck(event, lease)
        if death not in (Death.KILL, Death.STOP) or lease is None:
            return
        waits = self._blow if self._blow is not None and self._blow.worker == lease.worker else None
        point = waits.point if waits else self._held.point if self._held is not None else ""
        position = waits.position if waits else None
        self._blow = _Blow(entry, point, death, lease.worker, lease.pid, position)

    def _cut(self, blow: _Blow, text: str) -> None:
        glyph = "◆" if blow.death == Death.STOP else "✗"
        self._blow = replace(blow, position=len(self.lines))
        self.lines.append(self._plain(blow.entry, LineKind.CUT, glyph, text, Style.ERROR))

    def _amend(self, entry: Entry, how: str, expired: bool = False) -> None:
        """Writes down that the death is known, on the CUT that stands or on a new one."""
        blow = self._blow
        assert blow is not None
        signal, _, reason = how.partition(": ")
        if expired:
            signal, reason = SIGNALS.get(blow.death, "the lease ran out"), ""
        parts = ["" if reason.startswith(_OWN_REASONS) else show(reason, 120)]
        if blow.entry is not entry:
            after = duration(entry.at_us - blow.entry.at_us)
            parts.append(f"its lease ran out after {after}" if expired else f"known after {after}")
        text = _cut_text(show(signal, 40), blow.point, blow.pid, *parts)
        if blow.position is None:
            self._cut(blow, text)
        else:
            self.lines[blow.position] = replace(self.lines[blow.position], glyph="✗", text=text)

    def _worker_died(self, entry: Entry, event: events.WorkerDied, facts: Facts) -> bool:
        if self._blow is None or event.worker != self._blow.worker:
            return event.worker not in self._workers or event.proven
        if facts.live is None:  # no lease ends with it: the run had ended before
            self._amend(entry, event.how)
            self._blow = None
        return event.proven

    def _lease_ended(self, entry: Entry, event: events.LeaseEnded) -> bool:
        if event.status == LeaseStatus.RELEASED:
            self._blow = None
            return event.why == "the run ended"
        if self._blow is None or self._blow.worker != event.worker:
            point = self._held.point if self._held is not None and self._held.worker == event.worker else ""
            self._blow = _Blow(entry, point, "", event.worker, event.pid, None)
        self._amend(entry, event.why, expired=event.status == LeaseStatus.EXPIRED)
        self._blow = None
        self._fallen = entry
        self._held = None
        return True

    # --- what the story leaves out ----------------------------------------------------------------------------

    def _is_quiet(self, entry: Entry, facts: Facts) -> bool:
        event = entry.event
        if entry.seq is not None:
            return False
        if isinstance(event, events.ServerStarted):
            return facts.started_us is None
        if isinstance(event, events.Claimed | events.WorkerStarted | events.WorkerMoved):
            return True
        if isinstance(event, events.ModelAsked):
            return event.asks <= 1
        if isinstance(event, events.LeaseGranted | events.Attached):
            return event.drive <= 1
        if isinstance(event, events.AttemptStarted):
            return event.what == "look-up"
        if isinstance(event, events.ObligationMoved):
            return event.status == ObligationStatus.CLAIMED
        if isinstance(event, events.RunMoved) and facts.ended_us == entry.at_us and event.status in RUN_ENDS:
            return True  # the record of the end has just said so
        dying = self._fallen
        return dying is not None and dying.at_us == entry.at_us and _follows(event, dying.event)


def _follows(event: Event, ended: Event) -> bool:
    """What a death entails at once and the CUT has said: the body's end, the run's move (but to a person)."""
    why = ended.why if isinstance(ended, events.LeaseEnded) else ""
    if isinstance(event, events.AttemptEnded):
        return event.how == why and event.error is None
    return isinstance(event, events.RunMoved) and event.why == why and event.status != RunStatus.STUCK


def _cut_text(signal: str, point: str, pid: int, *more: str) -> str:
    where = f"{signal} at {show(point, 60)}" if point else signal
    return " · ".join([where, f"pid {pid}", *(part for part in more if part)])


def _state(event: Event) -> tuple[str, Mark]:
    """The short word on the right of an entry's line."""
    if isinstance(event, events.EffectBegun):
        return "PENDING", EFFECT_MARKS["PENDING"]
    if isinstance(event, events.EffectEnded | events.EffectDoubted):
        return event.status, EFFECT_MARKS.get(event.status, UNKNOWN_MARK)
    if isinstance(event, events.Decision | events.Sample):
        return ("raised", Mark("✗", Style.ERROR)) if event.error is not None else ("", Mark("✓", Style.SUCCESS))
    if isinstance(event, events.RunEnded):
        return event.outcome, RUN_MARKS.get(event.outcome, UNKNOWN_MARK)
    if isinstance(event, events.RunMoved):
        return event.status, RUN_MARKS.get(event.status, UNKNOWN_MARK)
    if isinstance(event, events.ObligationMoved):
        return event.status, OBLIGATION_MARKS.get(event.status, UNKNOWN_MARK)
    if isinstance(event, events.Observed):
        return event.answer, ANSWER_MARKS.get(event.answer, UNKNOWN_MARK)
    return "", _BLANK
