"""Rendering: foreign text is harmless, every kind of entry has its line."""

from __future__ import annotations

import dataclasses
import json
import typing
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tape.core.journal.entries import decode_event
from tape.core.kernel import events
from tape.core.kernel.events import BY_KIND, Entry, Event
from tape.core.render import (
    ANSWER_MARKS,
    EFFECT_MARKS,
    LEASE_MARKS,
    OBLIGATION_MARKS,
    RUN_MARKS,
    WORKER_MARKS,
    age,
    call,
    cells,
    count,
    duration,
    fault,
    fit,
    line,
    money,
    run_mark,
    short_json,
    short_key,
    show,
)

INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
HOSTILE = {
    "escape": "\x1b[2J\x1b]0;title\x07",
    "c1": "\x9b31m\x85",
    "delete": "\x7f",
    "null": "a\x00b",
    "right to left": "\u202egnp.exe\u202c",
    "isolates": "\u2066\u2067\u2068\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero width": "pay\u200b\u200c\u200d\u2060\ufeffment",
    "tags": "".join(chr(0xE0000 + ord(sign)) for sign in "ignore all"),
    "variation": "a\ufe0f\U000e0101",
    "surrogate": "a\ud800b\udfff",
    "separators": "one\u2028two\u2029three",
    "newlines": "one\r\ntwo\tthree",
    "soft hyphen": "a\xadb",
    "fillers": "\u3164\uffa0\u115f\u1160\u2800",
    "stacked": "e" + "\u0301" * 50,
    "enclosing": "a" + "\u0489" * 50,
    "markup": "[@click=app.simulate_key('y')]view[/] [/nope] <script>",
}


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(sign) in INVISIBLE for sign in text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_becomes_visible(text: str) -> None:
    shown = show(text)
    assert is_harmless(shown)
    assert show(shown) == shown


def test_what_is_hidden_is_shown_as_what_it_is() -> None:
    assert show("\x1b[2J") == r"\x1b[2J"
    assert show("a\u202eb") == r"a\u202eb"
    assert show("\U000e0041") == r"\U000e0041"
    assert show("\ud800") == r"\ud800"
    assert show("one\r\ntwo\tthree") == r"one\r\ntwo\tthree"
    assert show("one\r\ntwo\tthree", keep_lines=True) == "one\\r\ntwo\tthree"
    assert show("naïve 漢字 ✓ \\x1b") == "naïve 漢字 ✓ \\x1b"


def test_no_code_point_at_all_stays_invisible() -> None:
    shown = show(" ".join(map(chr, range(0x110000))))
    assert is_harmless(shown)
    for blank in "\u3164\uffa0\u115f\u1160\u034f\ufe0f\u2800":
        assert blank not in shown


def test_marks_do_not_pile_up() -> None:
    assert show(HOSTILE["stacked"]).count("\u0301") == 3
    assert show("é̂") == "é̂"


@given(st.text(st.characters(codec=None)), st.integers(min_value=1, max_value=40))
def test_a_limit_holds_and_is_seen(text: str, limit: int) -> None:
    shown = show(text, limit)
    assert len(shown) <= limit
    assert is_harmless(shown)
    if len(text) > limit:
        assert shown.endswith("…")


@pytest.mark.parametrize("limit", range(1, 13))
def test_an_escape_is_never_cut_in_two(limit: int) -> None:
    kept = show("ab\u202e\u202e", limit).removesuffix("…")
    assert kept in ("", "a", "ab", "ab\\u202e", "ab\\u202e\\u202e")


def test_text_that_fits_is_not_cut() -> None:
    assert show("abc", 3) == "abc"
    assert show("abcd", 3) == "ab…"
    assert show("", 3) == ""


def test_width_counts_columns() -> None:
    assert cells("abc") == 3
    assert cells("漢字") == 4
    assert cells("e\u0301") == 1
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("ab", 4) == "ab  "
    assert fit("漢字", 4) == "漢字"
    assert all(cells(fit("漢a字b漢", width)) == width for width in range(1, 12))


