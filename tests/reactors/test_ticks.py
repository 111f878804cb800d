"""What each reactor does in one tick, what it leaves alone, and that another tick changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tape.core.journal import claims, gates, obligations, records, runs
from tape.core.journal.effects import Ending, ToolPolicy
from tape.core.journal.gates import Gate
from tape.core.journal.transaction import Tx
from tape.core.journal.work import DueTimer
from tape.core.kernel.errors import JournalUnavailable, Refused
from tape.core.kernel.lifecycle import EffectStatus
from tape.core.kernel.policy import SECOND_US
from tape.core.kernel.resolution import Answer, Dispatch, Semantics
from tape.reactors import timers
from tape.reactors.reactor import BODY_LIMIT_US, CLAIM_MARGIN_US, LOOK_UP_LIMIT_US
from tests.journal.book import (
    BLIND,
    IDEMPOTENT,
    LOOK_UP,
    OUTBOX,
    OUTBOX_BLIND,
    OUTBOX_SURE,
    READ,
    SURE,
    TTL_US,
    UNDO_UNKNOWN,
    UNDOABLE,
    Book,
)
from tests.reactors.desk import Hosts

UNDO_SEEN = ToolPolicy(
    look_up=True, compensable=True, undo_semantics=Semantics.NON_IDEMPOTENT, undo_look_up=True, authoritative=True
)


def lost(book: Book, policy: ToolPolicy) -> tuple[str, str]:
    """A run whose worker died inside the body of its only effect."""
    run, epoch = book.driven()
    key = book.begin(run, epoch, policy)
    book.die(run)
    return run, key


def seconds(book: Book, later: float) -> None:
    book.clock.advance(later)


# --- recovery -----------------------------------------------------------------------------------------------------


def test_every_runnable_run_is_driven_as_long_as_there_is_room(book: Book) -> None:
    hosts = Hosts(book, workers=3, slots=2)
    waiting = [book.start() for _ in range(3)]
    assert hosts.tick("recovery") == 2
    assert [book.status(run) for run in waiting] == ["RUNNING", "RUNNING", "RUNNABLE"], "oldest first"
    assert hosts.tick("recovery") == 0
    book.do(runs.end_run, waiting[0], 1, "TERMINAL", None, None)
    assert hosts.tick("recovery") == 1
    assert book.status(waiting[2]) == "RUNNING"
    hosts.close()


def test_without_a_worker_a_run_waits(book: Book) -> None:
    hosts = Hosts(book, workers=0)
    run = book.start()
    assert hosts.tick("recovery") == 0
    hosts.pool.workers.append(book.worker())
    assert hosts.tick("recovery") == 1 and book.status(run) == "RUNNING"
    hosts.close()


def test_a_run_whose_driver_died_is_driven_again_at_once_then_with_a_back_off_and_alone(
    book: Book, hosts: Hosts
) -> None:
    run = book.start()
    for death in range(5):
        if death >= 2:
            assert hosts.tick("recovery") == 0, "it backs off"
            seconds(book, book.recovery.delay_us(death) / SECOND_US)
        assert hosts.tick("recovery") == 1
        assert hosts.pool.alone[-1] is (death >= 2)
        hosts.pool.workers = [book.worker() for _ in range(2)]
        book.die(run)
    assert book.status(run) == "STUCK"
    assert hosts.idle()


def poisoned(book: Book, count: int) -> list[str]:
    """Runs that must go alone, and are due."""
    found = [book.start() for _ in range(count)]
    for run in found:
        for _ in range(2):
            book.again(run)
            book.die(run)
    book.clock.advance(60)
    return found


def test_runs_that_must_go_alone_hold_up_no_other(book: Book) -> None:
    hosts = Hosts(book, workers=3, slots=3)
    alone, healthy = poisoned(book, 4), book.start()
    hosts.pool.none_empty = True
    assert hosts.tick("recovery") == 1
    assert [book.status(run) for run in (*alone, healthy)] == [*["RUNNABLE"] * 4, "RUNNING"]
    hosts.pool.none_empty = False
    assert hosts.tick("recovery") == 2
    assert [book.status(run) for run in alone] == ["RUNNING", "RUNNING", "RUNNABLE", "RUNNABLE"], "oldest first"
    hosts.close()


def test_the_last_empty_worker_goes_to_one_of_them_and_the_rest_is_passed_over(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = Hosts(book, workers=3, slots=3)
    alone, healthy = poisoned(book, 4), [book.start() for _ in range(4)]
    choose = hosts.pool.driver_for
    monkeypatch.setattr(
        hosts.pool, "driver_for", lambda *, alone: None if alone and hosts.pool.driving() else choose(alone=alone)
    )
    reads: list[int] = []
    read = hosts.works[0].runnable
    monkeypatch.setattr(hosts.works[0], "runnable", lambda *args: reads.append(1) or read(*args))
    assert hosts.tick("recovery") == 3
    assert [book.status(run) for run in (*alone, *healthy)].count("RUNNING") == 3
    assert [book.status(run) for run in (alone[0], *healthy[:2])] == ["RUNNING"] * 3
    assert len(reads) == 2
    hosts.close()


def test_without_room_or_a_worker_nothing_is_looked_for(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(book, workers=1, slots=2)
    for _ in range(3):
        book.start()
    assert hosts.tick("recovery") == 1
    monkeypatch.setattr(hosts.works[0], "runnable", None)
    assert hosts.tick("recovery") == 0
    hosts.close()


def test_a_run_that_owns_an_effect_in_doubt_is_not_driven(book: Book, hosts: Hosts) -> None:
    for policy in (LOOK_UP, BLIND, UNDO_UNKNOWN):
        lost(book, policy)
    assert hosts.tick("recovery") == 0
    again = [lost(book, policy)[0] for policy in (READ, IDEMPOTENT)]
    assert hosts.tick("recovery") == 2
    assert [book.status(run) for run in again] == ["RUNNING", "RUNNING"]


def test_a_silent_worker_is_ended_and_a_frozen_one_only_loses_its_lease(book: Book, hosts: Hosts) -> None:
    first, second = book.start(), book.start()
    hosts.tick("recovery")
    seconds(book, 14.9)
    assert hosts.tick("recovery") == 0 and not hosts.pool.silent
    hosts.pool.frozen = {book.run(second)["worker_no"]}
    seconds(book, 0.1)
    hosts.pool.workers = []
    assert hosts.tick("recovery") == 1
    assert hosts.pool.silent == [book.run(first)["worker_no"]]
    assert (book.status(first), book.status(second)) == ("RUNNING", "RUNNABLE"), "a death ends the lease of the other"
    book.die(first)


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_wall_clock_that_is_set_ends_no_lease_and_saves_none(book: Book, hosts: Hosts, hours: int) -> None:
    run = book.start()
    hosts.tick("recovery")
    book.clock.wall += hours * 3600 * SECOND_US
    assert hosts.tick("recovery") == 0 and not hosts.pool.silent
    book.clock.boot += TTL_US
    hosts.tick("recovery")
    assert hosts.pool.silent == [book.run(run)["worker_no"]]
    book.die(run)


def test_a_claim_that_ran_out_is_voided(book: Book, hosts: Hosts) -> None:
    _, key = lost(book, LOOK_UP)
    assert hosts.tick("reconciler") == 1
    seconds(book, (LOOK_UP_LIMIT_US + CLAIM_MARGIN_US) / SECOND_US)
    assert hosts.tick("recovery") == 1
    assert book.effect(key)["claim_by"] == ""
    assert hosts.tick("recovery") == 0
    hosts.sent.says("present", {"id": 1})
    hosts.tick("reconciler")
    assert book.effect(key)["status"] == "UNKNOWN", "what comes back after that is fenced"
    hosts.pool.sent[-1].says("present", {"id": 1})
    hosts.tick("reconciler")
    assert book.effect(key)["status"] == "CONFIRMED"


def test_what_a_dispatch_says_when_its_claim_is_over_is_kept(book: Book, hosts: Hosts) -> None:
    """A person has said otherwise by then."""
    run, key = outbox(book, OUTBOX_BLIND)
    hosts.tick("outbox")
    seconds(book, (BODY_LIMIT_US + CLAIM_MARGIN_US) / SECOND_US)
    hosts.tick("recovery")
    book.do(claims.resolve_effect, run, key, "fail", None, "the mail is not there")
    hosts.sent.answer("returned", result="m-1")
    hosts.tick("outbox")
    (conflict,) = book.bodies("conflict_opened")
    assert (conflict["key"], conflict["evidence"]["result"]) == (key, "m-1")
    assert (book.effect(key)["status"], hosts.tick("outbox")) == ("FAILED", 0)


def test_a_dispatch_whose_claim_ran_out_is_judged_by_the_table(book: Book, hosts: Hosts) -> None:
    run, epoch = book.driven()
    key = book.begin(run, epoch, OUTBOX_BLIND)
    hosts.tick("outbox")
    seconds(book, (BODY_LIMIT_US + CLAIM_MARGIN_US) / SECOND_US)
    assert hosts.tick("recovery") == 1
    assert (book.effect(key)["status"], book.effect(key)["step"]) == ("UNKNOWN", "person")
    book.die(run)


def test_keys_that_the_upstream_has_forgotten(book: Book, hosts: Hosts) -> None:
    policy = ToolPolicy(semantics=Semantics.IDEMPOTENT, key_lifetime_us=60 * SECOND_US)
    run, key = lost(book, policy)
    hosts.pool.workers = []
    assert book.effect(key)["step"] == "again"
    seconds(book, 61)
    assert hosts.tick("recovery") == 1
    assert (book.status(run), book.effect(key)["step"]) == ("STUCK", "person")
    assert hosts.idle()


# --- reconciler -----------------------------------------------------------------------------------------------------


def test_the_look_up_is_asked_once_and_its_answer_taken(book: Book, hosts: Hosts) -> None:
    run, key = lost(book, SURE)
    assert hosts.tick("reconciler") == 1
    assert hosts.tick("reconciler") == 0, "asked and not answered yet"
    sent = hosts.sent
    assert (sent.what, sent.key, sent.limit_us) == ("look-up", key, LOOK_UP_LIMIT_US)
    effect = sent.effect
    assert (effect["key"], effect["tool"], effect["args"], effect["attempt"]) == (key, "tool", None, 1)
    assert (effect["run_id"], effect["decision_index"], effect["call_ordinal"]) == (run, None, 0)
    assert effect["epoch"] == 1 and effect["begun_at"].endswith("Z")
    sent.says("present", {"id": 1})
    assert hosts.tick("reconciler") == 1
    found = book.effect(key)
    assert (found["status"], found["resolution"], found["writer"]) == ("CONFIRMED", "observed", "reconciler")
    assert book.status(run) == "RUNNABLE"
    assert hosts.tick("reconciler") == 0


ANSWERS: list[tuple[ToolPolicy, str, list[Any], str, str, float]] = [
    (LOOK_UP, "present", [1], "CONFIRMED", "", 0),
    (LOOK_UP, "duplicate", [1, 2], "CONFIRMED", "", 0),
    (LOOK_UP, "absent", [], "UNKNOWN", "ask_later", 0.2),
    (LOOK_UP, "unclear", [], "UNKNOWN", "ask_later", 0.2),
    (SURE, "absent", [], "UNKNOWN", "ask_later", 2.0),
    (ToolPolicy(Semantics.IDEMPOTENT, look_up=True), "absent", [], "UNKNOWN", "again", 0),
    (LOOK_UP, "nonsense", [], "UNKNOWN", "ask_later", 0.2),
    (LOOK_UP, "present", [1, 2], "UNKNOWN", "ask_later", 0.2),
    (LOOK_UP, "duplicate", list(range(1001)), "UNKNOWN", "ask_later", 0.2),
]


@pytest.mark.parametrize(("policy", "answer", "acts", "status", "step", "pause"), ANSWERS)
def test_answers(
    book: Book, hosts: Hosts, policy: ToolPolicy, answer: str, acts: list[Any], status: str, step: str, pause: float
) -> None:
    _, key = lost(book, policy)
    hosts.tick("reconciler")
    hosts.sent.says(answer, *acts)
    assert hosts.tick("reconciler") == 1
    found = book.effect(key)
    assert (found["status"], found["step"]) == (status, step)
    if pause:
        seconds(book, pause - 0.01)
        assert hosts.tick("reconciler") == 0, "not yet"
        seconds(book, 0.01)
        assert hosts.tick("reconciler") == 1, "asked again"


def test_look_ups_that_fail(book: Book, hosts: Hosts) -> None:
    _, key = lost(book, LOOK_UP)
    hosts.tick("reconciler")
    hosts.sent.answer("raised", error={"type": "OSError", "message": "reset"})
    hosts.tick("reconciler")
    assert book.effect(key)["answer"] == "unclear"
    assert book.bodies("observed")[0]["detail"] == {"why": "reset"}


def test_a_look_up_that_kills_its_worker_goes_alone_and_then_to_a_person(book: Book, hosts: Hosts) -> None:
    run, key = lost(book, LOOK_UP)
    for death in range(5):
        book.due(key)
        hosts.tick("reconciler")
        assert hosts.pool.alone[-1] is (death >= 2)
        hosts.sent.lose()
        hosts.tick("reconciler")
    assert (book.status(run), book.effect(key)["step"]) == ("STUCK", "person")
    assert hosts.idle()


def test_without_a_worker_nothing_is_claimed(book: Book) -> None:
    hosts = Hosts(book, workers=0)
    _, key = lost(book, LOOK_UP)
    assert hosts.tick("reconciler") == 0
    assert book.effect(key)["claim_epoch"] == 0
    hosts.close()


@pytest.mark.parametrize("name", ["reconciler", "outbox", "compensation"])
def test_an_answer_outlives_a_journal_that_cannot_be_written(book: Book, name: str, hosts: Hosts) -> None:
    if name == "reconciler":
        lost(book, LOOK_UP)
        answer: Callable[[], None] = lambda: hosts.sent.says("present", 1)  # noqa: E731
    elif name == "outbox":
        run, epoch = book.driven()
        book.begin(run, epoch, OUTBOX)
        book.do(runs.park, run, epoch, [], "waiting")
        answer = lambda: hosts.sent.answer("returned", result=1)  # noqa: E731
    else:
        owing(book)
        answer = lambda: hosts.sent.answer("returned")  # noqa: E731
    hosts.tick(name)
    answer()
    desk = hosts.hosts[0][name]._desk
    real, works = desk.call, [False]

    def call(verb: Any) -> Any:
        if not works[0]:
            raise JournalUnavailable("the disk is full")
        return real(verb)

    object.__setattr__(desk, "call", call)
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            hosts.tick(name)
    works[0] = True
    assert hosts.tick(name) >= 1
    assert len(hosts.pool.sent) == 1, "nothing was asked or done again"


# --- outbox ---------------------------------------------------------------------------------------------------------


def outbox(book: Book, policy: ToolPolicy = OUTBOX) -> tuple[str, str]:
    """A parked run that waits for an outbox effect."""
    run, epoch = book.driven()
    key = book.begin(run, epoch, policy)
    book.do(runs.park, run, epoch, [], "waiting")
    return run, key


def test_a_dispatch_is_durable_before_its_body_is_entered_and_ended_once(book: Book, hosts: Hosts) -> None:
    run, key = outbox(book)
    assert book.status(run) == "WAITING"
    assert hosts.tick("outbox") == 1
    assert hosts.tick("outbox") == 0
    sent = hosts.sent
    assert (sent.what, sent.key, sent.effect["attempt"], sent.limit_us) == ("body", key, 1, BODY_LIMIT_US)
    assert book.bodies("attempt_started")[-1]["what"] == "body"
    sent.answer("returned", result={"id": 1})
    assert hosts.tick("outbox") == 1
    assert (book.effect(key)["status"], book.effect(key)["writer"]) == ("CONFIRMED", "outbox")
    assert book.status(run) == "RUNNABLE"


def test_an_outbox_effect_is_dispatched_while_its_run_is_driven(book: Book, hosts: Hosts) -> None:
    run, epoch = book.driven()
    key = book.begin(run, epoch, OUTBOX)
    assert hosts.tick("outbox") == 1
    hosts.sent.answer("returned", result=1)
    hosts.tick("outbox")
    assert book.effect(key)["status"] == "CONFIRMED"
    book.die(run)


ENDINGS: list[tuple[ToolPolicy, dict[str, Any], str, str]] = [
    (OUTBOX, {"how": "returned", "result": None, "result_error": "not JSON"}, "CONFIRMED", ""),
    (OUTBOX, {"how": "rejected", "error": {"type": "Rejected", "message": "no"}}, "FAILED", ""),
    (OUTBOX, {"how": "raised", "error": {"type": "OSError", "message": "reset"}}, "UNKNOWN", "again"),
    (OUTBOX, {"how": "timed out", "error": {"type": "BodyTimeout", "message": "late"}}, "UNKNOWN", "again"),
    (OUTBOX_BLIND, {"how": "raised", "error": {"type": "OSError", "message": "reset"}}, "UNKNOWN", "person"),
    (OUTBOX_SURE, {"how": "raised", "error": {"type": "OSError", "message": "reset"}}, "UNKNOWN", "ask"),
    (
        ToolPolicy(Semantics.READ_ONLY, dispatch=Dispatch.OUTBOX),
        {"how": "failed", "error": {"type": "OSError", "message": "reset"}},
        "FAILED",
        "",
    ),
]


@pytest.mark.parametrize(("policy", "ending", "status", "step"), ENDINGS)
def test_how_a_dispatch_ends(
    book: Book, hosts: Hosts, policy: ToolPolicy, ending: dict[str, Any], status: str, step: str
) -> None:
    _, key = outbox(book, policy)
    hosts.tick("outbox")
    hosts.sent.answer(**ending)
    hosts.tick("outbox")
    assert (book.effect(key)["status"], book.effect(key)["step"]) == (status, step)


def test_a_body_that_kills_its_worker(book: Book, hosts: Hosts) -> None:
    run, key = outbox(book)
    for death in range(5):
        book.due(key)
        hosts.tick("outbox")
        assert hosts.pool.alone[-1] is (death >= 2)
        assert hosts.sent.effect["attempt"] == death + 1
        hosts.sent.lose()
        hosts.tick("outbox")
    assert (book.status(run), book.effect(key)["step"]) == ("STUCK", "person")


def test_no_second_attempt_while_the_first_may_still_run(book: Book, hosts: Hosts) -> None:
    """The worker is gone, and nobody could see that all of its processes are."""
    _, key = outbox(book, OUTBOX_SURE)
    hosts.tick("outbox")
    hosts.sent.lose(proven=False)
    hosts.tick("outbox")
    assert book.effect(key)["body_over"] == 0
    hosts.tick("reconciler")
    hosts.sent.says("absent")
    hosts.tick("reconciler")
    assert book.effect(key)["step"] == "ask_later", "as if it were unclear"
    assert hosts.tick("outbox") == 0


# --- timers ---------------------------------------------------------------------------------------------------------


def test_timers_fire_never_early_and_once(book: Book, hosts: Hosts) -> None:
    run, epoch = book.driven()
    for ordinal, later in enumerate((5.0, 1.0, 9.0)):
        book.do(records.set_timer, run, epoch, ordinal, later, "f")
    book.do(runs.park, run, epoch, ["timer 0", "timer 1", "timer 2"], "waiting")
    assert hosts.tick("timers") == 0
    seconds(book, 0.999)
    assert hosts.tick("timers") == 0
    seconds(book, 0.001)
    assert hosts.tick("timers") == 1 and hosts.tick("timers") == 0
    assert [body["ordinal"] for body in book.bodies("timer_fired")] == [1]
    seconds(book, 3600)
    assert hosts.tick("timers") == 2
    assert [body["ordinal"] for body in book.bodies("timer_fired")] == [1, 0, 2], "the earliest first"
    assert book.bodies("timer_fired")[1]["late_us"] == 3596 * SECOND_US
    assert book.status(run) == "RUNNABLE"


def test_a_timer_fires_while_its_run_is_driven(book: Book, hosts: Hosts) -> None:
    run, epoch = book.driven()
    book.do(records.set_timer, run, epoch, 0, 1.0, "f")
    seconds(book, 1)
    assert hosts.tick("timers") == 1
    assert book.status(run) == "RUNNING"


def test_timers_of_a_run_that_has_ended_are_dropped(book: Book, hosts: Hosts) -> None:
    run, epoch = book.driven()
    book.do(records.set_timer, run, epoch, 0, 1.0, "f")
    book.do(runs.end_run, run, epoch, "TERMINAL", None, None)
    seconds(book, 60)
    assert hosts.idle()


# --- compensation -----------------------------------------------------------------------------------------------


def owing(book: Book, count: int = 1, policy: ToolPolicy = UNDOABLE) -> tuple[str, list[str]]:
    """A run that failed after `count` acts that can be undone."""
    run, epoch = book.driven()
    keys = []
    for ordinal in range(count):
        key = book.begin(run, epoch, policy, ordinal)
        book.end(run, epoch, key, ending=Ending(EffectStatus.CONFIRMED, result={"id": ordinal}))
        keys.append(f"{key}/undo/1")
    book.do(runs.end_run, run, epoch, "FAILED", None, {"type": "ValueError", "message": "no"})
    return run, keys


def test_acts_of_a_failed_run_are_undone_newest_first_one_at_a_time(book: Book, hosts: Hosts) -> None:
    run, keys = owing(book, 3)
    assert book.status(run) == "COMPENSATING"
    for number in (2, 1, 0):
        assert hosts.tick("compensation") >= 1
        sent = hosts.sent
        assert (sent.what, sent.key) == ("undo", keys[number])
        assert sent.effect["result"] == sent.effect["act"] == {"id": number}
        assert hosts.tick("compensation") == 0
        sent.answer("returned")
    assert hosts.tick("compensation") == 1
    assert book.status(run) == "FAILED"
    assert [book.duty(key)["status"] for key in keys] == ["DONE"] * 3
    assert hosts.idle()


def refusals(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> list[Refused]:
    """Claims that were tried in vain."""
    refused: list[Refused] = []
    claim = obligations.claim_duty

    def tried(*args: Any, **named: Any) -> Any:
        try:
            return claim(*args, **named)
        except Refused as no:
            refused.append(no)
            raise

    monkeypatch.setattr(obligations, "claim_duty", tried)
    return refused


def test_what_cannot_be_undone_now_is_not_even_tried(book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = refusals(hosts, monkeypatch)
    run, keys = owing(book, 12, ToolPolicy(compensable=True, undo_semantics=Semantics.NON_IDEMPOTENT))
    assert hosts.tick("compensation") == 1
    assert hosts.tick("compensation") == 0, "one at a time"
    hosts.sent.answer("raised", error={"type": "OSError", "message": "reset"})
    hosts.tick("compensation")
    assert (book.duty(keys[-1])["status"], book.status(run)) == ("STUCK", "STUCK")
    assert hosts.idle(), "the older ones wait for a person, too"
    assert refused == []
    book.do(obligations.resolve_duty, run, keys[-1], "confirm", "by hand")
    assert hosts.tick("compensation") == 1
    assert hosts.sent.key == keys[-2]


def test_a_surplus_act_waits_for_what_a_person_is_asked(
    book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refusals(hosts, monkeypatch)
    run, epoch = book.driven()
    blind, doubled = book.begin(run, epoch, BLIND), book.begin(run, epoch, UNDOABLE, 1)
    book.die(run)
    book.observe(run, doubled, Answer.DUPLICATE, [{"id": number} for number in range(12)])
    assert hosts.tick("compensation") == 0 and refused == []
    book.do(claims.resolve_effect, run, blind, "confirm", None, "looked")
    hosts.pool.workers.append(book.worker())
    assert hosts.tick("compensation") == 1
    assert (hosts.sent.key, refused) == (f"{doubled}/undo/12", []), (
        "the last of them first, the tenth is not the second"
    )


def test_an_undo_that_fails_is_tried_again_or_asked_about(book: Book, hosts: Hosts) -> None:
    run, (key,) = owing(book)
    hosts.tick("compensation")
    hosts.sent.answer("raised", error={"type": "OSError", "message": "reset"})
    hosts.tick("compensation")
    assert (book.duty(key)["status"], book.duty(key)["step"]) == ("DUE", "again"), "an idempotent undo"
    book.due(key)
    hosts.tick("compensation")
    assert hosts.sent.effect["attempt"] == 2
    hosts.sent.answer("returned")
    hosts.tick("compensation")
    assert book.status(run) == "FAILED"


def test_an_undo_with_a_look_up_of_its_own(book: Book, hosts: Hosts) -> None:
    run, (key,) = owing(book, policy=UNDO_SEEN)
    hosts.tick("compensation")
    hosts.sent.lose()
    hosts.tick("compensation")
    book.due(key)
    hosts.tick("compensation")
    assert hosts.sent.what == "undo-look-up"
    hosts.sent.says("unclear", why="fog")
    hosts.tick("compensation")
    book.due(key)
    hosts.tick("compensation")
    hosts.sent.lose()
    hosts.tick("compensation")
    book.due(key)
    hosts.tick("compensation")
    hosts.sent.says("present", {"id": 0})
    hosts.tick("compensation")
    assert (book.duty(key)["status"], book.status(run)) == ("DONE", "FAILED")


def test_no_second_undo_while_the_first_may_still_run(book: Book, hosts: Hosts) -> None:
    _, (key,) = owing(book, policy=UNDO_SEEN)
    hosts.tick("compensation")
    hosts.sent.lose(proven=False)
    hosts.tick("compensation")
    book.due(key)
    hosts.tick("compensation")
    hosts.sent.says("absent")
    hosts.tick("compensation")
    assert (book.duty(key)["body_over"], book.duty(key)["step"]) == (0, "ask_later")


def test_what_an_undo_says_when_its_claim_is_over_is_kept(book: Book, hosts: Hosts) -> None:
    """A person has let the act stand by then."""
    run, (key,) = owing(book, policy=ToolPolicy(compensable=True, undo_semantics=Semantics.NON_IDEMPOTENT))
    hosts.tick("compensation")
    seconds(book, (BODY_LIMIT_US + CLAIM_MARGIN_US) / SECOND_US)
    hosts.tick("recovery")
    book.do(obligations.resolve_duty, run, key, "fail", "it may stand")
    hosts.sent.answer("returned")
    hosts.tick("compensation")
    assert [body["evidence"] for body in book.bodies("conflict_opened")] == [{"key": key, "undone": True}]
    assert book.duty(key)["status"] == "DROPPED"


def test_an_undo_that_nobody_can_judge_is_for_a_person(book: Book, hosts: Hosts) -> None:
    policy = ToolPolicy(compensable=True, undo_semantics=Semantics.NON_IDEMPOTENT)
    run, (key,) = owing(book, policy=policy)
    hosts.tick("compensation")
    hosts.sent.answer("missing", error={"type": "UsageError", "message": "tool has no compensation"})
    hosts.tick("compensation")
    assert (book.duty(key)["status"], book.status(run)) == ("STUCK", "STUCK")
    assert hosts.idle()
    assert book.do(obligations.resolve_duty, run, key, "confirm", "by hand") == "FAILED"


def test_an_effect_that_is_undone_because_nobody_can_know(book: Book, hosts: Hosts) -> None:
    run, key = lost(book, UNDO_UNKNOWN)
    assert book.status(run) == "WAITING"
    assert hosts.tick("compensation") == 1
    assert hosts.sent.effect["act"] is None, "must hold if the act never happened"
    hosts.sent.answer("returned")
    hosts.tick("compensation")
    assert (book.effect(key)["status"], book.effect(key)["resolution"]) == ("FAILED", "compensated")
    assert book.status(run) == "RUNNABLE"


def test_many_that_are_due_at_once_fire_in_a_few_commits(
    book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick takes its share, in commits that are short enough for the agents' own writes; gates and timers alike."""
    monkeypatch.setattr(timers, "BATCH", 20)
    monkeypatch.setattr(timers, "ROUND", 50)
    worker = book.worker()
    for number in range(80):
        run = book.start()
        epoch = book.grant(run, worker)
        if number % 2:
            book.do(records.set_timer, run, epoch, 0, 60.0, "f")
        else:
            book.do(gates.open_gate, run, epoch, Gate("pay", 0, "", ("a", "b"), "f", 60.0, "b"))
        book.do(runs.park, run, epoch, ["gate pay 0", "timer 0"], "waiting")
    assert hosts.tick("timers") == 0
    book.clock.advance(61)
    commits: list[int] = []
    fire = timers.set_off
    monkeypatch.setattr(timers, "set_off", lambda tx, due: commits.append(len(due)) or fire(tx, due))
    assert hosts.tick("timers") == 80 and commits == [20, 20, 20, 20]
    assert hosts.tick("timers") == 0
    assert len(book.bodies("timer_fired")) == len(book.bodies("gate_answered")) == 40
    assert {row["status"] for row in book.rows("SELECT status FROM run")} == {"RUNNABLE"}


