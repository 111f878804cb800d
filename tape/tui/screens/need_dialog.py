"""What the dialogs about one need share: the facts above the questions, and a need that is over meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tape.tui.scene import Scene
from tape.tui.screens.choice import Choice
from tape.tui.screens.dialog import Answer, Dialog
from tape.tui.screens.facts import Facts
from tape.tui.screens.question import Question

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need


class NeedDialog(Dialog[Answer]):
    """`asks` is its first question, a choice; `over` what that says once somebody else has settled the need."""

    asks: ClassVar[str]
    over: ClassVar[str]

    def __init__(self, need: Need, scene: Scene) -> None:
        super().__init__()
        self.need = need
        self.gone = False
        self.facts = Facts(id="facts")
        self._now_us = scene.now_us
        self._was_listed = _listed(need, scene) is not None

    def begin(self) -> None:
        self.facts.show_need(self.need, self._now_us)
        self.set_focus(self.query_one(Choice))

    @property
    def index(self) -> int | None:
        """Of what is chosen."""
        return self.query_one(Choice).index

    def question(self, name: str) -> Question:
        return self.query_one(f"#{name}", Question)

    def show(self, scene: Scene) -> None:
        """Newer facts; what was settled meanwhile, or has timed out, is not settled again."""
        if not self.composed:
            return
        now = _listed(self.need, scene)
        self._was_listed = self._was_listed or now is not None
        gone = self._was_listed and now is None
        if gone != self.gone:
            self.gone = gone
            self.question(self.asks).wrong = self.over if gone else ""
        self.need = now or self.need
        self.facts.show_need(self.need, scene.now_us)

    def complain_of_choice(self) -> None:
        self.complain({self.question(self.asks): self.over if self.gone else "choose one: left and right"})


def _same(need: Need) -> tuple[object, ...]:
    return need.kind, need.run_id, need.key


def _listed(need: Need, scene: Scene) -> Need | None:
    """The same need as the scene has it now."""
    return next((one for one in scene.needs if _same(one) == _same(need)), None)
