"""The selected run: its entries, its story now, and its story as of an earlier entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tape.core.figures import Figuring
from tape.core.story import RunStory, Teller, tell
from tape.core.verdict import verdicts
from tape.tui.scene import Selected

if TYPE_CHECKING:
    from tape.core.journal.shapes import RunView
    from tape.core.journal.views import Reader
    from tape.core.kernel.events import Entry


class Selection:
    """One run followed by its entries. Belongs to the feed's thread."""

    def __init__(self, reader: Reader, run_id: str) -> None:
        self.run_id = run_id
        self.entries: list[Entry] = reader.entries(run_id=run_id)
        self._tellers: dict[bool, Teller] = {}
        self._figuring = Figuring()
        self._figuring.add(self.entries)
        self._past: tuple[int, bool, RunStory] | None = None
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
        return True

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
        made_of = (run, at, full, len(self.entries), counted, readable)
        if self._made is not None and self._made[0] == made_of:
            return self._made[1]
        story, known = live, self._figuring.judge.verdicts()
        if at is not None:
            upto = [entry for entry in self.entries if entry.id <= at]
            if self._past is None or self._past[:2] != (at, full):
                self._past = (at, full, tell(upto, full=full))
            story, known = self._past[2], verdicts(upto)
        shown = Selected(
            run=run,
            story=story,
            live=live,
            entries=tuple(self.entries),
            verdicts=known,
            at=at,
            acts=counted,
            readable=readable,
            recovery=self._figuring.figures(),
        )
        self._made = (made_of, shown)
        return shown
