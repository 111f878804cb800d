"""Rows, inks and JSON lines: pure functions, held to widths and to words."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tape.core
from tape.core.kernel.lifecycle import EffectStatus, RunStatus
from tape.core.kernel.points import POINTS, Stop
from tape.core.marks import Style
from tape.core.story import tell
from tape.core.text import cells
from tape.lab.contract_count import ContractLine
from tape.tui.crash_rows import LABELS, Armed, button_text, buttons, lay_out
from tape.tui.ink import ASCII_GLYPHS, Ink, Row, bar, clip, hang, ink, spark, spread, width_of
from tape.tui.json_rows import SHOWN_CHARACTERS, json_rows, text_rows, wrap
from tape.tui.rows import (
    acts_text,
    clock_ms,
    clock_text,
    counts_row,
    effect_row,
    lease_cell,
    log_row,
    process_row,
    reactor_row,
    run_row,
    runs_head,
    since_text,
    size_text,
    strip_row,
    tape_head,
    tape_row,
)
from tape.tui.scene import Leased, LogLine, Phase, ProcessRow, ReactorRow, Source, Strip
from tests.core.run_book import demo
from tests.core.test_render import HOSTILE, is_harmless

NOW_US = 1_795_398_461_000_000
LEASE = Leased(worker=3, pid=12345, epoch=4, until_boot_us=9_100_000, ttl_us=15_000_000)
pieces = st.lists(st.tuples(st.sampled_from(["", "a", "abc", "漢字", "e\u0301", "✓", "long " * 9]), st.just(Ink.PLAIN)))


def text(row: Row) -> str:
    return "".join(piece for piece, _ in row)


def run_view(**changes: Any) -> Any:
    from tape.core.journal.shapes import RunView

    view = RunView(
        no=1, id="r-7f3a00000000", agent="treasury", status="RUNNING", decisions=2, effects=1, epoch=4, seq=7, drive=1,
        crashes=0, waiting_on="", end_status=None, error="", cancel=False, created_us=NOW_US - 14_000_000,
        updated_us=NOW_US, worker=None, conflicts=0,
    )  # fmt: skip
    return replace(view, **changes)


def shown(run: Any, width: int, *, lease: Leased | None = None, stop: Stop | None = None, several: bool = False) -> str:
    return text(
        run_row(run, here=True, width=width, several=several, lease=lease, stop=stop, now_us=NOW_US, boot_us=0)
    ).rstrip()


# --- inks -------------------------------------------------------------------------------------------------------------


@given(pieces, st.integers(0, 60))
def test_a_clipped_row_is_exactly_as_wide(row: list[tuple[str, Ink]], width: int) -> None:
    fitted = clip(row, width)
    assert width_of(fitted) == width
    whole = text(tuple(row))
    if cells(whole) > width > 0:
        assert text(fitted).rstrip().endswith("…"), "what is cut is marked"
    elif width:
        assert text(fitted).rstrip() == whole.rstrip()


@given(pieces, pieces, st.integers(0, 60))
def test_two_ends_are_never_wider_than_the_line(
    left: list[tuple[str, Ink]], right: list[tuple[str, Ink]], width: int
) -> None:
    assert width_of(clip(spread(tuple(left), tuple(right), width), width)) == width


def test_bars_and_sparks() -> None:
    assert [bar(share, 5) for share in (-1, 0, 0.1, 0.5, 0.6, 1, 7)] == [
        "▯▯▯▯▯", "▯▯▯▯▯", "▯▯▯▯▯", "▮▮▯▯▯", "▮▮▮▯▯", "▮▮▮▮▮", "▮▮▮▮▮",
    ]  # fmt: skip
    assert spark([], 4) == "▁▁▁▁" and spark([0, 0, 1, 2], 4) == "▁▁▅█" and spark(range(100), 3) == "███"


def test_each_style_has_an_ink() -> None:
    assert [ink(style).value for style in Style] == [style.value for style in Style]


def _glyphs(path: Path) -> set[str]:
    """The signs beyond Latin in the texts of a module."""
    found = (node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant))
    return {sign for value in found if isinstance(value, str) for sign in value if ord(sign) > 0x2000}


def test_each_glyph_has_an_ascii_one() -> None:
    core = Path(tape.core.__path__[0])
    files = [*(core.parent / "tui").rglob("*.py"), *core.glob("story*.py"), *core.glob("verdict*.py")]
    files += [core / "marks.py", core / "render.py", core.parent / "lab" / "contract_count.py"]
    missing = {(path.name, sign) for path in files for sign in _glyphs(path) if ord(sign) not in ASCII_GLYPHS}
    assert missing == set()
    assert all(isinstance(sign, str) and sign.isascii() and len(sign) == 1 for sign in ASCII_GLYPHS.values())


def test_each_glyph_is_one_cell() -> None:
    assert all(cells(chr(int(code))) == 1 for code in ASCII_GLYPHS)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_at_three_widths() -> None:
    run = run_view(waiting_on="look-up of 1/0/wire_money", status="WAITING")
    assert shown(run, 118, lease=LEASE, several=True) == (
        "▸ r-7f3a00000000 ◇ WAITING      treasury       2   1 w3#4    9s ▮▮▮▯▯  14s look-up of 1/0/wire_money"
    )
    assert shown(run, 78) == "▸ r-7f3a00000000 ◇ WAITING        2   1 -                 14s look-up of 1/0/…"
    assert shown(run, 50) == "▸ r-7f3a00000000 ◇ WAITING        2   1  14s look…"


@pytest.mark.parametrize("width", [50, 60, 70, 78, 118])
def test_head_and_rows_have_the_same_columns(width: int) -> None:
    for lease in (None, LEASE):
        row = shown(run_view(), width, lease=lease)
        end = text(runs_head(width, False)).index("age") + 3
        assert row[:end].endswith(" 14s"), row


@pytest.mark.parametrize("status", RunStatus)
def test_each_state_has_its_word(status: RunStatus) -> None:
    assert str(status) in shown(run_view(status=str(status)), 78)


def test_a_stopped_run_says_where() -> None:
    stop = Stop("r-7f3a00000000", 1, 1, "effect.begun", None, None)
    assert "◆ STOPPED" in shown(run_view(), 78, stop=stop) and "at effect.begun" in shown(run_view(), 78, stop=stop)


def test_a_run_that_is_not_read_yet() -> None:
    assert text(run_row(None, here=False, width=50, several=False, lease=None, stop=None, now_us=0, boot_us=0)) == "  …"


def test_a_lease_runs_down() -> None:
    cells_of = [text(tuple(lease_cell(LEASE, at * 1_000_000))) for at in (0, 5, 8, 9, 100)]
    assert cells_of == [
        "w3#4    9s ▮▮▮▯▯", "w3#4    4s ▮▯▯▯▯", "w3#4    1s ▯▯▯▯▯", "w3#4    0s ▯▯▯▯▯", "w3#4    0s ▯▯▯▯▯",
    ]  # fmt: skip
    inks = [lease_cell(LEASE, at * 1_000_000)[1][1] for at in (0, 4, 8)]
    assert inks == [Ink.SUCCESS, Ink.WARNING, Ink.ERROR]


# --- tape, effects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 66, 78, 118])
def test_every_line_of_the_demo_keeps_its_columns(width: int) -> None:
    head = text(tape_head(width))
    for line in tell(demo().entries).lines:
        row = text(tape_row(line, here=False, width=width))
        assert cells(row) <= width or line.kind == "CUT"
        if line.kind == "RECORD" and line.state:
            assert line.state in row
            assert row[head.index("state") :].startswith(line.state_glyph or line.state), row


def test_times_on_the_tape() -> None:
    assert [since_text(us) for us in (0, 163_000, 999_999_999, 1_000_000_000, -5)] == [
        "0.000", "0.163", "1000.000", "16 m 40 s", "-5 µs",
    ]  # fmt: skip
    assert (clock_text(NOW_US), clock_ms(NOW_US)) == ("01:47:41", "01:47:41.000")


@pytest.mark.parametrize(
    ("attempts", "acts", "status", "undone", "says", "wrong"),
    [
        (1, 1, "CONFIRMED", False, "acts 1 = 1", False),
        (2, 1, "CONFIRMED", False, "acts 2 > 1", False),
        (1, None, "CONFIRMED", False, "acts 1 : –", False),
        (1, 0, "UNKNOWN", False, "acts 1 > 0", False),
        (1, 0, "CONFIRMED", False, "acts 1 > 0 ✗", True),
        (1, 0, "CONFIRMED", True, "acts 1 > 0", False),
        (1, 1, "CONFIRMED", True, "acts 1 = 1 ✗", True),
        (1, 2, "CONFIRMED", False, "acts 1 < 2 ✗", True),
        (2, 2, "FAILED", False, "acts 2 = 2 ✗", True),
    ],
)
def test_acts(attempts: int, acts: int | None, status: str, undone: bool, says: str, wrong: bool) -> None:
    assert acts_text(attempts, acts, status, undone=undone) == (says, wrong)


@pytest.mark.parametrize("status", EffectStatus)
def test_an_effect(status: EffectStatus) -> None:
    (fact,) = tell(demo().entries).effects
    row = text(effect_row(replace(fact, status=str(status), resolution=""), 1, here=False, width=44))
    assert str(status) in row and "wire_money" in row and "d1.0" in row and "acts 1 = 1" in row


def test_a_wide_effect_says_who_and_why() -> None:
    (fact,) = tell(demo().entries).effects
    said = text(effect_row(fact, 1, here=True, width=100))
    assert said.endswith("observed by reconciler (N-present), ≡ replayed 1")


# --- reactors, processes, log -----------------------------------------------------------------------------------------


def test_a_reactor_and_its_error() -> None:
    reactor = ReactorRow("reconciler", True, "1 to ask", "observed", 2, 0, "", (0, 1, 3))
    assert text(reactor_row(reactor, here=False, width=44)) == " reconciler   ● busy  ▁▁▁▁▁▁▄█ 1 to ask, 2 done"
    broken = replace(reactor, errors=1, last_error="disk\x1b[2J full")
    row = reactor_row(broken, here=False, width=44)
    assert "! error" in text(row) and r"disk\x1b[2J full" in text(row)


def test_a_process() -> None:
    process = ProcessRow(
        1,
        12345,
        "ready",
        "●",
        Style.PRIMARY,
        "r-7f3a00000000",
        4,
        9_000_000,
        15_000_000,
        41_000_000,
        1.4,
        "spare",
    )
    assert text(process_row(process, here=False, width=44)) == " w1#4     12345 ● ready     41 MB ▮▮▮▯▯ spare"
    assert text(process_row(process, here=True, width=90)) == "▸w1#4     12345 ● ready     41 MB   1 % ▮▮▮▯▯ spare"
    gone = replace(process, run=None, lease_left_us=None, rss=None)
    assert text(process_row(gone, here=False, width=44)) == " w1       12345 ● ready   spare"


def test_a_line_of_the_log() -> None:
    line = LogLine(1, NOW_US, Source.AGENT, "agent 12345", "·", "hello", Style.PLAIN, "r-7f3a00000000")
    assert text(log_row(line, here=False, width=44)) == " 01:47:41 agent 12345 · hello"
    assert text(log_row(line, here=False, width=80)) == " 01:47:41.000 agent 12345  · hello"
    assert "r-7f3a00000000 · hello" in text(log_row(line, here=True, width=100))


# --- the strip --------------------------------------------------------------------------------------------------------

STRIP = Strip(
    "treasury", ".tape/dev.db", 412_000, {"RUNNING": 1, "TERMINAL": 8, "RUNNABLE": 3, "STUCK": 1}, 12, 1, 1, 5, 1, 1,
    (ContractLine("bank", 1, 0, 1, True),), 2, 1,
)  # fmt: skip


def top(width: int, **named: Any) -> str:
    return text(strip_row(STRIP, Phase.LIVE, NOW_US, **{"paused": False, "at": None, **named}, width=width))


def test_the_strip_gives_way_from_the_least() -> None:
    assert " ".join(top(200).split()) == (
        "tape dev treasury .tape/dev.db 412 kB ● live runs 12 ↻1 ◆1 ○2 ●1 !1 ✓8 reactors 5/5 agents 1+1 "
        "! 1 for you (i) ✗ 2 errors bank 1 = 1 ✓ 01:47:41"
    )
    for width in range(70, 210):
        row = top(width)
        assert cells(row) == width
        assert "● live" in row and "! 1 for you" in row and row.endswith("bank 1 = 1 ✓ 01:47:41 ")
    assert "agents" not in top(90) and "reactors" in top(140)


def test_the_strip_says_what_is_not_now() -> None:
    assert "▮▮ paused" in top(120, paused=True) and "◆ time 3/9" in top(120, paused=True, at=(3, 9))


def test_a_contract_that_does_not_hold_is_loud() -> None:
    broken = replace(STRIP, contract=(ContractLine("bank", 1, 0, 2, False),))
    row = strip_row(broken, Phase.LIVE, NOW_US, paused=False, at=None, width=120)
    assert ("bank 1 ≠ 2 ✗", Ink.ALARM) in row


def test_counts_that_add_up() -> None:
    assert text(tuple(counts_row(STRIP))) == "runs 12 ↻1 ◆1 ○2 ●1 !1 ✓8 "


def test_sizes() -> None:
    assert [size_text(size) for size in (0, 412_999, 1_000_000, 2_500_000_000)] == [
        "0 kB",
        "412 kB",
        "1.0 MB",
        "2.5 GB",
    ]


# --- the crash pane ---------------------------------------------------------------------------------------------------


def test_each_point_has_a_button_and_no_button_lacks_a_point() -> None:
    assert {point.name for point in POINTS} == set(LABELS)
    assert [button.point for button in buttons(["mine"])][-1] == "at:mine"


@pytest.mark.parametrize("width", [50, 66, 76, 96, 116, 196])
def test_buttons_stand_where_they_say(width: int) -> None:
    shown_buttons = buttons(["mine", "漢字", "\x1b[2J"])
    armed = {"effect.acted": Armed.EACH, "effect.begun": Armed.ONCE, "at:mine": Armed.RUN_TO}
    passes = {"decision.asking": 12}
    lines, placed = lay_out(shown_buttons, armed, passes, width)
    assert [item.button for item in placed] == [*shown_buttons]
    for item in placed:
        label = button_text(item.button, armed.get(item.button.point, Armed.NO), passes.get(item.button.point, 0))
        at, column = 0, 0
        for piece, _ in lines[item.line]:
            if column == item.start:
                assert piece == label
                at = 1
            column += cells(piece)
        assert at, f"{label} does not start at {item.start}"
        assert item.end - item.start == cells(label) and item.end <= width


# --- JSON -------------------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.integers(8, 60))
def test_json_is_whole_and_fits(value: Any, width: int) -> None:
    rows = json_rows(value, width)
    assert all(width_of(row) <= width for row in rows)
    assert all(is_harmless(piece) for row in rows for piece, _ in row)


def test_json_of_plain_values_reads_back() -> None:
    value = {"to": "ACME", "amount_minor": 12500, "ok": [True, None, 1.5, "a: b"]}
    assert json.loads("\n".join(text(row) for row in json_rows(value, 60))) == value
    inks = {piece.strip(): ink for row in json_rows(value, 60) for piece, ink in row}
    assert (inks['"to"'], inks['"ACME"'], inks["12500"], inks["true"]) == (Ink.NAME, Ink.STRING, Ink.NUMBER, Ink.NUMBER)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_are_harmless(hostile: str) -> None:
    for rows in (json_rows({hostile: [hostile]}, 40), text_rows(hostile, 40)):
        assert all(is_harmless(piece) for row in rows for piece, _ in row)
        assert all(width_of(row) <= 40 for row in rows)


def test_too_much_json_says_how_much_more() -> None:
    rows = json_rows(["x" * 100] * 2_000, 80)
    assert "more characters; e exports all" in text(rows[-1])
    assert sum(len(text(row)) for row in rows) < SHOWN_CHARACTERS * 1.2
    assert any("more characters" in text(row) for row in json_rows("y" * 50_000, 80))
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert text(json_rows(deep, 80)[0]) == "nested too deeply to show; e exports it"


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.integers(8, 40))
def test_words_wrap_and_none_is_lost(words: str, width: int) -> None:
    from tape.core.text import show

    rows = text_rows(words, width)
    assert all(width_of(row) <= width for row in rows)
    said = "".join(text(row) for row in rows).replace(" ", "")
    assert said == show(words, keep_lines=True).replace("\n", "").replace("\t", "").replace(" ", "")


def test_wrapping_keeps_every_cell() -> None:
    row: Row = (("abc漢字" * 9, Ink.PLAIN), ("def" * 9, Ink.NAME))
    lines = wrap(row, 10)
    assert "".join(text(line) for line in lines) == text(row) and max(width_of(line) for line in lines) <= 10


@given(
    st.lists(st.sampled_from(["seq 8;", "bank", "saw", "→", "re-driven", "12 ms"]), min_size=1, max_size=24),
    st.integers(30, 120),
)
def test_a_sentence_hangs_in_lines_that_fit(words: list[str], width: int) -> None:
    """Nothing is lost at a break, and no line but a last one that is full is too wide."""
    text = " ".join(words)
    lines = hang(((" verdict ", Ink.MUTED), (text, Ink.PLAIN)), width, most=99)
    assert all(width_of(line) <= width for line in lines)
    assert " ".join("".join(part for part, _ in line).strip() for line in lines) == f"verdict {text}"
