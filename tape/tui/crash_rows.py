"""The crash pane's buttons: which there are, what they are called, where they stand. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tape.core.text import cells, show
from tape.tui.ink import Ink, Row, Span

LABELS: Mapping[str, tuple[str, str]] = {
    "decision.asking": ("decision", "asking"),
    "decision.replied": ("decision", "replied"),
    "decision.recorded": ("decision", "recorded"),
    "effect.begun": ("effect", "begun"),
    "effect.acted": ("effect", "acted"),
    "effect.ended": ("effect", "ended"),
    "lease.granted": ("recovery", "granted"),
    "observe.answered": ("recovery", "answered"),
    "dispatch.started": ("recovery", "dispatching"),
    "dispatch.acted": ("recovery", "dispatched"),
    "compensate.acted": ("recovery", "undone"),
    "timer.set": ("run", "timer set"),
    "gate.opened": ("run", "gate open"),
    "budget.awaited": ("run", "cap"),
    "child.started": ("run", "child"),
    "run.ending": ("run", "ending"),
    "run.ended": ("run", "ended"),
}
"""Group and label of each point, in the order of the screen; a test holds it to the registry."""

LABEL_WIDTH = 8


class Armed(StrEnum):
    """`EACH`: in every run that passes; `ONCE`: the next pass only; `RUN_TO`: stops there, nobody dies."""

    NO = ""
    EACH = "each"
    ONCE = "once"
    RUN_TO = "run to"


@dataclass(frozen=True, slots=True)
class Button:
    point: str
    group: str
    label: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A button with its line and its first and last column."""

    button: Button
    line: int
    start: int
    end: int


def buttons(own_points: Sequence[str]) -> tuple[Button, ...]:
    """All points, the project's own ones last."""
    known = [Button(point, group, label) for point, (group, label) in LABELS.items()]
    return (*known, *(Button(f"at:{name}", "own", show(name, 24)) for name in own_points))


def button_text(button: Button, armed: Armed, passes: int, death: str = "KILL") -> str:
    """`[▣acted 1]`: armed, passed once; `▣1` for the next pass only, `▣stop` for another death than SIGKILL."""
    how = "" if death in ("KILL", "HOLD") else f"{death.lower()} "
    mark = {Armed.NO: "", Armed.EACH: f"▣{how}", Armed.ONCE: f"▣1 {how}", Armed.RUN_TO: "◆"}[armed]
    return f"[{mark}{button.label}{f' {passes}' if passes else ''}]"


def lay_out(
    shown: Sequence[Button],
    armed: Mapping[str, Armed],
    passes: Mapping[str, int],
    width: int,
    deaths: Mapping[str, str] = {},
) -> tuple[list[Row], list[Placed]]:
    """The lines of buttons, groups kept together where they fit; and where each button stands."""
    lines: list[list[Span]] = [[]]
    placed: list[Placed] = []
    at = 0
    for group in dict.fromkeys(button.group for button in shown):
        members = [button for button in shown if button.group == group]
        texts = [
            button_text(
                button,
                armed.get(button.point, Armed.NO),
                passes.get(button.point, 0),
                deaths.get(button.point, "KILL"),
            )
            for button in members
        ]
        whole = cells(group) + sum(1 + cells(text) for text in texts)
        gap = 3 if at else 0
        if at and at + gap + whole > width:
            lines.append([])
            at, gap = 0, 0
        name = " " * gap + group if at else group.ljust(LABEL_WIDTH)
        lines[-1].append((name, Ink.MUTED))
        at += cells(name)
        for button, text in zip(members, texts, strict=True):
            if at + 1 + cells(text) > width:
                lines.append([(" " * LABEL_WIDTH, Ink.MUTED)])
                at = LABEL_WIDTH
            start = at + 1
            at = start + cells(text)
            placed.append(Placed(button, len(lines) - 1, start, at))
            state = armed.get(button.point, Armed.NO)
            ink = Ink.ACCENT if state else Ink.PLAIN if passes.get(button.point) else Ink.MUTED
            lines[-1] += [(" ", Ink.PLAIN), (text, ink)]
    return [tuple(line) for line in lines], placed
