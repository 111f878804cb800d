"""Scenarios as rows: the list, and everything that is known of one of them in plain words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tape.core.kernel.points import Death
from tape.core.text import CUT, cells, count, duration, fit, short_json, show
from tape.tui.ink import Ink, Row, bar
from tape.tui.json_rows import text_rows
from tape.tui.play_state import Listed, Phase, PlayState, summary_text

if TYPE_CHECKING:
    from tape.lab.scenario import Kill, Scenario, ScriptedOrder

MARK_WIDTH, KILLS_WIDTH, SECONDS_WIDTH, NAME_SHARE = 4, 6, 9, 0.55
LEAST_NAME = 16
HANGING = 10
BAR_CELLS = 10
_INKS = {"✓": Ink.SUCCESS, "✗": Ink.ERROR, "!": Ink.WARNING, "…": Ink.PRIMARY, "·": Ink.DIM}
_BLOWS = {
    Death.KILL: "SIGKILL",
    Death.TERM: "SIGTERM",
    Death.STOP: "SIGSTOP (frozen)",
    Death.LOST: "the reply is lost",
    Death.HOLD: "held",
}


def name_width(width: int) -> int:
    return max(LEAST_NAME, int((width - MARK_WIDTH - KILLS_WIDTH - SECONDS_WIDTH) * NAME_SHARE))


def head_row(width: int) -> Row:
    name = name_width(width)
    file = max(0, width - MARK_WIDTH - name - KILLS_WIDTH - SECONDS_WIDTH - 1)
    return ((f"{' ' * MARK_WIDTH}{fit('scenario', name)} {fit('file', file)}{'kills':>6}{'seconds':>9}", Ink.HEAD),)


def list_row(one: Listed, state: PlayState, width: int, *, here: bool) -> Row:
    """`▸ ✓ dies after the wire      scenarios/mid-wire.yaml      1      0.7`; a file that cannot be read shows its
    first mistake."""
    mark = state.mark(one)
    start: Row = (("▸ " if here else "  ", Ink.STRONG), (f"{mark} ", _INKS[mark]))
    if one.scenario is None:
        return (*start, (show(one.mistakes[0] if one.mistakes else one.file, 400), Ink.WARNING))
    name = name_width(width)
    room = max(0, width - MARK_WIDTH - name - KILLS_WIDTH - SECONDS_WIDTH - 1)
    result = None if state.awaits(one.file) else state.results.get(one.file)
    figures = f"{result.kills:>6}{result.seconds:>9.1f}" if result is not None else " " * (KILLS_WIDTH + SECONDS_WIDTH)
    return (
        *start,
        (fit(show(one.scenario.name, 200), name), Ink.STRONG if here else Ink.PLAIN),
        (f" {fit_end(show(one.file, 400), room)}", Ink.MUTED),
        (figures, Ink.PLAIN),
    )


def fit_end(text: str, width: int) -> str:
    """`text` in exactly `width` columns, cut at its beginning: a path's end says the most."""
    if cells(text) > width:
        while text and cells(text) > width - 1:
            text = text[1:]
        text = f"{CUT}{text}" if width > 0 else ""
    return text + " " * (width - cells(text))


def progress(state: PlayState) -> Row:
    """`▮▮▮▯▯▯▯▯▯▯ 3/12  1 ✗`."""
    if state.phase is not Phase.PLAYING:
        good = Ink.SUCCESS if state.holds and len(state.ended) == len(state.playing) else Ink.WARNING
        return ((summary_text(state), good if state.holds else Ink.ERROR),) if summary_text(state) else ()
    done, of = len(state.ended), len(state.playing)
    row: Row = ((f"{bar(done / of, BAR_CELLS)} ", Ink.PRIMARY), (f"{done}/{of}", Ink.STRONG))
    return (*row, (f"  {state.wrong} ✗", Ink.ERROR)) if state.wrong else row


# --- one scenario -------------------------------------------------------------------------------------------------


