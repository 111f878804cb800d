"""Pane 1: the runs, newest first."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.message import Message

from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import NO_TREE, branch_of, run_row, runs_head, tree_room
from tape.tui.scene import Phase, RunList, Scene, Selected

if TYPE_CHECKING:
    from tape.core.journal.shapes import RunView

MARGIN_ROWS = 60


class RunsPane(Pane):
    number = "1"
    name_shown = "Runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "fold", "hide its children, or go to its parent", show=False, id="fold"),
        Binding("right", "unfold", "show its children", show=False, id="unfold"),
    ]

    class Needed(Message):
        """These rows, or ones near them, are on screen and not read yet."""

        def __init__(self, first: int, last: int) -> None:
            self.first, self.last = first, last
            super().__init__()

    class Folded(Message):
        """The children of this run are to be shown, or not."""

        def __init__(self, number: int, *, open: bool) -> None:
            self.number, self.open = number, open
            super().__init__()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.runs = RunList()
        self.now_us = self.boot_us = 0
        self.phase = Phase.STARTING
        self.following = True
        self.past: Selected | None = None
        self._asked = (0, 0)

    def show(self, scene: Scene) -> None:
        if scene.runs.filter != self.runs.filter:
            self.forget_cursor()
        self.runs, self.now_us, self.boot_us, self.phase = scene.runs, scene.now_us, scene.boot_us, scene.phase
        selected = scene.selected
        self.past = selected if selected is not None and selected.at is not None else None
        self.redraw()

    @property
    def run(self) -> RunView | None:
        """The run under the cursor."""
        return self.runs.at(self.cursor)

    def select_run(self, number: int) -> bool:
        return self.select_key(number)

    def info(self) -> Row:
        place = f"{self.cursor + 1}/{self.runs.length}" if self.runs.length else "0"
        chips = tuple((f"{chip} ", Ink.ACCENT) for chip in self.runs.chips)
        return (*chips, (place, Ink.MUTED), (" follow ▴" if self.following else "", Ink.PRIMARY))

    def head(self, width: int) -> Row | None:
        return runs_head(width, self.runs.several_agents, tree_room(self.runs)) if self.runs.length else None

    def count(self) -> int:
        return self.runs.length

    def row(self, index: int, width: int) -> Row:
        run, past = self.runs.at(index), ""
        if run is not None and self.past is not None and run.id == self.past.run.id:
            story = self.past.story
            status = story.status or run.status
            past = f"as of seq {story.seq}"
            run = replace(
                run, status=status, decisions=story.decisions, effects=len(story.effects), waiting_on="", error=""
            )
        return run_row(
            run,
            here=index == self.cursor,
            width=width,
            several=self.runs.several_agents,
            lease=self.runs.leases.get(run.id) if run and not past else None,
            stop=self.runs.stops.get(run.id) if run and not past else None,
            now_us=self.now_us,
            boot_us=self.boot_us,
            branch=branch_of(self.runs, run) if run else NO_TREE,
            past=past,
        )

    # --- the tree -----------------------------------------------------------------------------------------------

    def action_fold(self) -> None:
        """Hides the children; on a run without any goes to its parent."""
        number = self.runs.number(self.cursor)
        if number is None:
            return
        if number in self.runs.open:
            self.post_message(self.Folded(number, open=False))
        elif number in self.runs.depths:
            place = self.find(self.runs.parents[number])
            if place is not None:
                self.select(place)

    def action_unfold(self) -> None:
        """Shows the children; where they stand already goes to the first."""
        number, run = self.runs.number(self.cursor), self.run
        if number is None or run is None or not run.children or not self.runs.parents:
            return
        if number in self.runs.open:
            self.select(self.cursor + 1)
        else:
            self.post_message(self.Folded(number, open=True))

    def key_of(self, index: int) -> Hashable | None:
        return self.runs.number(index)

    def find(self, key: Hashable) -> int | None:
        return self.runs.find(cast(int, key))

    def follow_end(self) -> int:
        return 0

    def empty(self) -> list[Row]:
        if self.runs.filter:
            return [(("  no run passes the filter; esc clears it", Ink.MUTED),)]
        if self.phase is Phase.STARTING:
            return [(("  opening the journal …", Ink.MUTED),)]
        return [
            (),
            (("  no runs yet", Ink.STRONG),),
            (("  r", Ink.KEY), (" triggers the agent", Ink.MUTED)),
            (("  space", Ink.KEY), (" in the crash pane arms a point where it will die", Ink.MUTED)),
            (("  ?", Ink.KEY), (" takes the five-minute tour", Ink.MUTED)),
        ]

    def redraw(self) -> None:
        super().redraw()
        self._ask()

    def _ask(self) -> None:
        """Asks for rows that are on screen, or soon will be, and not there."""
        rows = self.visible_rows
        shown = range(self.top, min(self.top + rows, self.runs.length))
        if any(self.runs.at(index) is None for index in shown):
            wanted = (max(0, self.top - MARGIN_ROWS), self.top + rows + MARGIN_ROWS)
            if wanted != self._asked:
                self._asked = wanted
                self.post_message(self.Needed(*wanted))
        else:
            self._asked = (-1, -1)