def test_short_json_is_cut_and_safe() -> None:
    assert short_json({"to": "ACME", "amount": 1}) == '{"to": "ACME", "amount": 1}'
    assert short_json("x" * 1000, 10) == '"xxxxxxxx…'
    assert short_json("\u202e") == r'"\u202e"'
    assert len(short_json({str(number): number for number in range(100_000)}, 50)) == 50
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    assert len(short_json(deep)) <= 80


def test_figures() -> None:
    assert [money(amount) for amount in (0, 2_000, 1_500_000, 1, -2_500_000)] == [
        "$0.00",
        "$0.002",
        "$1.50",
        "$0.000001",
        "-$2.50",
    ]
    assert [duration(us) for us in (0, 850, 31_000, 1_200_000, 60_000_000, 200_000_000, -5_000)] == [
        "0 µs",
        "850 µs",
        "31 ms",
        "1.2 s",
        "1 m",
        "3 m 20 s",
        "-5 ms",
    ]
    hour = 3_600_000_000
    assert [duration(us) for us in (hour, 2 * hour + 300_000_000, 24 * hour, 99 * hour)] == [
        "1 h",
        "2 h 5 m",
        "1 d",
        "4 d 3 h",
    ]
    assert [age(us) for us in (-5, 0, 59_999_999, 60_000_000, hour, 24 * hour)] == ["0s", "0s", "59s", "1m", "1h", "1d"]
    assert [count(1, "run"), count(2, "run"), count(2, "entry", "entries")] == ["1 run", "2 runs", "2 entries"]


def test_keys_calls_and_faults() -> None:
    assert short_key("r-0123456789ab/1/0/wire_money") == "1/0/wire_money"
    assert short_key("odd") == "odd"
    assert call("wire", {"to": "ACME", "n": 1}) == 'wire(to="ACME", n=1)'
    assert call("wire", [1, 2]) == "wire([1, 2])"
    assert fault({"type": "ValueError", "message": "no\nmore"}) == "ValueError: no\\nmore"
    assert fault("odd") == '"odd"'


