"""What each ink is in today's theme: the stylesheet says it once, of the app, and all that is drawn line by line asks
there. Said of each pane, it would be worked out again whenever a pane comes or the focus moves."""

from __future__ import annotations

from typing import ClassVar, cast

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.app import App
from textual.strip import Strip
from textual.widget import Widget

from tape.tui.ink import ASCII_GLYPHS, Ink, Row


class InkedApp(App[int]):
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"ink--{ink}" for ink in Ink}

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        self._inks: dict[Ink, RichStyle] = {}
        super().__init__(ansi_color=ansi_color)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._inks = {}

    def style_of(self, ink: Ink) -> RichStyle:
        found = self._inks.get(ink)
        if found is None:
            found = self._inks[ink] = self.get_component_styles(f"ink--{ink}").rich_style
        return found


class Inked(Widget):
    """A widget that is drawn in inks."""

    plain_glyphs = False
    """Draws ASCII instead of the glyphs that not each terminal has."""

    def drawn(self, row: Row, *, marked: bool = False) -> Strip:
        """A line of the widget's width; `marked` as the cursor's, but for its frame and what is alarming."""
        style_of = cast(InkedApp, self.app).style_of  # pyright: ignore[reportUnknownMemberType]
        segments: list[Segment] = []
        for text, ink in row:
            style = style_of(ink)
            if marked and ink not in (Ink.FRAME, Ink.ALARM):
                style = style + style_of(Ink.CURSOR)
            segments.append(Segment(text.translate(ASCII_GLYPHS) if self.plain_glyphs else text, style))
        return Strip(segments).adjust_cell_length(self.size.width, style_of(Ink.PLAIN))