def facts_rows(one: Listed | None, state: PlayState, width: int) -> list[Row]:
    """Why nothing came of the last play, if so; how the chosen one came out; its story in plain words."""
    rows: list[Row] = []
    for line in state.error.splitlines():
        rows += text_rows(f"✗ {line}", width, Ink.ERROR)
    if one is None:
        return rows
    for mistake in one.mistakes:
        rows += text_rows(f"! {mistake}", width, Ink.WARNING)
    rows += _outcome(one, state, width)
    return rows if one.scenario is None else [*rows, *_story(one.scenario, width)]


def _outcome(one: Listed, state: PlayState, width: int) -> list[Row]:
    if state.awaits(one.file):
        return text_rows("… is being played, or waits for its turn", width, Ink.PRIMARY)
    result = state.results.get(one.file)
    if result is None:
        return [] if one.mistakes else text_rows("· not played yet", width, Ink.MUTED)
    ink = Ink.SUCCESS if result.ok else Ink.ERROR
    after = f"after {count(result.kills, 'death')}, {duration(int(result.seconds * 1_000_000))}"
    rows = text_rows(f"✓ holds {after}" if result.ok else f"✗ does not hold {after}", width, ink)
    for sentence in result.sentences:
        rows += [(("  ", Ink.PLAIN), *row) for row in text_rows(sentence, width - 2, Ink.ERROR)]
    return rows


def _story(scenario: Scenario, width: int) -> list[Row]:
    rows = text_rows(scenario.about, width) if scenario.about else []
    if scenario.agent is not None:
        rows += _hung("agent", scenario.agent, width)
    if scenario.input is not None:
        rows += _hung("input", short_json(scenario.input, 400), width)
    for at, kill in enumerate(scenario.kill):
        rows += _hung("kills" if not at else "", kill_says(kill), width)
    for at, order in enumerate(scenario.orders):
        rows += _hung("orders" if not at else "", order_says(order), width)
    if not scenario.kill and not scenario.orders:
        rows += _hung("kills", "none: it is played without a death", width)
    return [*rows, *_hung("ends", str(scenario.expect.status), width)]


def kill_says(kill: Kill) -> str:
    """`SIGKILL at effect.acted of wire_money, the 2nd time`."""
    of = f" of {kill.tool}" if kill.tool is not None else ""
    about = f", decision {kill.decision}" if kill.decision is not None else ""
    who = f"{kill.run}: " if kill.run is not None else ""
    return f"{who}{_BLOWS[kill.signal]} at {kill.at}{of}{about}{_again(kill.nth)}"


def order_says(order: ScriptedOrder) -> str:
    """`when it is STUCK: resolve wire_money as confirm with {"id": 1} ("I asked the bank")`."""
    from tape.lab.scenario import UNSET, Moment, Verb

    who = f"{order.run} " if order.run is not None else ""
    when = f"when {who or 'it '}is" if order.moment is Moment.STATUS else f"{who}at"
    what = str(order.do)
    if order.key is not None or order.tool is not None:
        what += f" {order.key or order.tool}"
    if order.do is Verb.FORK:
        what += f" {order.name} at seq {order.at}" + (
            "" if order.input is UNSET else f" with {short_json(order.input, 200)}"
        )
    if order.do is Verb.PROMOTE:
        what += f" it to {order.name}"
    if order.how is not None:
        what += f" as {order.how}"
    if order.result is not UNSET:
        what += f" with {short_json(order.result, 200)}"
    if order.by_us is not None:
        what += f" time by {duration(order.by_us)}"
    why = f' ("{order.reason}")' if order.reason else ""
    return f"{when} {order.on}{_again(order.nth)}: {what}{why}"


def _again(nth: int) -> str:
    if nth == 1:
        return ""
    teen = nth % 100 in (11, 12, 13)
    return f", the {nth}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(nth % 10, 'th')} time"


def _hung(name: str, text: str, width: int) -> list[Row]:
    """A name, and its text beside it in as many lines as it takes."""
    lines = text_rows(text, max(10, width - HANGING))
    return [((fit(name if not at else "", HANGING), Ink.MUTED), *line) for at, line in enumerate(lines)]
