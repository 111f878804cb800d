"""Pane 6: what agents print, what reactors do, what you ordered."""

from __future__ import annotations

from collections.abc import Hashable

from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import log_row
from tape.tui.scene import LogLine, Scene, Selected, Source

TABS: tuple[Source | None, ...] = (None, Source.AGENT, Source.REACTORS, Source.YOU)


def _moment(selected: Selected) -> int:
    """When the entry was written at which time stands: what was said later was not known then."""
    return next((entry.at_us for entry in reversed(selected.entries) if entry.id <= (selected.at or 0)), 0)


class LogPane(Pane):
    number = "6"
    name_shown = "Log"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.all: tuple[LogLine, ...] = ()
        self.lines: tuple[LogLine, ...] = ()
        self.tab: Source | None = None
        self.then: int | None = None
        self.following = True
        self._seen = 0

    def show(self, scene: Scene) -> None:
        then = None if scene.selected is None or scene.selected.at is None else _moment(scene.selected)
        if scene.log is not self.all or then != self.then:
            self.all, self.then = scene.log, then
            self._choose()

    def next_tab(self, step: int = 1) -> None:
        self.tab = TABS[(TABS.index(self.tab) + step) % len(TABS)]
        self.forget_cursor()
        self.following = True
        self._choose()

    def _choose(self) -> None:
        known = self.all if self.then is None else tuple(line for line in self.all if line.at_us <= self.then)
        self.lines = known if self.tab is None else tuple(line for line in known if line.source is self.tab)
        self.redraw()
        if self.following and self.lines:
            self._seen = self.lines[-1].id

    @property
    def line(self) -> LogLine | None:
        return self.lines[self.cursor] if self.cursor < len(self.lines) else None

    def title(self) -> str:
        names = [f"[{tab or 'all'}]" if tab is self.tab else str(tab or "all") for tab in TABS]
        return f"Log {' '.join(names)}"

    def info(self) -> Row:
        if self.following:
            return (("follow ▾", Ink.PRIMARY),)
        new = sum(1 for line in self.lines if line.id > self._seen)
        return ((f"{new} new  f follows" if new else "f follows", Ink.ACCENT if new else Ink.MUTED),)

    def count(self) -> int:
        return len(self.lines)

    def row(self, index: int, width: int) -> Row:
        return log_row(self.lines[index], here=self.points_at(index), width=width)

    def key_of(self, index: int) -> Hashable | None:
        return self.lines[index].id if 0 <= index < len(self.lines) else None

    def find(self, key: Hashable) -> int | None:
        """Ids grow: the line, or the first one after it."""
        low, high = 0, len(self.lines)
        while low < high:
            middle = (low + high) // 2
            if self.lines[middle].id < int(str(key)):
                low = middle + 1
            else:
                high = middle
        return low if self.lines else None

    def empty(self) -> list[Row]:
        return [((" nothing has been said here yet", Ink.MUTED),)]