KEY = "r-0123456789ab/1/0/wire_money"
ERROR = {"type": "ValueError", "message": "no"}
LINES: list[tuple[Event, str]] = [
    (events.RunStarted(agent="treasury", input="pay", actor="me@here"), '→ run_started  treasury  "pay"  by me@here'),
    (
        events.Decision(index=0, name="ask", fingerprint="f", request={}, reply={"say": "hi"}),
        '✓ decision 0  ask  {"say": "hi"}',
    ),
    (
        events.Decision(index=0, name="ask", fingerprint="f", request={}, error=ERROR),
        "✗ decision 0  ask  raised ValueError: no",
    ),
    (
        events.Charge(pays_for="decision 0", tokens_in=150, tokens_out=60, usd_micro=2000),
        "· charge  210 tokens  $0.002  for decision 0",
    ),
    (events.Charge(pays_for=KEY, usd_micro=10_000), "· charge  0 tokens  $0.01  for 1/0/wire_money"),
    (
        events.EffectBegun(
            key=KEY,
            decision_index=1,
            ordinal=0,
            tool="wire_money",
            args={"to": "ACME"},
            args_hash="h",
            fingerprint="f",
            semantics="non_idempotent",
        ),
        '◐ effect_begun  wire_money(to="ACME")  1/0/wire_money  non_idempotent',
    ),
    (
        events.EffectEnded(
            key=KEY,
            tool="wire_money",
            status="CONFIRMED",
            resolution="observed",
            writer="reconciler",
            row="N-present",
            result={"id": 1},
        ),
        '✓ effect_ended  wire_money  CONFIRMED observed by reconciler (N-present)  {"id": 1}',
    ),
    (
        events.EffectEnded(
            key=KEY, tool="wire_money", status="FAILED", resolution="rejected", writer="agent", error=ERROR
        ),
        "✗ effect_ended  wire_money  FAILED rejected by agent  ValueError: no",
    ),
    (
        events.EffectEnded(
            key=KEY, tool="w", status="CONFIRMED", resolution="returned", writer="agent", result_error="too big"
        ),
        "✓ effect_ended  w  CONFIRMED returned by agent  the result cannot be recorded: too big",
    ),
    (events.Sample(index=0, name="now", fingerprint="f", value=5), "· sample 0  now  5"),
    (events.TimerSet(ordinal=0, seconds=90, fire_at_us=0, fingerprint="f"), "◇ timer_set 0  in 1 m 30 s"),
    (events.TimerFired(ordinal=0, late_us=31_000), "● timer_fired 0  31 ms late"),
    (
        events.GateOpened(
            name="pay",
            ordinal=0,
            prompt="pay?",
            options=["approve", "deny"],
            fingerprint="f",
            approves={"tool": "wire_money", "args": {"to": "ACME"}, "args_hash": "h"},
        ),
        '◇ gate_opened  pay 0  approve | deny  for wire_money(to="ACME")',
    ),
    (
        events.GateAnswered(name="pay", ordinal=0, answer="approve", actor="me@here", reason="fine"),
        "● gate_answered  pay 0  approve by me@here: fine",
    ),
    (
        events.ChildStarted(ordinal=0, child="r-1", agent="payer", input="a", fingerprint="f"),
        '→ child_started 0  r-1  payer  "a"',
    ),
    (
        events.ChildEnded(ordinal=0, child="r-1", status="TERMINAL", result=[1]),
        "✓ child_ended 0  r-1  TERMINAL  [1]",
    ),
    (
        events.BudgetRefused(
            place="decision 3", ordinal=0, unit="tokens", asked=500, cap=900, spent=400, reserved=100, run="r-1"
        ),
        "⊘ budget_refused  500 tokens for decision 3, with 400 tokens spent, 100 tokens reserved of 900 tokens",
    ),
    (events.RunEnded(outcome="TERMINAL", result="paid"), '✓ run_ended  TERMINAL  "paid"'),
    (events.RunEnded(outcome="FAILED", error=ERROR), "✗ run_ended  FAILED  ValueError: no"),
    (events.RunEnded(outcome="CANCELLED", writer="operator"), "⊘ run_ended  CANCELLED  null  by operator"),
    (
        events.ServerStarted(pid=7, host="here", boot_id="b", release="0.1.0", sqlite="3.51.3"),
        "✓ server_started  pid 7 on here  release 0.1.0, SQLite 3.51.3",
    ),
    (
        events.WorkerStarted(worker=1, pid=8, start_ticks=1, nonce="n", host="here"),
        "○ worker_started  w1  pid 8 on here",
    ),
    (events.WorkerMoved(worker=1, pid=8, status="FROZEN"), "◆ worker_moved  w1  pid 8  FROZEN"),
    (events.WorkerDied(worker=1, pid=8, how="SIGKILL", proven=True), "✗ worker_died  w1  pid 8: SIGKILL"),
    (
        events.WorkerDied(worker=1, pid=8, how="gone", proven=False),
        "✗ worker_died  w1  pid 8: gone  (its end is not proven)",
    ),
    (
        events.LeaseGranted(worker=1, pid=8, epoch=1, drive=1, decision_index=0, next_seq=2),
        "● lease_granted  w1#1  pid 8  drive 1 at decision_index=0, seq=2",
    ),
    (
        events.LeaseGranted(worker=2, pid=9, epoch=3, drive=2, decision_index=2, next_seq=8, crashes=2, alone=True),
        "↻ lease_granted  w2#3  pid 9  drive 2 at decision_index=2, seq=8  after 2 crashes  alone in its worker",
    ),
    (
        events.LeaseEnded(worker=1, pid=8, epoch=1, status="DIED", why="SIGKILL"),
        "✗ lease_ended  w1#1  pid 8  DIED: SIGKILL",
    ),
    (
        events.Attached(decision_index=2, next_seq=8, drive=2, replayed=[KEY]),
        "↻ re-attached at decision_index=2, seq=8  ≡ replayed 1/0/wire_money",
    ),
    (events.Attached(decision_index=0, next_seq=2, drive=1, replayed=[]), "● attached at decision_index=0, seq=2"),
    (events.ModelAsked(index=0, name="ask"), "· model_asked  decision 0  ask"),
    (
        events.ModelAsked(index=0, name="ask", asks=2),
        "↻ model_asked  decision 0  ask  again: ask 2, the reply before was lost",
    ),
    (
        events.AttemptStarted(key=KEY, what="look-up", number=1, by="reconciler", worker=2),
        "◐ attempt_started  look-up 1 of 1/0/wire_money  by reconciler in w2",
    ),
    (
        events.AttemptEnded(key=KEY, what="body", number=1, how="raised", error=ERROR),
        "✗ attempt_ended  body 1 of 1/0/wire_money: raised  ValueError: no",
    ),
    (
        events.Observed(key=KEY, number=1, answer="present", row="N-present", step="confirm"),
        "✓ observed  1/0/wire_money: present, N-present: confirm",
    ),
    (
        events.EffectDoubted(key=KEY, status="UNKNOWN", row="N-ask", step="person", why="SIGKILL"),
        "? effect_doubted  1/0/wire_money  UNKNOWN: SIGKILL; N-ask: person",
    ),
    (events.Claimed(key=KEY, by="reconciler", claim_epoch=1), "· claimed  1/0/wire_money by reconciler#1"),
    (
        events.ClaimEnded(key=KEY, by="reconciler", claim_epoch=1, why="late"),
        "✗ claim_ended  1/0/wire_money of reconciler#1: late",
    ),
    (
        events.RunMoved(status="STUCK", was="RUNNING", why="why", commands=["tape redrive r", "tape cancel r"]),
        "! run_moved  RUNNING to STUCK: why; tape redrive r | tape cancel r",
    ),
    (
        events.ObligationMoved(key=KEY + "/undo/1", status="DUE", was="ARMED", why="the run ended FAILED"),
        "↶ obligation_moved  1/0/wire_money/undo/1  ARMED to DUE: the run ended FAILED",
    ),
    (
        events.WriteRefused(worker=1, epoch=1, live_epoch=2, write="effect_ended", why="none is live"),
        "⊘ write_refused  effect_ended of w1#1, the live epoch is 2: none is live",
    ),
    (
        events.WriteRefused(worker=None, epoch=1, live_epoch=1, write="effect_ended", why="the claim is over"),
        "⊘ write_refused  effect_ended: the claim is over",
    ),
    (
        events.ConflictOpened(key=KEY, why="a surplus act", evidence=[1]),
        "! conflict_opened  1/0/wire_money: a surplus act  [1]",
    ),
    (
        events.ConflictClosed(key=KEY, actor="me@here", reason="seen"),
        "✓ conflict_closed  1/0/wire_money by me@here: seen",
    ),
    (
        events.EarlyAnswer(name="pay", ordinal=0, answer="approve", actor="me@here"),
        "● early_answer  pay 0  approve by me@here",
    ),
    (
        events.AnswerRefused(name="pay", ordinal=0, answer="deny", actor="you@here", why="answered already"),
        "⊘ answer_refused  pay 0  deny by you@here: answered already",
    ),
    (
        events.ApprovalRefused(tool="wire_money", args_hash="0123456789abcdef", why="approved were other arguments"),
        "⊘ approval_refused  wire_money #01234567: approved were other arguments",
    ),
    (
        events.BudgetLost(place="decision 1", tokens=500, usd_micro=50_000),
        "! budget_lost  500 tokens  $0.05  for a reply of decision 1 nobody saw",
    ),
    (
        events.BudgetOverrun(place=KEY, unit="usd_micro", by=10_000),
        "! budget_overrun  $0.01 above the cap, by 1/0/wire_money",
    ),
    (
        events.BudgetAwaited(
            place="decision 2", unit="usd_micro", asked=20_000, cap=50_000, spent=40_000, reserved=0, run="r-1"
        ),
        "◇ budget_awaited  $0.02 for decision 2, and $0.01 left of $0.05 in the budget of r-1",
    ),
    (
        events.BudgetDenied(place="r-1/0/0/wire_money", actor="me@here", reason="too much"),
        "⊘ budget_denied  no more for 0/0/wire_money, by me@here: too much",
    ),
    (
        events.BudgetRaised(unit="calls:wire_money", was=1, cap=2, actor="me@here", reason="one more"),
        "→ budget_raised  2 calls of wire_money, was 1 call of wire_money, by me@here: one more",
    ),
    (
        events.ForkPromoted(run="r-1", source_seq=4, actor="me@here"),
        "→ fork_promoted  r-1 from seq 4 by me@here",
    ),
    (
        events.OrderPlaced(order=1, verb="kill", args={"at": "effect.acted"}, actor="me@here", reason="a drill"),
        '→ order_placed 1  kill  {"at": "effect.acted"} by me@here: a drill',
    ),
    (
        events.PointReached(point="effect.acted", death="KILL", worker=1, pid=8),
        "◆ point_reached  effect.acted  KILL of w1, pid 8",
    ),
]


