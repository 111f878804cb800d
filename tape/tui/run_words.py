"""What the detail of a run says in words: where it comes from, its purse, its gates, what its crashes cost. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tape.core.figures import recovery_lines
from tape.core.marks import FORK
from tape.core.text import count, money, short_key, show
from tape.tui.ink import Ink, ink
from tape.tui.particulars import OPEN, TIMED_OUT, GateFact, Particulars
from tape.tui.scene import Selected

if TYPE_CHECKING:
    from tape.core.journal.dump import BudgetView
    from tape.core.journal.shapes import RunView

Word = tuple[str, Ink]


def family_words(run: RunView) -> list[Word]:
    """What it was forked from, who started it, whom it started."""
    words: list[Word] = []
    if run.source_id is not None:
        held = ": no tool's body is entered, P lets it act for real" if run.quarantine else ""
        words.append((f"{FORK.glyph} {show(run.origin, 200)}{held}", ink(FORK.style)))
    if run.parent is not None:
        words.append((f"child of {show(run.parent, 20)}", Ink.MUTED))
    if run.children:
        words.append((f"{count(run.children, 'child', 'children')}, {run.children_open} open", Ink.MUTED))
    return words


def standing_words(selected: Selected) -> list[Word]:
    """Its purse, its gates and its figures, as they stand now."""
    words: list[Word] = []
    if selected.particulars.promoted:
        says = f"{FORK.glyph} promoted: {show(selected.particulars.promoted, 20)} acts for it"
        words.append((says, ink(FORK.style)))
    words += [purse_word(row) for row in selected.budget]
    words += [gate_word(gate) for gate in selected.particulars.gates]
    return words + [(text, Ink.MUTED) for text in recovery_lines(selected.recovery)]


def past_words(selected: Selected) -> list[Word]:
    """The run as it was at the entry at which time stands: only what the entries until then say."""
    story, known = selected.story, selected.particulars
    place, of = selected.position
    words: list[Word] = [
        (f"◆ the past: as of entry {place} of {of}, seq {story.seq}; esc goes back to now", Ink.ACCENT),
        (f"{story.status}  drive {story.drive}, {count(story.decisions, 'decision')}, {_effects(selected)}", Ink.PLAIN),
    ]
    if story.why:
        words.append((story.why, Ink.WARNING))
    words += [past_purse(selected, known)]
    words += [gate_word(gate) for gate in known.gates]
    return words + [(text, Ink.MUTED) for text in recovery_lines(selected.recovery)]


def _effects(selected: Selected) -> str:
    effects = selected.story.effects
    still = sum(effect.open for effect in effects)
    return count(len(effects), "effect") + (f", {still} open" if still else "")


def purse_word(row: BudgetView) -> Word:
    """`budget tokens  spent 420  held 210  lost 0  cap 50000  left 49370`"""
    cap = "no cap" if row.cap is None else f"cap {_number(row.unit, row.cap)}"
    left = "" if row.left is None else f"  left {_number(row.unit, row.left)}"
    spent, held, lost = (_number(row.unit, part) for part in (row.spent, row.reserved, row.lost))
    text = f"budget {_unit(row.unit)}  spent {spent}  held {held}  lost {lost}  {cap}{left}"
    over = row.left is not None and row.left < 0
    return f"! {text}: over the cap" if over else text, Ink.ALARM if over else Ink.MUTED


def past_purse(selected: Selected, known: Particulars) -> Word:
    """What its own records had charged by then. The rest of a purse has no past: what was held back, what its children
    spent."""
    lost = f", lost {known.lost_tokens} tokens {money(known.lost_usd_micro)}" if known.lost_tokens else ""
    caps = [f"{_unit(unit)} {_number(unit, cap)}" for unit, cap in caps_then(selected).items() if cap is not None]
    capped = f"; caps then: {', '.join(caps)}" if caps else "; no caps then"
    return (
        f"budget: its own records had charged {known.tokens} tokens {money(known.usd_micro)}{lost}{capped}",
        Ink.MUTED,
    )


def caps_then(selected: Selected) -> dict[str, int | None]:
    """The caps by unit at the entry at which time stands: today's, without what people have set since."""
    caps = {row.unit: row.cap for row in selected.budget}
    if selected.at is None:
        return caps
    from tape.core.kernel.events import BudgetRaised

    for entry in reversed(selected.entries):
        if entry.id <= selected.at:
            break
        if isinstance(entry.event, BudgetRaised):
            caps[entry.event.unit] = entry.event.was
    return caps


def gate_word(gate: GateFact) -> Word:
    """`gate pay 0  ● approve by ada: seen  for wire_money(to="ACME") #1f2e3d4c, used by 1/0/wire_money`"""
    head = f"gate {show(gate.name, 60)} {gate.ordinal}"
    bound = f"  for {show(gate.call, 200)} #{show(gate.args_hash[:8], 8)}" if gate.call else ""
    refused = f"; {count(gate.refused, 'later answer')} refused" if gate.refused else ""
    if gate.status == OPEN:
        return f"{head}  ◇ waits for an answer{bound}{refused}", Ink.WARNING
    if gate.status == TIMED_OUT:
        said = f": {show(gate.answer, 60)}" if gate.answer else ", no answer"
        return f"{head}  ◇ timed out{said}{bound}{refused}", Ink.WARNING
    reason = f": {show(gate.reason, 200)}" if gate.reason else ""
    used = f", used by {show(short_key(gate.used_by), 60)}" if gate.used_by else ", not used" if gate.call else ""
    void = ", approves nothing here" if gate.void else ""
    said = f"{show(gate.answer, 60)} by {show(gate.actor, 60)}{reason}"
    return f"{head}  ● {said}{bound}{used}{void}{refused}", Ink.PRIMARY


def _unit(unit: str) -> str:
    return "usd" if unit == "usd_micro" else show(unit.replace(":", " "), 60)


def _number(unit: str, number: int) -> str:
    return money(number) if unit == "usd_micro" else f"{number:,}"
