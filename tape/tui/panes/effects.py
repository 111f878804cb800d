"""Pane 3: the effects of the selected run, or the open and newest ones of all runs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from tape.core.text import show
from tape.tui.ink import Ink, Row
from tape.tui.pane import Pane
from tape.tui.rows import effect_ref_row, effect_row
from tape.tui.scene import Scene, Selected

if TYPE_CHECKING:
    from tape.core.journal.shapes import EffectRef
    from tape.core.story import EffectFact


class EffectsPane(Pane):
    number = "3"
    name_shown = "Effects"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.selected: Selected | None = None
        self.everywhere: tuple[EffectRef, ...] = ()
        self.all = False
        self.now_us = 0

    def show(self, scene: Scene) -> None:
        if scene.view.all_effects != self.all:
            self.forget_cursor()
        self.all, self.selected, self.everywhere = scene.view.all_effects, scene.selected, scene.effects
        self.now_us = scene.now_us
        self.redraw()

    @property
    def effect(self) -> EffectFact | None:
        """The effect under the cursor, of the selected run."""
        effects = self._own
        return effects[self.cursor] if not self.all and self.cursor < len(effects) else None

    @property
    def ref(self) -> EffectRef | None:
        """The effect under the cursor, of any run."""
        return self.everywhere[self.cursor] if self.all and self.cursor < len(self.everywhere) else None

    @property
    def _own(self) -> tuple[EffectFact, ...]:
        return self.selected.story.effects if self.selected else ()

    def info(self) -> Row:
        where = "all runs" if self.all else show(self.selected.run.id, 20) if self.selected else ""
        past = self.selected is not None and self.selected.at is not None and not self.all
        mark: Row = (("◆ past  ", Ink.ACCENT),) if past else ()
        return (*mark, (where, Ink.MUTED)) if where else ()

    def count(self) -> int:
        return len(self.everywhere) if self.all else len(self._own)

    def row(self, index: int, width: int) -> Row:
        here = self.points_at(index)
        if self.all:
            return effect_ref_row(self.everywhere[index], here=here, now_us=self.now_us)
        fact, selected = self._own[index], self.selected
        acts = selected.acts.get(fact.key, 0) if selected and selected.readable and selected.at is None else None
        return effect_row(fact, acts, here=here, width=width)

    def key_of(self, index: int) -> Hashable | None:
        return self.everywhere[index].key if self.all else self._own[index].key

    def empty(self) -> list[Row]:
        what = "no run has an open effect" if self.all else "no tool has been called yet"
        return [((f" {what}", Ink.MUTED),), ((" o", Ink.KEY), (" switches between this run and all", Ink.MUTED))]
