"""The crash pane: where the agent will die, what will happen then, and what did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from tape.core.text import show
from tape.tui.crash_rows import Armed, Button, Placed, buttons, lay_out
from tape.tui.ink import Ink, Row, Span, clip, hang, width_of
from tape.tui.pane import Pane
from tape.tui.scene import Scene

if TYPE_CHECKING:
    from tape.core.kernel.points import Stop
    from tape.core.verdict import Verdict

DEATHS = ("KILL", "TERM", "STOP", "LOST")
DEATH_NAMES: Mapping[str, str] = {
    "KILL": "SIGKILL",
    "TERM": "SIGTERM",
    "STOP": "SIGSTOP, T thaws",
    "LOST": "lost reply",
}
MANY_PASSES = 9
EXPECT_WIDTH = 180
"""From here on the longest sentence of what to expect stands in one line."""
VERDICT_WIDTH = 98


class CrashPane(Pane):
    number = "x"
    name_shown = "Crash"
    has_cursor = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "button(-1)", "left", show=False, id="button-left"),
        Binding("right", "button(1)", "right", show=False, id="button-right"),
        Binding("up,k", "line(-1)", "up", show=False, id="button-up"),
        Binding("down,j", "line(1)", "down", show=False, id="button-down"),
        Binding("v", "verdict_step", "next line of the verdict", show=False, id="verdict-step"),
    ]

    class Chosen(Message):
        """Another point is under the cursor: what is to be expected there changes."""

    class Armed(Message):
        """Space or a click on a button."""

        def __init__(self, point: str) -> None:
            self.point = point
            super().__init__()

    class KillNow(Message):
        """A click on KILL now."""

    class StepShown(Message):
        """A step of the verdict: the tape goes to its line."""

        def __init__(self, entry_id: int) -> None:
            self.entry_id = entry_id
            super().__init__()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._own_points: tuple[str, ...] = ()
        self.buttons: tuple[Button, ...] = buttons(())
        self.at = 4
        self.death = "KILL"
        self.armed: Mapping[str, Armed] = {}
        self.passes: Mapping[str, int] = {}
        self.deaths: Mapping[str, str] = {}
        self.expects = ""
        self.told = ""
        self.counterfactual = ""
        self.verdict: Verdict | None = None
        self.good: bool | None = None
        self.stop: Stop | None = None
        self.compact = False
        self.proof: Span | None = None
        self._step = -1
        self._kill: tuple[int, int, int] | None = None

    # --- what it shows ------------------------------------------------------------------------------------------

    @property
    def point(self) -> str:
        return self.buttons[min(self.at, len(self.buttons) - 1)].point

    def show(self, scene: Scene, armed: Mapping[str, Armed]) -> None:
        self.armed = armed
        self.deaths = {arm.point.name: str(arm.death) for arm in scene.arms}
        if scene.own_points != self._own_points:
            self._own_points = scene.own_points
            self.buttons = buttons(scene.own_points)
        self.passes = scene.selected.story.passes if scene.selected else {}
        run_id = scene.selected.run.id if scene.selected else ""
        self.stop = scene.runs.stops.get(run_id)
        self.redraw()

    def tell(self, *, expects: str, told: str, counterfactual: str, verdict: Verdict | None, good: bool | None) -> None:
        """The sentence before, and the sentence after."""
        self.expects, self.told, self.counterfactual, self.good = expects, told, counterfactual, good
        if verdict is not self.verdict:
            self._step = -1
        self.verdict = verdict
        self.redraw()

    def tell_proof(self, proof: Span | None) -> None:
        """What came of the last proof, or how far it is."""
        self.proof = proof
        self.redraw()

    def lines_needed(self, width: int) -> int:
        """How many lines it takes at this width of the screen, whatever happens: a pane that grows under the hand moves
        the button that was aimed at."""
        inner = max(20, width - 2)
        passed = {button.point: MANY_PASSES for button in self.buttons}
        armed = {button.point: Armed.ONCE for button in self.buttons if button.group == "effect"}
        rows, _ = lay_out(self.buttons, armed, passed, inner - 1 - width_of(_kill_text()) - 3)
        expect = 1 if inner > EXPECT_WIDTH else 2
        verdict = 1 if inner > VERDICT_WIDTH else 2
        return len(rows) + expect + verdict + 1

    def info(self) -> Row:
        """The last proof, and the keys that fit beside it."""
        told: Row = (
            (("v", Ink.KEY), (" verdict  ", Ink.MUTED), ("R", Ink.KEY), (" again  ", Ink.MUTED)) if self.told else ()
        )
        keys: Row = (("space", Ink.KEY), (" arms  ", Ink.MUTED), ("t", Ink.KEY), (" runs to it  ", Ink.MUTED))
        death: Row = (("X", Ink.KEY), (f" {DEATH_NAMES[self.death]}", Ink.ACCENT))
        if self.proof is None:
            return (*told, *keys, *death)
        proof: Row = (self.proof, ("  ", Ink.MUTED), ("a", Ink.KEY), (" opens  ", Ink.MUTED))
        room = self.size.width - len(f"╭─ {self.number} {self.title()}  ─╮") - 1
        fitting = ((*proof, *told, *keys, *death), (*proof, *keys, *death), (*proof, *death))
        return next((row for row in fitting if width_of(row) <= room), proof)

    def count(self) -> int:
        return len(self._lines(self.inner_width))

    def row(self, index: int, width: int) -> Row:
        lines = self._lines(width)
        return lines[index] if index < len(lines) else ()

    def _buttons(self, width: int) -> tuple[list[Row], list[Placed]]:
        return lay_out(self.buttons, self.armed, self.passes, width - width_of(_kill_text()) - 3, self.deaths)

    def _lines(self, width: int) -> list[Row]:
        if self.compact:
            return [self._compact_line(width)]
        rows, placed = self._buttons(width - 1)
        lines = [self._with_cursor(row, number, placed) for number, row in enumerate(rows)]
        kill = _kill_text()
        start = width - width_of(kill) - 1
        lines[0] = (*clip(lines[0], start), *kill)
        self._kill = (0, start, width)
        return lines + self._sentences(width)

    def _sentences(self, width: int) -> list[Row]:
        """What is to be expected, what happened, and what would have happened otherwise."""
        lines = hang(self._expect_line(), width)
        lines += hang(self._verdict_line(), width)
        if self.counterfactual:
            lines += hang(((" else    ", Ink.MUTED), (self.counterfactual, Ink.MUTED)), width)
        return lines

    def _with_cursor(self, row: Row, number: int, placed: Sequence[Placed]) -> Row:
        """The line with the chosen button marked."""
        here = next((item for item in placed if item.line == number and item.button.point == self.point), None)
        if here is None:
            return ((" ", Ink.PLAIN), *row)
        out: list[Span] = [(" ", Ink.PLAIN)]
        at = 0
        for text, ink in row:
            chosen = at == here.start
            out.append((text, Ink.CURSOR if chosen else ink))
            at += width_of(((text, ink),))
        return tuple(out)

    def _expect_line(self) -> Row:
        if self.stop is not None:
            return (
                (" ◆ stopped ", Ink.ACCENT),
                (f"at {show(self.stop.point, 60)}: ", Ink.PLAIN),
                ("n", Ink.KEY), (" to the next  ", Ink.MUTED),
                ("c", Ink.KEY), (" goes on  ", Ink.MUTED),
                ("K", Ink.KEY), (" kills it here", Ink.MUTED),
            )  # fmt: skip
        head: Row = ((" expect  ", Ink.MUTED), (f"{show(self.point, 60)}: ", Ink.ACCENT))
        return (*head, (self.expects or "…", Ink.PLAIN))

    def _verdict_line(self) -> Row:
        if not self.told:
            return ((" verdict ", Ink.MUTED), ("nobody has died in this run yet", Ink.DIM))
        ink = Ink.PLAIN if self.good is None else Ink.SUCCESS if self.good else Ink.ALARM
        return ((" verdict ", Ink.MUTED), (self.told, ink))

    def _compact_line(self, width: int) -> Row:
        armed = ", ".join(f"▣ {show(point, 40)}" for point, how in self.armed.items() if how)
        if self.stop is not None:
            return clip(
                ((f" ◆ stopped at {show(self.stop.point, 60)}", Ink.ACCENT), ("  n next  c go on  K kill", Ink.MUTED)),
                width,
            )
        head: list[Span] = [(f" {armed or 'nothing armed, x opens'} ", Ink.ACCENT if armed else Ink.MUTED)]
        if self.told:
            ink = Ink.PLAIN if self.good is None else Ink.SUCCESS if self.good else Ink.ALARM
            head += [("│ ", Ink.FRAME), (self.told, ink)]
        return tuple(head)

    # --- keys and mouse -----------------------------------------------------------------------------------------

    def action_button(self, step: int) -> None:
        self.choose((self.at + step) % len(self.buttons))

    def choose(self, at: int) -> None:
        self.at = at
        self.redraw()
        self.post_message(self.Chosen())

    def choose_point(self, point: str) -> None:
        for at, button in enumerate(self.buttons):
            if button.point == point:
                self.choose(at)

    def action_line(self, step: int) -> None:
        """To the button above or below, as near as can be."""
        _, placed = self._buttons(self.inner_width - 1)
        here = next(item for item in placed if item.button.point == self.point)
        there = [item for item in placed if item.line == here.line + step]
        if there:
            nearest = min(there, key=lambda item: abs(item.start - here.start))
            self.choose(self.buttons.index(nearest.button))

    def action_verdict_step(self) -> None:
        steps = self.verdict.steps if self.verdict else ()
        if steps:
            self._step = (self._step + 1) % len(steps)
            self.post_message(self.StepShown(steps[self._step].entry_id))

    def cycle_death(self) -> None:
        self.death = DEATHS[(DEATHS.index(self.death) + 1) % len(DEATHS)]
        self.redraw()
        self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        event.stop()
        line, column = event.y - 1, event.x - 1
        if self._kill and not self.compact and line == self._kill[0] and column >= self._kill[1]:
            self.post_message(self.KillNow())
            return
        rows, placed = self._buttons(self.inner_width - 1)
        for item in placed:
            if item.line == line and item.start <= column - 1 < item.end:
                self.choose(self.buttons.index(item.button))
                self.post_message(self.Armed(item.button.point))
                return
        if line >= len(rows) and self.told:
            self.action_verdict_step()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_button(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_button(-1)


def _kill_text() -> Row:
    return (("✗ KILL now", Ink.ALARM),)
