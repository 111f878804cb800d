"""Everything that is known about one thing that a person must settle, as lines to read."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from tape.core.clock import format_us
from tape.core.kernel.resolution import RULES, Step
from tape.core.text import age, short_json, short_key, show
from tape.tui.ink import Ink, Row, clip
from tape.tui.json_rows import json_rows, text_rows
from tape.tui.pane import Pane
from tape.tui.rows import clock_text

if TYPE_CHECKING:
    from tape.core.journal.shapes import Need

SIDE_LIMIT = 4_000
WHY_LIMIT = 2_000
LETTER = "a dead letter: its run has gone on, or ended, without it"


class Facts(Pane):
    """One need, to be read and scrolled."""

    name_shown = "Facts"
    has_cursor = False

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.need: Need | None = None
        self.letter = False
        self.now_us = 0
        self._rows: list[Row] = []
        self._made_for: tuple[Need | None, int] = (None, 0)

    def show_need(self, need: Need | None, now_us: int) -> None:
        if need is None or self.need is None or (need.run_id, need.key) != (self.need.run_id, self.need.key):
            self.top = 0
        if need != self.need:
            self.need = need
        self.now_us = now_us
        self.redraw()

    def title(self) -> str:
        if self.need is None:
            return ""
        return show(f"{self.need.tool} {short_key(self.need.key)}" if self.need.key else self.need.run_id, 44)

    def info(self) -> Row:
        if self.need is None:
            return ()
        since = self.need.since_us
        return ((f"since {clock_text(since)}, {age(self.now_us - since)}", Ink.MUTED),)

    def count(self) -> int:
        if self.need is not self._made_for[0] or self.inner_width != self._made_for[1]:
            self._made_for = (self.need, self.inner_width)
            self._rows = [] if self.need is None else facts_rows(self.need, max(20, self.inner_width - 2))
            if self._rows and self.letter:
                self._rows.insert(1, ((LETTER, Ink.WARNING),))
        return len(self._rows)

    def row(self, index: int, width: int) -> Row:
        del width
        return ((" ", Ink.PLAIN), *self._rows[index])


def facts_rows(need: Need, width: int) -> list[Row]:
    """What it is, why only a person can settle it, what was asked and answered, and what helps."""
    rows: list[Row] = []
    if need.key:
        what = show(need.key, 200) if need.gate else f"key {show(need.key, 200)}"
        rows += text_rows(what, width, Ink.STRONG)
    rows += text_rows(f"run {show(need.run_id, 60)} of {show(need.agent, 60)}", width, Ink.MUTED)
    if need.recorded or need.asked:
        rows += [(("the code does not fit the tape", Ink.ERROR),), (), *side_by_side(need.recorded, need.asked, width)]
    else:
        rows += text_rows(show(need.why, WHY_LIMIT), width, Ink.WARNING)
    if need.deadline_us is not None:
        then = (
            f"then the answer is {show(need.on_timeout, 60)}" if need.on_timeout else "then the agent gets GateTimeout"
        )
        rows += text_rows(f"waits until {format_us(need.deadline_us)[:19]}Z, {then}", width, Ink.MUTED)
    if need.row:
        rows += text_rows(f"{show(need.row, 40)}: {row_says(need.row)}", width)
    if need.key and need.tool and need.kind != "budget":
        bound = f"  #{show(need.args_hash, 32)}" if need.args_hash else ""
        rows += [(), ((f"arguments of {show(need.tool, 60)}{bound}", Ink.HEAD),), *json_rows(need.args, width)]
    if need.evidence:
        rows += [(), (("evidence", Ink.HEAD),), *_evidence(need.evidence, width)]
    if need.commands:
        rows += [(), (("the same on the command line", Ink.HEAD),)]
        for command in need.commands:
            rows += text_rows(show(command, 400), width, Ink.MUTED)
    return rows


def row_says(row: str) -> str:
    """The words of a row of the resolution table; a row that leads to a person is meant where it can lead elsewhere."""
    if row == "retry":
        return "a person ordered another try"
    rules = [rule for rule in RULES if rule.row == row]
    return next((rule.says for rule in rules if rule.step is Step.PERSON), rules[0].says if rules else "")


def side_by_side(recorded: str, asked: str, width: int) -> list[Row]:
    """Two columns: what stands on the tape, what the code does instead."""
    half = (width - 3) // 2
    left = text_rows(show(recorded, SIDE_LIMIT), half)
    right = text_rows(show(asked, SIDE_LIMIT), half)
    middle = (" │ ", Ink.FRAME)
    rows: list[Row] = [
        (*clip((("recorded", Ink.HEAD),), half), middle, *clip((("the code", Ink.HEAD),), half)),
    ]
    for one, other in zip_longest(left, right, fillvalue=cast(Row, ())):
        rows.append((*clip(one, half), middle, *clip(other, half)))
    return rows


def _evidence(evidence: Any, width: int) -> list[Row]:
    """Attempts as a line each, with what they said below; anything else as it is."""
    items: list[Any] = cast("list[Any]", evidence) if isinstance(evidence, list) else []
    if not items or not all(isinstance(item, dict) and "what" in item for item in items):
        return json_rows(evidence, width)
    rows: list[Row] = []
    for item in cast("list[dict[str, Any]]", items):
        head = f"{item['what']} {item.get('number', '')}"
        by, how = item.get("by"), item.get("how")
        line = f"{head}{f' by {by}' if by else ''}: {how or 'it never ended'}"
        rows += text_rows(show(line, 400), width)
        if item.get("evidence") is not None:
            said = item["evidence"]
            rows += text_rows(
                f"  {said}" if isinstance(said, str) else f"  {short_json(said, 1_000)}", width, Ink.MUTED
            )
    return rows
