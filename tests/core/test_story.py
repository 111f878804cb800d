"""The story of a run: told from entries by hand and from journals written by verbs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tape.core.journal import claims
from tape.core.journal.entries import later_event
from tape.core.kernel import events
from tape.core.kernel.events import BY_KIND
from tape.core.kernel.points import POINTS
from tape.core.kernel.resolution import Answer
from tape.core.render import line
from tape.core.story import LineKind, RunStory, Teller, tell
from tape.core.text import duration
from tests.core.run_book import ACME, KEY, KILLED, RUN, WIRE, Script, demo, entries_of, killed, reach_and_die, to_effect
from tests.core.test_render import HOSTILE, is_harmless
from tests.journal import invariants
from tests.journal.book import BLIND, CONFIRMED, IDEMPOTENT, LOOK_UP, OUTBOX, UNDO_UNKNOWN, Book

GOLDEN = Path(__file__).with_name("story_of_the_demo.txt")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    journal = Book(tmp_path / "dev.db")
    yield journal
    invariants.check(journal.writer.connection)
    journal.close()


def printed(story: RunStory) -> str:
    rows: list[str] = []
    for told in story.lines:
        seq = "" if told.seq is None else str(told.seq)
        state = f"   {told.state_glyph} {told.state}".rstrip()
        shade = "≡" if told.dimmed else " "
        rows.append(f"{seq:>3} {told.since_us / 1e6:6.3f} {shade} {told.glyph or ' '} {told.text}{state}".rstrip())
    return "\n".join(rows) + "\n"


def kinds(story: RunStory) -> list[str]:
    return [told.entry.event.kind if told.kind in ("RECORD", "STORY") else str(told.kind) for told in story.lines]


# --- the demo ---------------------------------------------------------------------------------------------------------


def test_the_demo_word_by_word() -> None:
    assert printed(tell(demo().entries)) == GOLDEN.read_text("utf-8")


def test_what_the_demo_adds_up_to() -> None:
    story = tell(demo().entries)
    assert (story.run_id, story.agent, story.input, story.status) == (RUN, "treasury", "pay invoice 7", "TERMINAL")
    assert (story.decisions, story.seq, story.drive, story.epoch) == (3, 10, 2, 3)
    assert (story.cost.tokens, story.cost.usd_micro) == (630, 6000)
    assert story.ended and story.started_us is not None and story.ended_us == story.started_us + 245_000
    (effect,) = story.effects
    assert (effect.key, effect.short, effect.tool, effect.args) == (KEY, "1/0/wire_money", "wire_money", ACME)
    assert (effect.status, effect.resolution, effect.writer, effect.row) == (
        "CONFIRMED",
        "observed",
        "reconciler",
        "N-present",
    )
    assert (effect.answer, effect.answer_detail, effect.result) == ("present", {"acts": [WIRE]}, WIRE)
    assert (effect.attempts, effect.replayed, effect.undo) == (1, 1, "")
    assert effect.evidence.startswith("observed  1/0/wire_money: present, N-present: confirm")
    assert [(lease.worker, lease.epoch, lease.drive, lease.status) for lease in story.leases] == [
        (1, 1, 1, "DIED"),
        (2, 3, 2, "RELEASED"),
    ]
    assert story.leases[0].why == KILLED and story.leases[0].ended_us is not None


def test_every_line_of_an_entry_is_what_the_renderer_says() -> None:
    for told in tell(demo().entries, full=True).lines:
        if told.kind in (LineKind.RECORD, LineKind.STORY):
            said = line(told.entry)
            assert (told.glyph, told.text, told.style) == (said.glyph, said.text, said.style)


def test_full_keeps_every_entry_and_the_short_one_every_record() -> None:
    entries = demo().entries
    full, short = tell(entries, full=True), tell(entries)
    own = (LineKind.RECORD, LineKind.STORY)
    assert [told.id for told in full.lines if told.kind in own] == [entry.id for entry in entries]
    for story in (full, short):
        records = [told.seq for told in story.lines if told.kind is LineKind.RECORD]
        assert records == list(range(1, 11))
        marks = [(told.id, told.kind) for told in story.lines]
        assert len(marks) == len(set(marks))
    assert len(short.lines) < len(full.lines)


# --- time travel ------------------------------------------------------------------------------------------------------


def test_a_prefix_is_the_state_as_of_its_last_entry() -> None:
    entries = demo().entries
    teller = Teller()
    for number, entry in enumerate(entries, 1):
        teller.add([entry])
        assert teller.story() == tell(entries[:number])
    statuses = [tell(entries[:number]).status for number in range(1, len(entries) + 1)]
    assert list(dict.fromkeys(statuses)) == ["RUNNABLE", "RUNNING", "WAITING", "TERMINAL"]
    assert tell(entries[: len(killed().entries)]).effects[0].status == "UNKNOWN"


def test_a_story_that_was_handed_out_stays_as_it_was() -> None:
    entries, teller = demo().entries, Teller()
    teller.add(entries[:18])
    before = teller.story()
    text, passes = printed(before), dict(before.passes)
    teller.add(entries[18:])
    assert (printed(before), dict(before.passes)) == (text, passes)


def test_the_place_to_resume_is_open_until_the_agent_goes_on_and_stays_where_it_did() -> None:
    entries = demo().entries
    open_at = [
        (number, story.lines[-1].seq)
        for number in range(1, len(entries) + 1)
        if (story := tell(entries[:number])).lines[-1].kind is LineKind.RESUME
    ]
    kinds_at = {number: entries[number - 1].event.kind for number, _ in open_at}
    assert kinds_at[open_at[0][0]] == "lease_ended"
    assert {seq for _, seq in open_at} == {7, 8}  # it moves on with what the reconciler writes
    assert entries[open_at[-1][0]].event.kind == "decision"
    story = tell(entries)
    (mark,) = [position for position, told in enumerate(story.lines) if told.kind is LineKind.RESUME]
    assert story.lines[mark].seq == story.lines[mark + 1].seq == 8


def test_a_run_that_ends_while_it_is_down_has_no_place_to_resume() -> None:
    script = killed().end(190, "decided", writer="operator", epoch=2, status="FAILED")
    script.add(191, events.RunEnded(outcome="CANCELLED", writer="operator"), epoch=2)
    assert "RESUME" not in kinds(tell(script.move(191, "WAITING", "CANCELLED").entries))


# --- the crash --------------------------------------------------------------------------------------------------------


def cut_of(script: Script) -> tuple[str, str]:
    (cut,) = [told for told in tell(script.entries).lines if told.kind is LineKind.CUT]
    return cut.glyph, cut.text


def test_a_cut_stands_at_once_and_says_later_when_it_was_known() -> None:
    script = to_effect().reach(175)
    assert cut_of(script) == ("✗", "SIGKILL at effect.acted · pid 12345")
    assert cut_of(script.lose(176)) == ("✗", "SIGKILL at effect.acted · pid 12345 · known after 1 ms")


def test_a_kill_by_order_has_no_point() -> None:
    ordered = events.OrderPlaced(order=1, verb="kill", args={"at": None, "signal": "KILL"}, actor="me", reason="")
    script = to_effect().add(170, ordered).lose(172, "SIGKILL: killed by order")
    assert cut_of(script) == ("✗", "SIGKILL · pid 12345 · known after 2 ms")
    assert "order_placed" in kinds(tell(script.entries))


def test_a_kill_where_step_mode_holds_the_agent_has_that_point() -> None:
    ordered = events.OrderPlaced(order=1, verb="kill", args={}, actor="me", reason="")
    script = to_effect().reach(165, "effect.begun", "HOLD")
    assert "CUT" not in kinds(tell(script.entries))
    script.add(170, ordered).lose(172, "SIGKILL: killed by order")
    assert cut_of(script) == ("✗", "SIGKILL at effect.begun · pid 12345 · known after 2 ms")
    went_on = to_effect().reach(165, "effect.begun", "HOLD").end(170, "returned", writer="agent")
    went_on.add(171, ordered).lose(172, "SIGKILL: killed by order")
    assert cut_of(went_on)[1] == "SIGKILL · pid 12345 · known after 1 ms"


def test_a_death_that_nobody_ordered_says_what_is_known() -> None:
    assert cut_of(to_effect().lose(176, "SIGSEGV"))[1] == "SIGSEGV · pid 12345"
    silent = "SIGKILL: its event loop was silent"
    assert cut_of(to_effect().lose(176, silent))[1] == "SIGKILL · pid 12345 · its event loop was silent"


def test_a_frozen_worker_loses_its_lease_and_then_its_write() -> None:
    script = to_effect().reach(175, death="STOP")
    assert cut_of(script)[0] == "◆"
    script.lose(2175, "the lease ran out", status="EXPIRED").doubt(2175, why="the lease ran out")
    assert cut_of(script) == ("✗", "SIGSTOP at effect.acted · pid 12345 · its lease ran out after 2 s")
    refused = events.WriteRefused(worker=1, epoch=1, live_epoch=3, write="effect_ended", why="over", evidence={})
    story = tell(script.add(2300, refused, epoch=3).entries)
    (zombie,) = story.refusals
    assert (zombie.worker, zombie.epoch, zombie.live_epoch, zombie.write) == (1, 1, 3, "effect_ended")
    assert story.lines[-2].entry.event is refused


def test_a_thaw_in_time_is_no_cut() -> None:
    script = to_effect().reach(175, death="STOP").end(180, "returned", writer="agent")
    story = tell(script.entries)
    assert not {"CUT", "RESUME"} & set(kinds(story))
    assert story.lines[-2].text.endswith("thawed before its lease ran out")


@pytest.mark.parametrize("death", ["TERM", "LOST", "HOLD", "SOMETHING"])
def test_no_other_death_cuts_the_tape(death: str) -> None:
    script = to_effect().reach(175, death=death).lose(180, "drained", status="RELEASED")
    assert not {"CUT", "RESUME"} & set(kinds(tell(script.entries)))
    assert "point_reached" in kinds(tell(script.entries))
    assert kinds(tell(script.entries))[-1] == "lease_ended"


def test_a_hook_worker_that_dies_does_not_cut_the_tape() -> None:
    script = killed().ask(180).reach(190, "observe.answered", worker=2, epoch=2)
    how = "SIGKILL: killed at observe.answered"
    script.add(195, events.AttemptEnded(key=KEY, what="look-up", number=1, how=how), epoch=2)
    story = tell(script.entries)
    assert kinds(story).count("CUT") == 1
    assert kinds(story)[-3:] == ["point_reached", "attempt_ended", "RESUME"]


def test_an_end_that_is_not_proven_is_told() -> None:
    died = events.WorkerDied(worker=1, pid=12345, how=KILLED, proven=False)
    script = to_effect().reach(175).add(176, died, epoch=0, run_id=None).lose(176)
    assert "worker_died" in kinds(tell(script.entries))
    assert "worker_died" not in kinds(tell(killed().entries))


def test_a_run_that_gets_stuck_says_why_and_what_helps() -> None:
    script = to_effect(look_up=False).reach(175).lose(176).doubt(176, "person", "N-ask")
    story = tell(script.move(176, "RUNNING", "STUCK", KILLED, helps=["tape resolve X"]).entries)
    assert kinds(story)[-2:] == ["run_moved", "RESUME"]
    assert (story.status, story.why, story.commands) == ("STUCK", KILLED, ("tape resolve X",))


# --- what was replayed ------------------------------------------------------------------------------------------------


def test_dimmed_is_what_the_latest_drive_had_from_the_tape() -> None:
    entries = demo().entries
    dimmed = {told.seq for told in tell(entries).lines if told.dimmed}
    assert dimmed == set(range(1, 8))
    attached = next(number for number, entry in enumerate(entries) if getattr(entry.event, "drive", 0) == 2)
    assert not any(told.dimmed for told in tell(entries[: attached + 1]).lines if (told.seq or 0) > 1)


def test_an_effect_that_runs_again_was_not_answered() -> None:
    script = killed().ask(180).answer(206, "absent", "N-absent", "again")
    script.grant(219, epoch=3, drive=2, worker=2).attach(225, epoch=3, drive=2)
    shown = {told.seq: told.dimmed for told in tell(script.entries).lines if told.kind is LineKind.RECORD}
    assert shown == {1: True, 2: True, 3: True, 4: True, 5: True, 6: False}


# --- passes -----------------------------------------------------------------------------------------------------------


def test_passes_of_the_demo() -> None:
    passes = tell(demo().entries).passes
    assert {point: number for point, number in passes.items() if number} == {
        "decision.asking": 3,
        "decision.replied": 3,
        "decision.recorded": 3,
        "effect.begun": 1,
        "effect.acted": 1,
        "run.ending": 1,
        "run.ended": 1,
        "lease.granted": 2,
        "observe.answered": 1,
    }
    assert set(passes) >= {point.name for point in POINTS}


@pytest.mark.parametrize("death", ["TERM", "LOST", "STOP"])
def test_a_boundary_that_is_committed_after_all_is_one_pass(death: str) -> None:
    passes = tell(to_effect().reach(175, death=death).end(176, "returned", writer="agent").entries).passes
    assert (passes["effect.acted"], passes["effect.ended"]) == (1, 1)


def test_own_points_and_deaths_of_hooks_count_as_passes() -> None:
    script = killed().ask(180).reach(190, "observe.answered", worker=2, epoch=2).ask(195, 2, worker=3)
    script.answer(206, "present", "N-present", "confirm", 2).reach(210, "at:mine", worker=2, epoch=2)
    passes = tell(script.entries).passes
    assert (passes["observe.answered"], passes["at:mine"]) == (2, 1)


# --- journals written by verbs ----------------------------------------------------------------------------------------


def test_a_journal_of_verbs(book: Book) -> None:
    run_id, epoch = book.driven()
    book.decide(run_id, epoch)
    key = book.begin(run_id, epoch, LOOK_UP)
    reach_and_die(book, run_id)
    book.observe(run_id, key, Answer.PRESENT)
    epoch = book.again(run_id)
    book.decide(run_id, epoch, 1)
    story = tell(entries_of(book, run_id))
    row = book.run(run_id)
    assert (story.status, story.seq, story.epoch, story.drive) == (row["status"], row["seq"], row["epoch"], 2)
    assert (story.decisions, len(story.effects)) == (row["decisions"], row["effects"])
    assert story.effects[0].status == book.effect(key)["status"] == "CONFIRMED"
    assert [told.text for told in story.lines if told.kind is LineKind.CUT] == [
        f"signal 9 at effect.acted · pid 100 · known after {duration(2000)}"
    ]


def test_attempts_of_verbs(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, IDEMPOTENT)
    book.die(run_id)
    epoch = book.again(run_id)
    book.end(run_id, epoch, key, book.retry(run_id, epoch, key))
    story = tell(entries_of(book, run_id))
    (effect,) = story.effects
    assert (effect.attempts, effect.resolution, effect.row, effect.step) == (2, "redispatched", "I-again", "")
    assert (story.passes["effect.begun"], story.passes["effect.acted"], story.passes["effect.ended"]) == (1, 1, 1)


def test_duties_of_verbs(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, UNDO_UNKNOWN)
    assert tell(entries_of(book, run_id)).effects[0].undo == "ARMED"
    book.die(run_id)
    assert tell(entries_of(book, run_id)).effects[0].undo == "DUE"
    book.undo(run_id, f"{key}/undo/1")
    story = tell(entries_of(book, run_id))
    (effect,) = story.effects
    assert (effect.status, effect.resolution, effect.undo) == ("FAILED", "compensated", "DONE")
    assert story.passes["compensate.acted"] == 1


def test_the_outbox_dispatches(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, OUTBOX)
    assert tell(entries_of(book, run_id)).effects[0].attempts == 0
    claim = book.claim(run_id, key, "body")
    book.do(claims.end_dispatch, claim, CONFIRMED)
    story = tell(entries_of(book, run_id))
    assert (story.effects[0].attempts, story.effects[0].writer) == (1, "outbox")
    counted = [story.passes[point] for point in ("dispatch.started", "dispatch.acted", "effect.acted")]
    assert counted == [1, 1, 0]


def test_a_live_body_that_raises_passes_its_end(book: Book) -> None:
    run_id, epoch = book.driven()
    key = book.begin(run_id, epoch, BLIND)
    book.fail(run_id, epoch, key)
    passes = tell(entries_of(book, run_id)).passes
    assert (passes["effect.acted"], passes["effect.ended"]) == (1, 1)


# --- what is foreign --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_as_what_it_is(text: str) -> None:
    script = Script()
    script.add(0, events.RunStarted(agent=text, input=text), epoch=0).grant(1).decide(5, 0, reply=text)
    script.begin(6, key=f"{RUN}/1/0/{text}", tool=text, args={text: text}).reach(7, f"at:{text}")
    script.lose(8, f"{text}: {text}")
    error = {"type": text, "message": text}
    ended = events.EffectEnded(
        key=f"{RUN}/1/0/{text}", tool=text, status="FAILED", resolution="rejected", writer="operator", error=error
    )
    story = tell(script.move(8, text, text, text, helps=[text]).add(9, ended, epoch=2).entries)
    said = [told.text + told.state + told.glyph + told.state_glyph for told in story.lines]
    said += [story.agent, story.why, *story.commands, *(lease.why for lease in story.leases)]
    for fact in story.effects:
        said += [fact.short, fact.tool, fact.evidence]
    assert all(is_harmless(each) for each in said)
    json.dumps([told.seq for told in story.lines])


@pytest.mark.parametrize("damage", [None, 7, "x", [], {}], ids=repr)
def test_damaged_bodies_never_stop_the_story(damage: Any) -> None:
    script = killed()
    for number, cls in enumerate(BY_KIND.values()):
        body = {each.name: damage for each in fields(cls)}
        script.add(300 + number, cls(**body), epoch=3)
    script.add(400, later_event("later_kind", {"a": damage}), epoch=3)
    story = tell(script.entries, full=True)
    own = [told.id for told in story.lines if told.kind in (LineKind.RECORD, LineKind.STORY)]
    assert own == [entry.id for entry in script.entries]


def test_other_runs_and_no_entries_at_all() -> None:
    assert (tell([]).run_id, tell([]).lines, tell([]).status) == ("", (), "")
    mine, other = demo().entries, Script("r-other0000000").start().entries
    assert tell([mine[0], *other, *mine[1:]]) == tell(mine)


def test_what_adding_costs_does_not_grow_with_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry is rendered once, however many batches come, and a batch touches no line that stood before."""
    rendered: list[int] = []

    def counting(entry: events.Entry) -> Any:
        rendered.append(entry.id)
        return line(entry)

    monkeypatch.setattr("tape.core.story.line", counting)
    entries, teller = demo().entries, Teller()
    for entry in entries:
        teller.add([entry])
        teller.story()
    assert rendered == [entry.id for entry in entries]
    first = teller.story().lines
    script = Script()
    script.entries, script.seq = [*entries], 10
    teller.add(script.decide(300, 3, epoch=3).entries[len(entries) :])
    assert all(old is new for old, new in zip(first, teller.story().lines, strict=False))
