"""Looking: which pane has the screen and the focus, which moment, which runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual.widget import Widget
from textual.widgets import Input

from tape.tui.pane import Pane
from tape.tui.plan import LOWER, Width

if TYPE_CHECKING:
    from tape.tui.screens.main import MainScreen

GROW = 1.25


class Looking:
    """Part of the main screen."""

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    def show_pane(self, name: str, *, focus: bool = True) -> None:
        """Brings a pane on screen, and the focus to it."""
        main = self._main
        if main.wish.zoom not in (None, name):
            main.place_panes(zoom=name)
        size = main.size_class
        if name in LOWER and size is Width.NARROW:
            main.place_panes(lower=name, detail=name == "detail")
        elif size is Width.MEDIUM and name in ("detail", "reactors", "effects", "processes", "log"):
            main.place_panes(detail=name == "detail")
        if focus:
            main.set_focus(main.query_one(f"#{name}", Widget))

    def action_pane(self, name: str) -> None:
        self._main.show_pane(name)

    def action_next_pane(self, step: int) -> None:
        main = self._main
        shown = [pane for pane in main.query(Pane) if pane.size.width and pane.region.area]
        here = shown.index(main.focused) if isinstance(main.focused, Pane) and main.focused in shown else 0
        if shown:
            main.set_focus(shown[(here + step) % len(shown)])

    def action_zoom(self) -> None:
        main = self._main
        focused = main.focused
        if isinstance(focused, Pane) and focused.id is not None:
            main.place_panes(zoom=None if main.wish.zoom else focused.id)

    def action_follow(self) -> None:
        main = self._main
        focused = main.focused
        pane = focused if isinstance(focused, Pane) and focused is not main.crash else main.runs
        pane.follow(not pane.following)

    def action_back(self) -> None:
        """Esc: out of the innermost thing."""
        main = self._main
        if main.query_one("#filter", Input).has_focus:
            self.close_filter()
        elif main.wish.zoom:
            main.place_panes(zoom=None)
        elif main.view.at is not None:
            main.look(replace(main.view, at=None))
        elif main.wish.detail or main.focused is main.crash:
            main.place_panes(detail=False, lower="tape" if main.wish.lower == "detail" else main.wish.lower)
            main.set_focus(main.tape if main.scene.selected else main.runs)
        elif main.view.filter:
            main.set_filter("")
        else:
            main.set_focus(main.runs)

    def action_grow(self, step: int) -> None:
        """Gives the focused pane more or less of its column."""
        main = self._main
        focused = main.focused
        if isinstance(focused, Pane) and focused.id:
            weights = dict(main.wish.weights)
            weights[focused.id] = min(6.0, max(0.2, weights.get(focused.id, 1.0) * GROW**step))
            main.place_panes(weights=weights)

    def action_widen(self, step: int) -> None:
        main = self._main
        main.place_panes(left=min(0.8, max(0.4, main.wish.left + 0.03 * step)))

    def action_travel(self, step: int) -> None:
        """Steps through the tape of the selected run in time."""
        main = self._main
        selected = main.scene.selected
        if selected is None:
            return
        ids = sorted({line.id for line in selected.live.lines if line.id})
        now = ids.index(main.view.at) if main.view.at in ids else len(ids) - 1
        wanted = now + step
        if wanted >= len(ids) - 1:
            main.look(replace(main.view, at=None))
        elif wanted >= 0:
            main.look(replace(main.view, at=ids[wanted]))

    def action_time_here(self) -> None:
        """The run as it was at the line under the tape's cursor."""
        main = self._main
        line, selected = main.tape.line, main.scene.selected
        if line is None or selected is None:
            main.say("choose a line of the tape first", wrong=True)
        elif line.id >= selected.live.lines[-1].id:
            main.look(replace(main.view, at=None))
        else:
            main.look(replace(main.view, at=line.id))

    def action_sort(self) -> None:
        main = self._main
        orders = ("newest", "oldest", "open first")
        sort = orders[(orders.index(main.view.sort) + 1) % len(orders)]
        main.runs.forget_cursor()
        main.look(replace(main.view, sort=sort))
        main.say(f"runs: {sort}")

    def action_everywhere(self) -> None:
        main = self._main
        main.look(replace(main.view, all_effects=not main.view.all_effects))

    def action_whole_story(self) -> None:
        main = self._main
        main.look(replace(main.view, full_story=not main.view.full_story))

    def action_log_tab(self) -> None:
        main = self._main
        main.show_pane("log")
        main.log_pane.next_tab()

    # --- the filter ---------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        main = self._main
        field = main.query_one("#filter", Input)
        field.value = main.view.filter
        field.add_class("open")
        main.set_focus(field)
        main.show_keys()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        main = self._main
        from tape.core.kernel.errors import UsageError
        from tape.core.run_filter import parse_filter

        try:
            parse_filter(message.value, main.clock.wall_us())
        except UsageError as error:
            main.say(str(error), wrong=True)
            return
        self.close_filter()
        main.set_filter(message.value.strip())

    def set_filter(self, text: str) -> None:
        main = self._main
        main.runs.following = True
        main.look(replace(main.view, filter=text, first=0, last=60))

    def close_filter(self) -> None:
        main = self._main
        main.query_one("#filter", Input).remove_class("open")
        main.set_focus(main.runs)
