"""The status strip on top and the line of keys at the bottom: one line each."""

from __future__ import annotations

from textual.strip import Strip as DrawnStrip
from textual.timer import Timer

from tape.core.text import show
from tape.tui.ink import Ink, Row, clip, spread, width_of
from tape.tui.inked import Inked
from tape.tui.plan import LEAST_HEIGHT, LEAST_WIDTH
from tape.tui.rows import strip_row
from tape.tui.scene import Phase, Scene

SAID_SECONDS = 5.0


class OneLine(Inked):
    """One line of inks."""

    def line(self, width: int) -> Row:
        raise NotImplementedError

    def render_line(self, y: int) -> DrawnStrip:
        width = self.size.width
        return self.drawn(clip(self.line(width), width) if y == 0 else ())


class TopStrip(OneLine):
    def __init__(self, scene: Scene, *, id: str) -> None:
        super().__init__(id=id)
        self._scene = scene
        self._row: Row = ()
        self.too_small = ""

    def show(self, scene: Scene) -> None:
        self._scene = scene
        row = self.line(self.size.width)
        if row != self._row:
            self._row = row
            self.refresh()

    def line(self, width: int) -> Row:
        scene = self._scene
        if self.too_small:
            return (
                (f" too small: {self.too_small}, the console needs {LEAST_WIDTH}x{LEAST_HEIGHT}; q quits", Ink.WARNING),
            )
        if scene.trouble:
            clock: Row = ((" l: log ", Ink.ALARM),)
            head: Row = ((f" {'✗ ' if scene.phase is Phase.BROKEN else '! '}{show(scene.trouble, 400)}", Ink.ALARM),)
            return spread(head, clock, width)
        at = scene.selected.position if scene.selected and scene.selected.at is not None else None
        return strip_row(scene.strip, scene.phase, scene.now_us, paused=scene.view.paused, at=at, width=width)


class KeyLine(OneLine):
    """At most seven keys: those that fit where the focus is."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._keys: tuple[tuple[str, str], ...] = ()
        self._said: tuple[str, Ink] | None = None
        self._clock: Timer | None = None

    def say(self, text: str, ink: Ink) -> None:
        """Stands in the keys' place for some seconds; `text` is safe."""
        self._said = (text, ink)
        if self._clock is not None:
            self._clock.stop()
        self._clock = self.set_timer(SAID_SECONDS, self._hush)
        self.refresh()

    def _hush(self) -> None:
        self._said = None
        self.refresh()

    def show_keys(self, keys: tuple[tuple[str, str], ...]) -> None:
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def line(self, width: int) -> Row:
        if self._said is not None:
            return ((" ", Ink.PLAIN), self._said)
        spans: list[tuple[str, Ink]] = [(" ", Ink.MUTED)]
        palette: Row = (("^p", Ink.KEY), (" palette ", Ink.MUTED))
        for key, what in self._keys:
            more: Row = ((key, Ink.KEY), (f" {what}  ", Ink.MUTED))
            if width_of((*spans, *more, *palette)) > width:
                break
            spans += more
        return spread(tuple(spans), palette, width)