def test_one_that_cannot_be_fired_holds_up_no_other(book: Book, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    wakes = [book.driven() for _ in range(3)]
    for run, epoch in wakes:
        book.do(records.set_timer, run, epoch, 0, 1.0, "f")
    book.clock.advance(2)
    lame = book.run(wakes[1][0])["no"]
    fire = timers.set_off

    def limping(tx: Tx, due: list[DueTimer]) -> int:
        if any(one.run_no == lame for one in due):
            raise Refused("not this one")
        return fire(tx, due)

    monkeypatch.setattr(timers, "set_off", limping)
    assert hosts.tick("timers") == 2
    assert len(book.bodies("timer_fired")) == 2


def test_runs_that_wait_cost_the_look_outs_nothing(book: Book, hosts: Hosts) -> None:
    """However many wait for a person or a timer, an idle round takes the same number of steps in the database."""
    worker = book.worker()

    def idle_steps() -> int:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection = hosts.works[0]._connection
        connection.set_progress_handler(count, 1)
        assert hosts.idle()
        connection.set_progress_handler(None, 0)
        return steps

    def wait(count: int) -> None:
        for _ in range(count):
            run = book.start()
            epoch = book.grant(run, worker)
            book.do(records.set_timer, run, epoch, 0, 60.0, "f")
            book.do(gates.open_gate, run, epoch, Gate("pay", 0, "", ("a", "b"), "f", 60.0))
            book.do(runs.park, run, epoch, ["gate pay 0", "timer 0"], "waiting")

    wait(5)
    few = idle_steps()
    wait(100)
    assert 0 < idle_steps() <= few + 10


# --- what is left to itself, and how long a body may take -----------------------------------------------------------


def left(book: Book, policy: ToolPolicy = OUTBOX) -> tuple[str, str]:
    """A run that has ended, and an outbox effect that it did not wait for."""
    run, epoch = book.driven()
    key = book.begin(run, epoch, policy, awaited=False)
    book.do(runs.end_run, run, epoch, "TERMINAL", None, None)
    return run, key


def test_what_is_left_is_dispatched_after_the_end_of_its_run(book: Book, hosts: Hosts) -> None:
    run, key = left(book)
    assert hosts.tick("outbox") == 1
    hosts.sent.answer("returned", result={"id": 1})
    assert hosts.tick("outbox") == 1
    assert (book.status(run), book.effect(key)["status"]) == ("TERMINAL", "CONFIRMED")
    for name in ("recovery", "reconciler", "outbox", "compensation"):
        assert hosts.tick(name) == 0, "nothing is left to do"


def test_what_is_left_is_asked_about_after_the_end_of_its_run(book: Book, hosts: Hosts) -> None:
    run, key = left(book, OUTBOX_SURE)
    hosts.tick("outbox")
    hosts.sent.lose()
    hosts.tick("outbox")
    assert hosts.tick("reconciler") == 1
    hosts.sent.says("present", {"id": 1})
    hosts.tick("reconciler")
    assert (book.status(run), book.effect(key)["resolution"]) == ("TERMINAL", "observed")


def test_a_tool_that_declares_a_longer_time_gets_it(book: Book, hosts: Hosts) -> None:
    """Its body ends by itself at the declared time; only after that its process is ended, and its claim runs out."""
    long_us = 3 * BODY_LIMIT_US
    _, key = outbox(book, replace(OUTBOX, timeout_us=long_us))
    hosts.tick("outbox")
    assert hosts.sent.limit_us > long_us
    assert book.effect(key)["claim_until_boot_us"] - book.clock.boot_us() > hosts.sent.limit_us
    book.clock.advance(long_us / SECOND_US)
    hosts.sent.answer("timed out", error={"type": "BodyTimeout", "message": "over the time limit"})
    hosts.tick("outbox")
    assert (book.effect(key)["status"], book.effect(key)["attempts"]) == ("UNKNOWN", 1)


def test_a_shorter_time_leaves_the_limit_as_it_is(book: Book, hosts: Hosts) -> None:
    outbox(book, replace(OUTBOX, timeout_us=1_000_000))
    hosts.tick("outbox")
    assert hosts.sent.limit_us == BODY_LIMIT_US
