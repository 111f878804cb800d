"""What is to be proved, and the question whether that is meant: the agent's real tools will run many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.widgets import Static

from tape.core.text import show
from tape.tui.scene import Scene
from tape.tui.screens.choice import Choice
from tape.tui.screens.question import Question
from tape.tui.screens.trigger import TriggerScreen

HINT = "ctrl+s begins    enter goes on    esc leaves"
NOT_YET = "enter alone begins nothing: ctrl+s, if it is meant    esc leaves"
PLAYED = "A run of its own is killed at every boundary, with every death: the agent's real tools run many times."
REAL = "Anything else that they talk to is really called, each time."
PAIRS = "yes: also one during each recovery, many more trials"
NO_STAND_IN = "tape.yaml names no stand-in: whatever they talk to is really called, each time."


class ProveScreen(TriggerScreen):
    """Answers with agent and input. Enter does not confirm it: only the key that `HINT` names does."""

    verb: ClassVar[str] = "Prove"
    hint: ClassVar[str] = HINT

    def __init__(self, scene: Scene, remembered: Mapping[str, Any], upstreams: Sequence[str]) -> None:
        super().__init__(scene, remembered)
        self._upstreams = upstreams
        self.pairs = False

    def says(self) -> str:
        if not self._upstreams:
            return f"{PLAYED} {NO_STAND_IN}"
        variables = ", ".join(f"TAPE_UPSTREAM_{show(name, 30).upper().replace('-', '_')}" for name in self._upstreams)
        return f"{PLAYED} They act on the stand-ins of tape.yaml where they take the address from {variables}. {REAL}"

    def more(self) -> ComposeResult:
        yield Question("second deaths", Choice(("no", "yes"), 0), note=PAIRS, id="pairs")

    def finish(self) -> None:
        self.query_one("#dialog-hint", Static).update(NOT_YET)

    def action_start(self) -> None:
        self.pairs = self.query_one("#pairs Choice", Choice).index == 1
        super().finish()
