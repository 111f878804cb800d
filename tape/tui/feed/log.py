"""The log: what agents print, what reactors do, what the person at the screen ordered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tape.core.kernel import events
from tape.core.marks import Style
from tape.core.render import line
from tape.core.text import show
from tape.tui.scene import LogLine, Source

if TYPE_CHECKING:
    from tape.core.kernel.events import Entry, Event

KEPT_LINES = 5_000
LINE_LIMIT = 1_000

_WHO: dict[type[Event], str] = {
    events.LeaseGranted: "recovery",
    events.LeaseEnded: "recovery",
    events.RunMoved: "recovery",
    events.Attached: "agent",
    events.Observed: "reconciler",
    events.EffectDoubted: "reconciler",
    events.ConflictOpened: "reconciler",
    events.TimerFired: "timers",
    events.ChildEnded: "run",
    events.ObligationMoved: "compensation",
    events.ServerStarted: "server",
    events.WorkerStarted: "server",
    events.WorkerMoved: "server",
    events.WorkerDied: "server",
    events.WriteRefused: "server",
    events.PointReached: "crash point",
    events.RunStarted: "run",
    events.RunEnded: "run",
}
_GLYPHS = {Style.ERROR: "✗", Style.WARNING: "!", Style.ALARM: "!"}
_REACTORS = frozenset({"recovery", "reconciler", "outbox", "timers", "compensation"})


class Log:
    """Belongs to the feed's thread. Lines beyond the newest some thousand are let go."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._made: tuple[LogLine, ...] = ()
        self._next = 1
        self._dirty = False
        self.errors = 0

    def lines(self) -> tuple[LogLine, ...]:
        if self._dirty:
            self._made, self._dirty = tuple(self._lines), False
        return self._made

    def say(
        self,
        at_us: int,
        source: Source,
        who: str,
        text: str,
        style: Style = Style.PLAIN,
        *,
        run_id: str | None = None,
        entry_id: int | None = None,
    ) -> None:
        """`text` may be anything: it is made safe here."""
        if style in (Style.ERROR, Style.ALARM) and source is Source.TAPE:
            self.errors += 1
        safe = show(text, LINE_LIMIT)
        self._lines.append(
            LogLine(self._next, at_us, source, show(who, 20), _GLYPHS.get(style, "·"), safe, style, run_id, entry_id)
        )
        self._next += 1
        self._dirty = True

    def take(self, entries: Iterable[Entry]) -> None:
        """The entries that say who did what; what an agent decided and did stands on its tape."""
        for entry in entries:
            who = who_of(entry.event)
            if who is None:
                continue
            told = line(entry)
            source = Source.REACTORS if who in _REACTORS else Source.YOU if who == "you" else Source.TAPE
            run_id = show(entry.run_id, 20) if entry.run_id is not None else None
            self._lines.append(
                LogLine(self._next, entry.at_us, source, who, told.glyph, told.text, told.style, run_id, entry.id)
            )
            self._next += 1
            self._dirty = True


def who_of(event: Event) -> str | None:
    """Who wrote this entry, as the log names them; None for an agent's own records."""
    if isinstance(event, events.OrderPlaced):
        return "you"
    if isinstance(event, events.EffectEnded):
        return event.writer if event.writer in _REACTORS else None
    if isinstance(event, events.AttemptStarted | events.AttemptEnded):
        by = event.by if isinstance(event, events.AttemptStarted) else ""
        return next((name for name in _REACTORS if by.startswith(name)), None)
    return _WHO.get(type(event))
