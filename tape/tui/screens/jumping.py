"""From a run to one that belongs to it, and back: to a child, to the parent, to what it was forked from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from tape.core.text import show
from tape.tui.feed.tree import ancestors
from tape.tui.panes.runs import RunsPane
from tape.tui.scene import Scene, Selected

if TYPE_CHECKING:
    from tape.tui.screens.main import MainScreen

REMEMBERED_JUMPS = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a run's tape, by its entry; or the child record of `child`, or the end."""

    run_id: str
    entry_id: int | None = None
    child: str = ""


class Jumping:
    """Part of the main screen."""

    _jumps: tuple[Place, ...] = ()
    _landing: Place | None = None

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    def action_jump(self) -> None:
        """To the run that the line under the tape's cursor names, else to the parent, else to the fork's source."""
        main = self._main
        selected = main.scene.selected
        if selected is None:
            main.say("select a run first", wrong=True)
            return
        wanted = self._named_here(selected) or _origin(selected)
        if wanted is None:
            main.say(
                "J goes from a child's record to the child, from a child or a fork to where it comes from", wrong=True
            )
            return
        line = main.tape.line
        self._jumps = (*self._jumps[-REMEMBERED_JUMPS:], Place(selected.run.id, line.id if line else None))
        self._go(wanted)

    def action_jump_back(self) -> None:
        if not self._jumps:
            self._main.say("no jump to go back from: J jumps", wrong=True)
            return
        *before, place = self._jumps
        self._jumps = tuple(before)
        self._go(place)

    def _named_here(self, selected: Selected) -> Place | None:
        """The run that the record under the cursor is about."""
        from tape.core.kernel import events

        line = self._main.tape.line
        event = line.entry.event if line is not None else None
        if isinstance(event, events.ChildStarted | events.ChildEnded):
            return Place(event.child)
        if isinstance(event, events.ForkPromoted):
            return Place(event.run)
        return None

    def _go(self, place: Place) -> None:
        main = self._main
        main.runs.following = False
        main.wanted_run = place.run_id
        self._landing = place
        main.look(replace(main.view, run_id=place.run_id, at=None))

    def land(self, scene: Scene) -> None:
        """Each scene: the tape's cursor goes where the jump was meant to, once that run is on screen."""
        place, selected = self._landing, scene.selected
        if place is None:
            return
        if selected is None or selected.run.id != place.run_id:
            if self._main.view.run_id == place.run_id and scene.view.run_id == place.run_id:
                self._landing = self._main.wanted_run = None
                self._main.say(f"{show(place.run_id, 20)} is not in this journal", wrong=True)
            elif self._main.view.run_id != place.run_id:
                self._landing = None
            return
        self._landing = None
        entry_id = place.entry_id or _record_of(selected, place.child)
        index = self._main.tape.find_entry(entry_id) if entry_id else None
        if index is not None:
            self._main.tape.following = False
            self._main.tape.select(index, by_hand=False)

    # --- the tree of the runs -----------------------------------------------------------------------------------------

    def on_runs_pane_folded(self, message: RunsPane.Folded) -> None:
        main = self._main
        view, number = main.view, message.number
        opened, closed = view.opened - {number}, view.closed - {number}
        if message.open:
            main.look(replace(view, opened=opened | {number}, closed=closed))
        else:
            main.look(replace(view, opened=opened, closed=closed | {number}))

    def reveal(self, number: int) -> bool:
        """Opens whatever hides this run in the list; False if nothing does."""
        main = self._main
        above = frozenset(ancestors(main.scene.runs.parents, number))
        if above <= main.scene.runs.open or (above <= main.view.opened and not above & main.view.closed):
            return False
        main.look(replace(main.view, opened=main.view.opened | above, closed=main.view.closed - above))
        return True


def _origin(selected: Selected) -> Place | None:
    run = selected.run
    if run.parent is not None:
        return Place(run.parent, child=run.id)
    return Place(run.source_id) if run.source_id is not None else None


def _record_of(selected: Selected, child: str) -> int | None:
    """The entry that started this child."""
    from tape.core.kernel.events import ChildStarted

    if not child:
        return None
    found = (
        entry for entry in selected.entries if isinstance(entry.event, ChildStarted) and entry.event.child == child
    )
    return next((entry.id for entry in found), None)
