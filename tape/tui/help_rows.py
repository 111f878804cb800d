"""The help page: keys in groups, the language of state. Pure: it is handed the bindings that hold now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tape.core.marks import EFFECT_MARKS, FORK, RECOVERING, RUN_MARKS, Mark, Style
from tape.core.text import cells, fit, show
from tape.tui.ink import Ink, Row, Span, ink, width_of


@dataclass(frozen=True, slots=True)
class Act:
    """One act and the keys that it has now. `here`: only where the focus is."""

    id: str
    keys: tuple[str, ...]
    says: str
    here: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    acts: tuple[Act, ...]


_GROUPS: Mapping[str, tuple[str, ...]] = {
    "run and kill": (
        "trigger", "repeat", "arm", "run-to", "step", "continue", "kill", "death", "thaw", "interrupt", "prove",
        "scenarios", "record", "fork", "promote",
    ),
    "decide": (
        "inbox", "settle", "undo", "cancel", "redrive", "budget",
    ),
    "look": (
        "filter", "follow", "sort", "time-back", "time-forth", "time-here", "jump", "jump-back", "whole-story",
        "effects-of-all", "log-tab", "compare", "copy", "export",
    ),
    "panes": (
        "pane-runs", "pane-tape", "pane-effects", "pane-reactors", "pane-processes", "pane-log", "pane-detail",
        "pane-crash", "pane-next", "pane-before", "back", "zoom", "grow", "shrink", "narrower", "wider",
    ),
}  # fmt: skip
REST = "and"
KEYS_WIDTH, SAYS_WIDTH = 11, 34
FOLDED = Mark("⊞", Style.MUTED)
STOPPED, ARMED, REPLAYED = Mark("◆", Style.ACCENT), Mark("▣", Style.ACCENT), Mark("≡", Style.DIM)
TWO_COLUMNS_FROM = 2 * (KEYS_WIDTH + SAYS_WIDTH) + 4


def groups(acts: Iterable[Act], where: str) -> tuple[Group, ...]:
    """The acts of the focused pane first, then those of everywhere by what they are for."""
    known = list(acts)
    found = [Group(where, tuple(act for act in known if act.here))]
    rest = [act for act in known if not act.here]
    for title, ids in _GROUPS.items():
        by_id = {act.id: act for act in rest}
        found.append(Group(title, tuple(by_id[name] for name in ids if name in by_id)))
        rest = [act for act in rest if act.id not in ids]
    found.append(Group(REST, tuple(rest)))
    return tuple(group for group in found if group.acts)


def legend() -> tuple[tuple[str, tuple[tuple[Mark, str], ...]], ...]:
    """Every glyph of a state with its word."""
    runs = [(mark, str(status)) for status, mark in RUN_MARKS.items()]
    runs.insert(1, (RECOVERING, "RUNNABLE again"))
    effects = [(mark, str(status)) for status, mark in EFFECT_MARKS.items()]
    return (
        ("runs", (*runs, (STOPPED, "stopped at a point"), (FORK, "fork"), (FOLDED, "children hidden"))),
        ("effects", (*effects, (REPLAYED, "replayed"), (FORK, "not called, or taken over"))),
        ("crash points", ((ARMED, "armed"), (STOPPED, "stopped here"))),
    )


def help_rows(found: Sequence[Group], notes: Sequence[Row], width: int) -> list[Row]:
    """Notes on top, the keys in one column or two, then the legend."""
    rows: list[Row] = [((" ", Ink.PLAIN), *line) for note in notes for line in wrap_words(note, width - 2)]
    blocks = [_block(group) for group in found]
    if width < TWO_COLUMNS_FROM:
        for block in blocks:
            rows += [(), *block]
    else:
        rows += [(), *_two_columns(blocks, width)]
    rows += [(), ((" what the signs mean", Ink.STRONG),)]
    for title, marks in legend():
        rows += _marks(title, marks, width)
    return rows


def _block(group: Group) -> list[Row]:
    rows: list[Row] = [((f" {group.title}", Ink.STRONG),)]
    for act in group.acts:
        rows.append(((f" {fit(' '.join(act.keys), KEYS_WIDTH)}", Ink.KEY), (f" {act.says}", Ink.PLAIN)))
    return rows


def _two_columns(blocks: Sequence[list[Row]], width: int) -> list[Row]:
    """Each next block goes where there is more room."""
    columns: tuple[list[Row], list[Row]] = ([], [])
    for block in blocks:
        shorter = columns[0] if len(columns[0]) <= len(columns[1]) else columns[1]
        shorter += [*([()] if shorter else []), *block]
    half = width // 2
    rows: list[Row] = []
    for at in range(max(len(column) for column in columns)):
        left = columns[0][at] if at < len(columns[0]) else ()
        right = columns[1][at] if at < len(columns[1]) else ()
        gap: Span = (" " * max(1, half - width_of(left)), Ink.PLAIN)
        rows.append((*left, gap, *right))
    return rows


def _marks(title: str, marks: Sequence[tuple[Mark, str]], width: int) -> list[Row]:
    """The signs of one kind, as many in a line as fit."""
    rows: list[list[Span]] = [[(f" {fit(title, 13)}", Ink.MUTED)]]
    room = width - 14
    for mark, word in marks:
        size = cells(word) + 4
        if size > room:
            rows.append([(" " * 14, Ink.PLAIN)])
            room = width - 14
        rows[-1] += [(f"{mark.glyph} ", ink(mark.style)), (f"{show(word)}  ", Ink.PLAIN)]
        room -= size
    return [tuple(row) for row in rows]


def wrap_words(row: Row, width: int) -> list[Row]:
    """The row in lines of whole words."""
    lines: list[list[Span]] = [[]]
    room = width
    for text, style in row:
        for word in re.findall(r" +|[^ ]+", text):
            size = cells(word)
            if size > room and lines[-1]:
                lines.append([])
                room = width
            if word.isspace() and not lines[-1]:
                continue
            lines[-1].append((word, style))
            room -= size
    return [tuple(line) for line in lines]
