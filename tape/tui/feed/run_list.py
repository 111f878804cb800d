"""The list of runs as scenes show it: numbers of all that pass the filter, and the rows near the screen."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tape.core.kernel.events import OrderPlaced
from tape.core.kernel.lifecycle import RUN_ENDS
from tape.core.run_filter import RunFilter, parse_filter
from tape.tui.feed.tree import Rows, Tree
from tape.tui.scene import Leased, RunList, View

if TYPE_CHECKING:
    from tape.core.clock import Clock
    from tape.core.journal.shapes import RunView
    from tape.core.journal.views import Reader
    from tape.core.kernel.events import Entry
    from tape.core.kernel.points import Stop

KEPT_VIEWS = 1_000
ANEW_US = 400_000
"""A filtered or sorted list changes with every state: it is made anew at most this often."""


@dataclass(slots=True)
class _Wanted:
    text: str
    sort: str
    filter: RunFilter | None

    @property
    def plain(self) -> bool:
        """Every run, the newest first: only then children stand under their parents."""
        return self.filter is None and self.sort == "newest"


class RunLists:
    """Belongs to the feed's thread."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._wanted = _Wanted("", "newest", None)
        self._numbers: array[int] = array("q")
        self._tree = Tree()
        self._rows: tuple[tuple[object, ...], Rows] = ((), Rows(array("q")))
        self._views: dict[int, RunView] = {}
        self._by_id: dict[str, int] = {}
        self._made_us = 0
        self._stale = True
        self.counts: dict[str, int] = {}
        self.total = 0
        self._counted = False

    def note(self, entries: Iterable[Entry]) -> None:
        """The runs of these entries look different now; those that retention removed are gone."""
        entries = list(entries)
        if any(isinstance(entry.event, OrderPlaced) and entry.event.verb == "gc" for entry in entries):
            self._numbers, self._views, self._by_id = array("q"), {}, {}
            self._tree = Tree()
            self._stale, self._made_us, self._counted = True, 0, False
        changed = {entry.run_id for entry in entries if entry.run_id is not None}
        for run_id in changed:
            number = self._by_id.pop(run_id, None)
            if number is not None:
                self._views.pop(number, None)
        self._stale = self._stale or bool(changed)
        self._counted = self._counted and not changed

    def make(self, view: View, leases: dict[str, Leased], stops: dict[str, Stop], several: bool) -> RunList:
        self._choose(view)
        self._renumber()
        self._count()
        placed = self._placed(view)
        length = len(placed.numbers)
        first, last = max(0, view.first), min(length, view.last)
        rows = [placed.numbers[length - 1 - index] for index in range(first, last)]
        missing = [number for number in rows if number not in self._views]
        if len(self._views) + len(missing) > KEPT_VIEWS:
            kept = {number: self._views[number] for number in rows if number in self._views}
            self._views = kept
            self._by_id = {run.id: number for number, run in kept.items()}
        for run in self._reader.runs_by_no(missing) if missing else ():
            self._views[run.no] = run
            self._by_id[run.id] = run.no
        wanted = self._wanted
        return RunList(
            numbers=placed.numbers,
            length=length,
            views=dict(self._views),
            leases=leases,
            stops=stops,
            filter=wanted.text,
            chips=tuple(wanted.filter.chips()) if wanted.filter else (),
            several_agents=several,
            ascending=wanted.sort == "newest",
            parents=self._tree.parents if wanted.plain else {},
            places=placed.places,
            depths=placed.depths,
            open=placed.open,
            deepest=max(placed.depths.values(), default=0),
        )

    def _placed(self, view: View) -> Rows:
        """The numbers as they stand on screen; made anew only when something has moved."""
        if not self._wanted.plain:
            return Rows(self._numbers)
        made_of = (self._tree, len(self._numbers), view.opened, view.closed)
        if self._rows[0] != made_of:
            self._rows = (made_of, self._tree.rows(view.opened, view.closed))
        return self._rows[1]

    def _choose(self, view: View) -> None:
        if (view.filter, view.sort) != (self._wanted.text, self._wanted.sort):
            chosen = parse_filter(view.filter, self._clock.wall_us()) if view.filter else None
            self._wanted = _Wanted(view.filter, view.sort, chosen)
            self._numbers = array("q")
            self._tree = Tree()
            self._stale, self._made_us = True, 0

    def _renumber(self) -> None:
        """A plain list only grows; any other is made anew, not too often."""
        wanted, now = self._wanted, self._clock.boot_us()
        if not self._stale:
            return
        if wanted.plain:
            after = self._numbers[-1] if self._numbers else 0
            with self._reader.snapshot():
                new, parents = self._reader.run_numbers(after_no=after), self._reader.run_parents(after_no=after)
            if new:
                self._numbers = self._numbers + new
                self._tree.take(new, parents, self._numbers)
        elif now - self._made_us >= ANEW_US:
            self._made_us = now
            self._numbers = self._sorted(self._reader.run_numbers(wanted.filter))
        else:
            return
        self._stale = False

    def _sorted(self, numbers: array[int]) -> array[int]:
        """The list is read from its end: the first row is the last number."""
        if self._wanted.sort == "oldest":
            return array("q", reversed(numbers))
        if self._wanted.sort == "open first":
            still = set(self._reader.run_numbers(parse_filter("state:open", self._clock.wall_us())))
            ended = array("q", [number for number in numbers if number not in still])
            return ended + array("q", [number for number in numbers if number in still])
        return numbers

    def _count(self) -> None:
        """How many runs there are of each status: the open ones by their index, the ended ones as the rest. Those
        that failed or were cancelled are counted once, then with each end."""
        if self._counted:
            return
        self._counted = True
        now = self._reader.counts()
        self.total = now.total
        ended: dict[str, int] = {str(status): self.counts.get(str(status), 0) for status in RUN_ENDS}
        if sum(ended.values()) != now.ended:
            ended = {name: number for name, number in self._reader.status_counts().items() if name in RUN_ENDS}
        self.counts = {name: number for name, number in {**now.open, **ended}.items() if number}

    def view(self, run_id: str) -> RunView | None:
        """One run, from the page or from the journal."""
        number = self._by_id.get(run_id)
        if number is not None and number in self._views:
            return self._views[number]
        found = self._reader.runs(run_id=run_id)
        return found[0] if found else None
