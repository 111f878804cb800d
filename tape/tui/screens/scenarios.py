"""The project's scenarios: which there are, what came of them, and what each is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen

from tape.core.kernel.errors import TapeError, one_line
from tape.core.text import count, show
from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.panes.top import KeyLine
from tape.tui.plan import WIDE_FROM
from tape.tui.play_state import Listed, Phase, PlayState
from tape.tui.scenario_rows import facts_rows, head_row, list_row, progress
from tape.tui.screens.matrix import CellPane

if TYPE_CHECKING:
    from pathlib import Path

KEYS = (("enter", "play or story"), ("p", "play"), ("a", "all"), ("n", "next ✗"), ("x", "stop"), ("esc", "back"))
NONE_YET = "no scenarios yet: W on the main screen writes the selected run down as one"
UNDER_WAY = "scenarios are being played: x stops them"


class ScenariosPane(Pane):
    """A row for each file."""

    name_shown = "Scenarios"

    def __init__(self, state: PlayState, *, id: str) -> None:
        super().__init__(id=id)
        self.state = state

    @property
    def files(self) -> tuple[Listed, ...]:
        return self.state.files or ()

    @property
    def chosen(self) -> Listed | None:
        return self.files[self.cursor] if self.cursor < len(self.files) else None

    def show_state(self, state: PlayState) -> None:
        self.state = state
        self.redraw()

    def info(self) -> Row:
        return progress(self.state)

    def head(self, width: int) -> Row | None:
        return head_row(width)

    def count(self) -> int:
        return len(self.files)

    def row(self, index: int, width: int) -> Row:
        return list_row(self.files[index], self.state, width, here=index == self.cursor)

    def key_of(self, index: int) -> Hashable | None:
        return self.files[index].file if 0 <= index < len(self.files) else None

    def empty(self) -> list[Row]:
        reading = self.state.files is None
        return [((f" {'reading the files …' if reading else NONE_YET}", Ink.MUTED),)]

    def next_wrong(self, by: int) -> None:
        """To the next one that did not hold, or cannot be played."""
        wrong = [at for at, one in enumerate(self.files) if self.state.mark(one) in "✗!"]
        ahead = [at for at in wrong if (at > self.cursor if by > 0 else at < self.cursor)]
        if ahead:
            self.select(ahead[0] if by > 0 else ahead[-1])


class ScenariosScreen(ModalScreen[None]):
    """Shows them for as long as the person looks; a play goes on without the screen. `read` has the files read anew,
    and raises TapeError; what it finds comes by `show`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", show=False),
        Binding("p", "play", "play", show=False),
        Binding("a", "all", "play all", show=False),
        Binding("x", "stop", "stop", show=False),
        Binding("n", "next_wrong(1)", "next failure", show=False),
        Binding("N", "next_wrong(-1)", "failure before", show=False),
    ]

    def __init__(
        self,
        state: PlayState,
        root: Path,
        *,
        read: Callable[[], Awaitable[None]],
        play: Callable[[Sequence[str]], None],
        stop: Callable[[], None],
        plain_glyphs: bool,
    ) -> None:
        super().__init__()
        self.state = state
        self._root = root
        self._read, self._play, self._stop = read, play, stop
        self._plain_glyphs = plain_glyphs
        self.pane = ScenariosPane(state, id="scenarios")
        self.facts = CellPane(id="scenario")
        self.keys = KeyLine(id="scenario-keys")

    def compose(self) -> ComposeResult:
        for drawn in (self.pane, self.facts, self.keys):
            drawn.plain_glyphs = self._plain_glyphs
        with Container(id="play"):
            yield self.pane
            yield self.facts
        yield self.keys

    def on_mount(self) -> None:
        self.set_focus(self.pane)
        self.keys.show_keys(KEYS)
        self._arrange()
        self._tell()
        self.run_worker(self._reread(), name="scenarios")

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        """Side by side where there is room, else what is known below."""
        self.query_one("#play").set_class(self.size.width >= WIDE_FROM, "wide")

    async def _reread(self) -> bool:
        """Whether the files could be read."""
        try:
            await self._read()
        except TapeError as error:
            self.say(one_line(error), wrong=True)
            return False
        return True

    def show(self, state: PlayState) -> None:
        """A newer state."""
        self.state = state
        if self.is_mounted:
            self.pane.show_state(state)
            self._tell()

    def _tell(self) -> None:
        state, one = self.state, self.pane.chosen
        self.facts.tell(one.file if one is not None else "", lambda width: facts_rows(one, state, width))

    def on_pane_moved(self) -> None:
        self._tell()

    def say(self, text: str, *, wrong: bool = False) -> None:
        self.keys.say(show(text, 300), Ink.WARNING if wrong else Ink.ACCENT)

    # --- acts ---------------------------------------------------------------------------------------------------

    def on_pane_opened(self) -> None:
        """Enter: the story of one that has been played, else it is played."""
        from tape.tui.screens.cell_story import CellStoryScreen, of_scenario

        one = self.pane.chosen
        result = self.state.results.get(one.file) if one is not None else None
        if one is None or result is None or self.state.awaits(one.file):
            self.action_play()
        elif result.journal is None:
            self.say("no journal is kept of it: p plays it again", wrong=True)
        else:
            kept = of_scenario(result, self._root / result.journal)
            self.app.push_screen(CellStoryScreen(kept, plain_glyphs=self._plain_glyphs))  # pyright: ignore[reportUnknownMemberType]

    def action_play(self) -> None:
        one = self.pane.chosen
        if one is None:
            self.say(NONE_YET, wrong=True)
        else:
            self._begin(lambda: [found for found in self.pane.files if found.file == one.file])

    def action_all(self) -> None:
        if self.pane.files:
            self._begin(lambda: self.pane.files)
        else:
            self.say(NONE_YET, wrong=True)

    def _begin(self, wanted: Callable[[], Sequence[Listed]]) -> None:
        if self.state.under_way:
            self.say(UNDER_WAY, wrong=True)
        else:
            self.run_worker(self._begin_anew(wanted), name="play", group="play", exclusive=True)

    async def _begin_anew(self, wanted: Callable[[], Sequence[Listed]]) -> None:
        """The files are read again first: a mistake in one may have been mended, and one in any plays none."""
        if not await self._reread() or self.state.under_way:
            return
        files = wanted()
        fine = [one.file for one in files if not one.mistakes]
        left_out = len(files) - len(fine)
        if fine:
            self._play(fine)
            if left_out:
                self.say(f"left out: {count(left_out, 'file')} with a mistake", wrong=True)
        else:
            self.say("it cannot be played: mend what is said below" if files else "the file is gone", wrong=True)

    def action_stop(self) -> None:
        if self.state.phase is Phase.STOPPING:
            self.say("it is being stopped")
        elif self.state.under_way:
            self._stop()
        else:
            self.say("nothing is being played", wrong=True)

    def action_next_wrong(self, by: int) -> None:
        self.pane.next_wrong(by)
