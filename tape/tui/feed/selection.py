"""The selected run: its entries, its story now, and its story as of an earlier entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tape.core.figures import Figuring, recovery_of
from tape.core.story import RunStory, Teller, tell
from tape.core.verdict import verdicts
from tape.tui.particulars import Particularity, particulars_of
from tape.tui.scene import Selected

if TYPE_CHECKING:
    from tape.core.figures import Recovery
    from tape.core.journal.dump import BudgetView
    from tape.core.journal.shapes import RunView
    from tape.core.journal.views import Reader
    from tape.core.kernel.events import Entry
    from tape.core.verdict import Verdict
    from tape.tui.particulars import Particulars


@dataclass(frozen=True, slots=True)
class _Past:
    """What was known at the entry `at`."""

    at: int
    full: bool
    story: RunStory
    verdicts: tuple[Verdict, ...]
    recovery: Recovery
    particulars: Particulars


class Selection:
    """One run followed by its entries. Belongs to the feed's thread."""

    def __init__(self, reader: Reader, run_id: str) -> None:
        self.run_id = run_id
        self._reader = reader
        self._budget: tuple[BudgetView, ...] | None = None
        self.entries: list[Entry] = reader.entries(run_id=run_id)
        self._tellers: dict[bool, Teller] = {}
        self._figuring = Figuring()
        self._figuring.add(self.entries)
        self._particularity = Particularity()
        self._particularity.add(self.entries)
        self._past: _Past | None = None
        self._made: tuple[object, Selected] | None = None

    @property
    def last_id(self) -> int:
        return self.entries[-1].id if self.entries else 0

    def add(self, entries: Sequence[Entry]) -> bool:
        """Takes this run's entries from a batch; True if there were any."""
        last = self.last_id
        mine = [entry for entry in entries if entry.run_id == self.run_id and entry.id > last]
        if not mine:
            return False
        self.entries += mine
        for teller in self._tellers.values():
            teller.add(mine)
        self._figuring.add(mine)
        self._particularity.add(mine)
        return True

    def look_at_purse(self) -> None:
        """Its purse as it stands now: what its children spend is in it, too, and in no entry of its own."""
        self._budget = tuple(self._reader.budget(self.run_id))

    def _story(self, full: bool) -> RunStory:
        teller = self._tellers.get(full)
        if teller is None:
            teller = self._tellers[full] = Teller(full=full)
            teller.add(self.entries)
        return teller.story()

    def show(
        self,
        run: RunView,
        at: int | None,
        *,
        full: bool,
        acts: Callable[[list[str]], Mapping[str, int]],
        readable: bool,
    ) -> Selected:
        """What the screen shows of it; the same object while nothing has changed."""
        live = self._story(full)
        counted = acts([effect.key for effect in live.effects])
        if self._budget is None:
            self.look_at_purse()
        made_of = (run, at, full, len(self.entries), counted, readable, self._budget)
        if self._made is not None and self._made[0] == made_of:
            return self._made[1]
        story, known, recovery = live, self._figuring.judge.verdicts(), self._figuring.figures()
        particulars = self._particularity.known()
        if at is not None:
            past = self._as_of(at, full)
            story, known, recovery, particulars = past.story, past.verdicts, past.recovery, past.particulars
        shown = Selected(
            run=run,
            story=story,
            live=live,
            entries=tuple(self.entries),
            verdicts=known,
            at=at,
            acts=counted,
            readable=readable,
            recovery=recovery,
            budget=self._budget or (),
            particulars=particulars,
        )
        self._made = (made_of, shown)
        return shown

    def _as_of(self, at: int, full: bool) -> _Past:
        if self._past is None or (self._past.at, self._past.full) != (at, full):
            upto = [entry for entry in self.entries if entry.id <= at]
            told = tell(upto, full=full)
            self._past = _Past(at, full, told, verdicts(upto), recovery_of(upto), particulars_of(upto))
        return self._past
