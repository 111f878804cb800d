"""The palette: every act of the main screen with its key, the newest runs, the themes. No markup from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tape.core.text import show
from tape.tui.themes import FIRST_THEMES

if TYPE_CHECKING:
    from tape.tui.app import Console

NEWEST_RUNS = 200


@dataclass(frozen=True, slots=True)
class Command:
    """`says` is safe text; `discover`: shown before anything has been typed."""

    says: str
    key: str
    do: Callable[[], object]
    discover: bool = True

    def content(self, matched: Content | None = None) -> Content:
        key = Content.styled(f"  {self.key}", "dim") if self.key else Content("")
        return (matched or Content(self.says)) + key


class Commands(Provider):
    """Everything of the console; Textual's own commands are not offered."""

    async def discover(self) -> Hits:
        for command in self._commands():
            if command.discover:
                yield DiscoveryHit(command.content(), command.do, text=command.says)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands():
            score, places = matcher.fuzzy_search.match(query, command.says)
            if score > 0:
                matched = Content(command.says)
                for place in places:
                    matched = matched.stylize(matcher.match_style, place, place + 1)
                yield Hit(score, command.content(matched), command.do, text=command.says)

    def _commands(self) -> Iterator[Command]:
        console = cast("Console", self.app)
        if self.screen is console.main:
            yield from _acts(console)
            yield from _runs(console)
        yield from _themes(console)


def _acts(console: Console) -> Iterator[Command]:
    from tape.tui.screens.help import acts_of

    main = console.main
    actions = {active.binding.id: active for active in main.active_bindings.values()}
    for act in sorted(acts_of(main), key=lambda act: act.here):
        active = actions[act.id]
        if act.id != "palette":
            do = partial(console.run_action, active.binding.action, active.node)
            yield Command(act.says, " ".join(act.keys), do)
    yield Command("take the five-minute tour", "", main.start_tour)


def _runs(console: Console) -> Iterator[Command]:
    """The runs that the scene knows, newest first."""
    runs = console.main.scene.runs
    known = sorted(runs.views.values(), key=lambda run: -run.no)[:NEWEST_RUNS]
    for run in known:
        says = f"go to {show(run.id, 20)} {show(run.status, 20)} {show(run.agent, 40)}"
        yield Command(says, "", partial(console.main.go_to_run, run.id, run.no), discover=False)


def _themes(console: Console) -> Iterator[Command]:
    others = sorted(name for name in console.available_themes if name not in FIRST_THEMES)
    for name in (*FIRST_THEMES, *others):
        mark = "now" if name == console.theme else ""
        yield Command(f"theme {name}", mark, partial(setattr, console, "theme", name), discover=name in FIRST_THEMES)