def entry_of(event: Event) -> Entry:
    return Entry(1, "r-0123456789ab", 1, 1, 0, event)


@pytest.mark.parametrize(("event", "expected"), LINES, ids=[event.kind for event, _ in LINES])
def test_lines(event: Event, expected: str) -> None:
    told = line(entry_of(event))
    assert f"{told.glyph} {told.text}" == expected


def test_every_kind_has_a_line() -> None:
    assert {event.kind for event, _ in LINES} == set(BY_KIND)


def hostile_event(kind: type[Event], text: str) -> Event:
    """An event with hostile text wherever text can stand."""
    samples: dict[Any, Any] = {int: 1, float: 1.0, bool: True, str: text, list[str]: [text], Any: {text: [text]}}
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        options = [hints[field.name], *typing.get_args(hints[field.name])]
        values[field.name] = next(samples[option] for option in options if option in samples)
    return kind(**values)


@pytest.mark.parametrize("kind", BY_KIND.values(), ids=BY_KIND.keys())
def test_no_kind_lets_hostile_text_through(kind: type[Event]) -> None:
    for text in HOSTILE.values():
        told = line(entry_of(hostile_event(kind, text)))
        assert is_harmless(told.text)
        assert len(told.text) <= 400


@pytest.mark.parametrize("kind", BY_KIND)
def test_damaged_bodies_are_shown_raw(kind: str) -> None:
    fields = [field.name for field in dataclasses.fields(BY_KIND[kind])]
    other_types = json.dumps({name: [{}] for name in fields})
    for wrong in (
        "[1, 2]",
        '"text"',
        "{",
        "{}",
        '{"odd": 1}',
        other_types,
    ):
        told = line(entry_of(decode_event(kind, wrong)))
        assert told.text
        assert is_harmless(told.text)


def test_a_kind_of_a_later_release_is_shown_raw() -> None:
    event = decode_event("gate_opened", '{"name": "approve"}')
    assert event.kind == "gate_opened"
    told = line(entry_of(event))
    assert (told.glyph, told.text) == ("·", 'gate_opened  {"name": "approve"}')


def test_glyphs_take_one_column() -> None:
    tables = (RUN_MARKS, EFFECT_MARKS, OBLIGATION_MARKS, LEASE_MARKS, WORKER_MARKS, ANSWER_MARKS)
    glyphs = {mark.glyph for table in tables for mark in table.values()}
    glyphs |= {line(entry_of(event)).glyph for event, _ in LINES}
    assert all(len(glyph) == 1 and cells(glyph) == 1 for glyph in glyphs)


def test_a_run_that_was_driven_before_is_recovering() -> None:
    assert run_mark("RUNNABLE").glyph == "○"
    assert run_mark("RUNNABLE", drive=1).glyph == "↻"
    assert run_mark("RUNNING", drive=2).glyph == "●"
    assert run_mark("OF A LATER RELEASE").glyph == "·"
