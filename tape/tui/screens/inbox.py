"""What needs a person, over all runs: with the exact arguments, since when and why, and the ways out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from tape.core.text import age, call, count, fit, show
from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.scene import Scene
from tape.tui.screens.dialog import Dialog
from tape.tui.screens.facts import Facts

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need

KIND_WIDTH, ID_WIDTH, AGE_WIDTH = 9, 14, 4


class Way(StrEnum):
    """A way out of a need."""

    ANSWER = "answer"
    SETTLE = "settle"
    REDRIVE = "redrive"
    CANCEL = "cancel"
    CLOSE = "close"
    RAISE = "raise"
    DENY = "deny"
    LOOK = "look"


class NeedList(Pane):
    """One line per need, the newest first."""

    name_shown = "Inbox"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.needs: tuple[Need, ...] = ()
        self.letters: frozenset[str] = frozenset()
        self.now_us = 0

    def show(self, scene: Scene) -> None:
        self.needs, self.letters, self.now_us = scene.needs, scene.letters, scene.now_us
        self.redraw()

    @property
    def need(self) -> Need | None:
        return self.needs[self.cursor] if self.cursor < len(self.needs) else None

    def info(self) -> Row:
        waiting, dead = len(self.needs), len(self.letters)
        said = f"{waiting} need{'s' if waiting == 1 else ''} you" + (f", {count(dead, 'dead letter')}" if dead else "")
        return ((said, Ink.WARNING if waiting else Ink.MUTED),)

    def count(self) -> int:
        return len(self.needs)

    def key_of(self, index: int) -> Hashable:
        need = self.needs[index]
        return need.kind, need.run_id, need.key, need.since_us if need.kind == "conflict" else 0

    def row(self, index: int, width: int) -> Row:
        need = self.needs[index]
        letter = need.key in self.letters
        return need_row(need, here=self.points_at(index), now_us=self.now_us, width=width, letter=letter)

    def empty(self) -> list[Row]:
        return [
            ((" nothing needs you", Ink.SUCCESS),),
            ((" gates, effects that nobody can settle, stuck runs and undos, and conflicts come here", Ink.MUTED),),
        ]


def need_row(need: Need, *, here: bool, now_us: int, width: int, letter: bool = False) -> Row:
    """`? effect    r-0123456789ab wire_money(to="ACME")     3m`; `letter`: no run is stuck over it."""
    word, glyph, colour = ("letter", "†", Ink.ALARM) if letter else _kind(need)
    room = max(8, width - 2 - 2 - KIND_WIDTH - 1 - ID_WIDTH - 1 - 1 - AGE_WIDTH)
    what = call(need.tool, need.args, room) if need.tool else show(need.why, room)
    return (
        ("▸ " if here else "  ", Ink.STRONG),
        (glyph, colour),
        (f" {fit(word, KIND_WIDTH)} ", Ink.PLAIN),
        (f"{fit(show(need.run_id, 20), ID_WIDTH)} ", Ink.MUTED),
        (f"{fit(what, room)} ", Ink.STRONG if here else Ink.PLAIN),
        (age(now_us - need.since_us).rjust(AGE_WIDTH), Ink.MUTED),
    )


def _kind(need: Need) -> tuple[str, str, Ink]:
    if need.recorded or need.asked:
        return "diverged", "≠", Ink.ERROR
    kinds = {
        "effect": ("effect", "?", Ink.ALARM),
        "obligation": ("undo", "!", Ink.ALARM),
        "gate": ("gate", "◇", Ink.WARNING),
        "budget": ("budget", "◇", Ink.WARNING),
    }
    return kinds.get(str(need.kind)) or (
        ("stuck", "!", Ink.ALARM) if need.kind == "run" else ("conflict", "≠", Ink.ERROR)
    )


def ways_of(need: Need) -> tuple[Way, ...]:
    """The ways out, the likeliest first."""
    if need.kind == "conflict":
        return (Way.LOOK, Way.CLOSE)
    if need.kind == "budget":
        return (Way.RAISE, Way.DENY, Way.LOOK)
    if need.kind == "gate":
        return (Way.ANSWER, Way.LOOK)
    return (Way.REDRIVE, Way.CANCEL, Way.LOOK) if need.kind == "run" else (Way.SETTLE, Way.LOOK)


KEYS = {
    Way.ANSWER: "a answer",
    Way.SETTLE: "s settle",
    Way.REDRIVE: "D redrive",
    Way.CANCEL: "C cancel",
    Way.CLOSE: "c close",
    Way.RAISE: "b raise the cap",
    Way.DENY: "n deny",
    Way.LOOK: "o open its run",
}


class InboxScreen(Dialog[None]):
    """Stays open while its needs are settled one by one; `choose` is told which way out of which need is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "way('answer')", "answer", show=False, id="inbox-answer"),
        Binding("s", "way('settle')", "settle", show=False, id="inbox-settle"),
        Binding("D", "way('redrive')", "redrive", show=False, id="inbox-redrive"),
        Binding("C", "way('cancel')", "cancel", show=False, id="inbox-cancel"),
        Binding("c", "way('close')", "close", show=False, id="inbox-close"),
        Binding("b", "way('raise')", "raise the cap", show=False, id="inbox-raise"),
        Binding("n", "way('deny')", "deny", show=False, id="inbox-deny"),
        Binding("o", "way('look')", "open its run", show=False, id="inbox-look"),
        Binding("i,q", "leave", "back", show=False, id="inbox-leave"),
        Binding("tab", "app.focus_next", show=False, id="inbox-next"),
    ]

    def __init__(self, scene: Scene, choose: Callable[[Need, Way], None]) -> None:
        super().__init__()
        self._scene = scene
        self._choose = choose

    def compose(self) -> ComposeResult:
        with Vertical(classes="tall"):
            self.list = NeedList(id="needs")
            yield self.list
            self.facts = Facts(id="facts")
            yield self.facts
            yield Static("", markup=False, classes="hint line", id="ways")

    def begin(self) -> None:
        self.set_focus(self.list)
        self.show(self._scene)

    def show(self, scene: Scene) -> None:
        self._scene = scene
        if self.composed:
            self.list.show(scene)
            self._tell()

    def _tell(self) -> None:
        need = self.list.need
        self.facts.display = need is not None
        self.list.set_class(need is None, "alone")
        self.facts.letter = need is not None and need.key in self._scene.letters
        self.facts.show_need(need, self._scene.now_us)
        ways = [KEYS[way] for way in ways_of(need)] if need else []
        first = [f"enter {ways[0].partition(' ')[2]}"] if ways else []
        keys = [*first, *ways[1:], *(["tab facts"] if ways else []), "esc back"]
        self.query_one("#ways", Static).update("    ".join(keys))

    def on_pane_moved(self) -> None:
        self._tell()

    def on_pane_opened(self) -> None:
        need = self.list.need
        if need is not None:
            self._choose(need, ways_of(need)[0])

    def action_way(self, name: str) -> None:
        need, way = self.list.need, Way(name)
        if need is not None and way in ways_of(need):
            self._choose(need, way)
