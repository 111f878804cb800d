"""The tour's panel: some lines under the panes, which stay whole and keep the keys."""

from __future__ import annotations

from collections.abc import Mapping

from textual.strip import Strip

from tape.tui.help_rows import wrap_words
from tape.tui.ink import Ink, Row, clip, width_of
from tape.tui.panes.top import OneLine
from tape.tui.plan import LEAST_HEIGHT
from tape.tui.scene import Scene
from tape.tui.tour_steps import LAST, Tour, begin, see, skip, stepped, title, words

HEIGHTS = (5, 4, 1)


class TourPanel(OneLine):
    def __init__(self, scene: Scene, keys: Mapping[str, str], *, id: str) -> None:
        super().__init__(id=id)
        self._scene = scene
        self._keys = keys
        self.tour = begin(scene)

    def fit_height(self, terminal: int) -> None:
        """As high as the terminal's lines allow."""
        self.styles.height = next((lines for lines in HEIGHTS if terminal - lines >= LEAST_HEIGHT), HEIGHTS[-1])

    def see(self, scene: Scene) -> None:
        self._scene = scene
        self._go(see(self.tour, scene))

    def skip(self) -> bool:
        """On to the next step; False behind the last one."""
        if self.tour.step == LAST:
            return False
        self._go(skip(self.tour, self._scene))
        return True

    def verdict_stepped(self) -> None:
        self._go(stepped(self.tour, self._scene))

    def _go(self, tour: Tour) -> None:
        self.tour = tour
        self.refresh()

    # --- drawing ------------------------------------------------------------------------------------------------

    def rows(self, width: int, height: int) -> list[Row]:
        """The panel's lines; without a frame where there is room for one only."""
        text = words(self.tour, self._scene, self._keys)
        if height < 3:
            return [clip(((f" {title(self.tour)}  ", Ink.FOCUS), *text), width)]
        head: Row = (("╭─ ", Ink.FRAME), (title(self.tour), Ink.FOCUS), (" ", Ink.FRAME))
        after = "ends it" if self.tour.step == LAST else "next"
        keys: Row = ((" enter", Ink.KEY), (f" {after}  ", Ink.MUTED), ("esc", Ink.KEY), (" leaves ", Ink.MUTED))
        tail: Row = (*keys, ("─╮", Ink.FRAME))
        rule = "─" * max(0, width - width_of(head) - width_of(tail))
        lines = wrap_words(text, width - 4)[: height - 2]
        lines += [()] * (height - 2 - len(lines))
        return [
            (*head, (rule, Ink.FRAME), *tail),
            *((("│ ", Ink.FRAME), *clip(line, width - 4), (" │", Ink.FRAME)) for line in lines),
            (("╰" + "─" * (width - 2) + "╯", Ink.FRAME),),
        ]

    def render_line(self, y: int) -> Strip:
        rows = self.rows(self.size.width, self.size.height)
        return self.drawn(clip(rows[y], self.size.width) if y < len(rows) else ())
