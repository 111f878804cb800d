"""What only a person can settle: each thing once, with what she must know and the commands that help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tape.core.journal import claims, obligations, records, runs
from tape.core.journal.needs import sides
from tape.core.journal.shapes import NeedKind
from tape.core.journal.views import Reader, open_reader
from tape.core.kernel.resolution import Answer
from tests.journal.book import BLIND, BOOM, LOOK_UP, UNDO_UNKNOWN, UNDOABLE, Book

ARGS = {"to": "ACME", "amount_minor": 12500}


@pytest.fixture
def reader(book: Book) -> Iterator[Reader]:
    with open_reader(book.path) as opened:
        yield opened


def ways(key: str) -> tuple[str, ...]:
    return tuple(f"tape resolve {key} {how} --reason TEXT" for how in ("--confirm JSON", "--fail", "--retry"))


def stuck_effect(book: Book, ordinal: int = 0) -> tuple[str, str]:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, BLIND, ordinal, ARGS)
    book.die(run_id)
    assert book.status(run_id) == "STUCK"
    return run_id, key


def test_an_effect_that_nobody_can_know(book: Book, reader: Reader) -> None:
    run_id, key = stuck_effect(book)
    (need,) = reader.needs()
    assert (need.kind, need.run_id, need.agent, need.key, need.tool) == (NeedKind.EFFECT, run_id, "agent", key, "tool")
    assert need.args == ARGS
    assert (need.why, need.row) == (f"only a person can know whether {key} happened", "N-ask")
    assert need.evidence == [{"what": "body", "number": 1, "by": "agent", "how": "signal 9", "evidence": None}]
    assert need.commands == ways(key)
    assert (need.since_us, need.recorded, need.asked) == (book.clock.wall, "", "")
    book.do(claims.resolve_effect, run_id, key, "fail", None, "I looked")
    assert reader.needs() == []


def test_two_effects_of_one_run_are_two_needs(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    keys = [book.begin(run_id, epoch, BLIND, ordinal) for ordinal in range(2)]
    book.die(run_id)
    assert {need.key: need.commands for need in reader.needs()} == {key: ways(key) for key in keys}
    assert {need.why for need in reader.needs()} == {f"only a person can know whether {key} happened" for key in keys}
    book.do(claims.resolve_effect, run_id, keys[0], "fail", None, "I looked")
    assert [(need.kind, need.key) for need in reader.needs()] == [(NeedKind.EFFECT, keys[1])]


def test_an_effect_whose_look_up_never_answers(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP)
    book.die(run_id)
    while book.status(run_id) == "WAITING":
        claim = book.claim(run_id, key)
        book.do(claims.record_observation, claim, Answer.UNCLEAR, [], "the bank is down")
    (need,) = reader.needs()
    assert (need.kind, need.row) == (NeedKind.EFFECT, "N-unclear")
    assert [attempt["what"] for attempt in need.evidence][:2] == ["body", "look-up"]
    assert need.evidence[-1]["how"] == "unclear"
    assert need.evidence[-1]["evidence"] == "the bank is down"


def test_a_run_that_does_not_fit_its_tape(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    why = "the code does not fit the tape: recorded decision 0 ask(1) | the code asks decision 0 ask(2)"
    book.clock.advance(1)
    since_us = book.clock.wall
    book.do(records.diverge, run_id, epoch, why)
    book.clock.advance(1)
    (need,) = reader.needs()
    assert (need.kind, need.run_id, need.key, need.why) == (NeedKind.RUN, run_id, "", why)
    assert (need.recorded, need.asked) == ("decision 0 ask(1)", "decision 0 ask(2)")
    assert need.commands == (f"tape redrive {run_id}  (after the code is mended)", f"tape cancel {run_id}")
    assert need.since_us == since_us
    book.do(runs.redrive, run_id)
    assert reader.needs() == []


@pytest.mark.parametrize(
    ("why", "both"),
    [
        ("the code does not fit the tape: recorded a | the code asks b | c", ("a", "b | c")),
        ("the code does not fit the tape: recorded a | the code returned", ("a", "returned")),
        ("the code does not fit the tape: recorded a | the code raised E: x", ("a", "raised E: x")),
        ("the code does not fit the tape: recorded a", ("a", "")),
        ("this project has no agent 'x'; it has: y", ("", "")),
        ("", ("", "")),
    ],
)
def test_both_sides(why: str, both: tuple[str, str]) -> None:
    assert sides(why) == both


def test_a_poisoned_run(book: Book, reader: Reader) -> None:
    run_id = book.start()
    while book.status(run_id) != "STUCK":
        book.again(run_id)
        book.die(run_id)
    (need,) = reader.needs()
    assert need.kind is NeedKind.RUN
    assert "deaths in a row without a new record; the last: " in need.why
    assert need.commands == (f"tape redrive {run_id}", f"tape cancel {run_id}")


def test_an_act_that_cannot_be_undone(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDO_UNKNOWN, 0, ARGS)
    book.end(run_id, epoch, key)
    book.do(runs.end_run, run_id, epoch, "FAILED", None, BOOM)
    duty = f"{key}/undo/1"
    while book.status(run_id) == "COMPENSATING":
        claim, _ = book.claim_duty(run_id, duty)
        book.do(obligations.fail_duty, claim, "raised", BOOM, book.recovery, body_over=True)
    (need,) = reader.needs()
    assert (need.kind, need.key, need.tool, need.args) == (NeedKind.OBLIGATION, duty, "tool", ARGS)
    assert need.commands == ways(duty)
    assert need.why == "raised: it broke"
    assert {attempt["what"] for attempt in need.evidence} == {"undo"}
    assert need.evidence[-1]["evidence"] == BOOM


def test_a_surplus_act_that_nobody_can_undo(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, LOOK_UP, 0, ARGS)
    book.die(run_id)
    book.observe(run_id, key, Answer.DUPLICATE)
    (need,) = reader.needs()
    assert (need.kind, need.key, need.tool, need.args, need.evidence) == (
        *(NeedKind.CONFLICT, key, "tool", ARGS),
        {"id": 2},
    )
    assert need.why == "the upstream holds a surplus act that cannot be undone"
    assert need.commands == (f"tape doctor --dump-run {run_id}", f"tape resolve {key} --close --reason TEXT")
    book.do(runs.end_run, run_id, book.again(run_id), "TERMINAL", None, None)
    assert reader.needs() == [need], "it outlives its run"


def test_a_surplus_act_that_is_being_undone_needs_nobody(book: Book, reader: Reader) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDOABLE)
    book.die(run_id)
    book.observe(run_id, key, Answer.DUPLICATE)
    assert reader.needs() == []


def test_newest_first_and_not_too_many(book: Book, reader: Reader) -> None:
    keys: list[str] = []
    for _ in range(3):
        keys.append(stuck_effect(book)[1])
        book.clock.advance(1)
    assert [need.key for need in reader.needs()] == keys[::-1]
    assert [need.key for need in reader.needs(limit=2)] == keys[:0:-1]
